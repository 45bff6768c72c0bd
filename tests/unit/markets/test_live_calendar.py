"""A calendar that is exchanged under those who hold it."""

from datetime import date

from orchestration.adapters.markets.live_calendar import LiveCalendar
from tests.calendars import WeekdayCalendar

MONDAY = date(2012, 12, 10)


def test_it_answers_as_the_one_in_it() -> None:
    inner = WeekdayCalendar()
    calendar = LiveCalendar(inner)
    assert (calendar.code, calendar.timezone, calendar.span) == (inner.code, inner.timezone, inner.span)
    assert calendar.session(MONDAY) == inner.session(MONDAY)
    assert calendar.next_session(MONDAY) == inner.next_session(MONDAY)
    assert calendar.previous_session(MONDAY) == inner.previous_session(MONDAY)
    assert calendar.closure_reason(date(2012, 12, 9)) == "weekend"


def test_after_it_was_replaced_it_answers_as_the_new_one() -> None:
    calendar = LiveCalendar(WeekdayCalendar())
    calendar.replace(WeekdayCalendar(closed=[MONDAY]))
    assert calendar.session(MONDAY) is None
