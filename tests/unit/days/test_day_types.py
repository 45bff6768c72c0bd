"""Rules that combine, each with its reason."""

from datetime import UTC, date, datetime

import pytest

from orchestration.days.day_types import DayKind, DayType, closed_day, kind_of_session
from orchestration.days.earnings import EarningsReport, EarningsSchedule, When
from orchestration.days.fomc import FomcMeeting, FomcSchedule
from orchestration.days.stage_times import stage_times, whole
from orchestration.days.volatility import judge
from tests.unit.days.fakes import WeekdayCalendar

EXPIRATION = date(2012, 12, 21)
CALENDAR = WeekdayCalendar("XNYS", early=(EXPIRATION,))
MEETING = FomcMeeting(decision=EXPIRATION, statement=datetime(2012, 12, 21, 17, 30, tzinfo=UTC))
SCHEDULE = FomcSchedule(first=date(2006, 1, 1), last=date(2028, 1, 31), file="fomc.json", meetings=(MEETING,))
REPORTS = EarningsSchedule(
    file="earnings.csv",
    reports=(
        EarningsReport(symbol="IBM", date=EXPIRATION, when=When.BEFORE),
        EarningsReport(symbol="AAPL", date=EXPIRATION, when=When.AFTER),
    ),
)


def kind(on: date, *, volatility: float | None = 0.2, symbols: frozenset[str] = frozenset()) -> DayKind:
    session = CALENDAR.session(on)
    assert session
    return kind_of_session(
        session,
        calendar=CALENDAR,
        day=whole(stage_times(session)),
        fomc_schedule=SCHEDULE,
        earnings=REPORTS if symbols else None,
        symbols=symbols,
        realised_volatility=volatility,
    )


def test_an_ordinary_session_is_standard_and_nothing_else() -> None:
    found = kind(date(2012, 12, 11))
    assert found.types == (DayType.STANDARD,)
    assert found.reason == "an ordinary session"
    assert found.warnings == ()


def test_every_rule_may_hold_on_one_day() -> None:
    found = kind(EXPIRATION, volatility=0.55, symbols=frozenset({"AAPL", "IBM"}))
    assert found.types == (
        DayType.EARLY_CLOSE,
        DayType.EARNINGS,
        DayType.FOMC,
        DayType.HIGH_VOLATILITY,
        DayType.MONTHLY_EXPIRATION,
        DayType.QUARTERLY_EXPIRATION,
    )
    assert set(found.reasons) == set(found.types)
    assert found.reasons[DayType.EARLY_CLOSE] == "the exchange closes early, at 13:00 (America/New_York)"
    assert found.reasons[DayType.EARNINGS] == "earnings: IBM before the open, AAPL after the close"
    assert found.reasons[DayType.HIGH_VOLATILITY] == "20-day realised volatility of 55.0% is over 40.0%"


def test_a_report_of_a_name_that_the_desk_does_not_trade_is_nothing_special() -> None:
    assert DayType.EARNINGS not in kind(EXPIRATION, symbols=frozenset({"MSFT"})).types


def test_a_closed_day_has_one_kind_and_the_reason() -> None:
    found = closed_day("weekend")
    assert (found.types, found.reason) == ((DayType.MARKET_CLOSED,), "weekend")


def test_without_prices_a_warning_says_that_volatility_was_not_judged() -> None:
    found = kind(date(2012, 12, 11), volatility=None)
    assert found.warnings == ("high_volatility was not judged: too few prices are known up to the session before",)


def test_each_file_that_does_not_know_the_date_is_named() -> None:
    found = kind(date(2005, 12, 12), symbols=frozenset({"AAPL"}))
    assert [warning.split()[0] for warning in found.warnings] == ["fomc.json", "earnings.csv"]


@pytest.mark.parametrize(("realised", "high"), [(0.41, True), (0.40, False), (0.1, False), (None, None)])
def test_a_day_is_volatile_over_the_threshold_and_not_at_it(realised: float | None, high: bool | None) -> None:
    assert judge(realised, 0.40).high is high
