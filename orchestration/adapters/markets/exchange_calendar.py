"""The exchanges' calendars, from the package exchange_calendars, with the operator's overrides on top.

Nothing of pandas leaves this module: what the package computes is copied once into lists of integers.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from orchestration.days.overrides import Closure, EarlyClose, Override
from orchestration.domain.errors import DefinitionError, nearest
from orchestration.domain.session import Interval, Session
from orchestration.ports.clock import Clock

if TYPE_CHECKING:
    import exchange_calendars

FIRST_DATE = date(1990, 1, 1)
YEARS_AHEAD = 5

NAMED_CLOSURES: Mapping[date, str] = {
    date(1994, 4, 27): "National day of mourning for Richard Nixon",
    date(2001, 9, 11): "Attacks of September 11",
    date(2001, 9, 12): "Attacks of September 11",
    date(2001, 9, 13): "Attacks of September 11",
    date(2001, 9, 14): "Attacks of September 11",
    date(2004, 6, 11): "National day of mourning for Ronald Reagan",
    date(2007, 1, 2): "National day of mourning for Gerald Ford",
    date(2012, 10, 29): "Hurricane Sandy",
    date(2012, 10, 30): "Hurricane Sandy",
    date(2018, 12, 5): "National day of mourning for George H. W. Bush",
    date(2025, 1, 9): "National day of mourning for Jimmy Carter",
}
"""Unplanned closures of the US equity exchanges, which the package lists without names."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY_NS = 86_400_000_000_000
_YEARS = re.compile(r"\s*\((?:through |\d{4}).*\)$")


class ExchangeCalendar:
    """The `TradingCalendar` of one exchange. Made by `open_calendar`; look-ups are bisections of sorted integers."""

    def __init__(
        self, code: str, canonical: str, package: "exchange_calendars.ExchangeCalendar", span: tuple[date, date]
    ) -> None:
        self.code = code
        self.canonical = canonical
        self.span = span
        self.timezone = ZoneInfo(str(package.tz))
        self._weekmask = package.weekmask
        self._holidays = package.regular_holidays
        self._ordinals = [int(ns) // _DAY_NS + _EPOCH_DAY for ns in package.sessions_nanos.tolist()]
        self._opens: list[int] = package.opens_nanos.tolist()
        self._closes: list[int] = package.closes_nanos.tolist()
        self._break_starts: list[int] = package.break_starts_nanos.tolist()
        self._break_ends: list[int] = package.break_ends_nanos.tolist()
        self._early = {int(ns) // _DAY_NS + _EPOCH_DAY for ns in package.early_closes.asi8.tolist()}
        self._closed_by_operator: dict[date, str] = {}
        self._closes_by_operator: dict[date, datetime] = {}

    def session(self, on: date) -> Session | None:
        """The session of that date, or ``None``."""
        self._check(on)
        index = bisect_left(self._ordinals, on.toordinal())
        if index == len(self._ordinals) or self._ordinals[index] != on.toordinal():
            return None
        return self._session(index)

    def next_session(self, after: date) -> Session:
        """The first session after ``after``; `DefinitionError` when the calendar ends before it."""
        self._check(after)
        index = bisect_right(self._ordinals, after.toordinal())
        if index == len(self._ordinals):
            raise self._outside(f"no session after {after} is known")
        return self._session(index)

    def previous_session(self, before: date) -> Session:
        """The last session before ``before``; `DefinitionError` when the calendar begins after it."""
        self._check(before)
        index = bisect_left(self._ordinals, before.toordinal()) - 1
        if index < 0:
            raise self._outside(f"no session before {before} is known")
        return self._session(index)

    def closure_reason(self, on: date) -> str:
        """Why the exchange is closed on ``on``, which is no session."""
        self._check(on)
        if on in self._closed_by_operator:
            return self._closed_by_operator[on]
        if self._weekmask[on.weekday()] == "0":
            return "weekend"
        named = NAMED_CLOSURES.get(on) if self.canonical == "XNYS" else None
        return self._holiday_names.get(on) or named or "exchange closed"

    def override(self, override: Override) -> None:
        """Let the operator's word win. Raises `DefinitionError` for an early close that cannot be."""
        self._check(override.date)
        if isinstance(override, Closure):
            self._close(override)
        else:
            self._close_early(override)

    def _close(self, closure: Closure) -> None:
        self._closed_by_operator[closure.date] = closure.reason
        index = bisect_left(self._ordinals, closure.date.toordinal())
        if index < len(self._ordinals) and self._ordinals[index] == closure.date.toordinal():
            for column in (self._ordinals, self._opens, self._closes, self._break_starts, self._break_ends):
                del column[index]

    def _close_early(self, early: EarlyClose) -> None:
        session = self.session(early.date)
        if session is None:
            raise DefinitionError(
                f"early close on {early.date}: {self.code} has no session then ({self.closure_reason(early.date)}); "
                "take the entry away or name its exchange with calendar"
            )
        moment = datetime.combine(early.date, early.close, self.timezone).astimezone(UTC)
        if not session.opens_at < moment:
            raise DefinitionError(
                f"early close on {early.date}: {early.close:%H:%M} ({self.timezone.key}) is not after the open of "
                f"{self.code}, {session.opens_at.astimezone(self.timezone):%H:%M}"
            )
        self._closes_by_operator[early.date] = moment

    def _session(self, index: int) -> Session:
        on = date.fromordinal(self._ordinals[index])
        opens_at, closes_at = _instant(self._opens[index]), _instant(self._closes[index])
        by_operator = self._closes_by_operator.get(on)
        closes_at = by_operator or closes_at
        return Session(
            calendar=self.code,
            date=on,
            opens_at=opens_at,
            closes_at=closes_at,
            timezone=self.timezone,
            breaks=self._breaks(index, closes_at),
            early_close=by_operator is not None or self._ordinals[index] in self._early,
        )

    def _breaks(self, index: int, closes_at: datetime) -> tuple[Interval, ...]:
        if self._break_starts[index] < 0:  # the package's "not a time" is the smallest integer
            return ()
        starts_at, ends_at = _instant(self._break_starts[index]), _instant(self._break_ends[index])
        return (Interval(starts_at=starts_at, ends_at=min(ends_at, closes_at)),) if starts_at < closes_at else ()

    @cached_property
    def _holiday_names(self) -> dict[date, str]:
        if self._holidays is None:
            return {}
        names: Any = self._holidays.holidays(*(day.isoformat() for day in self.span), return_name=True)
        return {day.date(): _YEARS.sub("", str(name)) for day, name in names.items()}

    def _check(self, on: date) -> None:
        if not self.span[0] <= on <= self.span[1]:
            raise self._outside(f"{on} is out of range")

    def _outside(self, what: str) -> DefinitionError:
        return DefinitionError(f"{what}: the calendar of {self.code} covers {self.span[0]} to {self.span[1]}")


def open_calendar(code: str, *, clock: Clock, overrides: Sequence[Override] = ()) -> ExchangeCalendar:
    """Build the calendar of the exchange ``code``, an alias or not; it takes about a second.

    It covers 1990, or the package's own bound where that is later, to the end of the fifth year from the clock's.
    Raises `DefinitionError` for a code that the package does not have and for overrides that cannot be.
    """
    # Imported here: the package takes more than a second, and most commands need no calendar.
    import exchange_calendars

    known = exchange_calendars.get_calendar_names(include_aliases=True)
    if code not in known:
        raise DefinitionError(f"no calendar is called {code!r}{nearest(code, known)}")
    canonical = exchange_calendars.resolve_alias(code)
    calendar = _build(code, canonical, date(clock.now().year + YEARS_AHEAD, 12, 31))
    for override in overrides:
        if override.calendar is not None and override.calendar not in known:
            raise DefinitionError(f"override of {override.date}: no calendar is called {override.calendar!r}")
        if override.calendar is None or exchange_calendars.resolve_alias(override.calendar) == canonical:
            calendar.override(override)
    return calendar


def _build(code: str, canonical: str, last: date) -> ExchangeCalendar:
    import exchange_calendars

    def build(span: tuple[date, date]) -> ExchangeCalendar:
        package = exchange_calendars.get_calendar(canonical, start=span[0].isoformat(), end=span[1].isoformat())
        return ExchangeCalendar(code, canonical, package, span)

    try:
        return build((FIRST_DATE, last))
    except ValueError:  # some calendars are known for fewer years; only a built one tells its bounds
        known = exchange_calendars.get_calendar(canonical)
        lowest, highest = known.bound_min(), known.bound_max()
        return build(
            (max(FIRST_DATE, lowest.date()) if lowest else FIRST_DATE, min(last, highest.date()) if highest else last)
        )


def _instant(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
