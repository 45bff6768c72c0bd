"""What every trading calendar promises, tried on four exchanges."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.adapters.markets.exchange_calendar import ExchangeCalendar, open_calendar
from orchestration.days.overrides import Closure, EarlyClose, Override
from orchestration.domain.errors import DefinitionError
from orchestration.ports.trading_calendar import TradingCalendar
from tests.doubles import ManualClock

CODES = ["XNYS", "XLON", "XTKS", "24/7"]
NOW = datetime(2026, 11, 21, tzinfo=UTC)


@cache
def opened(code: str, overrides: tuple[Override, ...] = ()) -> ExchangeCalendar:
    return open_calendar(code, clock=ManualClock(NOW), overrides=overrides)


@pytest.fixture(params=CODES)
def calendar(request: pytest.FixtureRequest) -> TradingCalendar:
    return opened(request.param)


def test_a_calendar_covers_history_and_five_years_ahead(calendar: TradingCalendar) -> None:
    first, last = calendar.span
    assert first == (date(1997, 1, 1) if calendar.code == "XTKS" else date(1990, 1, 1))
    assert last == date(2031, 12, 31)


@pytest.mark.parametrize("code", CODES)
@given(days=st.integers(0, 12_000))
def test_sessions_are_dated_in_order_and_closed_days_have_a_reason(code: str, days: int) -> None:
    calendar = opened(code)
    on = date(1998, 1, 1) + timedelta(days=days)
    before, after = calendar.previous_session(on), calendar.next_session(on)
    session = calendar.session(on)
    assert before.date < on < after.date
    assert before.closes_at <= after.opens_at
    if session is None:
        assert calendar.closure_reason(on)
        assert calendar.next_session(before.date).date == after.date
        return
    assert session.date == on
    assert session.opens_at.tzinfo is UTC
    assert before.closes_at <= session.opens_at < session.closes_at <= after.opens_at
    assert all(session.opens_at < b.starts_at < b.ends_at <= session.closes_at for b in session.breaks)


@pytest.mark.parametrize("question", ["session", "closure_reason", "next_session", "previous_session"])
def test_a_date_outside_the_span_is_refused_with_the_span(calendar: TradingCalendar, question: str) -> None:
    ask: Callable[[date], object] = getattr(calendar, question)
    with pytest.raises(DefinitionError, match=r"1989-12-31 is out of range: .* covers \d{4}-01-01 to 2031-12-31"):
        ask(date(1989, 12, 31))


def test_there_is_no_session_beyond_the_ends_of_the_span(calendar: TradingCalendar) -> None:
    with pytest.raises(DefinitionError, match="no session after 2031-12-31 is known"):
        calendar.next_session(date(2031, 12, 31))
    first = calendar.span[0]
    with pytest.raises(DefinitionError, match=f"no session before {first} is known"):
        calendar.previous_session(first)


def hours(code: str, on: date) -> tuple[str, str] | None:
    session = opened(code).session(on)
    return (f"{session.opens_at:%d %H:%M}", f"{session.closes_at:%d %H:%M}") if session else None


@pytest.mark.parametrize(
    ("code", "on", "expected"),
    [
        ("XNYS", date(2012, 12, 12), ("12 14:30", "12 21:00")),
        ("XNYS", date(2012, 11, 23), ("23 14:30", "23 18:00")),
        ("XLON", date(2012, 12, 12), ("12 08:00", "12 16:30")),
        ("XLON", date(2012, 12, 24), ("24 08:00", "24 12:30")),
        ("XTKS", date(2012, 12, 12), ("12 00:00", "12 06:00")),
        ("24/7", date(2012, 12, 15), ("15 00:00", "16 00:00")),
        ("XLON", date(2012, 12, 26), None),
        ("XTKS", date(2012, 12, 31), None),
    ],
)
def test_hours_are_the_exchange_s_own_in_utc(code: str, on: date, expected: tuple[str, str] | None) -> None:
    assert hours(code, on) == expected


def test_tokyo_breaks_for_lunch() -> None:
    session = opened("XTKS").session(date(2012, 12, 12))
    assert session
    (lunch,) = session.breaks
    assert (f"{lunch.starts_at:%H:%M}", f"{lunch.ends_at:%H:%M}") == ("02:30", "03:30")


@pytest.mark.parametrize(
    ("code", "on", "reason"),
    [
        ("XNYS", date(2012, 12, 15), "weekend"),
        ("XNYS", date(2011, 1, 1), "weekend"),
        ("XNYS", date(2012, 12, 25), "Christmas"),
        ("XNYS", date(2026, 6, 19), "Juneteenth National Independence Day"),
        ("NYSE", date(2012, 10, 30), "Hurricane Sandy"),
        ("XLON", date(2012, 6, 5), "exchange closed"),
        ("XTKS", date(2012, 1, 9), "Coming of Age Day"),
    ],
)
def test_a_closed_day_says_why(code: str, on: date, reason: str) -> None:
    assert opened(code).closure_reason(on) == reason


def test_an_alias_keeps_the_name_that_the_user_gave() -> None:
    session = opened("NYSE").session(date(2012, 12, 12))
    assert opened("NYSE").code == "NYSE"
    assert session
    assert session.calendar == "NYSE"


def test_a_calendar_that_is_known_for_fewer_years_is_cut_to_them() -> None:
    assert opened("XSHG").span == (date(1990, 12, 3), date(2026, 12, 31))


def test_an_unknown_code_names_the_nearest() -> None:
    with pytest.raises(DefinitionError, match=r"no calendar is called 'xnys'; did you mean 'XNYS'\?"):
        open_calendar("xnys", clock=ManualClock(NOW))


CLOSED = Closure(date=date(2026, 12, 1), reason="day of mourning")
EARLY = EarlyClose(date=date(2026, 12, 2), close=time(13), reason="storm", calendar="XNYS")


def test_the_operator_s_closure_wins() -> None:
    calendar = opened("XNYS", (CLOSED, EARLY))
    assert calendar.session(CLOSED.date) is None
    assert calendar.closure_reason(CLOSED.date) == "day of mourning"
    assert calendar.next_session(date(2026, 11, 30)).date == date(2026, 12, 2)
    assert calendar.previous_session(date(2026, 12, 2)).date == date(2026, 11, 30)


def test_the_operator_s_early_close_wins_and_is_in_the_exchange_s_time() -> None:
    session = opened("XNYS", (CLOSED, EARLY)).session(EARLY.date)
    assert session
    assert session.closes_at == datetime(2026, 12, 2, 18, tzinfo=UTC)
    assert session.early_close


def test_an_override_that_names_another_exchange_changes_nothing() -> None:
    session = opened("XLON", (EARLY,)).session(EARLY.date)
    assert session
    assert not session.early_close


def test_an_override_by_an_alias_means_the_same_exchange() -> None:
    calendar = opened("NASDAQ", (EARLY,))
    session = calendar.session(EARLY.date)
    assert session
    assert session.early_close


def test_a_closure_of_a_day_that_is_closed_anyway_only_gives_the_reason() -> None:
    calendar = opened("XNYS", (Closure(date=date(2026, 12, 5), reason="moving house"),))
    assert calendar.closure_reason(date(2026, 12, 5)) == "moving house"
    assert calendar.session(date(2026, 12, 4))


def test_an_early_close_cuts_a_break_that_it_falls_into() -> None:
    early = EarlyClose(date=date(2012, 12, 12), close=time(12), reason="storm")
    session = opened("XTKS", (early,)).session(early.date)
    assert session
    assert [pause.ends_at for pause in session.breaks] == [session.closes_at]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (EarlyClose(date=date(2026, 12, 25), close=time(13), reason="x"), r"XNYS has no session then \(Christmas\)"),
        (
            EarlyClose(date=date(2026, 12, 2), close=time(9), reason="x"),
            "09:00 .* is not after the open of XNYS, 09:30",
        ),
        (Closure(date=date(2050, 1, 3), reason="x"), "2050-01-03 is out of range"),
        (Closure(date=date(2026, 1, 5), reason="x", calendar="XNIS"), "no calendar is called 'XNIS'"),
    ],
)
def test_an_override_that_cannot_be_is_refused(override: Override, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        open_calendar("XNYS", clock=ManualClock(NOW), overrides=[override])
