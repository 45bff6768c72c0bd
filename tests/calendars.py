"""A calendar made by hand: every weekday from 14:30 to 21:00 UTC."""

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from orchestration.domain.errors import DefinitionError
from orchestration.domain.session import Interval, Session

DAY = timedelta(days=1)


class WeekdayCalendar:
    """Weekdays of 1990 to 2030 but ``closed``; ``pause`` (UTC times) is a break of every session."""

    def __init__(
        self,
        *,
        code: str = "TEST",
        closed: Collection[date] = (),
        pause: tuple[time, time] | None = None,
        opens: time = time(14, 30),
        closes: time = time(21),
        last: date = date(2030, 12, 31),
    ) -> None:
        self.code = code
        self.timezone = ZoneInfo("America/New_York")
        self.span = (date(1990, 1, 1), last)
        self._closed = frozenset(closed)
        self._pause = pause
        self._opens = opens
        self._closes = closes

    def session(self, on: date) -> Session | None:
        if not self.span[0] <= on <= self.span[1]:
            raise DefinitionError(f"{on} is outside {self.code}'s span")
        if on.weekday() > 4 or on in self._closed:
            return None
        pauses: tuple[Interval, ...] = ()
        if self._pause:
            start, end = (datetime.combine(on, moment, UTC) for moment in self._pause)
            pauses = (Interval(starts_at=start, ends_at=end),)
        return Session(
            calendar=self.code,
            date=on,
            opens_at=datetime.combine(on, self._opens, UTC),
            closes_at=datetime.combine(on, self._closes, UTC),
            timezone=self.timezone,
            breaks=pauses,
        )

    def closure_reason(self, on: date) -> str:
        return "weekend" if on.weekday() > 4 else "exchange closed"

    def next_session(self, after: date) -> Session:
        return self._search(after, DAY)

    def previous_session(self, before: date) -> Session:
        return self._search(before, -DAY)

    def _search(self, start: date, step: timedelta) -> Session:
        on = start + step
        while (session := self.session(on)) is None:
            on += step
        return session
