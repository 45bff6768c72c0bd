"""What the paper broker takes, refuses, cancels and repeats."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from orchestration.domain.bars import Instrument
from orchestration.domain.desk import Costs
from orchestration.domain.errors import DefinitionError
from orchestration.domain.orders import Order, OrderStatus, Side
from tests.calendars import WeekdayCalendar
from tests.unit.brokers.scripted_market import CLOSE, FREE, OPEN, Room, order, path

DAY = ((0, "10", 1000), (1, "10", 1000), (2, "12", 1000))


async def refused(room: Room, wanted: Order) -> str:
    state = await (await room.broker()).submit(wanted)
    assert state.status is OrderStatus.REJECTED
    assert state.reason
    return state.reason


async def test_it_says_that_it_is_simulated() -> None:
    assert (await Room(*DAY).broker()).name == "paper (simulated)"


async def test_a_closed_exchange_rejects_and_names_the_next_session() -> None:
    room = Room(*DAY)
    room.clock.moment = OPEN - timedelta(minutes=1)
    expected = "TEST is closed; the next session, 2012-12-12, opens at 2012-12-12T14:30:00Z"
    assert await refused(room, order("early")) == expected
    room.clock.moment = CLOSE
    assert "2012-12-13T14:30:00Z" in await refused(room, order("late"))


async def test_at_the_end_of_the_calendar_no_next_session_is_named() -> None:
    room = Room(*DAY, calendar=WeekdayCalendar(last=date(2012, 12, 12)))
    room.clock.moment = CLOSE
    assert "knows no later session" in await refused(room, order("late"))


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (order("a", symbol="NONE"), "no prices are known for NONE"),
        (order("a", symbol="OLD"), "OLD has no usable price on 2012-12-12"),
        (order("a", quantity="1.5"), "quantity 1.5 is no multiple of the lot size 1"),
        (order("a", limit="9.995"), "limit price 9.995 is no multiple of the tick size 0.01"),
        (order("a", stop="10.001"), "stop price 10.001 is no multiple of the tick size 0.01"),
        (order("a", quantity=1001), "not enough cash: 1001 AAPL would cost about 10010.00, and 10000.00 is free"),
        (order("a", Side.SELL), "selling 10 AAPL is more than is held (0): no short selling"),
    ],
)
async def test_an_order_that_cannot_be_carried_out_is_rejected_with_the_reason(wanted: Order, reason: str) -> None:
    room = Room(*DAY, others={"OLD": path((-1440, "5", 10))})
    assert await refused(room, wanted) == reason


async def test_what_has_expired_is_not_traded() -> None:
    room = Room(*DAY)
    room.desk = replace(room.desk, instruments={"AAPL": Instrument(symbol="AAPL", expires_on=date(2012, 12, 11))})
    assert await refused(room, order("a")) == "AAPL expired on 2012-12-11"


async def test_the_commission_counts_when_cash_is_short() -> None:
    room = Room(*DAY)
    room.desk = replace(room.desk, costs=Costs(slippage_bps=Decimal(0)))
    assert "would cost about 10005.00" in await refused(room, order("a", quantity=1000))


async def test_open_buys_keep_their_cash() -> None:
    broker = await Room(*DAY).broker()
    assert (await broker.submit(order("a", quantity=600))).status is OrderStatus.ACCEPTED
    assert (await broker.submit(order("b", quantity=300, limit="9.00"))).status is OrderStatus.ACCEPTED
    state = await broker.submit(order("c", quantity=131))
    assert state.reason == "not enough cash: 131 AAPL would cost about 1310.00, and 1300.00 is free"
    await broker.cancel("b")
    assert (await broker.submit(order("d", quantity=131))).status is OrderStatus.ACCEPTED


async def test_what_an_open_buy_has_paid_is_not_kept_twice() -> None:
    """Of 400 at 10.00, 100 are filled and the minimum is paid: 300 more are to come, without another minimum."""
    room = Room((0, "10", 0), (1, "10", 100))
    room.desk = replace(room.desk, costs=replace(FREE, commission_minimum=Decimal(100)))
    broker = await room.broker()
    await broker.submit(order("a", quantity=400))
    room.at(1)
    state = await broker.submit(order("b", quantity=581))
    assert state.reason == "not enough cash: 581 AAPL would cost about 5910.00, and 5900.00 is free"


async def test_open_sales_keep_their_shares() -> None:
    room = Room(*DAY)
    broker = await room.broker()
    await broker.submit(order("buy", quantity=100))
    room.at(1)
    await broker.submit(order("first", Side.SELL, 60, limit="20.00"))
    state = await broker.submit(order("second", Side.SELL, 41))
    assert state.reason == "selling 41 AAPL is more than is held (100, 60 of it in open orders): no short selling"
    assert (await broker.submit(order("third", Side.SELL, 40))).status is OrderStatus.ACCEPTED


async def test_a_desk_that_may_be_short_sells_what_it_has_not() -> None:
    room = Room(*DAY)
    room.desk = replace(room.desk, short=True)
    broker = await room.broker()
    await broker.submit(order("a", Side.SELL, 10))
    room.at(1)
    account = await broker.account()
    (position,) = account.positions
    assert [position.quantity, account.cash, account.equity] == [Decimal(-10), Decimal(10_100), Decimal(10_000)]


async def test_a_repeated_order_changes_nothing_and_gets_the_same_answer() -> None:
    room = Room(*DAY)
    broker = await room.broker()
    await broker.submit(order("a"))
    await broker.submit(order("no", quantity=5000))
    room.at(2)
    first = await broker.order("a")
    assert await broker.submit(order("a")) == first
    assert (await broker.submit(order("no", quantity=5000))).status is OrderStatus.REJECTED
    assert len(await broker.orders()) == 2
    assert len(await broker.fills()) == 1


async def test_an_id_with_other_contents_is_refused_also_after_a_restart() -> None:
    room = Room(*DAY)
    await (await room.broker()).submit(order("a"))
    again = await room.broker()
    with pytest.raises(DefinitionError, match="'a' belongs to another order"):
        await again.submit(order("a", quantity=11))
    assert (await again.submit(order("a"))).status is OrderStatus.ACCEPTED


async def test_a_cancelled_order_keeps_what_it_got_and_gets_no_more() -> None:
    room = Room((0, "10", 0), (1, "10", 3), (2, "10", 100))
    broker = await room.broker()
    await broker.submit(order("a"))
    room.at(1)
    state = await broker.cancel("a")
    assert state.status is OrderStatus.CANCELLED
    assert state.filled_quantity == 3
    assert state.reason == "cancelled by the desk"
    room.at(3)
    assert await broker.cancel("a") == state
    assert len(await broker.fills()) == 1


async def test_a_cancel_comes_too_late_for_what_has_filled_by_now() -> None:
    room = Room(*DAY)
    broker = await room.broker()
    await broker.submit(order("a"))
    room.at(1)
    assert (await broker.cancel("a")).status is OrderStatus.FILLED


async def test_an_unknown_order_cannot_be_cancelled_and_is_none() -> None:
    broker = await Room(*DAY).broker()
    with pytest.raises(DefinitionError, match="no order 'x'"):
        await broker.cancel("x")
    assert await broker.order("x") is None
