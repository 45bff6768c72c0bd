"""When and how a session is judged."""

import math
from datetime import UTC, date, datetime, time, timedelta

import pytest

from orchestration.domain.session import Session
from tests.calendars import WeekdayCalendar
from tests.fakes_market import FixedMarket, bars
from workflows.volatility_watch import judged_now, next_look, volatility_so_far

TODAY = date(2012, 12, 12)


def session(pause: tuple[time, time] | None = None) -> Session:
    found = WeekdayCalendar(pause=pause).session(TODAY)
    assert found
    return found


def looks(of: Session) -> list[str]:
    found, now = [], of.opens_at - timedelta(hours=1)
    while (at := next_look(of, now)) is not None:
        found.append(f"{at:%H:%M}")
        now = at
    return found


def test_the_looks_are_half_an_hour_apart_inside_the_session() -> None:
    assert looks(session())[:2] == ["15:00", "15:30"]
    assert looks(session())[-1] == "20:30"


def test_a_break_is_left_out() -> None:
    assert looks(session((time(15, 30), time(16, 30))))[:3] == ["15:00", "16:30", "17:00"]


def flat(count: int = 20) -> dict[date, float]:
    return {TODAY - timedelta(days=count - index): 100.0 for index in range(count)}


def test_todays_move_counts_as_one_of_twenty_returns() -> None:
    found = volatility_so_far({"A": flat()}, TODAY, {"A": 110.0})
    move = math.log(1.1)
    mean = move / 20
    expected = math.sqrt((19 * mean**2 + (move - mean) ** 2) / 19) * math.sqrt(252)
    assert found == pytest.approx(expected)


def test_a_day_without_a_move_on_a_calm_past_is_calm() -> None:
    assert volatility_so_far({"A": flat()}, TODAY, {"A": 100.0}) == 0


def test_symbols_without_a_price_of_today_are_left_out() -> None:
    assert volatility_so_far({"A": flat(), "B": flat(3)}, TODAY, {"A": 100.0}) == 0
    assert volatility_so_far({"A": flat()}, TODAY, {}) is None


def test_too_few_closes_are_no_judgement() -> None:
    assert volatility_so_far({"A": flat(19)}, TODAY, {"A": 100.0}) is None


async def test_a_price_from_before_the_open_is_none_of_today() -> None:
    market = FixedMarket({"AAPL": bars("AAPL", [100.0] * 30)})
    assert await judged_now(market, ("AAPL",), session()) == 0
    late = Session(
        calendar="TEST",
        date=TODAY,
        opens_at=datetime(2012, 12, 12, 16, tzinfo=UTC),
        closes_at=datetime(2012, 12, 12, 21, tzinfo=UTC),
        timezone=session().timezone,
    )
    assert await judged_now(market, ("AAPL",), late) is None
