"""When the parts of a trading day begin and end: they hang on the session, not on the clock."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from orchestration.domain.errors import DefinitionError
from orchestration.domain.session import Interval, Session

SHORT_SESSION = timedelta(hours=2)
"""Below this length the open and the close take a quarter of the session each."""

DAY = timedelta(days=1)


class StageName(StrEnum):
    """The dated parts of a day, in order."""

    PRE_MARKET = "pre_market"
    MARKET_OPEN = "market_open"
    INTRADAY = "intraday"
    CLOSE = "close"
    POST_MARKET = "post_market"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLengths:
    """How long the stages last; `intraday` gets what the open and the close leave."""

    pre_market: timedelta = timedelta(hours=3, minutes=30)
    market_open: timedelta = timedelta(hours=1)
    close: timedelta = timedelta(hours=1)
    post_market: timedelta = timedelta(hours=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedStage:
    """One stage of one day."""

    name: StageName
    span: Interval


def stage_times(session: Session, lengths: StageLengths | None = None) -> tuple[DatedStage, ...]:
    """Return the stages of ``session`` in order.

    In sessions under two hours, and in those too short for the lengths asked for, `market_open` and `close` take a
    quarter of the session each. `intraday` is missing where the two leave nothing between them.
    """
    lengths = lengths or StageLengths()
    opens, closes = session.opens_at, session.closes_at
    opening, closing = lengths.market_open, lengths.close
    if closes - opens < SHORT_SESSION or opening + closing > closes - opens:
        opening = closing = (closes - opens) / 4
    edges = (
        (StageName.PRE_MARKET, opens - lengths.pre_market, opens),
        (StageName.MARKET_OPEN, opens, opens + opening),
        (StageName.INTRADAY, opens + opening, closes - closing),
        (StageName.CLOSE, closes - closing, closes),
        (StageName.POST_MARKET, closes, closes + lengths.post_market),
    )
    return tuple(
        DatedStage(name=name, span=Interval(starts_at=start, ends_at=end)) for name, start, end in edges if start < end
    )


def whole(stages: tuple[DatedStage, ...]) -> Interval:
    """Return the span from the start of the first stage to the end of the last one."""
    return Interval(starts_at=stages[0].span.starts_at, ends_at=stages[-1].span.ends_at)


def stage_at(stages: tuple[DatedStage, ...], moment: datetime) -> DatedStage | None:
    """Return the stage that holds ``moment``, or ``None``."""
    return next((stage for stage in stages if moment in stage.span), None)


def narrow(session: Session, open_time: time | None, close_time: time | None, timezone: ZoneInfo) -> Session:
    """Return ``session`` cut down to the desk's hours, local times in ``timezone``; ``None``: the exchange's.

    Hours are only ever narrowed: where the exchange opens later or closes earlier, the exchange wins. A close that
    is not after the open is on the day after. Raises `DefinitionError` when the session leaves nothing of the hours.
    """
    if open_time is None and close_time is None:
        return session
    opens, closes = _best(session, open_time, close_time, timezone)
    if opens >= closes:
        hours = f"{open_time or 'the open'} to {close_time or 'the close'}"
        raise DefinitionError(
            f"the desk's hours {hours} ({timezone.key}) leave nothing of the {session.calendar} session of "
            f"{session.date}, open {_local(session.opens_at, timezone)} to {_local(session.closes_at, timezone)}; "
            "change MARKET_OPEN_TIME, MARKET_CLOSE_TIME or TIMEZONE"
        )
    return Session(
        calendar=session.calendar,
        date=session.date,
        opens_at=opens,
        closes_at=closes,
        timezone=session.timezone,
        breaks=_cut(session.breaks, opens, closes),
        early_close=session.early_close,
    )


def _best(
    session: Session, open_time: time | None, close_time: time | None, timezone: ZoneInfo
) -> tuple[datetime, datetime]:
    """Return what the session has in common with the desk's hours; of the days around, the one with the most."""
    middle = session.opens_at + (session.closes_at - session.opens_at) / 2
    day = middle.astimezone(timezone).date()
    days = (day - DAY, day, day + DAY) if open_time is not None and close_time is not None else (day,)
    found = []
    for start_day in days:
        opens, closes = session.opens_at, session.closes_at
        if open_time is not None:
            opens = max(opens, _instant(start_day, open_time, timezone, session))
        if close_time is not None:
            overnight = open_time is not None and close_time <= open_time
            closes = min(closes, _instant(start_day + DAY if overnight else start_day, close_time, timezone, session))
        found.append((opens, closes))
    return max(found, key=lambda hours: hours[1] - hours[0])


def _instant(day: date, local: time, timezone: ZoneInfo, session: Session) -> datetime:
    return datetime.combine(day, local, timezone).astimezone(session.opens_at.tzinfo)


def _local(moment: datetime, timezone: ZoneInfo) -> str:
    return f"{moment.astimezone(timezone):%H:%M}"


def _cut(breaks: tuple[Interval, ...], opens: datetime, closes: datetime) -> tuple[Interval, ...]:
    return tuple(
        Interval(starts_at=max(pause.starts_at, opens), ends_at=min(pause.ends_at, closes))
        for pause in breaks
        if pause.starts_at < closes and opens < pause.ends_at
    )
