"""The portfolio manager: targets, limits, trades; and the senior analyst's check of them."""

from datetime import date
from decimal import Decimal

import pytest

from orchestration.domain.bars import Instrument
from orchestration.domain.desk import RiskLimits, Weighting
from orchestration.domain.errors import DefinitionError
from orchestration.domain.json_value import JsonObject, JsonValue
from orchestration.domain.orders import Order, Side
from tests.unit.agents.conftest import Room

LONGS: JsonObject = {
    "candidates": [
        {"symbol": "UP", "score": 0.6, "direction": "long"},
        {"symbol": "FLAT", "score": 0.2, "direction": "long"},
        {"symbol": "DOWN", "score": -0.4, "direction": "flat"},
    ],
    "risk_budget": 0.8,
}


def trades(result: JsonObject, key: str = "trades") -> list[JsonObject]:
    rows = result[key]
    assert isinstance(rows, list)
    return rows


def bought(result: JsonObject) -> dict[str, Decimal]:
    """Signed quantities by symbol."""
    total: dict[str, Decimal] = {}
    for row in trades(result):
        sign = 1 if row["side"] == "buy" else -1
        symbol = str(row["symbol"])
        total[symbol] = total.get(symbol, Decimal(0)) + sign * Decimal(str(row["quantity"]))
    return total


def weights(result: JsonObject) -> dict[str, float]:
    found = result["target_weights"]
    assert isinstance(found, dict)
    return found


def price(room: Room, symbol: str) -> Decimal:
    return room.market.history[symbol][-1].close


async def generate(room: Room, **task_data: JsonValue) -> JsonObject:
    inputs: dict[str, JsonValue] = {"opportunity_identification": LONGS}
    return await room.ask("portfolio_manager", "generate_trades", inputs, **task_data)


async def test_the_review_adds_up(room: Room) -> None:
    room.broker.give("UP", 100, 100)
    result = await room.ask("portfolio_manager", "portfolio_review")
    assert Decimal(str(result["equity"])) == Decimal(str(result["cash"])) + 100 * price(room, "UP")
    assert Decimal(str(result["started_with"])) == Decimal("1000000.00")


async def test_the_assessment_shows_scaled_limits_and_the_room_under_them(room: Room) -> None:
    result = await room.ask("portfolio_manager", "risk_assessment", limit_scale=0.5)
    assert result["limits"] == {"gross": 0.5, "per_name": 0.15, "per_order": 0.05, "daily_loss": 0.01}
    assert result["headroom"] == 0.5


@pytest.mark.parametrize("weighting", list(Weighting))
async def test_targets_keep_every_limit(room: Room, weighting: Weighting) -> None:
    room.change(weighting=weighting, limits=RiskLimits(gross=0.5, per_name=0.3, per_order=0.1))
    result = await generate(room)
    found = weights(result)
    assert found["DOWN"] == 0.0
    assert 0 < found["FLAT"] < 0.3
    assert sum(found.values()) <= 0.5 * 0.8
    for row in trades(result):
        assert Decimal(str(row["quantity"])) * Decimal(str(row["reference_price"])) <= Decimal(100000)


async def test_the_limits_of_the_assessment_win(room: Room) -> None:
    inputs: dict[str, JsonValue] = {
        "opportunity_identification": LONGS,
        "risk_assessment": {"limits": {"per_name": 0.01}},
    }
    result = await room.ask("portfolio_manager", "generate_trades", inputs)
    assert max(weights(result).values()) == pytest.approx(0.0095)


async def test_what_should_be_flat_is_sold_first(room: Room) -> None:
    room.broker.give("DOWN", 500, 150)
    result = await generate(room)
    assert bought(result)["DOWN"] == -500
    assert trades(result)[0]["symbol"] == "DOWN"


async def test_without_opportunities_nothing_is_traded(room: Room) -> None:
    room.broker.give("DOWN", 500, 150)
    result = await room.ask("portfolio_manager", "generate_trades", {"opportunity_identification": None})
    assert trades(result) == []
    assert "left no result" in str(result["conclusion"])


async def test_a_candidate_without_a_price_is_left_alone(room: Room) -> None:
    room.broker.give("UP", 10, 100)
    room.market.closed = {"UP"}
    result = await generate(room)
    assert "UP" not in weights(result)
    assert result["unusable"] == [{"symbol": "UP", "reason": "no price on 2012-12-12"}]


async def test_orders_that_are_open_count_as_done(room: Room) -> None:
    room.broker.fill_markets = False
    for index, row in enumerate(trades(await generate(room))):
        quantity = Decimal(str(row["quantity"]))
        await room.broker.submit(
            Order(client_order_id=str(index), symbol=str(row["symbol"]), side=Side.BUY, quantity=quantity)
        )
    assert trades(await generate(room)) == []


async def test_after_the_daily_loss_nothing_is_bought(room: Room) -> None:
    room.broker.give("DOWN", 2000, 200)
    room.market.prices["DOWN"] = price(room, "DOWN") / 2
    result = await generate(room)
    assert bought(result) == {"DOWN": Decimal(-2000)}
    assert "nothing is bought" in str(result["conclusion"])


async def test_good_trades_are_approved(room: Room) -> None:
    planned = await generate(room)
    result = await room.ask("senior_analyst", "validate_trades", {"generate_trades": planned})
    assert result["approved"] == planned["trades"]
    assert result["rejected"] == []


def row(symbol: str, quantity: str, at: Decimal, side: str = "buy") -> JsonObject:
    return {"symbol": symbol, "side": side, "quantity": quantity, "reference_price": str(at)}


async def check(room: Room, *rows: JsonObject, **task_data: JsonValue) -> list[str]:
    """The reasons for which trades were rejected."""
    inputs: dict[str, JsonValue] = {"generate_trades": {"trades": list(rows)}}
    result = await room.ask("senior_analyst", "validate_trades", inputs, **task_data)
    return [str(one["reason"]) for one in trades(result, "rejected")]


@pytest.mark.parametrize(
    ("symbol", "quantity", "side", "reason"),
    [
        ("FLAT", "1.5", "buy", "not a whole number of lots"),
        ("FLAT", "2500", "buy", "the order is"),
        ("FLAT", "10", "sell", "does not go short"),
    ],
)
async def test_a_bad_trade_is_rejected(room: Room, symbol: str, quantity: str, side: str, reason: str) -> None:
    assert reason in (await check(room, row(symbol, quantity, price(room, symbol), side)))[0]


async def test_trades_add_up_in_the_check(room: Room) -> None:
    one = row("FLAT", "1500", price(room, "FLAT"))
    reasons = await check(room, one, one, one, one)
    assert len(reasons) == 2 - (price(room, "FLAT") * 4500 < 309_000)
    assert "FLAT afterwards" in reasons[-1]


async def test_gross_exposure_is_checked_over_all_names(room: Room) -> None:
    room.change(limits=RiskLimits(gross=0.1, per_name=1.0, per_order=1.0))
    reasons = await check(room, row("FLAT", "1000", price(room, "FLAT")), row("UP", "1000", price(room, "UP")))
    assert len(reasons) == 1
    assert "gross exposure" in reasons[0]


async def test_a_price_that_ran_away_is_an_objection(room: Room) -> None:
    assert "left the reference" in (await check(room, row("UP", "1", price(room, "UP") * 2)))[0]


async def test_a_symbol_without_a_price_is_an_objection(room: Room) -> None:
    assert await check(room, row("NOPE", "1", Decimal(5))) == ["no price is known now"]


async def test_after_the_daily_loss_only_reductions_are_approved(room: Room) -> None:
    room.broker.give("DOWN", 2000, 200)
    room.market.prices["DOWN"] = price(room, "DOWN") / 2
    now = room.market.prices["DOWN"]
    assert await check(room, row("DOWN", "2000", now, "sell")) == []
    assert "only reductions" in (await check(room, row("DOWN", "1", now)))[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"symbol": "UP"},
        {**row("UP", "1", Decimal(1)), "side": "hold"},
        {**row("UP", "one", Decimal(1))},
        {**row("UP", "0", Decimal(1))},
        {**row("UP", "1", Decimal(1)), "type": "stop"},
        {**row("UP", "1", Decimal(1)), "type": "limit"},
    ],
)
async def test_what_is_no_trade_is_refused(room: Room, wrong: JsonObject) -> None:
    with pytest.raises(DefinitionError, match=r"trades\[0\]"):
        await check(room, wrong)


async def test_monitoring_is_quiet_within_the_limits(room: Room) -> None:
    room.broker.give("UP", 100, 100)
    room.market.asked_bars = 0
    result = await room.ask("portfolio_manager", "risk_monitoring")
    assert (result["breaches"], result["trades"]) == ([], [])
    assert room.market.asked_bars == 1


async def test_monitoring_proposes_what_ends_a_breach(room: Room) -> None:
    room.market.prices["FLAT"] = Decimal(50)
    room.broker.give("FLAT", 8000, 50)
    result = await room.ask("portfolio_manager", "risk_monitoring")
    assert bought(result)["FLAT"] < -1000
    assert "per_name of FLAT is 40.00%" in str(result["conclusion"])
    for leg in trades(result):
        side = Side(str(leg["side"]))
        quantity = Decimal(str(leg["quantity"]))
        room.broker.give("FLAT", int(side.sign * quantity), 50)
    assert (await room.ask("portfolio_manager", "risk_monitoring"))["breaches"] == []


async def test_the_position_check_names_what_is_left_open(room: Room) -> None:
    room.broker.fill_markets = False
    await room.broker.submit(Order(client_order_id="x", symbol="UP", side=Side.BUY, quantity=Decimal(1)))
    assert (await room.ask("portfolio_manager", "position_check"))["open_orders"] == ["x"]


async def test_a_rebalance_needs_a_drift(room: Room) -> None:
    for leg in trades(await generate(room)):
        room.broker.give(str(leg["symbol"]), int(str(leg["quantity"])), float(str(leg["reference_price"])))
    inputs: dict[str, JsonValue] = {"opportunity_identification": LONGS}
    assert trades(await room.ask("portfolio_manager", "rebalance", inputs)) == []
    room.market.prices["UP"] = price(room, "UP") * Decimal("1.2")
    result = await room.ask("portfolio_manager", "rebalance", inputs)
    assert set(bought(result)) == {"UP"}
    assert bought(result)["UP"] < 0


async def test_a_rebalance_goes_by_the_morning_s_targets_where_they_are_known(room: Room) -> None:
    inputs: dict[str, JsonValue] = {"generate_trades": {"target_weights": {"FLAT": 0.1, "UP": 0.01}}}
    result = await room.ask("portfolio_manager", "rebalance", inputs)
    assert weights(result) == {"FLAT": 0.1}
    assert result["drifts"] == {"FLAT": -0.1, "UP": -0.01}


async def test_a_rebalance_without_inputs_reads_the_signals_itself(room: Room) -> None:
    assert "UP" in bought(await room.ask("portfolio_manager", "rebalance"))


async def test_a_rebalance_buys_nothing_back_that_was_cut_for_a_statement(room: Room) -> None:
    room.broker.give("UP", 100, 100)
    room.broker.book("UP", Side.SELL, Decimal(50), Decimal(100), "run1:exposure_cut_execution:UP:1.1M")
    inputs: dict[str, JsonValue] = {"generate_trades": {"target_weights": {"UP": 0.2, "FLAT": 0.1}}}
    result = await room.ask("portfolio_manager", "rebalance", inputs)
    assert (set(bought(result)), result["kept_cut"]) == ({"FLAT"}, ["UP"])


async def test_a_cut_halves_every_long_position(room: Room) -> None:
    room.broker.give("UP", 101, 100)
    room.broker.give("DOWN", -10, 150)
    assert bought(await room.ask("portfolio_manager", "exposure_cut")) == {"UP": Decimal(-51)}
    assert bought(await room.ask("portfolio_manager", "exposure_cut", keep=0.9)) == {"UP": Decimal(-11)}
    assert bought(await room.ask("portfolio_manager", "exposure_cut", keep=1.0)) == {}


@pytest.mark.parametrize(("sigmas", "stance", "back"), [(0.5, "restored", 51), (-1.5, "cut", 0), (None, "cut", 0)])
async def test_after_a_calm_statement_what_was_cut_comes_back(
    room: Room, sigmas: float | None, stance: str, back: int
) -> None:
    room.broker.give("UP", 101, 100)
    room.broker.book("UP", Side.SELL, Decimal(51), Decimal(100), "run1:exposure_cut_execution:UP:1.1M")
    room.broker.book("UP", Side.SELL, Decimal(5), Decimal(100), "run1:rebalance_execution:UP:1.1M")
    inputs: dict[str, JsonValue] = {"statement_analysis": {"move_in_sigmas": sigmas}}
    result = await room.ask("portfolio_manager", "post_statement_adjustment", inputs)
    assert (result["stance"], bought(result).get("UP", 0)) == (stance, back)


async def test_what_came_back_already_does_not_come_back_twice(room: Room) -> None:
    room.broker.book("UP", Side.SELL, Decimal(51), Decimal(100), "run1:exposure_cut_execution:UP:1.1M")
    room.broker.book("UP", Side.BUY, Decimal(51), Decimal(100), "run1:post_statement_execution:UP:1.1M")
    inputs: dict[str, JsonValue] = {"statement_analysis": {"move_in_sigmas": 0.1}}
    result = await room.ask("portfolio_manager", "post_statement_adjustment", inputs)
    assert "nothing was cut" in str(result["conclusion"])


async def test_the_preview_says_how_much_to_keep(room: Room) -> None:
    room.broker.give("UP", 100, 100)
    result = await room.ask("portfolio_manager", "exposure_cut", {"fomc_preview": {"keep": 0.8}})
    assert bought(result) == {"UP": Decimal(-20)}


async def test_after_the_daily_loss_nothing_is_bought_back(room: Room) -> None:
    room.broker.book("UP", Side.BUY, Decimal(100), Decimal(500), "run1:execute_trades:UP:1.1M")
    room.broker.book("UP", Side.SELL, Decimal(50), price(room, "UP"), "run1:exposure_cut_execution:UP:1.1M")
    inputs: dict[str, JsonValue] = {"statement_analysis": {"move_in_sigmas": 0.1}}
    result = await room.ask("portfolio_manager", "post_statement_adjustment", inputs)
    assert (result["stance"], result["trades"]) == ("cut", [])
    assert "nothing is bought" in str(result["conclusion"])


async def test_nothing_is_opened_in_what_can_be_traded_for_the_last_time(room: Room) -> None:
    room.change(instruments={"UP": Instrument(symbol="UP", expires_on=date(2012, 12, 12))})
    result = await generate(room)
    assert set(weights(result)) == {"DOWN", "FLAT"}
    assert {"symbol": "UP", "reason": "expires on 2012-12-12"} in trades(result, "unusable")


async def test_a_trade_that_makes_a_position_smaller_may_do_nothing_else(room: Room) -> None:
    room.broker.give("DOWN", 100, 100)
    result = await generate(room)
    assert {(row["symbol"], row["reduce_only"]) for row in trades(result)} == {
        ("DOWN", True),
        ("FLAT", False),
        ("UP", False),
    }
