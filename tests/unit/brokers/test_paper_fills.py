"""How orders fill along the ticks."""

from dataclasses import replace
from datetime import time
from decimal import Decimal

from orchestration.domain.bars import Instrument
from orchestration.domain.desk import Costs, Desk
from orchestration.domain.orders import Fill, OrderStatus, Side
from tests.calendars import WeekdayCalendar
from tests.unit.brokers.scripted_market import CLOSE, FREE, Room, minutes, order


def desk(**costs: Decimal | float) -> Desk:
    return Desk(symbols=("AAPL",), cash=Decimal(100_000), costs=replace(FREE, **costs))  # type: ignore[arg-type]  # costs' own types


def told(fills: tuple[Fill, ...]) -> list[tuple[float, str, str]]:
    """Minutes after the open, quantity and price of each fill."""
    return [((f.at - minutes(0)).total_seconds() / 60, str(f.quantity), str(f.price)) for f in fills]


async def test_a_market_order_fills_at_the_first_tick_after_it_was_sent() -> None:
    room = Room((0, "10.00", 100), (1, "11.00", 100), (2, "12.00", 100))
    broker = await room.broker()
    room.at(1)
    assert (await broker.submit(order("a"))).status is OrderStatus.ACCEPTED
    assert await broker.fills() == ()
    room.at(3)
    assert told(await broker.fills()) == [(2, "10", "12.00")]
    state = await broker.order("a")
    assert state
    assert (state.status, state.updated_at) == (OrderStatus.FILLED, minutes(2))
    assert state.average_price == 12


async def test_slippage_goes_against_the_order_and_to_the_next_worse_tick() -> None:
    room = Room((0, "100.01", 100), (1, "100.01", 100), desk=desk(slippage_bps=Decimal(1)))
    room.desk = replace(room.desk, short=True)
    broker = await room.broker()
    await broker.submit(order("b", Side.BUY))
    await broker.submit(order("s", Side.SELL))
    room.at(1)
    assert [str(fill.price) for fill in await broker.fills()] == ["100.03", "99.99"]


async def test_an_order_takes_its_share_of_each_ticks_volume_in_whole_lots() -> None:
    room = Room((0, "10", 0), (1, "10", 59), (2, "11", 3), (3, "12", 0), (4, "13", 900), desk=desk(participation=0.1))
    broker = await room.broker()
    await broker.submit(order("a", quantity=10))
    room.at(2)
    state = await broker.order("a")
    assert state
    assert state.status is OrderStatus.PARTIALLY_FILLED
    assert [state.filled_quantity, state.remaining] == [Decimal(6), Decimal(4)]
    room.at(5)
    assert told(await broker.fills()) == [(1, "5", "10.00"), (2, "1", "11.00"), (4, "4", "13.00")]


async def test_lots_bound_what_a_tick_gives() -> None:
    room = Room((0, "10", 0), (1, "10", 590), (2, "10", 5), desk=desk(participation=0.5))
    room.desk = replace(room.desk, instruments={"AAPL": Instrument(symbol="AAPL", lot_size=Decimal(100))})
    broker = await room.broker()
    await broker.submit(order("a", quantity=300))
    room.at(2)
    assert [fill.quantity for fill in await broker.fills()] == [200, 100]


async def test_orders_share_a_ticks_volume_in_the_order_of_acceptance() -> None:
    room = Room((0, "10", 0), (1, "10", 100), (2, "10", 100), desk=desk(participation=0.1))
    broker = await room.broker()
    await broker.submit(order("first", quantity=8))
    await broker.submit(order("second", quantity=8))
    room.at(2)
    fills = [(fill.client_order_id, int(fill.quantity)) for fill in await broker.fills()]
    assert fills == [("first", 8), ("second", 2), ("second", 6)]


async def test_a_limit_order_fills_when_the_price_reaches_it_at_the_price_or_better() -> None:
    room = Room((0, "10", 9), (1, "9.80", 9), (2, "9.50", 4), (3, "9.00", 9), desk=desk(slippage_bps=Decimal(100)))
    broker = await room.broker()
    await broker.submit(order("a", limit="9.50"))
    room.at(3)
    assert told(await broker.fills()) == [(2, "4", "9.50"), (3, "6", "9.00")]


async def test_a_limit_sale_waits_for_the_price_above() -> None:
    room = Room((0, "10", 99), (1, "10", 99), (2, "10.49", 99), (3, "11", 99))
    broker = await room.broker()
    await broker.submit(order("buy"))
    room.at(1)
    await broker.submit(order("sell", Side.SELL, limit="10.50"))
    room.at(3)
    assert told(await broker.fills())[1:] == [(3, "10", "11.00")]


async def test_a_limit_on_the_tick_is_never_passed_by_rounding() -> None:
    room = Room((0, "10", 99), (1, "9.9950", 99))
    broker = await room.broker()
    await broker.submit(order("a", limit="10.00"))
    room.at(1)
    assert told(await broker.fills()) == [(1, "10", "10.00")]


async def test_a_stop_becomes_a_market_order_at_the_tick_that_reaches_it() -> None:
    room = Room((0, "10", 9), (1, "10.40", 9), (2, "10.50", 4), (3, "10", 9), desk=desk(slippage_bps=Decimal(100)))
    broker = await room.broker()
    await broker.submit(order("a", stop="10.50"))
    room.at(3)
    assert told(await broker.fills()) == [(2, "4", "10.61"), (3, "6", "10.10")]


async def test_a_selling_stop_waits_for_the_price_below() -> None:
    room = Room((0, "10", 99), (1, "10", 99), (2, "9.60", 99), (3, "9.50", 99))
    broker = await room.broker()
    await broker.submit(order("buy"))
    room.at(1)
    await broker.submit(order("sell", Side.SELL, stop="9.50"))
    room.at(3)
    assert told(await broker.fills())[1:] == [(3, "10", "9.50")]


async def test_the_commission_minimum_falls_due_at_once_and_counts_towards_the_rest() -> None:
    costs = Costs(commission_per_unit=Decimal("0.10"), commission_minimum=Decimal("1.00"), participation=1.0)
    room = Room((0, "10", 0), (1, "10", 4), (2, "10", 5), (3, "10", 30))
    room.desk = replace(room.desk, costs=replace(costs, slippage_bps=Decimal(0)))
    broker = await room.broker()
    await broker.submit(order("a", quantity=30))
    room.at(3)
    assert [str(fill.commission) for fill in await broker.fills()] == ["1.00", "0.00", "2.00"]
    assert (await broker.account()).cash == 10_000 - 300 - 3


async def test_a_day_order_expires_at_the_close() -> None:
    room = Room((0, "10", 99), (1, "10", 3))
    broker = await room.broker()
    await broker.submit(order("a"))
    room.clock.moment = CLOSE
    (state,) = await broker.orders()
    assert (state.status, state.updated_at) == (OrderStatus.EXPIRED, CLOSE)
    assert state.filled_quantity == 3
    assert state.reason == "a day order: 7 not filled by the close"
    assert await broker.orders(open_only=True) == ()


async def test_an_order_sent_in_a_break_fills_after_it() -> None:
    room = Room((0, "10", 9), (179, "11", 9), calendar=WeekdayCalendar(pause=(time(16), time(17))))
    broker = await room.broker()
    room.at(100)
    assert (await broker.submit(order("a", quantity=5))).status is OrderStatus.ACCEPTED
    room.at(180)
    assert told(await broker.fills()) == [(179, "5", "11.00")]
