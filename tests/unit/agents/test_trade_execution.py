"""Trade execution: slices, ids, limit then market, and never twice."""

from datetime import timedelta
from decimal import Decimal

import pytest

from orchestration.domain.json_value import JsonObject, JsonValue
from orchestration.domain.orders import Order, OrderStatus, OrderType, Side
from tests.unit.agents.conftest import NOON, Room

BUY: JsonObject = {"symbol": "UP", "side": "buy", "quantity": "100", "reference_price": "100"}


def later(minutes: float) -> str:
    return (NOON + timedelta(minutes=minutes)).isoformat()


async def execute(room: Room, *trades: JsonObject, deadline: str | None = None, **task_data: JsonValue) -> JsonObject:
    inputs: dict[str, JsonValue] = {"validate_trades": {"approved": list(trades or (BUY,))}}
    execution: JsonObject = {
        "id": "run1",
        "task": "execute_trades",
        "attempt": 1,
        "deadline": deadline,
        "session": "2012-12-12",
    }
    return await room.ask("trade_execution", "execute_trades", inputs, execution=execution, **task_data)


def orders(result: JsonObject) -> list[JsonObject]:
    rows = result["orders"]
    assert isinstance(rows, list)
    return rows


def sent(room: Room) -> list[tuple[str, OrderType, int, float]]:
    """Id, type, quantity and minute of every order."""
    return [
        (order.client_order_id, order.type, int(order.quantity), (at - NOON) / timedelta(minutes=1))
        for at, order in room.broker.submitted
    ]


async def test_without_a_schedule_orders_go_to_the_market_at_once(room: Room) -> None:
    result = await execute(room)
    assert sent(room) == [("run1:execute_trades:UP:1.1M", OrderType.MARKET, 100, 0)]
    assert orders(result)[0]["status"] == "filled"
    assert room.clock.now() == NOON


async def test_two_trades_of_a_symbol_have_legs_of_their_own(room: Room) -> None:
    await execute(room, BUY, BUY)
    assert [name for name, *_ in sent(room)] == ["run1:execute_trades:UP:1.1M", "run1:execute_trades:UP:2.1M"]


async def test_slices_are_spread_as_limit_orders_near_the_quote(room: Room) -> None:
    room.market.prices["UP"] = Decimal(100)
    await execute(room, slices=3, within_minutes=30)
    assert sent(room) == [
        ("run1:execute_trades:UP:1.1L", OrderType.LIMIT, 34, 0),
        ("run1:execute_trades:UP:1.2L", OrderType.LIMIT, 33, 10),
        ("run1:execute_trades:UP:1.3L", OrderType.LIMIT, 33, 20),
    ]
    assert room.broker.submitted[0][1].limit_price == Decimal("100.05")


async def test_a_sale_s_limit_is_below_the_quote(room: Room) -> None:
    room.market.prices["UP"] = Decimal(100)
    room.broker.give("UP", 100, 100)
    await execute(room, {**BUY, "side": "sell"}, within_minutes=10)
    assert room.broker.submitted[0][1].limit_price == Decimal("99.95")


async def test_what_a_limit_order_leaves_goes_on_as_a_market_order(room: Room) -> None:
    room.broker.fill_limits = False
    result = await execute(room, slices=2, within_minutes=20)
    assert sent(room) == [
        ("run1:execute_trades:UP:1.1L", OrderType.LIMIT, 50, 0),
        ("run1:execute_trades:UP:1.1M", OrderType.MARKET, 50, 10),
        ("run1:execute_trades:UP:1.2L", OrderType.LIMIT, 50, 10),
        ("run1:execute_trades:UP:1.2M", OrderType.MARKET, 50, 20),
    ]
    assert [row["status"] for row in orders(result)] == ["cancelled", "filled", "cancelled", "filled"]


async def test_partial_fills_are_followed_every_minute(room: Room) -> None:
    room.broker.most = Decimal(30)
    result = await execute(room)
    assert orders(result)[0]["filled"] == "100"
    assert room.clock.now() == NOON + timedelta(minutes=3)  # 30 at once, then 60, 90 and 100


async def test_the_deadline_squeezes_the_schedule_and_ends_what_is_open(room: Room) -> None:
    room.broker.fill_limits = room.broker.fill_markets = False
    result = await execute(room, slices=2, within_minutes=60, deadline=later(21))
    assert [minute for *_, minute in sent(room)] == [0, 10, 10, 20]
    assert {row["status"] for row in orders(result)} == {"cancelled"}
    assert room.clock.now() == NOON + timedelta(minutes=21)
    assert await room.broker.orders(open_only=True) == ()


async def test_past_the_deadline_nothing_is_sent(room: Room) -> None:
    result = await execute(room, deadline=later(0))
    assert room.broker.submitted == []
    assert result["refused"] == [{"symbol": "UP", "side": "buy", "reason": "the deadline 17:00 UTC has passed"}]


async def test_a_rejected_order_is_an_answer(room: Room) -> None:
    room.broker.reject = {"UP"}
    result = await execute(room, within_minutes=10)
    refused = result["refused"]
    assert isinstance(refused, list)
    assert (refused[0]["status"], refused[0]["reason"]) == ("rejected", "told to refuse")
    assert len(room.broker.submitted) == 1


async def test_a_trade_without_a_price_is_refused(room: Room) -> None:
    result = await execute(room, {**BUY, "symbol": "NOPE"}, within_minutes=10)
    assert result["refused"] == [{"symbol": "NOPE", "side": "buy", "reason": "no price is known now"}]


async def test_another_attempt_sends_nothing_twice(room: Room) -> None:
    await execute(room)
    result = await execute(room)
    assert len(room.broker.submitted) == 1
    assert orders(result)[0]["status"] == "filled"


async def test_another_attempt_keeps_the_first_one_s_times(room: Room) -> None:
    room.broker.fill_limits = False
    first = Order(
        client_order_id="run1:execute_trades:UP:1.1L",
        symbol="UP",
        side=Side.BUY,
        quantity=Decimal(50),
        type=OrderType.LIMIT,
        limit_price=Decimal(1),
    )
    await room.broker.submit(first)
    room.clock.moment = NOON + timedelta(minutes=3)
    await execute(room, slices=2, within_minutes=20)
    assert [minute for *_, minute in sent(room)] == [0, 10, 10, 20]
    account = await room.broker.account()
    assert account.positions[0].quantity == 100


@pytest.mark.parametrize("within", [0, 10])
async def test_a_trade_s_own_limit_is_never_left(room: Room, within: int) -> None:
    room.broker.fill_limits = False
    limited: JsonObject = {**BUY, "type": "limit", "limit_price": "90"}
    result = await execute(room, limited, within_minutes=within, deadline=later(15))
    assert [(order.type, order.limit_price) for _, order in room.broker.submitted] == [(OrderType.LIMIT, Decimal(90))]
    assert orders(result)[0]["status"] == "cancelled"


async def test_what_was_planned_but_never_checked_is_not_sent(room: Room) -> None:
    inputs: dict[str, JsonValue] = {"generate_trades": {"trades": [BUY]}, "validate_trades": None}
    result = await room.ask("trade_execution", "execute_trades", inputs)
    assert room.broker.submitted == []
    assert result["conclusion"] == "Nothing to send: no result from validate_trades."


async def test_trades_that_need_no_check_are_sent_as_they_are(room: Room) -> None:
    await room.ask("trade_execution", "execute_trades", {"exposure_cut": {"trades": [BUY]}})
    assert len(room.broker.submitted) == 1


async def test_more_slices_than_lots_are_fewer_slices(room: Room) -> None:
    await execute(room, {**BUY, "quantity": "2"}, slices=4, within_minutes=20)
    assert [minute for *_, minute in sent(room)] == [0, 5]


async def test_open_and_stale_orders_are_told_apart_and_cancelled(room: Room) -> None:
    room.broker.fill_markets = False
    await room.broker.submit(Order(client_order_id="old", symbol="UP", side=Side.BUY, quantity=Decimal(1)))
    room.clock.moment += timedelta(minutes=31)
    await room.broker.submit(Order(client_order_id="new", symbol="UP", side=Side.BUY, quantity=Decimal(1)))
    result = await room.ask("trade_execution", "order_tracking")
    assert (result["stale"], result["conclusion"]) == (["old"], "2 orders are open, 1 of them stale.")
    await room.ask("trade_execution", "cancel_open_orders")
    assert {s.status for s in await room.broker.orders()} == {OrderStatus.CANCELLED}


async def test_an_honest_book_reconciles(room: Room) -> None:
    await execute(room)
    room.broker.give("DOWN", -5, 150)
    result = await room.ask("trade_execution", "reconcile_positions")
    assert (result["reconciled"], result["differences"]) == (True, [])


async def test_differences_are_named_to_the_last_cent(room: Room) -> None:
    await execute(room)
    room.broker.cash += Decimal("0.01")
    room.broker.book("FLAT", Side.BUY, Decimal(1), Decimal(0), "nobody's")
    result = await room.ask("trade_execution", "reconcile_positions")
    found = result["differences"]
    assert isinstance(found, list)
    assert {row["what"]: row["difference"] for row in found} == {"cash": "0.01", "unknown order nobody's": "-1"}
