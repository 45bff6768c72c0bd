"""The analysts and the economist."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from orchestration.domain.bars import Instrument, Right, Tick
from orchestration.domain.json_value import JsonObject, JsonValue
from tests.fakes_market import TODAY, bars
from tests.unit.agents.conftest import NOON, Room, wave


def by_symbol(result: JsonObject, key: str = "symbols") -> dict[str, JsonObject]:
    rows = result[key]
    assert isinstance(rows, list)
    return {row["symbol"]: row for row in rows}


def share(value: JsonValue) -> float:
    assert isinstance(value, float)
    return value


async def test_what_cannot_be_traded_is_listed_with_its_reason(room: Room) -> None:
    room.market.closed = {"FLAT"}
    room.market.history["NEW"] = ()
    result = await room.ask("junior_analyst", "data_collection", symbols=["UP", "FLAT", "NEW", "GOOGL", "UP"])
    assert result["usable"] == ["UP"]
    reasons = {name: row["reason"] for name, row in by_symbol(result, "unusable").items()}
    assert reasons["FLAT"] == "no price on 2012-12-12"
    assert reasons["NEW"] == "no session before 2012-12-12 has a price"
    assert str(reasons["GOOGL"]).startswith("unknown to the price source")
    assert by_symbol(result)["UP"]["bars"] == 260


async def test_analysis_scores_every_usable_name(room: Room) -> None:
    result = by_symbol(await room.ask("junior_analyst", "market_analysis"))
    assert share(result["UP"]["momentum"]) > 0.3
    assert share(result["DOWN"]["momentum"]) < -0.3
    indicators = result["UP"]["indicators"]
    assert isinstance(indicators, dict)
    assert None not in indicators.values()


async def test_analysis_leaves_out_what_data_collection_left_out(room: Room) -> None:
    collected: JsonObject = {"usable": ["UP"]}
    result = await room.ask("junior_analyst", "market_analysis", {"data_collection": collected})
    assert list(by_symbol(result)) == ["UP"]
    assert list(by_symbol(result, "unusable")) == ["DOWN", "FLAT"]


async def test_monitoring_names_what_moved_and_reads_no_history(room: Room) -> None:
    close = room.market.history["UP"][-1].close
    room.market.prices["UP"] = close * Decimal("1.04")
    result = await room.ask("junior_analyst", "market_monitoring")
    assert result["alerts"] == ["UP +4.0%"]
    assert room.market.asked_bars == 3


async def test_the_regime_of_a_rising_market_is_rising(room: Room) -> None:
    for name in ("A", "B"):
        room.market.history[name] = bars(name, wave(100, 0.002, noise=0.3))
    result = await room.ask("economist", "macro_assessment", symbols=["A", "B"])
    assert (result["regime"], result["risk_budget"]) == ("rising", 1.0)


async def test_high_volatility_is_judged_against_the_desks_threshold(room: Room) -> None:
    calm = await room.ask("economist", "volatility_assessment")
    assert (calm["high"], calm["limit_scale"]) == (False, 1.0)
    room.change(high_volatility=share(calm["volatility"]) / 2)
    high = await room.ask("economist", "volatility_assessment")
    assert (high["high"], high["limit_scale"]) == (True, 0.5)


async def test_the_preview_says_what_is_at_stake(room: Room) -> None:
    price = float(room.market.history["UP"][-1].close)
    room.broker.give("UP", 1000, price)
    result = await room.ask("economist", "fomc_preview", statement_at="2012-12-12T17:30:00Z")
    assert "due at 17:30 UTC" in str(result["conclusion"])
    assert share(result["at_stake"]) == pytest.approx(
        share(result["net_exposure"]) * share(result["daily_volatility"]), rel=1e-8
    )


async def test_a_statement_is_measured_from_the_last_price_before_it(room: Room) -> None:
    when = datetime(2012, 12, 12, 16, 30, tzinfo=UTC)
    for symbol in room.market.symbols:
        tick = Tick(at=when - timedelta(minutes=1), price=Decimal(100), volume=1)
        room.market.ticks_of[symbol] = (tick,)
        room.market.prices[symbol] = Decimal(80)
    room.market.quoted_at = when + timedelta(minutes=15)
    result = await room.ask("economist", "statement_analysis", statement_at=when.isoformat())
    assert (result["move"], result["verdict"]) == (-0.2, "sell_off")


async def test_a_statement_after_the_last_price_is_not_judged(room: Room) -> None:
    """London has closed when Washington speaks: the day's own move is no answer to the statement."""
    when = datetime(2012, 12, 12, 17, 30, tzinfo=UTC)
    for symbol in room.market.symbols:
        room.market.prices[symbol] = Decimal(80)
    result = await room.ask("economist", "statement_analysis", statement_at=when.isoformat())
    assert (result["move"], result["verdict"]) == (None, "unknown")
    unusable = result["unusable"]
    assert isinstance(unusable, list)
    assert len(unusable) == 3


async def test_the_preview_tells_when_the_statement_came(room: Room) -> None:
    preview: JsonObject = {"statement_at": "2012-12-12T16:30:00+00:00"}
    result = await room.ask("economist", "statement_analysis", {"fomc_preview": preview})
    assert result["statement_at"] == preview["statement_at"]


async def test_without_a_statement_time_the_previous_close_counts(room: Room) -> None:
    result = await room.ask("economist", "statement_analysis")
    assert (result["move"], result["verdict"]) == (0.0, "calm")


async def ranked(room: Room, **macro: JsonValue) -> JsonObject:
    analysis = await room.ask("junior_analyst", "market_analysis")
    inputs: dict[str, JsonValue] = {"market_analysis": analysis}
    if macro:
        inputs["macro_assessment@14:00Z"] = macro
    return await room.ask("senior_analyst", "opportunity_identification", inputs)


async def test_the_regime_decides_the_mix(room: Room) -> None:
    trend = await ranked(room, regime="rising", risk_budget=0.9, momentum_share=1.0)
    found = by_symbol(trend, "candidates")
    assert found["UP"]["direction"] == "long"
    assert found["DOWN"]["direction"] == "flat"
    assert found["UP"]["score"] == found["UP"]["momentum"]
    assert trend["risk_budget"] == 0.9
    fade = by_symbol(await ranked(room, regime="range", risk_budget=0.9, momentum_share=0.0), "candidates")
    assert fade["UP"]["score"] == fade["UP"]["mean_reversion"]


async def test_candidates_come_best_first(room: Room) -> None:
    rows = (await ranked(room, regime="rising", risk_budget=1.0, momentum_share=0.8))["candidates"]
    assert isinstance(rows, list)
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores, reverse=True)


async def test_a_missing_macro_assessment_is_said(room: Room) -> None:
    result = await ranked(room)
    assert "macro_assessment left no result" in str(result["method"])
    assert result["risk_budget"] == 0.5


async def test_too_short_a_history_is_unusable(room: Room) -> None:
    room.market.history["UP"] = room.market.history["UP"][-10:]
    result = await ranked(room, risk_budget=1.0, momentum_share=0.5)
    assert by_symbol(result, "unusable")["UP"]["reason"] == "history too short"


async def test_an_earnings_surprise_is_named(room: Room) -> None:
    room.market.prices["FLAT"] = room.market.history["FLAT"][-1].close * 2
    result = await room.ask("senior_analyst", "earnings_analysis", symbols=["FLAT"])
    assert "FLAT" in str(result["conclusion"])
    assert by_symbol(result)["FLAT"]["move"] == 1.0


OPTION = Instrument(
    symbol="UPCALL",
    expires_on=TODAY,
    strike=Decimal(100),
    right=Right.CALL,
    underlying="UP",
    multiplier=Decimal(100),
)


async def test_what_expires_before_the_next_session_is_closed_in_this_one(room: Room) -> None:
    """An option of a Saturday is worth closing on the Friday before: the day after is too late."""
    saturday = replace(OPTION, expires_on=TODAY + timedelta(days=1))
    room.market.history["UPCALL"] = bars("UPCALL", [5.0] * 30)
    room.change(instruments={"UPCALL": saturday})
    room.broker.give("UPCALL", 3, 5)
    for following, said in (("2012-12-13", "Nothing expires."), ("2012-12-14", "Close UPCALL.")):
        execution: JsonObject = {"session": str(TODAY), "next_session": following}
        result = await room.ask("portfolio_manager", "close_expiring_positions", execution=execution)
        assert result["conclusion"] == said


async def test_with_shares_only_nothing_expires(room: Room) -> None:
    room.broker.give("UP", 10, 100)
    for agent, task in (
        ("senior_analyst", "expiration_review"),
        ("portfolio_manager", "close_expiring_positions"),
        ("portfolio_manager", "pin_risk_check"),
    ):
        assert (await room.ask(agent, task))["conclusion"] == "Nothing expires."


async def test_what_expires_is_reviewed_closed_and_checked_for_pinning(room: Room) -> None:
    room.change(instruments={"UPCALL": OPTION})
    room.broker.multipliers["UPCALL"] = Decimal(100)
    room.broker.give("UPCALL", 3, 2.0)
    room.market.prices["UP"] = Decimal("100.5")
    review = await room.ask("senior_analyst", "expiration_review")
    assert by_symbol(review, "expiring")["UPCALL"]["quantity"] == "3"
    closing = await room.ask("portfolio_manager", "close_expiring_positions")
    other = await room.ask("portfolio_manager", "close_expiring_positions", underlying="VIX")
    assert other["conclusion"] == "Nothing expires."
    assert [(t["side"], t["quantity"]) for t in by_symbol(closing, "trades").values()] == [("sell", "3")]
    pins = by_symbol(await room.ask("portfolio_manager", "pin_risk_check"), "risks")
    assert (pins["UPCALL"]["distance"], pins["UPCALL"]["at_risk"]) == (0.005, True)


async def test_an_underlying_without_a_price_is_said(room: Room) -> None:
    room.change(instruments={"UPCALL": OPTION})
    room.broker.give("UPCALL", 3, 2.0)
    del room.market.history["UP"]
    assert list(by_symbol(await room.ask("portfolio_manager", "pin_risk_check"), "unusable")) == ["UPCALL"]


async def test_tomorrow_has_levels_an_average_range_away(room: Room) -> None:
    level = by_symbol(await room.ask("senior_analyst", "next_day_preparation"), "levels")["UP"]
    close = Decimal(str(level["close"]))
    assert Decimal(str(level["high"])) - close == close - Decimal(str(level["low"])) > 0


async def test_the_session_is_the_clocks_where_the_run_names_none(room: Room) -> None:
    room.clock.moment = NOON + timedelta(hours=13)  # 01:00 New York: already the next date
    agent = room.agents()["junior_analyst"]
    result = await agent.execute_data_collection({"symbols": ["UP"]})  # type: ignore[attr-defined]  # by its declared task type
    assert "2012-12-13" in str(result["method"])
