"""Performance from fills and closes, the page on the day, and the state of the house."""

import itertools
import math
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from agents.equity import Holding, past_of
from agents.quant.performance import performance, preload
from orchestration.domain.errors import DefinitionError
from orchestration.domain.json_value import JsonValue
from orchestration.domain.orders import Fill, Order, Side
from tests.fakes_market import weekdays
from tests.unit.agents.conftest import NEW_YORK, NOON, Room

DAYS = weekdays(5)


def fill(side: Side, quantity: int, price: int) -> Fill:
    return Fill(
        fill_id="f",
        client_order_id="o",
        symbol="UP",
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        commission=Decimal(1),
        at=NOON,
    )


def test_a_holding_earns_at_average_cost() -> None:
    book = Holding(multiplier=Decimal(1))
    for one in (fill(Side.BUY, 10, 100), fill(Side.BUY, 10, 120), fill(Side.SELL, 5, 130)):
        book.take(one)
    assert (book.quantity, book.average, book.realised) == (Decimal(15), Decimal(110), Decimal(100))
    assert book.profit(Decimal(120)) == 100 + 150 - 3
    assert book.profit(None) == 97
    assert (book.trades, book.wins) == (1, 1)


def test_a_fill_through_zero_begins_a_new_position() -> None:
    book = Holding(multiplier=Decimal(1))
    for one in (fill(Side.SELL, 10, 100), fill(Side.BUY, 15, 110)):
        book.take(one)
    assert (book.quantity, book.average, book.realised) == (Decimal(5), Decimal(110), Decimal(-100))
    assert book.profit(Decimal(110)) == -102
    assert (book.trades, book.wins) == (1, 0)


async def test_the_curve_begins_before_the_first_fill_and_ends_at_the_account(room: Room) -> None:
    room.broker.give("UP", 100, 100, at=datetime.combine(DAYS[2], NOON.timetz()))
    room.broker.give("UP", -40, 110, at=datetime.combine(DAYS[3], NOON.timetz()))
    closes = {"UP": {bar.date: bar.close for bar in room.market.history["UP"]}}
    account = await room.broker.account()
    past = past_of(account, await room.broker.fills(), closes, room.desk, NEW_YORK)
    assert [day for day, _ in past.curve] == DAYS[1:]
    assert past.curve[0][1] == Decimal("1000000.00")
    assert past.curve[1][1] == Decimal(1_000_000 - 10_000 - 1) + 100 * closes["UP"][DAYS[2]]
    assert past.curve[-1][1] == account.equity
    assert past.traded == 14_400


async def test_performance_follows_from_fills_and_closes(room: Room) -> None:
    room.broker.give("UP", 1000, 100, at=datetime.combine(DAYS[2], NOON.timetz()))
    room.broker.give("UP", -400, 110, at=datetime.combine(DAYS[3], NOON.timetz()))
    result = await room.ask("analytics_reporting", "performance_analysis")
    assert result["win_rate"] == 1.0
    total = result["total_return"]
    assert isinstance(total, float)
    account = await room.broker.account()
    assert total == pytest.approx(float(account.equity) / 1_000_000 - 1)
    attribution = result["attribution"]
    assert isinstance(attribution, list)
    assert Decimal(attribution[0]["profit"]) == account.equity - 1_000_000


async def test_one_day_has_no_figures_and_says_so(room: Room) -> None:
    result = await room.ask("analytics_reporting", "performance_analysis")
    assert (result["total_return"], result["sharpe"], result["win_rate"]) == (None, None, None)
    assert "need two" in str(result["conclusion"])


async def test_a_given_history_is_used(room: Room) -> None:
    history: list[JsonValue] = [
        {"date": "2012-12-10", "equity": "100"},
        {"date": "2012-12-11", "equity": 110},
        {"date": "2012-12-12", "equity": "99"},
    ]
    result = await room.ask("analytics_reporting", "performance_analysis", equity_history=history)
    assert (result["total_return"], result["max_drawdown"]) == (-0.01, -0.1)


@pytest.mark.parametrize(
    "row", [{"date": "2012-12-10"}, {"date": "x", "equity": 1}, {"date": "2012-12-10", "equity": "x"}]
)
async def test_a_wrong_history_is_refused(room: Room, row: JsonValue) -> None:
    with pytest.raises(DefinitionError, match=r"equity_history\[0\]"):
        await room.ask("analytics_reporting", "performance_analysis", equity_history=[row])


def test_figures_follow_their_definitions() -> None:
    preload()
    values = [100.0, 102.0, 101.0, 104.0]
    returns = [b / a - 1 for a, b in itertools.pairwise(values)]
    mean = sum(returns) / 3
    deviation = math.sqrt(sum((r - mean) ** 2 for r in returns) / 2)
    found = performance(list(zip(DAYS, values, strict=False)))
    assert found.total_return == pytest.approx(0.04)
    assert found.volatility == pytest.approx(deviation * math.sqrt(252))
    assert found.sharpe == pytest.approx(mean / deviation * math.sqrt(252))
    assert found.max_drawdown == pytest.approx(101 / 102 - 1)
    assert found.best_day == pytest.approx(max(returns))
    assert found.worst_day == pytest.approx(min(returns))
    assert found.winning_days == pytest.approx(2 / 3)


def test_two_days_have_a_return_and_no_deviation() -> None:
    found = performance([(DAYS[0], 100.0), (DAYS[1], 101.0)])
    assert (found.total_return, found.volatility, found.sharpe) == (0.01, None, None)


def test_a_curve_that_never_moves_has_no_sharpe() -> None:
    found = performance([(day, 100.0) for day in DAYS])
    assert (found.volatility, found.sharpe, found.max_drawdown) == (0.0, None, 0.0)


def test_an_equity_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="leave such days out"):
        performance([(DAYS[0], 0.0)])


async def test_the_page_tells_what_was_concluded_and_what_is_missing(room: Room) -> None:
    room.broker.give("UP", 10, 100)
    inputs: dict[str, JsonValue] = {"risk_monitoring@19:55Z": {"conclusion": "All limits are kept."}, "rebalance": None}
    result = await room.ask("analytics_reporting", "report_generation", inputs)
    page = str(result["markdown"])
    assert "- risk monitoring: All limits are kept." in page
    assert "- rebalance: no result" in page
    assert "| UP | 10 |" in page
    assert result["missing"] == ["rebalance"]


async def test_maintenance_counts(room: Room) -> None:
    room.broker.give("UP", 10, 100)
    room.broker.fill_markets = False
    await room.broker.submit(Order(client_order_id="open", symbol="UP", side=Side.BUY, quantity=Decimal(1)))
    room.broker.reject = {"UP"}
    await room.broker.submit(Order(client_order_id="bad", symbol="UP", side=Side.BUY, quantity=Decimal(1)))
    room.market.today += timedelta(days=9)
    result = await room.ask("analytics_reporting", "system_maintenance")
    counted = [result[key] for key in ("orders", "fills", "rejected", "open_orders", "oldest_open_order")]
    assert counted == [3, 1, 1, 1, "open"]
    assert result["days_of_prices_left"] == {"DOWN": 9, "FLAT": 9, "UP": 9}


async def test_fills_since_the_last_close_are_said_not_to_be_in_the_figures(room: Room) -> None:
    room.broker.give("UP", 10, 100)
    result = await room.ask("analytics_reporting", "performance_analysis")
    assert str(result["conclusion"]).endswith("1 fills since the last close are not in it yet.")
