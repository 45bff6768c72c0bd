"""Find the session that a moment belongs to."""

from datetime import date, datetime, timedelta

from orchestration.domain.errors import DefinitionError
from orchestration.domain.session import Interval, Session
from orchestration.ports.trading_calendar import TradingCalendar

DAY = timedelta(days=1)


def session_on(calendar: TradingCalendar, on: date) -> Session | None:
    """The session of that date; ``None`` also where the calendar's span ends."""
    first, last = calendar.span
    return calendar.session(on) if first <= on <= last else None


def session_at(calendar: TradingCalendar, moment: datetime) -> Session | None:
    """The session that has begun and not closed at ``moment``, breaks included.

    The neighbouring dates are asked too: a session may begin on the evening before the date it is named by.
    """
    local = moment.astimezone(calendar.timezone).date()
    for on in (local, local + DAY, local - DAY):
        session = session_on(calendar, on)
        if session and session.opens_at <= moment < session.closes_at:
            return session
    return None


def next_opening(calendar: TradingCalendar, moment: datetime) -> Session | None:
    """The first session that opens after ``moment``, or ``None`` where the calendar's span ends."""
    day = moment.astimezone(calendar.timezone).date() - DAY
    try:
        session = calendar.next_session(day - DAY)
        while session.opens_at <= moment:
            session = calendar.next_session(session.date)
    except DefinitionError:
        return None
    return session


def trading_spans(session: Session) -> tuple[Interval, ...]:
    """The parts of ``session`` in which trading goes on: what the breaks leave, in order."""
    spans: list[Interval] = []
    start = session.opens_at
    for pause in sorted(session.breaks, key=lambda p: p.starts_at):
        if start < pause.starts_at:
            spans.append(Interval(starts_at=start, ends_at=pause.starts_at))
        start = max(start, pause.ends_at)
    if start < session.closes_at:
        spans.append(Interval(starts_at=start, ends_at=session.closes_at))
    return tuple(spans)
