"""When the broker fails in the middle: nothing is sent twice, nothing is lost, nothing is turned around."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest

from orchestration.domain.desk import Costs
from orchestration.domain.errors import OutcomeUnknownError, TransientError
from orchestration.domain.json_value import JsonObject, JsonValue
from orchestration.domain.orders import Order, OrderState, OrderStatus, Side
from tests.fakes_market import FakeBroker
from tests.unit.agents.conftest import NOON, Room

BUY: JsonObject = {"symbol": "UP", "side": "buy", "quantity": "100", "reference_price": "100"}
OTHER: JsonObject = {**BUY, "symbol": "FLAT"}
SELL: JsonObject = {**BUY, "side": "sell", "reduce_only": True}


class FaultyBroker(FakeBroker):
    """Fails as told.

    ``swallow`` loses an order, ``lost_cancels`` and ``deaf`` so many answers; the line breaks after ``at_most`` orders.
    """

    swallow: bool = False
    lost_cancels: int = 0
    deaf: int = 0
    at_most: int | None = None

    async def submit(self, order: Order) -> OrderState:
        if self.at_most == 0:
            raise TransientError("the line is down")
        if self.swallow:
            self.swallow = False
            raise OutcomeUnknownError("the answer was lost")
        state = await super().submit(order)
        self.at_most = None if self.at_most is None else self.at_most - 1
        return state

    async def order(self, client_order_id: str) -> OrderState | None:
        if client_order_id in self._states and self.deaf:
            self.deaf -= 1
            raise TransientError("the line is down")
        return await super().order(client_order_id)

    async def cancel(self, client_order_id: str) -> OrderState:
        state = await super().cancel(client_order_id)
        if self.lost_cancels:
            self.lost_cancels -= 1
            raise OutcomeUnknownError("the answer was lost")
        return state


@pytest.fixture
def faulty(room: Room) -> FaultyBroker:
    room.broker = FaultyBroker(room.market, room.clock)
    return room.broker


async def execute(room: Room, trades: Sequence[JsonObject], **task_data: JsonValue) -> JsonObject:
    execution: JsonObject = {"id": "run1", "task": "t", "deadline": (NOON + timedelta(minutes=60)).isoformat()}
    return await room.ask(
        "trade_execution",
        "execute_trades",
        {"validate_trades": {"approved": list(trades)}},
        execution=execution,
        **task_data,
    )


def names(broker: FakeBroker) -> list[str]:
    return [order.client_order_id for _, order in broker.submitted]


async def held(broker: FakeBroker, symbol: str) -> Decimal:
    position = (await broker.account()).position(symbol)
    return position.quantity if position else Decimal(0)


async def test_a_lost_answer_to_an_order_that_came_is_asked_for_and_the_rest_goes_on(
    room: Room, faulty: FaultyBroker
) -> None:
    faulty.lose = {"UP"}
    result = await execute(room, [BUY, OTHER])
    assert names(faulty) == ["run1:t:UP:1.1M", "run1:t:FLAT:1.1M"]
    assert [int(await held(faulty, symbol)) for symbol in ("UP", "FLAT")] == [100, 100]
    assert result["refused"] == []


async def test_a_lost_answer_to_an_order_that_never_came_is_a_refusal_and_no_second_order(
    room: Room, faulty: FaultyBroker
) -> None:
    faulty.swallow = True
    result = await execute(room, [BUY, OTHER])
    assert names(faulty) == ["run1:t:FLAT:1.1M"]
    refused = result["refused"]
    assert isinstance(refused, list)
    assert "not sent again" in refused[0]["reason"]
    assert str(result["conclusion"]).endswith("1 refused; not filled: buy 100 UP.")


async def test_a_line_that_breaks_half_way_doubles_nothing_in_the_next_attempt(
    room: Room, faulty: FaultyBroker
) -> None:
    faulty.fill_limits, faulty.at_most = False, 3
    with pytest.raises(TransientError):
        await execute(room, [BUY, OTHER], slices=2, within_minutes=20)
    faulty.at_most = None
    await execute(room, [BUY, OTHER], slices=2, within_minutes=20)
    assert len(names(faulty)) == len(set(names(faulty)))
    assert [int(await held(faulty, symbol)) for symbol in ("UP", "FLAT")] == [100, 100]


async def test_a_lost_answer_to_a_cancellation_sends_no_market_order_before_it_is_known(
    room: Room, faulty: FaultyBroker
) -> None:
    faulty.fill_limits, faulty.lost_cancels = False, 1
    with pytest.raises(TransientError, match="UP:1"):
        await execute(room, [BUY], within_minutes=10)
    assert names(faulty) == ["run1:t:UP:1.1L"]
    await execute(room, [BUY], within_minutes=10)
    assert names(faulty) == ["run1:t:UP:1.1L", "run1:t:UP:1.1M"]
    assert await held(faulty, "UP") == 100


async def test_an_order_of_an_earlier_attempt_is_followed_though_the_quote_is_gone(
    room: Room, faulty: FaultyBroker
) -> None:
    faulty.fill_limits = faulty.fill_markets = False
    faulty.at_most = 1
    with pytest.raises(TransientError):
        await execute(room, [BUY, OTHER], within_minutes=10)
    room.market.history["UP"], faulty.at_most = (), None
    result = await execute(room, [BUY, OTHER], within_minutes=10)
    orders = result["orders"]
    assert isinstance(orders, list)
    assert ("run1:t:UP:1.1L", "cancelled") in [(row["client_order_id"], row["status"]) for row in orders]
    assert await faulty.orders(open_only=True) == ()


async def test_two_reductions_of_one_position_never_go_short(room: Room, faulty: FaultyBroker) -> None:
    """What watches the risk and what rebalances may decide at the same moment."""
    room.change(short=True)
    faulty.give("UP", 150, 100)
    result = await execute(room, [SELL, SELL, SELL])
    assert await held(faulty, "UP") == 0
    assert result["refused"] == [{"symbol": "UP", "side": "sell", "reason": "nothing is left to reduce"}]


async def test_a_reduction_counts_what_open_orders_take_away(room: Room, faulty: FaultyBroker) -> None:
    room.change(short=True)
    faulty.give("UP", 150, 100)
    faulty.fill_markets = False
    other = Order(client_order_id="other", symbol="UP", side=Side.SELL, quantity=Decimal(120))
    await faulty.submit(other)
    await execute(room, [SELL])
    assert [int(order.quantity) for _, order in faulty.submitted] == [120, 30]


async def test_a_sale_that_may_open_a_short_position_does(room: Room, faulty: FaultyBroker) -> None:
    room.change(short=True)
    await execute(room, [{**SELL, "reduce_only": False}])
    assert await held(faulty, "UP") == -100


async def test_a_broker_that_does_not_answer_for_minutes_is_asked_again(room: Room, faulty: FaultyBroker) -> None:
    faulty.most, faulty.deaf = Decimal(60), 5
    result = await execute(room, [BUY])
    assert await held(faulty, "UP") == 100
    assert "not filled" not in str(result["conclusion"])
    assert room.clock.now() == NOON + timedelta(minutes=6)


@pytest.mark.parametrize(("minimum", "slices"), [("1", 2), ("0", 4), ("1000", 1)])
async def test_no_slice_is_eaten_by_the_least_commission(
    room: Room, faulty: FaultyBroker, minimum: str, slices: int
) -> None:
    room.change(costs=Costs(commission_minimum=Decimal(minimum)))
    await execute(room, [{**BUY, "quantity": "4", "reference_price": "55"}], slices=4, within_minutes=20)
    assert len(names(faulty)) == slices


async def test_what_was_not_filled_is_said(room: Room, faulty: FaultyBroker) -> None:
    faulty.fill_markets = False
    result = await execute(room, [BUY])
    assert result["unfilled"] == [{"symbol": "UP", "side": "buy", "quantity": "100"}]
    assert "not filled: buy 100 UP" in str(result["conclusion"])
    assert {s.status for s in await faulty.orders()} == {OrderStatus.CANCELLED}
