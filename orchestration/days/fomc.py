"""FOMC meetings: which of them a day holds, and when no new orders are sent around a statement."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from orchestration.domain.restrictions import Restriction, RestrictionLevel
from orchestration.domain.session import Interval

WASHINGTON = ZoneInfo("America/New_York")


@dataclass(frozen=True, slots=True, kw_only=True)
class FomcMeeting:
    """A meeting that was announced ahead.

    ``decision`` is its last day in Washington. ``statement`` and ``press_conference`` (``None``: there is none) are
    aware, UTC. A ``cancelled`` one is kept for the record and never counts.
    """

    decision: date
    statement: datetime
    press_conference: datetime | None = None
    projections: bool = False
    cancelled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FomcSurprise:
    """What came without notice, so that no day type could be planned on it.

    ``statement`` (aware, UTC) is ``None`` where nothing was said that day or the time is not known.
    """

    date: date
    statement: datetime | None
    what: str
    rate_decision: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FomcSchedule:
    """Everything that the file ``file`` knows; it knows the dates ``first`` to ``last``, both included."""

    first: date
    last: date
    file: str
    meetings: tuple[FomcMeeting, ...]
    surprises: tuple[FomcSurprise, ...] = ()

    def warning(self, on: date) -> str | None:
        """Return what to say about a date that the file does not cover, or ``None``."""
        if self.first <= on <= self.last:
            return None
        return f"{self.file} covers {self.first} to {self.last}: whether {on} is an FOMC day is not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class FomcWindows:
    """How long no new orders are sent: around a statement, and from the start of a press conference."""

    before_statement: timedelta = timedelta(minutes=15)
    after_statement: timedelta = timedelta(minutes=15)
    press_conference: timedelta = timedelta(minutes=60)


def meetings_in(schedule: FomcSchedule, day: Interval) -> tuple[FomcMeeting, ...]:
    """Return the meetings whose statement comes within ``day``, the span of a session's dated stages."""
    return tuple(m for m in schedule.meetings if not m.cancelled and m.statement in day)


def surprises_in(surprises: Iterable[FomcSurprise], day: Interval) -> tuple[FomcSurprise, ...]:
    """Return the surprises whose statement comes within ``day``."""
    return tuple(s for s in surprises if s.statement is not None and s.statement in day)


def restrictions(meeting: FomcMeeting, windows: FomcWindows) -> tuple[Restriction, ...]:
    """Return the half-open windows around ``meeting`` in which no new orders are sent, the statement's first."""
    statement = Restriction(
        level=RestrictionLevel.NO_NEW_ORDERS,
        starts_at=meeting.statement - windows.before_statement,
        ends_at=meeting.statement + windows.after_statement,
        reason="FOMC statement",
    )
    if meeting.press_conference is None:
        return (statement,)
    conference = Restriction(
        level=RestrictionLevel.NO_NEW_ORDERS,
        starts_at=meeting.press_conference,
        ends_at=meeting.press_conference + windows.press_conference,
        reason="FOMC press conference",
    )
    return (statement, conference)


def restrictions_in(schedule: FomcSchedule, windows: FomcWindows, day: Interval) -> tuple[Restriction, ...]:
    """Return every FOMC window that overlaps ``day``, whether or not the statement itself comes within it."""
    every = (r for m in schedule.meetings if not m.cancelled for r in restrictions(m, windows))
    return tuple(r for r in every if r.starts_at < day.ends_at and day.starts_at < r.ends_at)
