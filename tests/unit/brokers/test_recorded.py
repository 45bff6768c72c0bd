"""A broker that writes its intent down first: whatever goes wrong, no order goes out twice and none is forgotten."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from orchestration.adapters.brokers.order_entries import Origin, origin_of
from orchestration.adapters.brokers.order_notes import MANUAL
from orchestration.adapters.brokers.order_record import OrderRecord
from orchestration.adapters.brokers.recorded import RecordedBroker
from orchestration.adapters.memory.order_log import MemoryOrderLog
from orchestration.domain.errors import (
    DefinitionError,
    OutcomeUnknownError,
    StoreUnavailableError,
    TransientError,
)
from orchestration.domain.orders import Order, OrderState, OrderStatus, Side
from orchestration.ports.order_log import OrderEntry
from tests.doubles import ManualClock
from tests.unit.brokers.order_desk import OrderDesk
from tests.unit.brokers.scripted_market import OPEN, order
from tests.unit.brokers.unreliable_exchange import Exchange, Line
from tests.unit.brokers.watched_broker import ProcessKilledError

NAME = "run1:execute_trades:AAPL:1.1M"
BUY = order(NAME)


async def record(desk: OrderDesk) -> OrderRecord:
    return OrderRecord(await desk.log.entries())


async def kinds(desk: OrderDesk) -> list[str]:
    return [entry.kind for entry in await desk.log.entries()][1:]  # the record's beginning comes first


async def test_the_intent_is_kept_before_anything_is_sent() -> None:
    desk = OrderDesk()
    process = await desk.start()
    seen: list[list[str]] = []
    send = process.line.submit

    async def look_then_send(order: Order) -> OrderState:
        seen.append(await kinds(desk))
        return await send(order)

    process.line.submit = look_then_send  # type: ignore[method-assign]  # to look at that moment
    state = await process.recorded.submit(BUY)
    assert state.status is OrderStatus.ACCEPTED
    assert seen == [["order_intended"]]
    assert await kinds(desk) == ["order_intended", "order_noted"]
    known = (await record(desk)).orders[NAME]
    assert (known.origin, known.sent_at) == (Origin(run="run1", task="execute_trades", leg="AAPL:1.1M"), OPEN)


async def test_the_same_id_again_is_asked_about_and_not_sent() -> None:
    desk = OrderDesk()
    process = await desk.start()
    await process.recorded.submit(BUY)
    desk.exchange.fill(NAME, 10)
    assert (await process.recorded.submit(BUY)).status is OrderStatus.FILLED
    assert desk.exchange.arrivals == {NAME: 1}
    with pytest.raises(DefinitionError, match="belongs to another order"):
        await process.recorded.submit(order(NAME, quantity=11))


async def test_a_refusal_is_an_answer_that_stays() -> None:
    desk = OrderDesk()
    desk.exchange.rejected = {"AAPL"}
    process = await desk.start()
    assert (await process.recorded.submit(BUY)).reason == "told to refuse"
    del desk.exchange.states[NAME]  # many brokers forget what they refused
    process = await desk.start()
    again = await process.recorded.submit(BUY)
    assert (again.status, again.reason) == (OrderStatus.REJECTED, "told to refuse")
    assert await process.recorded.order(NAME) == again
    assert desk.exchange.arrivals == {NAME: 1}


@pytest.mark.parametrize("fault", ["drop", "break"])
async def test_a_lost_answer_is_asked_for(fault: str) -> None:
    desk = OrderDesk()
    process = await desk.start()
    process.line.faults = [fault]
    assert (await process.recorded.submit(BUY)).status is OrderStatus.ACCEPTED
    assert desk.exchange.arrivals == {NAME: 1}
    assert await kinds(desk) == ["order_intended", "order_unknown", "order_noted"]


async def test_an_order_that_never_came_goes_out_again_only_when_the_caller_asks_and_under_its_id() -> None:
    desk = OrderDesk()
    process = await desk.start()
    process.line.faults = ["lose"]
    with pytest.raises(TransientError, match=r"never got run1:execute_trades:AAPL:1\.1M"):
        await process.recorded.submit(BUY)
    assert desk.exchange.arrivals == {}
    assert await process.recorded.order(NAME) is None
    dearer = order(NAME, limit="10.05")
    assert (await process.recorded.submit(dearer)).order == dearer
    assert desk.exchange.arrivals == {NAME: 1}
    assert (await record(desk)).orders[NAME].sends == 2


async def test_an_order_sent_again_is_as_uncertain_as_one_sent_first() -> None:
    desk = OrderDesk()
    process = await desk.start()
    process.line.faults = ["lose", "cut"]
    for error in (TransientError, OutcomeUnknownError):
        with pytest.raises(error):
            await process.recorded.submit(BUY)
    assert (await record(desk)).orders[NAME].unresolved
    process.line.down = False
    assert list(await process.recorded.resolve_unknown()) == []
    assert desk.exchange.arrivals == {NAME: 1}


async def test_where_not_knowing_an_order_proves_nothing_it_is_never_sent_again() -> None:
    desk = OrderDesk(authoritative_after=None)
    process = await desk.start()
    process.line.faults = ["lose"]
    for _ in range(2):
        with pytest.raises(OutcomeUnknownError, match="which proves nothing; it is asked about, never sent again"):
            await process.recorded.submit(BUY)
    with pytest.raises(OutcomeUnknownError):
        await process.recorded.order(NAME)
    assert [known.order for known in await process.recorded.resolve_unknown()] == [BUY]
    assert desk.exchange.arrivals == {}
    assert len(process.told) == 1  # one alert, however often it is asked about
    desk.exchange.arrive(BUY)
    assert list(await process.recorded.resolve_unknown()) == []


async def test_an_order_that_arrives_late_is_found_and_not_sent_again() -> None:
    desk = OrderDesk(authoritative_after=timedelta(seconds=10))
    process = await desk.start()
    process.line.faults = ["delay"]
    with pytest.raises(OutcomeUnknownError, match="proves nothing within 10 s"):
        await process.recorded.submit(BUY)
    await desk.clock.sleep_until(desk.clock.now() + timedelta(seconds=10))
    assert (await process.recorded.submit(BUY)).status is OrderStatus.ACCEPTED
    assert desk.exchange.arrivals == {NAME: 1}


async def test_a_broker_that_cannot_be_asked_is_asked_a_few_times_and_then_it_is_unknown() -> None:
    desk = OrderDesk()
    process = await desk.start()
    process.line.faults = ["cut"]
    start = desk.clock.now()
    with pytest.raises(OutcomeUnknownError, match="could not be asked: the line is down"):
        await process.recorded.submit(BUY)
    assert process.line.asked == [NAME] * 4
    assert desk.clock.now() - start == timedelta(seconds=3.5)
    assert "what became of order run1:execute_trades:AAPL:1.1M (buy 10 AAPL) is not known" in process.told[-1]
    process.line.down = False
    assert list(await process.recorded.resolve_unknown()) == []
    assert (await record(desk)).orders[NAME].open


async def test_a_broker_that_is_down_leaves_the_intent_open_and_gets_the_order_later() -> None:
    desk = OrderDesk()
    process = await desk.start()
    process.line.down = True
    with pytest.raises(TransientError, match="the line is down"):
        await process.recorded.submit(BUY)
    assert (await record(desk)).orders[NAME].unresolved
    process.line.down = False
    await process.recorded.submit(BUY)
    assert desk.exchange.arrivals == {NAME: 1}


async def test_nothing_is_sent_while_the_store_takes_no_intent() -> None:
    class Full(MemoryOrderLog):
        full = False

        async def append(self, entries: Sequence[OrderEntry]) -> Sequence[OrderEntry]:
            if self.full:
                raise StoreUnavailableError("no room")
            return await super().append(entries)

    log = Full()
    desk = OrderDesk(log=log)
    process = await desk.start()
    log.full = True
    with pytest.raises(StoreUnavailableError):
        await process.recorded.submit(BUY)
    assert desk.exchange.arrivals == {}
    log.full = False
    await process.recorded.submit(BUY)
    log.full = True
    desk.exchange.fill(NAME, 4)
    state = await process.recorded.order(NAME)
    assert state is not None  # what the broker says is said, though it is not kept yet
    assert state.filled_quantity == 4
    assert (await record(desk)).positions == {}
    log.full = False
    await process.recorded.resolve_unknown()
    assert (await record(desk)).positions == {"AAPL": Decimal(4)}


@pytest.mark.parametrize("steps", range(12))
async def test_a_process_that_dies_at_any_step_leaves_an_order_that_the_next_one_sends_or_finds(steps: int) -> None:
    desk = OrderDesk()
    process = await desk.start(steps=steps)
    try:
        await process.recorded.submit(BUY)
    except ProcessKilledError:
        assert steps < 6
    else:
        assert steps >= 6
    process = await desk.start()
    await process.recorded.submit(BUY)
    assert desk.exchange.arrivals == {NAME: 1}
    assert (await record(desk)).orders[NAME].open


async def test_a_cancelled_submission_is_found_by_the_next_one() -> None:
    desk = OrderDesk()
    process = await desk.start()
    submit, arrived, forever = process.line.submit, asyncio.Event(), asyncio.Event()

    async def slow(order: Order) -> OrderState:
        state = await submit(order)
        arrived.set()
        await forever.wait()
        return state

    process.line.submit = slow  # type: ignore[method-assign]  # answers never
    task = asyncio.create_task(process.recorded.submit(BUY))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await record(desk)).orders[NAME].unresolved
    assert (await process.recorded.submit(BUY)).status is OrderStatus.ACCEPTED
    assert desk.exchange.arrivals == {NAME: 1}


async def test_an_order_on_its_way_is_not_said_to_be_nowhere() -> None:
    desk = OrderDesk()
    process = await desk.start()
    submit, called, gone = process.line.submit, asyncio.Event(), asyncio.Event()

    async def slow(order: Order) -> OrderState:
        called.set()
        await gone.wait()
        return await submit(order)

    process.line.submit = slow  # type: ignore[method-assign]  # takes its time
    task = asyncio.create_task(process.recorded.submit(BUY))
    await called.wait()
    with pytest.raises(OutcomeUnknownError, match="on its way"):
        await process.recorded.order(NAME)
    asked = asyncio.create_task(process.recorded.resolve_unknown())
    gone.set()
    await task
    assert list(await asked) == []
    assert "order_absent" not in await kinds(desk)


async def test_of_two_processes_only_the_first_sends_an_order() -> None:
    desk = OrderDesk()
    one, two = await desk.start(), await desk.start()
    await two.recorded.orders()  # its record was read before the other one's intent
    await one.recorded.submit(BUY)
    assert (await two.recorded.submit(BUY)).status is OrderStatus.ACCEPTED
    assert desk.exchange.arrivals == {NAME: 1}


async def test_of_two_processes_that_send_again_only_the_first_does() -> None:
    desk = OrderDesk()
    one = await desk.start()
    one.line.faults = ["lose"]
    with pytest.raises(TransientError):
        await one.recorded.submit(BUY)
    two = await desk.start()
    one.line.faults = ["lose"]
    with pytest.raises(TransientError):
        await one.recorded.submit(BUY)
    with pytest.raises(TransientError, match="another process is sending"):
        await two.recorded.submit(BUY)
    assert desk.exchange.arrivals == {}
    await two.recorded.submit(BUY)
    assert desk.exchange.arrivals == {NAME: 1}


async def test_an_earlier_word_of_the_broker_that_another_process_notes_late_changes_nothing() -> None:
    desk = OrderDesk()
    process = await desk.start()
    accepted = await process.recorded.submit(BUY)
    desk.exchange.fill(NAME, 4)
    await process.recorded.order(NAME)
    await process.recorded.notes.see([replace(accepted, filled_quantity=Decimal(1)), accepted])
    state = (await record(desk)).orders[NAME].state
    assert state is not None
    assert state.filled_quantity == 4


async def test_an_order_that_the_broker_took_and_forgot_is_unknown() -> None:
    desk = OrderDesk()
    process = await desk.start()
    await process.recorded.submit(BUY)
    del desk.exchange.states[NAME]
    for ask in (process.recorded.order(NAME), process.recorded.submit(BUY)):
        with pytest.raises(OutcomeUnknownError, match="the broker took it, and now knows nothing of it"):
            await ask
    assert desk.exchange.arrivals == {NAME: 1}


async def test_fills_count_once_however_often_late_or_out_of_order_they_are_told() -> None:
    desk = OrderDesk()
    process = await desk.start()
    process.line.repeat = True
    await process.recorded.submit(BUY)
    desk.exchange.fill(NAME, 3, told=False)
    desk.exchange.fill(NAME, 2)
    await process.recorded.order(NAME)
    assert (await record(desk)).positions == {"AAPL": Decimal(2)}
    await process.recorded.cancel(NAME)
    desk.exchange.tell()
    await process.recorded.orders()
    assert (await record(desk)).positions == {"AAPL": Decimal(5)}
    assert (await record(desk)).orders[NAME].filled == 5
    assert process.told == []


async def test_a_fill_of_nobody_s_order_is_adopted_with_a_note_and_told_once() -> None:
    desk = OrderDesk()
    process = await desk.start()
    desk.exchange.execute("by hand", "IBM", Side.BUY, 7)
    for _ in range(2):
        await process.recorded.fills()
    assert (await record(desk)).positions == {"IBM": Decimal(7)}
    assert process.told == [f"adopted the fill f0 (buy 7 IBM at 10, order by hand): {MANUAL}"]
    notes = [entry.data["note"] for entry in await desk.log.entries() if entry.kind == "fill_noted"]
    assert notes == [MANUAL]


async def test_a_fill_that_another_process_s_order_explains_is_no_manual_trade() -> None:
    desk = OrderDesk()
    one, two = await desk.start(), await desk.start()
    await one.recorded.submit(BUY)
    desk.exchange.fill(NAME, 10)
    await two.recorded.fills()
    assert two.told == []


async def test_a_fill_told_in_two_ways_and_one_too_many_are_reported() -> None:
    desk = OrderDesk()
    process = await desk.start()
    await process.recorded.submit(BUY)
    desk.exchange.fill(NAME, 10)
    await process.recorded.orders()
    desk.exchange.execute(NAME, "AAPL", Side.BUY, 1)
    await process.recorded.fills()
    assert process.told[-1] == f"order {NAME} (buy 10 AAPL) was filled 11, more than was ordered"
    desk.exchange.fills[0] = replace(desk.exchange.fills[0], quantity=Decimal(99))
    for _ in range(2):
        await process.recorded.fills()
    assert len(process.told) == 2
    assert "tells the fill f0 in two ways (buy 10 AAPL at 10, buy 99 AAPL at 10)" in process.told[-1]
    assert (await record(desk)).positions == {"AAPL": Decimal(11)}


async def test_another_order_under_our_id_is_reported_and_never_taken_for_ours() -> None:
    desk = OrderDesk()
    process = await desk.start()
    process.line.down = True
    with pytest.raises(TransientError):
        await process.recorded.submit(BUY)
    process.line.down = False
    desk.exchange.arrive(order(NAME, Side.SELL, 3))
    with pytest.raises(DefinitionError, match="belongs to another order"):
        await process.recorded.submit(BUY)
    assert process.told == [
        f"the broker has another order under our id {NAME} (buy 10 AAPL): it is {NAME} (sell 3 AAPL)"
    ]
    assert [known.order for known in await process.recorded.resolve_unknown()] == [BUY]


async def test_before_the_comparison_no_order_goes_out_and_everything_else_does() -> None:
    desk = OrderDesk()
    process = await desk.start(compare=False)
    with pytest.raises(TransientError, match="have not been compared with the broker yet"):
        await process.recorded.submit(BUY)
    assert desk.exchange.arrivals == {}
    assert await process.recorded.orders() == ()
    assert await process.recorded.fills() == ()
    assert (await process.recorded.account()).positions == ()
    assert process.recorded.name == "exchange"


async def test_an_entry_from_the_future_stops_the_desk() -> None:
    log = MemoryOrderLog()
    await log.append([OrderEntry(kind="order_split", key="a", at=OPEN, data={"version": 1})])
    clock = ManualClock(OPEN)
    broker = RecordedBroker(Line(Exchange(clock)), log=log, clock=clock, compared=True)
    with pytest.raises(DefinitionError, match="another version of Belltower wrote it"):
        await broker.submit(BUY)


@pytest.mark.parametrize(
    ("name", "symbol", "origin"),
    [
        ("r1:rebalance@15:35Z:AAPL:2.1L", "AAPL", Origin(run="r1", task="rebalance@15:35Z", leg="AAPL:2.1L")),
        ("r1:t:FX:EUR:1.1M", "FX:EUR", Origin(run="r1", task="t", leg="FX:EUR:1.1M")),
        ("halt-2012-12-12T14:31:00Z:AAPL", "AAPL", Origin(run=None, task=None, leg="halt-2012-12-12T14:31:00Z:AAPL")),
        ("by hand", "AAPL", Origin(run=None, task=None, leg="by hand")),
    ],
)
def test_an_order_s_id_says_whose_it_is(name: str, symbol: str, origin: Origin) -> None:
    assert origin_of(order(name, symbol=symbol)) == origin
