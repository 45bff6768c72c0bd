"""The market and the broker that come from plug-ins when nobody hands them over."""

from datetime import UTC, datetime
from decimal import Decimal

from orchestration.adapters.brokers.paper import open_broker
from orchestration.adapters.markets.sample_prices import open_market_data
from orchestration.domain.desk import Desk
from orchestration.domain.orders import Order, OrderStatus, Side
from tests.doubles import ManualClock


async def test_the_defaults_trade_the_sample_in_new_york() -> None:
    clock = ManualClock(datetime(2012, 12, 12, 15, tzinfo=UTC))
    market = open_market_data(clock=clock)
    assert market.source.endswith("synthetic (seed 0)")
    broker = open_broker(market_data=market, clock=clock, desk=Desk(symbols=("AAPL",)))
    state = await broker.submit(Order(client_order_id="a", symbol="AAPL", side=Side.BUY, quantity=Decimal(1000)))
    assert state.status is OrderStatus.ACCEPTED
    clock.moment = datetime(2012, 12, 12, 21, tzinfo=UTC)
    account = await broker.account()
    (fill,) = await broker.fills()
    assert fill.commission == 5
    assert account.cash == 1_000_000 - 1000 * fill.price - 5
