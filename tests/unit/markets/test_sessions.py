"""Which session a moment belongs to."""

from datetime import UTC, date, datetime, time, timedelta

from orchestration.adapters.markets.sessions import next_opening, session_at, trading_spans
from orchestration.domain.session import Interval, Session
from tests.calendars import WeekdayCalendar


class EveningCalendar(WeekdayCalendar):
    """Sessions that open at 22:00 UTC on the evening before their date and close at 22:00."""

    def session(self, on: date) -> Session | None:
        if on.weekday() > 4:
            return None
        closes_at = datetime.combine(on, time(22), UTC)
        return Session(
            calendar=self.code,
            date=on,
            opens_at=closes_at - timedelta(days=1),
            closes_at=closes_at,
            timezone=self.timezone,
        )


def test_the_open_belongs_to_the_session_and_the_close_does_not() -> None:
    calendar = WeekdayCalendar()
    assert session_at(calendar, datetime(2012, 12, 12, 14, 30, tzinfo=UTC)) == calendar.session(date(2012, 12, 12))
    assert session_at(calendar, datetime(2012, 12, 12, 21, tzinfo=UTC)) is None


def test_a_session_that_begins_the_evening_before_is_found() -> None:
    session = session_at(EveningCalendar(), datetime(2012, 12, 9, 23, tzinfo=UTC))
    assert session
    assert session.date == date(2012, 12, 10)


def test_the_next_opening_is_today_before_the_open_and_monday_on_friday_evening() -> None:
    calendar = WeekdayCalendar()
    cases = {
        datetime(2012, 12, 12, 11, tzinfo=UTC): date(2012, 12, 12),
        datetime(2012, 12, 12, 15, tzinfo=UTC): date(2012, 12, 13),
        datetime(2012, 12, 14, 22, tzinfo=UTC): date(2012, 12, 17),
    }
    for moment, expected in cases.items():
        session = next_opening(calendar, moment)
        assert session
        assert session.date == expected


def test_no_next_opening_is_known_where_the_calendar_ends() -> None:
    calendar = WeekdayCalendar(last=date(2012, 12, 14))
    assert next_opening(calendar, datetime(2012, 12, 14, 22, tzinfo=UTC)) is None
    assert session_at(calendar, datetime(2012, 12, 17, 15, tzinfo=UTC)) is None


def test_breaks_cut_the_session_into_spans() -> None:
    session = WeekdayCalendar(pause=(time(16), time(17))).session(date(2012, 12, 12))
    assert session
    first, second = trading_spans(session)
    assert first == Interval(starts_at=session.opens_at, ends_at=datetime(2012, 12, 12, 16, tzinfo=UTC))
    assert second == Interval(starts_at=datetime(2012, 12, 12, 17, tzinfo=UTC), ends_at=session.closes_at)
