"""Reports: on which session, and when no new position in the name is taken."""

from datetime import UTC, date, datetime

import pytest

from orchestration.days import earnings
from orchestration.days.earnings import EarningsReport, EarningsSchedule, When
from orchestration.domain.session import Session
from tests.unit.days.fakes import WeekdayCalendar

CALENDAR = WeekdayCalendar("XNYS", date(2012, 10, 29))
NAMES = frozenset({"AAPL", "IBM"})


def report(symbol: str, on: date, when: When) -> EarningsReport:
    return EarningsReport(symbol=symbol, date=on, when=when)


def schedule(*reports: EarningsReport) -> EarningsSchedule:
    return EarningsSchedule(file="earnings.csv", reports=reports)


def session(on: date) -> Session:
    found = CALENDAR.session(on)
    assert found
    return found


def test_a_report_after_the_close_restricts_that_session_to_its_end() -> None:
    window = earnings.window(report("AAPL", date(2012, 10, 25), When.AFTER), CALENDAR)
    assert window.starts_at == datetime(2012, 10, 25, 10, tzinfo=UTC)
    assert window.ends_at == datetime(2012, 10, 25, 22, tzinfo=UTC)


def test_a_report_before_the_open_restricts_from_the_session_before_to_the_open() -> None:
    window = earnings.window(report("AAPL", date(2012, 10, 30), When.BEFORE), CALENDAR)
    assert window.starts_at == datetime(2012, 10, 26, 10, tzinfo=UTC)
    assert window.ends_at == datetime(2012, 10, 30, 13, 30, tzinfo=UTC)


@pytest.mark.parametrize("when", list(When))
def test_a_report_on_a_closed_day_is_out_before_the_next_open(when: When) -> None:
    found, placed = earnings.placed(report("AAPL", date(2012, 10, 28), when), CALENDAR)
    assert (found.date, placed) == (date(2012, 10, 30), When.BEFORE)


def test_the_names_that_report_are_sorted_and_only_the_desk_s() -> None:
    on = date(2012, 10, 25)
    reports = schedule(report("IBM", on, When.AFTER), report("AAPL", on, When.AFTER), report("XYZ", on, When.BEFORE))
    found = earnings.reports_on(reports, CALENDAR, session(on), NAMES)
    assert found == {When.BEFORE: (), When.AFTER: ("AAPL", "IBM")}


def test_the_session_before_a_report_is_restricted_too_for_that_name_only() -> None:
    reports = schedule(report("AAPL", date(2012, 10, 30), When.BEFORE), report("IBM", date(2012, 11, 30), When.AFTER))
    (found,) = earnings.restrictions_in(reports, CALENDAR, session(date(2012, 10, 26)), NAMES)
    assert found.symbols == frozenset({"AAPL"})
    assert found.reason == "AAPL reports earnings before the open on 2012-10-30"
    assert found.holds(datetime(2012, 10, 26, 15, tzinfo=UTC), "AAPL")
    assert not found.holds(datetime(2012, 10, 26, 15, tzinfo=UTC), "IBM")
    assert earnings.restrictions_in(reports, CALENDAR, session(date(2012, 10, 25)), NAMES) == ()


def test_a_date_outside_the_file_is_never_a_quiet_no() -> None:
    reports = schedule(report("AAPL", date(2012, 7, 24), When.AFTER), report("AAPL", date(2012, 10, 25), When.AFTER))
    assert reports.warning(date(2012, 8, 1)) is None
    expected = "earnings.csv covers 2012-07-24 to 2012-10-25: whether 2012-10-26 is an earnings day is not known"
    assert reports.warning(date(2012, 10, 26)) == expected
    assert schedule().warning(date(2012, 1, 3)) == (
        "earnings.csv names no report: whether 2012-01-03 is an earnings day is not known"
    )
