"""What the gate keeps from the broker."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from orchestration.adapters.brokers import gate as gate_module
from orchestration.adapters.brokers.gate import GatedBroker
from orchestration.adapters.brokers.paper import PaperBroker
from orchestration.domain.bars import Instrument
from orchestration.domain.desk import RiskLimits
from orchestration.domain.errors import DefinitionError
from orchestration.domain.orders import OrderStatus, Side
from orchestration.domain.restrictions import Restriction, RestrictionLevel
from tests.unit.brokers.scripted_market import OPEN, Room, order, path

DAY = ((0, "10", 10_000), (1, "10", 10_000), (2, "10", 10_000), (3, "10", 10_000))
LIMITS = RiskLimits(gross=0.5, per_name=0.3, per_order=0.1)


class Gate:
    """A room with a gate before its broker; ``restrictions`` may be changed at any time."""

    def __init__(self, limits: RiskLimits = LIMITS) -> None:
        others = {"IBM": path(*DAY), "MSFT": path(*DAY), "NEW": path((9, "1", 1))}
        self.room = Room(*DAY, others=others)
        self.limits = limits
        self.restrictions: Sequence[Restriction] = ()
        self.scale = 1.0

    async def open(self) -> tuple[GatedBroker, PaperBroker]:
        inner = await self.room.broker()
        gated = GatedBroker(
            inner,
            clock=self.room.clock,
            limits=self.limits,
            market_data=self.room.market,
            restrictions=lambda: self.restrictions,
            instrument=self.room.desk.instrument,
            scale=lambda: self.scale,
        )
        return gated, inner

    def restrict(self, minutes: int, symbols: frozenset[str] | None = None) -> None:
        window = Restriction(
            level=RestrictionLevel.NO_NEW_ORDERS,
            starts_at=OPEN,
            ends_at=OPEN + timedelta(minutes=minutes),
            reason="FOMC statement",
            symbols=symbols,
        )
        self.restrictions = (window,)


async def test_an_order_within_the_limits_passes() -> None:
    gated, inner = await Gate().open()
    assert gated.name == inner.name
    state = await gated.submit(order("a", quantity=100))
    assert state.status is OrderStatus.ACCEPTED
    assert await inner.order("a") == state


async def test_a_restriction_refuses_with_its_reason_and_the_broker_never_hears_of_it() -> None:
    gate = Gate()
    gated, inner = await gate.open()
    gate.restrict(minutes=5)
    state = await gated.submit(order("a"))
    assert state.status is OrderStatus.REJECTED
    assert state.reason == "no_new_orders until 2012-12-12T14:35:00Z: FOMC statement"
    assert await inner.orders() == ()


async def test_a_refused_order_is_judged_anew_when_it_is_sent_again() -> None:
    gate = Gate()
    gated, _ = await gate.open()
    gate.restrict(minutes=1)
    await gated.submit(order("a"))
    gate.room.at(1)
    assert (await gated.submit(order("a"))).status is OrderStatus.ACCEPTED
    assert [state.status for state in await gated.orders()] == [OrderStatus.ACCEPTED]


async def test_a_restriction_concerns_its_symbols_only_and_never_what_reduces() -> None:
    gate = Gate()
    gated, _ = await gate.open()
    await gated.submit(order("buy", quantity=50))
    gate.room.at(1)
    gate.restrict(minutes=60, symbols=frozenset({"AAPL"}))
    assert (await gated.submit(order("more"))).status is OrderStatus.REJECTED
    assert (await gated.submit(order("other", symbol="IBM"))).status is OrderStatus.ACCEPTED
    assert (await gated.submit(order("less", Side.SELL, 50))).status is OrderStatus.ACCEPTED


async def test_what_open_sales_sell_already_is_not_there_to_reduce() -> None:
    gate = Gate()
    gate.room.desk = replace(gate.room.desk, short=True)
    gated, _ = await gate.open()
    await gated.submit(order("buy", quantity=50))
    gate.room.at(1)
    gate.restrict(minutes=60)
    assert (await gated.submit(order("first", Side.SELL, 30, limit="99.00"))).status is OrderStatus.ACCEPTED
    assert (await gated.submit(order("second", Side.SELL, 21))).status is OrderStatus.REJECTED
    assert (await gated.submit(order("third", Side.SELL, 20))).status is OrderStatus.ACCEPTED


async def test_what_open_buys_may_never_bring_is_not_there_to_reduce() -> None:
    gate = Gate()
    gate.room.desk = replace(gate.room.desk, short=True)
    gated, _ = await gate.open()
    await gated.submit(order("resting", quantity=50, limit="9.00"))
    gate.restrict(minutes=60)
    assert (await gated.submit(order("sell", Side.SELL, 30))).status is OrderStatus.REJECTED


@pytest.mark.parametrize("symbol", ["NONE", "NEW"])
async def test_without_a_usable_price_nothing_passes(symbol: str) -> None:
    gated, inner = await Gate().open()
    state = await gated.submit(order("a", symbol=symbol))
    assert state.reason == f"{symbol} has no usable price"
    assert await inner.orders() == ()


async def test_the_limits_are_multiplied_by_what_the_day_says_now() -> None:
    gate = Gate()
    gated, _ = await gate.open()
    gate.scale = 0.5
    state = await gated.submit(order("a", quantity=51))
    assert state.reason == "per_order limit: this order would be 5.1% of equity, 5.0% is allowed"
    assert (await gated.submit(order("b", quantity=50))).status is OrderStatus.ACCEPTED


async def test_an_order_above_its_share_of_equity_is_refused() -> None:
    gated, _ = await Gate().open()
    state = await gated.submit(order("a", quantity=101))
    assert state.reason == "per_order limit: this order would be 10.1% of equity, 10.0% is allowed"


async def test_open_orders_count_as_filled_for_the_name_and_for_the_whole() -> None:
    gate = Gate()
    gated, _ = await gate.open()
    for number in range(3):
        assert (await gated.submit(order(f"a{number}", quantity=100))).status is OrderStatus.ACCEPTED
    name = await gated.submit(order("name", quantity=1))
    assert name.reason == "per_name limit: AAPL would be 30.1% of equity, 30.0% is allowed"
    gate.room.at(1)
    for number in range(2):
        await gated.submit(order(f"i{number}", quantity=100, symbol="IBM"))
    gross = await gated.submit(order("gross", quantity=1, symbol="MSFT"))
    assert gross.reason == "gross limit: gross exposure would be 50.1% of equity, 50.0% is allowed"


async def test_the_multiplier_counts_in_the_limits() -> None:
    gate = Gate()
    gate.room.desk = replace(gate.room.desk, instruments={"AAPL": Instrument(symbol="AAPL", multiplier=Decimal(100))})
    gated, _ = await gate.open()
    assert "20.0% of equity" in ((await gated.submit(order("a", quantity=2))).reason or "")


async def test_limits_never_hold_back_what_reduces() -> None:
    gate = Gate()
    gated, inner = await gate.open()
    await inner.submit(order("big", quantity=900))
    gate.room.at(1)
    assert (await gated.submit(order("out", Side.SELL, 900))).status is OrderStatus.ACCEPTED


async def test_an_account_without_equity_opens_nothing() -> None:
    gate = Gate()
    gate.room.desk = replace(gate.room.desk, cash=Decimal(0))
    gated, _ = await gate.open()
    assert (await gated.submit(order("a"))).reason == "the account's equity is 0.00: nothing may be opened"


async def test_an_id_that_the_broker_knows_is_a_repeat_and_passes() -> None:
    gate = Gate()
    gated, _ = await gate.open()
    await gated.submit(order("a"))
    gate.restrict(minutes=60)
    assert (await gated.submit(order("a"))).status is OrderStatus.ACCEPTED
    with pytest.raises(DefinitionError):
        await gated.submit(order("a", quantity=11))


async def test_refused_orders_are_shown_among_the_others() -> None:
    gate = Gate()
    gated, _ = await gate.open()
    refused = await gated.submit(order("big", quantity=500))
    gate.room.at(1)
    await gated.submit(order("small"))
    assert [state.order.client_order_id for state in await gated.orders()] == ["big", "small"]
    assert [state.order.client_order_id for state in await gated.orders(open_only=True)] == ["small"]
    assert await gated.order("big") == await gated.cancel("big") == refused
    assert (await gated.cancel("small")).status is OrderStatus.CANCELLED


async def test_only_the_latest_refused_orders_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "REFUSALS_KEPT", 2)
    gated, _ = await Gate().open()
    for name in ("a", "b", "a", "c"):
        await gated.submit(order(name, quantity=500))
    assert {state.order.client_order_id for state in await gated.orders()} == {"a", "c"}


async def test_fills_and_account_are_the_brokers() -> None:
    gate = Gate()
    gated, inner = await gate.open()
    await gated.submit(order("a"))
    gate.room.at(1)
    assert await gated.fills() == await inner.fills() != ()
    assert await gated.account() == await inner.account()
