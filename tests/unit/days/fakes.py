"""A small real calendar: weekdays in New York, but for the holidays that a test names."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from orchestration.domain.errors import DefinitionError
from orchestration.domain.session import Session

NEW_YORK = ZoneInfo("America/New_York")
DAY = timedelta(days=1)


class WeekdayCalendar:
    """Open Monday to Friday, 09:30 to 16:00 New York, from 2004 on."""

    def __init__(
        self, code: str = "XNYS", *holidays: date, early: tuple[date, ...] = (), last_year: int = 2012
    ) -> None:
        self.code = code
        self.timezone = NEW_YORK
        self.span = (date(2004, 1, 1), date(last_year, 12, 31))
        self._holidays = holidays
        self._early = early

    def session(self, on: date) -> Session | None:
        if not self.span[0] <= on <= self.span[1]:
            raise DefinitionError(f"{on} is out of range")
        if on.weekday() > 4 or on in self._holidays:
            return None
        hours = time(9, 30), time(13) if on in self._early else time(16)
        opens_at, closes_at = (datetime.combine(on, t, NEW_YORK).astimezone(ZoneInfo("UTC")) for t in hours)
        return Session(
            calendar=self.code,
            date=on,
            opens_at=opens_at,
            closes_at=closes_at,
            timezone=NEW_YORK,
            early_close=on in self._early,
        )

    def closure_reason(self, on: date) -> str:
        return "weekend" if on.weekday() > 4 else "holiday"

    def next_session(self, after: date) -> Session:
        return self.session(after + DAY) or self.next_session(after + DAY)

    def previous_session(self, before: date) -> Session:
        return self.session(before - DAY) or self.previous_session(before - DAY)
