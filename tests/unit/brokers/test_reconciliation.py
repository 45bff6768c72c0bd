"""Before the first order: what explains itself is noted, what does not halts the desk until a person has spoken."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from orchestration.adapters.brokers.order_notes import EARLIER, MANUAL
from orchestration.adapters.brokers.order_record import OrderRecord
from orchestration.adapters.brokers.reconciliation import BEGINS
from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.adapters.simulated.loop import run_simulated
from orchestration.domain.errors import OutcomeUnknownError, StoreUnavailableError, TransientError
from orchestration.domain.halts import Halt, HaltLevel
from orchestration.domain.orders import OrderStatus, Side
from tests.unit.brokers.halted_floor import FragileStore
from tests.unit.brokers.order_desk import OrderDesk, Process
from tests.unit.brokers.scripted_market import OPEN, order
from tests.unit.brokers.unreliable_exchange import Line
from tests.unit.brokers.watched_broker import ProcessKilledError

BUY = order("r:t:AAPL:1.1M")
SELL = order("r:t:AAPL:2.1M", Side.SELL, 3)
DIFFERENT = "our record and the broker differ: AAPL: the broker holds 15, our record says 10"


async def record(desk: OrderDesk) -> OrderRecord:
    return OrderRecord(await desk.log.entries())


async def invested() -> tuple[OrderDesk, Process]:
    """10 AAPL by an order of ours."""
    desk = OrderDesk()
    process = await desk.start()
    await process.gate.submit(BUY)
    desk.exchange.fill("r:t:AAPL:1.1M", 10)
    await process.recorded.orders()
    return desk, process


async def actions(desk: OrderDesk) -> list[str]:
    return [f"{row.action} by {row.by}: {row.reason}" for row in await desk.halts.audit()][::-1]


async def test_the_record_begins_with_what_the_broker_holds_and_halts_nothing() -> None:
    desk = OrderDesk()
    desk.exchange.execute("long ago", "IBM", Side.BUY, 7)
    desk.exchange.transfer("AAPL", 5)  # older than what the broker tells of fills
    desk.exchange.arrive(order("resting", limit="5.00"))
    process = await desk.start()
    assert process.switch.current is None
    assert process.told == []
    known = await record(desk)
    assert known.positions == {"IBM": Decimal(7), "AAPL": Decimal(5)}
    assert {entry.data.get("note", entry.data.get("reason")) for entry in await desk.log.entries()} == {EARLIER, BEGINS}
    assert (await process.gate.submit(BUY)).status is OrderStatus.ACCEPTED
    again = await desk.start()
    assert (again.told, again.reconciliation.differences) == ([], ())


async def test_late_fills_of_our_own_orders_are_explained() -> None:
    desk = OrderDesk()
    process = await desk.start()
    await process.gate.submit(BUY)
    desk.exchange.fill("r:t:AAPL:1.1M", 10)  # while no process of ours lives
    process = await desk.start()
    assert (process.switch.current, process.told) == (None, [])
    assert (await record(desk)).positions == {"AAPL": Decimal(10)}


async def test_a_fill_that_is_told_seconds_after_its_position_is_waited_for() -> None:
    desk, _ = await invested()
    desk.exchange.execute("r:t:AAPL:1.1M", "AAPL", Side.BUY, 1, told=False)
    process = await desk.start(compare=False)
    sleep = desk.clock.sleep_until

    async def then_told(when: object) -> None:
        desk.exchange.tell()
        await sleep(desk.clock.now() + timedelta(seconds=1))

    desk.clock.sleep_until = then_told  # type: ignore[method-assign]  # the fill comes while it waits
    await process.reconciliation.compare()
    assert process.switch.current is None
    assert (await record(desk)).positions == {"AAPL": Decimal(11)}


async def test_what_the_broker_says_of_an_order_explains_a_position_before_the_fills_are_told() -> None:
    desk = OrderDesk()
    process = await desk.start()
    await process.gate.submit(BUY)
    desk.exchange.fill("r:t:AAPL:1.1M", 10, told=False)
    process = await desk.start()
    assert (process.switch.current, process.told) == (None, [])
    assert (await record(desk)).positions == {}
    desk.exchange.tell()
    assert (await desk.start()).switch.current is None
    assert (await record(desk)).positions == {"AAPL": Decimal(10)}


async def test_manual_trades_are_adopted_with_a_note_and_the_desk_goes_on() -> None:
    desk, _ = await invested()
    desk.exchange.execute("by hand", "IBM", Side.BUY, 7)
    desk.exchange.arrive(order("resting", symbol="IBM", limit="5.00"))
    process = await desk.start()
    assert process.switch.current is None
    assert process.told == [
        f"adopted the open order resting (buy 10 IBM): {MANUAL}",
        f"adopted the fill f1 (buy 7 IBM at 10, order by hand): {MANUAL}",
    ]
    known = await record(desk)
    assert known.positions == {"AAPL": Decimal(10), "IBM": Decimal(7)}
    assert not known.orders["resting"].ours
    desk.exchange.fill("resting", 10)
    again = await desk.start()
    assert again.switch.current is None
    assert (await record(desk)).positions["IBM"] == 17


async def test_a_position_that_nothing_explains_halts_new_orders_and_nothing_else() -> None:
    desk, _ = await invested()
    desk.exchange.transfer("AAPL", 5)
    process = await desk.start()
    halt = process.switch.current
    assert halt == Halt(level=HaltLevel.NO_NEW_ORDERS, reason=DIFFERENT, at=desk.clock.now(), by="reconciliation")
    assert list(process.reconciliation.differences) == ["AAPL: the broker holds 15, our record says 10"]
    assert process.told == [f"{DIFFERENT}; explain or accept it: belltower resume --reason ..."]
    refused = await process.gate.submit(order("r:t:AAPL:3.1M"))
    assert (refused.status, refused.reason) == (OrderStatus.REJECTED, str(halt))
    assert (await process.gate.submit(SELL)).status is OrderStatus.ACCEPTED  # it only reduces
    assert (await process.gate.account()).positions[0].quantity == 15


async def test_who_resumes_accepts_what_the_broker_holds_and_is_noted() -> None:
    desk, _ = await invested()
    desk.exchange.transfer("AAPL", 5)
    process = await desk.start()
    await process.switch.resume("the broker booked a stock dividend", "api")
    assert process.switch.current is None
    known = await record(desk)
    assert known.positions == {"AAPL": Decimal(15)}
    accepted = (await desk.log.entries())[-1].data
    assert (accepted["by"], accepted["reason"]) == ("api", "the broker booked a stock dividend")
    assert accepted["positions"] == {"AAPL": "5"}
    assert "accepted by api (the broker booked a stock dividend): AAPL: the broker holds 15" in process.told[-1]
    assert list(process.reconciliation.differences) == []
    again = await desk.start()
    assert (again.switch.current, again.told) == (None, [])


async def test_a_halt_of_ours_goes_on_over_a_restart_without_another_row_in_the_audit() -> None:
    desk, _ = await invested()
    desk.exchange.transfer("AAPL", 5)
    await desk.start()
    process = await desk.start()
    assert process.told == [f"the halt goes on: {DIFFERENT}"]
    assert await actions(desk) == [f"halt by reconciliation: {DIFFERENT}"]
    desk.exchange.transfer("AAPL", 1)
    process = await desk.start()
    assert process.switch.current
    assert "holds 16" in process.switch.current.reason
    assert "holds 15" not in process.switch.current.reason


async def test_a_person_s_halt_is_made_no_milder_and_its_reason_is_kept() -> None:
    desk, process = await invested()
    await process.switch.halt(HaltLevel.CANCEL_ALL, "odd fills", "cli")
    desk.exchange.transfer("AAPL", 5)
    process = await desk.start()
    halt = process.switch.current
    assert halt
    assert (halt.level, halt.by) == (HaltLevel.CANCEL_ALL, "reconciliation")
    assert halt.reason == f"odd fills (by cli); {DIFFERENT}"


async def test_differences_that_went_away_leave_the_halt_to_a_person() -> None:
    desk, _ = await invested()
    desk.exchange.transfer("AAPL", 5)
    await desk.start()
    desk.exchange.transfer("AAPL", -5)
    process = await desk.start()
    assert process.switch.current
    assert "agree again" in process.told[0]
    await process.switch.resume("seen", "api")
    assert (await record(desk)).positions == {"AAPL": Decimal(10)}
    desk.exchange.transfer("AAPL", 5)  # the same difference later is another one
    process = await desk.start()
    assert process.switch.current


async def test_who_resumes_while_no_desk_runs_accepts_what_the_halt_named_and_only_that() -> None:
    desk, _ = await invested()
    desk.exchange.transfer("AAPL", 5)
    await desk.start()
    await desk.halts.resume(reason="a dividend", at=desk.clock.now(), by="cli")
    process = await desk.start()
    assert process.switch.current is None
    assert (await record(desk)).positions == {"AAPL": Decimal(15)}
    assert "accepted by cli (a dividend)" in process.told[0]
    desk.exchange.transfer("AAPL", -5)
    await desk.clock.sleep_until(desk.clock.now() + timedelta(days=1))
    assert (await desk.start()).switch.current  # a difference that nobody has seen


async def test_a_resume_without_a_desk_does_not_accept_what_came_after_the_halt() -> None:
    desk, _ = await invested()
    desk.exchange.transfer("AAPL", 5)
    await desk.start()
    await desk.halts.resume(reason="a dividend", at=desk.clock.now(), by="cli")
    desk.exchange.transfer("AAPL", 1)
    process = await desk.start()
    assert process.switch.current
    assert "the broker holds 16, our record says 10" in process.switch.current.reason


async def test_a_resume_of_another_halt_accepts_nothing() -> None:
    desk, _ = await invested()
    desk.exchange.transfer("AAPL", 5)
    await desk.start()
    at = desk.clock.now()
    await desk.halts.halt(Halt(level=HaltLevel.FLATTEN, reason="lunch", at=at, by="cli"))
    await desk.halts.resume(reason="lunch is over", at=at, by="cli")
    assert (await desk.start()).switch.current
    desk, process = await invested()
    desk.exchange.transfer("AAPL", 5)
    await process.switch.halt(HaltLevel.FLATTEN, "lunch", "cli")
    await process.switch.resume("lunch is over", "api")
    assert (await record(desk)).positions == {"AAPL": Decimal(10)}


async def test_an_intent_that_the_broker_never_got_is_settled_without_a_word() -> None:
    desk = OrderDesk()
    process = await desk.start()
    process.line.down = True
    with pytest.raises(TransientError):
        await process.recorded.submit(BUY)
    process = await desk.start()
    assert (process.switch.current, process.told) == (None, [])
    assert (await record(desk)).orders["r:t:AAPL:1.1M"].absent


async def test_an_order_that_nobody_can_tell_about_halts_until_somebody_accepts_it() -> None:
    desk = OrderDesk(authoritative_after=None)
    process = await desk.start(steps=2)
    with pytest.raises(ProcessKilledError):
        await process.recorded.submit(BUY)
    process = await desk.start()
    assert process.switch.current
    assert "order r:t:AAPL:1.1M (buy 10 AAPL): whether the broker has it is not known" in process.switch.current.reason
    await process.switch.resume("asked the broker by phone: never came", "api")
    again = await desk.start()
    assert again.switch.current is None
    with pytest.raises(OutcomeUnknownError, match="was accepted; give the order another id"):
        await again.recorded.submit(BUY)
    assert desk.exchange.arrivals == {}


async def test_an_open_order_that_the_broker_knows_nothing_of_halts() -> None:
    desk = OrderDesk()
    process = await desk.start()
    await process.recorded.submit(BUY)
    state = desk.exchange.states.pop("r:t:AAPL:1.1M")
    process = await desk.start()
    assert process.switch.current
    assert process.switch.current.reason.endswith("(buy 10 AAPL): open by our record, and unknown to the broker")
    desk.exchange.states["r:t:AAPL:1.1M"] = state
    await process.recorded.cancel("r:t:AAPL:1.1M")
    await process.switch.resume("it came back", "api")
    assert (await desk.start()).switch.current is None


async def test_an_order_that_ended_while_nobody_looked_is_noted() -> None:
    desk = OrderDesk()
    process = await desk.start()
    await process.recorded.submit(BUY)
    await process.line.cancel("r:t:AAPL:1.1M")
    process = await desk.start()
    assert process.switch.current is None
    assert not (await record(desk)).open()


async def test_a_resume_fails_and_the_halt_goes_on_while_the_broker_is_down() -> None:
    desk, _ = await invested()
    desk.exchange.transfer("AAPL", 5)
    process = await desk.start()
    process.line.down = True
    with pytest.raises(TransientError):
        await process.switch.resume("a dividend", "api")
    assert process.switch.current
    process.line.down = False
    await process.switch.resume("a dividend", "api")
    assert (await record(desk)).positions == {"AAPL": Decimal(15)}


async def test_a_halt_that_cannot_be_kept_holds_all_the_same() -> None:
    store = FragileStore()
    desk, _ = await invested()
    desk.halts = store
    desk.exchange.transfer("AAPL", 5)
    store.failing = True
    process = await desk.start()
    assert process.switch.current
    assert any("was not kept" in told for told in process.told)


async def test_fills_between_two_looks_are_no_difference() -> None:
    desk = OrderDesk()
    process = await desk.start()
    await process.gate.submit(order("r:t:AAPL:1.1M", quantity=3))
    process = await desk.start(compare=False)
    account = process.line.account

    async def then_filled() -> object:
        found = await account()
        if desk.exchange.states["r:t:AAPL:1.1M"].remaining:
            desk.exchange.fill("r:t:AAPL:1.1M", 1)
        return found

    process.line.account = then_filled  # type: ignore[method-assign,assignment]  # the market moves on
    await process.reconciliation.compare()
    assert process.switch.current is None
    assert (await record(desk)).positions == {"AAPL": Decimal(3)}


def test_a_broker_that_cannot_be_reached_at_the_start_is_tried_again_and_then_orders_go_out() -> None:
    async def day() -> None:
        desk = OrderDesk(clock=SimulatedClock(OPEN))
        process = await desk.start(compare=False)
        process.line.down = True
        async with process.reconciliation:
            assert "could not be compared with the broker, so no order is sent yet" in process.told[0]
            await desk.clock.sleep_until(OPEN + timedelta(seconds=10))
            with pytest.raises(TransientError, match="have not been compared"):
                await process.recorded.submit(BUY)
            process.line.down = False
            await desk.clock.sleep_until(OPEN + timedelta(seconds=30))
            assert (await process.gate.submit(BUY)).status is OrderStatus.ACCEPTED

    run_simulated(day)


def test_an_unknown_order_is_asked_about_every_minute_and_the_asking_ends_with_the_process() -> None:
    async def day() -> None:
        desk = OrderDesk(clock=SimulatedClock(OPEN))
        process = await desk.start(compare=False)
        async with process.reconciliation:
            process.line.faults = ["cut"]
            with pytest.raises(OutcomeUnknownError):
                await process.recorded.submit(BUY)
            await desk.clock.sleep_until(OPEN + timedelta(minutes=3))
            process.line.down = False
            await desk.clock.sleep_until(OPEN + timedelta(minutes=5))
            assert (await record(desk)).orders["r:t:AAPL:1.1M"].open
        asked = len(process.line.asked)
        await desk.clock.sleep_until(OPEN + timedelta(minutes=10))
        assert len(process.line.asked) == asked

    run_simulated(day)


def test_whatever_goes_wrong_in_the_background_it_goes_on_asking() -> None:
    async def day() -> None:
        desk = OrderDesk(clock=SimulatedClock(OPEN))
        process = await desk.start(compare=False)
        async with process.reconciliation:
            process.line.faults = ["cut"]
            with pytest.raises(OutcomeUnknownError):
                await process.recorded.submit(BUY)
            process.recorded.inner = _Broken()
            await desk.clock.sleep_until(OPEN + timedelta(minutes=2))
            assert "could not be asked about our orders" in process.told[-1]
            process.line.down, process.recorded.inner = False, process.line
            await desk.clock.sleep_until(OPEN + timedelta(minutes=4))
            assert (await record(desk)).orders["r:t:AAPL:1.1M"].open

    run_simulated(day)


class _Broken(Line):
    def __init__(self) -> None:
        """No exchange behind it."""


async def test_two_processes_that_accept_at_once_accept_once() -> None:
    desk, _ = await invested()
    desk.exchange.transfer("AAPL", 5)
    one, two = await desk.start(), await desk.start()
    answers = await asyncio.gather(
        one.reconciliation.accept("a dividend", "x"),
        two.reconciliation.accept("a dividend", "y"),
        return_exceptions=True,
    )
    assert (await record(desk)).positions == {"AAPL": Decimal(15)}
    assert all(answer is None or isinstance(answer, TransientError) for answer in answers)


async def test_a_store_that_cannot_be_read_lets_no_order_out() -> None:
    desk = OrderDesk()
    process = await desk.start(compare=False)

    async def failing() -> object:
        raise StoreUnavailableError("gone")

    desk.log.entries = failing  # type: ignore[method-assign,assignment]  # the store is away
    with pytest.raises(StoreUnavailableError):
        await process.reconciliation.compare()
    with pytest.raises(TransientError):
        await process.recorded.submit(BUY)
