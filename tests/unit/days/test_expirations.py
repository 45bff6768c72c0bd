"""Expirations by rule, over a calendar with holidays of the test's own."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.days import expirations
from tests.unit.days.fakes import WeekdayCalendar


@given(year=st.integers(1990, 2040), month=st.integers(1, 12))
def test_the_third_friday_is_a_friday_from_the_15th_to_the_21st(year: int, month: int) -> None:
    found = expirations.third_friday(year, month)
    assert (found.year, found.month, found.weekday()) == (year, month, 4)
    assert 15 <= found.day <= 21


def test_an_expiration_moves_to_the_session_before_a_holiday() -> None:
    calendar = WeekdayCalendar("XNYS", date(2011, 4, 15), date(2011, 4, 14))
    assert expirations.monthly_expiration(calendar, 2011, 4) == date(2011, 4, 13)


@pytest.mark.parametrize("holiday", [date(2011, 3, 16), date(2011, 4, 15)])
def test_the_vix_expires_a_session_earlier_when_either_day_is_a_holiday(holiday: date) -> None:
    assert expirations.vix_expiration(WeekdayCalendar(), 2011, 3) == date(2011, 3, 16)
    assert expirations.vix_expiration(WeekdayCalendar("XNYS", holiday), 2011, 3) == date(2011, 3, 15)


def test_the_last_december_of_a_calendar_needs_no_january() -> None:
    assert expirations.vix_expiration(WeekdayCalendar(), 2012, 12) == date(2012, 12, 19)


def test_nothing_on_the_vix_expired_before_there_was_anything() -> None:
    assert not expirations.is_vix_expiration(WeekdayCalendar(), date(2004, 4, 21))
    assert expirations.is_vix_expiration(WeekdayCalendar(), date(2004, 5, 19))


def test_only_the_last_month_of_a_quarter_has_a_quarterly_expiration() -> None:
    calendar = WeekdayCalendar()
    assert expirations.is_quarterly_expiration(calendar, date(2012, 12, 21))
    assert not expirations.is_quarterly_expiration(calendar, date(2012, 11, 16))
    assert expirations.is_monthly_expiration(calendar, date(2012, 11, 16))


@pytest.mark.parametrize(("code", "expected"), [("NYSE", True), ("NASDAQ", True), ("XLON", False), ("24/7", False)])
def test_expirations_belong_to_the_us_equity_calendars(code: str, expected: bool) -> None:
    calendar = WeekdayCalendar(code)
    assert expirations.is_monthly_expiration(calendar, date(2012, 12, 21)) is expected
    assert expirations.is_quarterly_expiration(calendar, date(2012, 12, 21)) is expected
    assert expirations.is_vix_expiration(calendar, date(2012, 12, 19)) is expected
