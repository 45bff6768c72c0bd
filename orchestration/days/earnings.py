"""Earnings reports: on which session a name reports, and when no new position in it is taken."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from orchestration.days.stage_times import stage_times, whole
from orchestration.domain.restrictions import Restriction, RestrictionLevel
from orchestration.domain.session import Interval, Session
from orchestration.ports.trading_calendar import TradingCalendar


class When(StrEnum):
    """Whether a report comes before the open or after the close of its date."""

    BEFORE = "before"
    AFTER = "after"


_PHRASE = {When.BEFORE: "before the open", When.AFTER: "after the close"}

REACH = timedelta(days=45)
"""No exchange was ever closed longer (Athens in 2015: five weeks): a report further away concerns other sessions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarningsReport:
    """``symbol`` reports on ``date``."""

    symbol: str
    date: date
    when: When


@dataclass(frozen=True, slots=True, kw_only=True)
class EarningsSchedule:
    """Every report that the file ``file`` names; an empty file knows no date."""

    file: str
    reports: tuple[EarningsReport, ...]

    @property
    def span(self) -> tuple[date, date] | None:
        """The first and the last date with a report."""
        dates = [report.date for report in self.reports]
        return (min(dates), max(dates)) if dates else None

    def warning(self, on: date) -> str | None:
        """Return what to say about a date outside the file's span, or ``None``."""
        if self.span is None:
            return f"{self.file} names no report: whether {on} is an earnings day is not known"
        first, last = self.span
        if first <= on <= last:
            return None
        return f"{self.file} covers {first} to {last}: whether {on} is an earnings day is not known"


def placed(report: EarningsReport, calendar: TradingCalendar) -> tuple[Session, When]:
    """Return the session that ``report`` belongs to.

    What comes on a day without a session is out before the next session opens.
    """
    session = calendar.session(report.date)
    if session is None:
        return calendar.next_session(report.date), When.BEFORE
    return session, report.when


def reports_on(
    schedule: EarningsSchedule, calendar: TradingCalendar, on: Session, symbols: frozenset[str]
) -> dict[When, tuple[str, ...]]:
    """Return the sorted names among ``symbols`` that report before and after the session ``on``."""
    found: dict[When, set[str]] = {When.BEFORE: set(), When.AFTER: set()}
    for report in _near(schedule, calendar, on, symbols):
        session, when = placed(report, calendar)
        if session.date == on.date:
            found[when].add(report.symbol)
    return {when: tuple(sorted(names)) for when, names in found.items()}


def window(report: EarningsReport, calendar: TradingCalendar) -> Interval:
    """Return the half-open span in which no new position in the name is taken.

    A report after the close: from that session's `pre_market` to the end of its `post_market`. One before the open:
    from the previous session's `pre_market` to the open of its own.
    """
    session, when = placed(report, calendar)
    if when is When.AFTER:
        return whole(stage_times(session))
    previous = calendar.previous_session(session.date)
    return Interval(starts_at=whole(stage_times(previous)).starts_at, ends_at=session.opens_at)


def restrictions_in(
    schedule: EarningsSchedule, calendar: TradingCalendar, on: Session, symbols: frozenset[str]
) -> tuple[Restriction, ...]:
    """Return the windows of ``symbols`` that overlap the stages of the session ``on``, in order of time and name."""
    day = whole(stage_times(on))
    found: list[Restriction] = []
    for report in _near(schedule, calendar, on, symbols):
        span = window(report, calendar)
        if span.starts_at < day.ends_at and day.starts_at < span.ends_at:
            found.append(
                Restriction(
                    level=RestrictionLevel.NO_NEW_ORDERS,
                    starts_at=span.starts_at,
                    ends_at=span.ends_at,
                    reason=f"{report.symbol} reports earnings {_PHRASE[report.when]} on {report.date}",
                    symbols=frozenset({report.symbol}),
                )
            )
    return tuple(sorted(found, key=lambda r: (r.starts_at, r.reason)))


def _near(
    schedule: EarningsSchedule, calendar: TradingCalendar, on: Session, symbols: frozenset[str]
) -> list[EarningsReport]:
    """Return the reports of ``symbols`` that can concern the session ``on`` or a neighbour of it."""
    first, last = calendar.span
    start, end = on.date - REACH, on.date + REACH
    return [r for r in schedule.reports if r.symbol in symbols and start <= r.date <= end and first <= r.date <= last]
