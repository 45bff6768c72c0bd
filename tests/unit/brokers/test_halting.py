"""A halt refuses at once, is kept, and brings about what its level asks for."""

import asyncio
import logging
from datetime import timedelta

import pytest

from orchestration.domain.errors import DefinitionError
from orchestration.domain.halts import Halt, HaltLevel, LeftToDo
from orchestration.domain.orders import OrderStatus
from tests.unit.brokers.halted_floor import BUY, NEXT_DAY, SELL, Floor, held, invested, resting
from tests.unit.brokers.scripted_market import CLOSE, OPEN, order

STOPPING = [HaltLevel.CANCEL_ALL, HaltLevel.FLATTEN]
REDUCING = [HaltLevel.NO_NEW_ORDERS, HaltLevel.CLOSE_ONLY]


@pytest.fixture
def floor() -> Floor:
    return Floor()


# What the gate refuses


@pytest.mark.parametrize("level", HaltLevel)
async def test_no_level_lets_an_order_open_or_add(floor: Floor, level: HaltLevel) -> None:
    switch, gate, inner = await invested(floor)
    await switch.halt(level, "odd fills", "cli")
    inner.submitted.clear()
    for number, wanted in enumerate((order("a"), order("b", SELL, 51), order("c", SELL, symbol="IBM"))):
        state = await gate.submit(wanted)
        assert state.status is OrderStatus.REJECTED, number
        assert state.reason == f"halt {level} since 2012-12-12T14:31:00Z by cli: odd fills"
    assert inner.submitted == []


@pytest.mark.parametrize("level", REDUCING)
async def test_reducing_goes_on_in_the_two_milder_levels(floor: Floor, level: HaltLevel) -> None:
    switch, gate, _ = await invested(floor)
    await switch.halt(level, "odd fills", "cli")
    assert (await gate.submit(order("out", SELL, 30))).status is OrderStatus.ACCEPTED
    assert (await gate.submit(order("twice", SELL, 1))).status is OrderStatus.REJECTED


@pytest.mark.parametrize("level", STOPPING)
async def test_nothing_is_sent_in_the_two_stricter_levels(floor: Floor, level: HaltLevel) -> None:
    switch, gate, inner = await invested(floor)
    await switch.halt(level, "odd fills", "cli")
    inner.submitted.clear()
    assert (await gate.submit(order("out", SELL, 10))).status is OrderStatus.REJECTED
    assert inner.submitted == []


async def test_the_halt_is_the_reason_even_where_there_is_no_price(floor: Floor) -> None:
    switch, gate, _ = await floor.start()
    await switch.halt(HaltLevel.NO_NEW_ORDERS, "odd fills", "cli")
    assert "odd fills" in str((await gate.submit(order("a", symbol="NONE"))).reason)


async def test_the_gate_refuses_while_the_halt_is_still_being_kept(floor: Floor) -> None:
    switch, gate, _ = await floor.start()
    floor.store.open.clear()
    halting = asyncio.ensure_future(switch.halt(HaltLevel.NO_NEW_ORDERS, "odd fills", "cli"))
    await asyncio.sleep(0)
    assert (await gate.submit(order("a"))).status is OrderStatus.REJECTED
    assert not halting.done()
    floor.store.open.set()
    assert await halting == await floor.store.current() == switch.current


async def test_a_halt_that_comes_while_an_order_is_being_judged_refuses_it(floor: Floor) -> None:
    switch, gate, inner = await floor.start()
    inner.before["account"] = lambda: switch.halt(HaltLevel.NO_NEW_ORDERS, "odd fills", "cli")
    assert (await gate.submit(order("a"))).status is OrderStatus.REJECTED
    assert inner.submitted == []


async def test_an_order_that_is_on_its_way_when_the_halt_comes_is_cancelled_behind_its_answer(floor: Floor) -> None:
    switch, gate, inner = await floor.start()
    let_go = asyncio.Event()
    inner.before["submit"] = let_go.wait
    sending = asyncio.ensure_future(gate.submit(order("late", limit="5.00")))
    for _ in range(20):
        await asyncio.sleep(0)
    assert inner.submitted
    halting = asyncio.ensure_future(switch.halt(HaltLevel.CANCEL_ALL, "odd fills", "cli"))
    await asyncio.sleep(0)
    let_go.set()
    await asyncio.gather(sending, halting)
    assert await resting(inner) == set()
    assert (await sending).status is OrderStatus.ACCEPTED


# What a level does


async def test_no_new_orders_leaves_what_rests(floor: Floor) -> None:
    switch, _, inner = await invested(floor)
    await switch.halt(HaltLevel.NO_NEW_ORDERS, "odd fills", "cli")
    assert await resting(inner) == {"add", "reduce", "add-short", "reduce-short"}


async def test_close_only_cancels_what_would_open_or_add(floor: Floor) -> None:
    switch, _, inner = await invested(floor)
    await switch.halt(HaltLevel.CLOSE_ONLY, "odd fills", "cli")
    assert await resting(inner) == {"reduce", "reduce-short"}


async def test_close_only_keeps_no_more_reducing_orders_than_there_is_to_reduce(floor: Floor) -> None:
    """Each would close the position alone; both would turn it round."""
    switch, gate, inner = await invested(floor)
    await gate.submit(order("stop", SELL, 30, stop="5.00"))
    await gate.submit(order("too much", SELL, 1, stop="5.00"))
    await switch.halt(HaltLevel.CLOSE_ONLY, "odd fills", "cli")
    assert await resting(inner) == {"reduce", "stop", "reduce-short"}


async def test_cancel_all_cancels_every_order_and_keeps_positions(floor: Floor) -> None:
    switch, _, inner = await invested(floor)
    await switch.halt(HaltLevel.CANCEL_ALL, "odd fills", "cli")
    assert await resting(inner) == set()
    assert await held(inner) == {"AAPL": 50, "IBM": -30}
    assert switch.left == ()


async def test_flatten_cancels_every_order_and_closes_every_position(floor: Floor) -> None:
    switch, _, inner = await invested(floor)
    await switch.halt(HaltLevel.FLATTEN, "odd fills", "cli")
    aapl, ibm = "halt-2012-12-12T14:31:00Z:AAPL", "halt-2012-12-12T14:31:00Z:IBM"
    assert inner.submitted == [order(aapl, SELL, 50), order(ibm, BUY, 30, symbol="IBM")]
    assert await resting(inner) == {aapl, ibm}
    assert switch.left == (
        LeftToDo(subject="position AAPL", reason=f"{aapl} is open: 50 not filled yet"),
        LeftToDo(subject="position IBM", reason=f"{ibm} is open: 30 not filled yet"),
    )
    floor.room.at(2)
    assert await switch.carry_out() == ()
    assert await held(inner) == {}


async def test_every_action_is_logged(floor: Floor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    switch, _, _ = await invested(floor)
    await switch.halt(HaltLevel.FLATTEN, "odd fills", "cli")
    await switch.resume("mended", "api")
    assert [record.getMessage() for record in caplog.records] == [
        "halt flatten since 2012-12-12T14:31:00Z by cli: odd fills",
        "halt flatten: order add to buy 5 AAPL: cancelled",
        "halt flatten: order reduce to sell 20 AAPL: cancelled",
        "halt flatten: order add-short to sell 5 IBM: cancelled",
        "halt flatten: order reduce-short to buy 10 IBM: cancelled",
        "halt flatten: order halt-2012-12-12T14:31:00Z:AAPL to sell 50 AAPL: accepted",
        "halt flatten: order halt-2012-12-12T14:31:00Z:IBM to buy 30 IBM: accepted",
        "resumed by api: mended (halt flatten since 2012-12-12T14:31:00Z by cli: odd fills)",
    ]


async def test_carrying_out_again_sends_nothing_twice(floor: Floor) -> None:
    switch, _, inner = await invested(floor)
    await switch.halt(HaltLevel.FLATTEN, "odd fills", "cli")
    await asyncio.gather(switch.carry_out(), switch.carry_out())
    assert len(inner.submitted) == 2
    floor.room.at(3)
    await switch.carry_out()
    assert len(inner.submitted) == 2


async def test_while_the_exchange_is_closed_positions_wait_for_the_next_opening(floor: Floor) -> None:
    switch, _, inner = await invested(floor)
    floor.room.clock.moment = CLOSE + timedelta(hours=1)
    await switch.halt(HaltLevel.FLATTEN, "odd fills", "cli")
    assert [one.subject for one in switch.left] == ["position AAPL", "position IBM"]
    assert "is closed; the next session, 2012-12-13, opens at 2012-12-13T14:30:00Z" in switch.left[0].reason
    floor.room.at(NEXT_DAY)
    assert len(await switch.carry_out()) == 2
    assert await resting(inner) == {"halt-2012-12-12T22:00:00Z:AAPL:2", "halt-2012-12-12T22:00:00Z:IBM:2"}
    floor.room.at(NEXT_DAY + 1)
    assert await switch.carry_out() == ()
    assert await held(inner) == {}


async def test_what_a_closing_order_left_at_the_close_is_closed_on_the_next_day(floor: Floor) -> None:
    switch, gate, inner = await floor.start()
    await gate.submit(order("long", quantity=150))
    floor.room.at(28.5)
    await switch.halt(HaltLevel.FLATTEN, "odd fills", "cli")
    floor.room.clock.moment = CLOSE
    assert await held(inner) == {"AAPL": 50}
    floor.room.at(NEXT_DAY)
    await switch.carry_out()
    floor.room.at(NEXT_DAY + 1)
    assert await switch.carry_out() == ()
    assert await held(inner) == {}
    assert [int(one.quantity) for one in inner.submitted[1:]] == [150, 50]


async def test_a_halt_that_only_the_store_knows_holds_from_the_start_and_is_carried_out(floor: Floor) -> None:
    """The command line writes it while no daemon runs."""
    await invested(floor)
    await floor.store.halt(Halt(level=HaltLevel.FLATTEN, reason="odd fills", at=OPEN, by="cli"))
    switch, gate, inner = await floor.start()
    assert (await gate.submit(order("a"))).status is OrderStatus.REJECTED
    await switch.carry_out()
    assert await resting(inner) == {"halt-2012-12-12T14:30:00Z:AAPL", "halt-2012-12-12T14:30:00Z:IBM"}


# Replacing and lifting


async def test_a_milder_level_takes_the_place_of_a_stricter_one(floor: Floor) -> None:
    switch, gate, _ = await invested(floor)
    await switch.halt(HaltLevel.CANCEL_ALL, "odd fills", "cli")
    await switch.halt(HaltLevel.CLOSE_ONLY, "understood", "api")
    assert (await gate.submit(order("out", SELL, 10))).status is OrderStatus.ACCEPTED
    assert await floor.actions() == ["halt cancel_all: odd fills", "halt close_only: understood"]


async def test_a_second_flatten_closes_with_orders_of_its_own(floor: Floor) -> None:
    switch, _, inner = await invested(floor)
    await switch.halt(HaltLevel.FLATTEN, "odd fills", "cli")
    floor.room.at(1.5)
    await switch.halt(HaltLevel.FLATTEN, "still odd", "cli")
    assert await resting(inner) == {"halt-2012-12-12T14:31:30Z:AAPL", "halt-2012-12-12T14:31:30Z:IBM"}
    floor.room.at(2)
    assert await switch.carry_out() == ()
    assert await held(inner) == {}


async def test_cancel_all_stops_the_closing_of_positions(floor: Floor) -> None:
    switch, _, inner = await invested(floor)
    await switch.halt(HaltLevel.FLATTEN, "odd fills", "cli")
    await switch.halt(HaltLevel.CANCEL_ALL, "not so fast", "cli")
    floor.room.at(2)
    assert await held(inner) == {"AAPL": 50, "IBM": -30}


async def test_a_closing_order_whose_position_is_gone_is_cancelled(floor: Floor) -> None:
    """Somebody closed it by hand: what closed it before would now open."""
    switch, _, inner = await invested(floor)
    await switch.halt(HaltLevel.FLATTEN, "odd fills", "cli")
    inner.hidden.add("AAPL")
    await switch.carry_out()
    assert await resting(inner) == {"halt-2012-12-12T14:31:00Z:IBM"}


async def test_a_resume_lifts_the_halt_here_and_in_the_store(floor: Floor) -> None:
    switch, gate, _ = await invested(floor)
    await switch.halt(HaltLevel.FLATTEN, "odd fills", "cli")
    await switch.resume("mended", "api")
    assert switch.current is None
    assert await floor.store.current() is None
    assert switch.left == await switch.carry_out() == ()
    assert (await gate.submit(order("a"))).status is OrderStatus.ACCEPTED
    assert await floor.actions() == ["halt flatten: odd fills", "resume flatten: mended"]


async def test_a_resume_without_a_halt_is_audited_only(floor: Floor) -> None:
    switch, _, _ = await floor.start()
    await switch.resume("to be sure", "cli")
    assert await floor.actions() == ["resume None: to be sure"]


async def test_neither_comes_without_a_reason(floor: Floor) -> None:
    switch, _, _ = await floor.start()
    with pytest.raises(DefinitionError, match="a halt needs a reason"):
        await switch.halt(HaltLevel.FLATTEN, "", "cli")
    assert switch.current is None
    await switch.halt(HaltLevel.NO_NEW_ORDERS, "odd fills", "cli")
    with pytest.raises(DefinitionError, match="a resume needs a reason"):
        await switch.resume(" ", "cli")
    assert switch.current


@pytest.mark.parametrize("call", ["cancel", "submit"])
async def test_a_halt_that_is_lifted_half_way_stops_there(floor: Floor, call: str) -> None:
    switch, _, inner = await invested(floor)
    inner.before[call] = lambda: switch.resume("false alarm", "cli")
    await switch.halt(HaltLevel.FLATTEN, "odd fills", "cli")
    cancelled = 1 if call == "cancel" else 4
    assert [name for name, _ in inner.calls].count("cancel") == cancelled
    assert len(inner.submitted) == cancelled // 4
    assert switch.current is None
    assert switch.left == ()


async def test_a_halt_that_is_replaced_half_way_goes_on_as_the_new_one(floor: Floor) -> None:
    switch, _, inner = await invested(floor)
    later: list[asyncio.Future[Halt]] = []

    async def escalate() -> None:
        later.append(asyncio.ensure_future(switch.halt(HaltLevel.FLATTEN, "worse", "cli")))
        await asyncio.sleep(0)

    inner.before["cancel"] = escalate
    await switch.halt(HaltLevel.CLOSE_ONLY, "odd fills", "cli")
    await later[0]
    floor.room.at(2)
    assert await switch.carry_out() == ()
    assert await held(inner) == {}
    assert await floor.actions() == ["halt close_only: odd fills", "halt flatten: worse"]


async def test_a_halt_that_comes_while_another_is_being_lifted_holds(floor: Floor) -> None:
    switch, _, _ = await floor.start()
    await switch.halt(HaltLevel.CLOSE_ONLY, "odd fills", "cli")
    floor.store.open.clear()
    resuming = asyncio.ensure_future(switch.resume("mended", "cli"))
    await asyncio.sleep(0)
    halting = asyncio.ensure_future(switch.halt(HaltLevel.CANCEL_ALL, "odd again", "cli"))
    await asyncio.sleep(0)
    floor.store.open.set()
    await asyncio.gather(resuming, halting)
    assert switch.current == await floor.store.current() == await halting
    assert await floor.actions() == [
        "halt close_only: odd fills",
        "resume close_only: mended",
        "halt cancel_all: odd again",
    ]


async def test_what_waits_for_the_store_is_kept_in_the_order_in_which_it_was_asked_for(floor: Floor) -> None:
    switch, _, _ = await floor.start()
    floor.store.open.clear()
    waiting: list[asyncio.Future[Halt | None]] = []
    for ask in (
        lambda: switch.halt(HaltLevel.CLOSE_ONLY, "odd fills", "cli"),
        lambda: switch.resume("mended", "cli"),
        lambda: switch.halt(HaltLevel.CANCEL_ALL, "odd again", "cli"),
    ):
        waiting.append(asyncio.ensure_future(ask()))
        await asyncio.sleep(0)
    floor.store.open.set()
    await asyncio.gather(*waiting)
    assert await floor.actions() == [
        "halt close_only: odd fills",
        "resume close_only: mended",
        "halt cancel_all: odd again",
    ]
    assert await floor.store.current() == switch.current
    assert switch.current
