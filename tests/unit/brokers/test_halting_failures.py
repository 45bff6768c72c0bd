"""A halt holds and is finished whatever fails on the way, and however often its process dies."""

import asyncio
from datetime import timedelta

import pytest

from orchestration.adapters.memory.halt_store import MemoryHaltStore
from orchestration.domain.errors import OutcomeUnknownError, StoreUnavailableError
from orchestration.domain.halts import HaltLevel, LeftToDo
from orchestration.domain.orders import OrderStatus
from tests.unit.brokers.halted_floor import BUY, SELL, Floor, held, invested, resting
from tests.unit.brokers.scripted_market import order
from tests.unit.brokers.watched_broker import ProcessKilledError


@pytest.fixture
def floor() -> Floor:
    return Floor()


async def test_a_halt_that_cannot_be_kept_holds_is_carried_out_and_says_so(floor: Floor) -> None:
    switch, gate, inner = await invested(floor)
    floor.store.failing = True
    with pytest.raises(
        StoreUnavailableError, match=r"halt flatten holds in this process, but it was not kept .* \(the store /x"
    ):
        await switch.halt(HaltLevel.FLATTEN, "odd fills", "cli")
    assert len(inner.submitted) == 2
    assert switch.left[0] == LeftToDo(subject="the store", reason="the store /x has no room left on its disk")
    assert (await gate.submit(order("a"))).status is OrderStatus.REJECTED
    floor.store.failing = False
    await switch.carry_out()
    assert await floor.store.current() == switch.current
    assert await floor.actions() == ["halt flatten: odd fills"]


async def test_a_halt_that_could_not_be_kept_is_audited_before_it_is_lifted(floor: Floor) -> None:
    switch, _, _ = await floor.start()
    floor.store.failing = True
    with pytest.raises(StoreUnavailableError):
        await switch.halt(HaltLevel.NO_NEW_ORDERS, "odd fills", "cli")
    floor.store.failing = False
    await switch.resume("mended", "cli")
    assert await floor.actions() == ["halt no_new_orders: odd fills", "resume no_new_orders: mended"]


async def test_a_halt_whose_caller_went_away_is_kept_once(floor: Floor) -> None:
    switch, _, inner = await invested(floor)
    floor.store.open.clear()
    halting = asyncio.ensure_future(switch.halt(HaltLevel.CANCEL_ALL, "odd fills", "cli"))
    await asyncio.sleep(0)
    halting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await halting
    await MemoryHaltStore.halt(floor.store, switch.current or pytest.fail("it does not hold"))  # as a store finishes
    floor.store.open.set()
    await switch.carry_out()
    assert await resting(inner) == set()
    assert await floor.actions() == ["halt cancel_all: odd fills"]


async def test_a_resume_that_cannot_be_kept_leaves_the_halt(floor: Floor) -> None:
    switch, _, _ = await floor.start()
    await switch.halt(HaltLevel.CLOSE_ONLY, "odd fills", "cli")
    floor.store.failing = True
    with pytest.raises(StoreUnavailableError):
        await switch.resume("mended", "cli")
    assert switch.current == await floor.store.current()
    assert switch.current


async def test_one_order_or_position_that_fails_does_not_keep_the_others(floor: Floor) -> None:
    switch, _, inner = await invested(floor)
    inner.failing = {"add", "halt-2012-12-12T14:31:00Z:AAPL"}
    await switch.halt(HaltLevel.FLATTEN, "odd fills", "cli")
    assert await resting(inner) == {"add", "halt-2012-12-12T14:31:00Z:IBM"}
    assert [(one.subject, one.reason) for one in switch.left[:2]] == [
        ("order add", "the line to the broker is cut"),
        ("position AAPL", "another order for it is still open"),
    ]
    inner.failing.discard("add")
    assert [(one.subject, one.reason) for one in await switch.carry_out()][:1] == [
        ("position AAPL", "the line to the broker is cut")
    ]
    inner.failing.clear()
    await switch.carry_out()
    floor.room.at(2)
    assert await switch.carry_out() == ()
    assert await held(inner) == {}


async def test_a_broker_that_does_not_answer_leaves_all_to_do(floor: Floor) -> None:
    switch, _, inner = await invested(floor)

    async def cut() -> None:
        raise OutcomeUnknownError

    inner.before["orders"] = cut
    await switch.halt(HaltLevel.CANCEL_ALL, "odd fills", "cli")
    assert switch.left == (LeftToDo(subject="the broker", reason="OutcomeUnknownError"),)
    assert await switch.carry_out() == ()
    assert await resting(inner) == set()


async def test_a_cancellation_that_takes_its_time_is_waited_for_before_the_position_is_closed(floor: Floor) -> None:
    switch, _, inner = await invested(floor)
    inner.slow_to_cancel.add("reduce")
    await switch.halt(HaltLevel.FLATTEN, "odd fills", "cli")
    assert [one.symbol for one in inner.submitted] == ["IBM"]
    assert switch.left[:2] == (
        LeftToDo(subject="order reduce", reason="its cancellation is under way"),
        LeftToDo(subject="position AAPL", reason="another order for it is still open"),
    )
    inner.slow_to_cancel.clear()
    await switch.carry_out()
    assert [one.symbol for one in inner.submitted] == ["IBM", "AAPL"]


async def test_a_position_that_the_broker_closes_at_once_is_not_left(floor: Floor) -> None:
    switch, _, inner = await invested(floor)
    inner.after_submit = lambda: setattr(floor.room.clock, "moment", floor.room.clock.now() + timedelta(minutes=1))
    await switch.halt(HaltLevel.FLATTEN, "odd fills", "cli")
    assert switch.left == ()
    assert await held(inner) == {}


async def test_killed_at_any_point_the_next_process_finishes_the_flatten_and_doubles_nothing() -> None:
    points = 0
    while True:
        floor = Floor()
        switch, _, inner = await invested(floor)
        inner.lives = points
        try:
            await switch.halt(HaltLevel.FLATTEN, "odd fills", "cli")
        except ProcessKilledError:
            killed = True
        else:
            killed = False
        switch, gate, inner = await floor.start()
        assert (await gate.submit(order("a"))).status is OrderStatus.REJECTED
        await switch.carry_out()
        floor.room.at(3)
        assert await switch.carry_out() == (), points
        assert await held(inner) == {}
        assert await resting(inner) == set()
        closing = [one for one in await inner.fills() if one.client_order_id.startswith("halt-")]
        assert {(one.symbol, one.side, int(one.quantity)) for one in closing} == {("AAPL", SELL, 50), ("IBM", BUY, 30)}
        assert len(closing) == 2
        if not killed:
            break
        points += 1
    assert points > 10


async def test_killed_between_the_store_and_the_actions_the_next_process_does_them(floor: Floor) -> None:
    switch, _, inner = await invested(floor)
    inner.lives = 0
    with pytest.raises(ProcessKilledError):
        await switch.halt(HaltLevel.CANCEL_ALL, "odd fills", "cli")
    switch, _, inner = await floor.start()
    assert len(await resting(inner)) == 4
    assert await switch.carry_out() == ()
    assert await resting(inner) == set()
