"""Plan a day: what kind of day it is, its stages and tasks, what is restricted and what will be announced."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from orchestration.days import earnings as earnings_rules
from orchestration.days import fomc as fomc_rules
from orchestration.days.day_types import DayKind, DayType, closed_day, kind_of_session, unknown_dates
from orchestration.days.earnings import EarningsSchedule
from orchestration.days.fomc import FomcMeeting, FomcSchedule, FomcWindows
from orchestration.days.stage_times import narrow, stage_times, whole
from orchestration.days.volatility import HIGH_VOLATILITY
from orchestration.domain.definition import Announcement
from orchestration.domain.errors import DefinitionError
from orchestration.domain.json_value import JsonObject
from orchestration.domain.restrictions import Restriction
from orchestration.domain.session import Session
from orchestration.ports.trading_calendar import TradingCalendar
from workflows.trading_day.day_plan import DayPlan, PlannedStage, SkippedTask
from workflows.trading_day.moments import Anchor
from workflows.trading_day.overlays import MergedDay, Overlays
from workflows.trading_day.placing import Frame, place

CALENDAR_ENDS_SOON = timedelta(days=60)

_EXPIRATIONS = (DayType.MONTHLY_EXPIRATION, DayType.QUARTERLY_EXPIRATION, DayType.VIX_EXPIRATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySettings:
    """What the desk sets about its days.

    ``market_open`` and ``market_close`` narrow the hours, local times in ``timezone`` (``None``: the exchange's).
    ``high_volatility`` is annualised (0.40 is 40 %).
    """

    market_open: time | None = None
    market_close: time | None = None
    timezone: ZoneInfo | None = None
    fomc_windows: FomcWindows = field(default_factory=FomcWindows)
    high_volatility: float = HIGH_VOLATILITY


def plan_day(
    on: date,
    *,
    calendar: TradingCalendar,
    fomc: FomcSchedule,
    overlays: Overlays,
    earnings: EarningsSchedule | None = None,
    desk_symbols: Collection[str] = (),
    usable_symbols: Collection[str] | None = None,
    volatility: float | None = None,
    settings: DaySettings | None = None,
) -> DayPlan:
    """Return the plan of ``on``: the same for the same arguments, wherever and whenever it is made.

    ``usable_symbols`` are those of ``desk_symbols`` with a price on the day; ``None`` when nobody looked.
    ``volatility`` is the realised one of the 20 days before, annualised; ``None`` when there are no prices.
    ``earnings`` is ``None`` when the desk keeps no list. Raises `DefinitionError` for a date outside the calendar.
    """
    settings = settings or DaySettings()
    exchange = calendar.session(on)
    if exchange is None:
        return _closed(on, calendar.closure_reason(on), calendar, fomc, earnings, overlays)
    try:
        session = narrow(exchange, settings.market_open, settings.market_close, settings.timezone or calendar.timezone)
    except DefinitionError as error:
        if not exchange.early_close:
            raise
        # The desk's hours are right on other days: on this one there is nothing left of them.
        return _closed(on, str(error), calendar, fomc, earnings, overlays)
    symbols = frozenset(desk_symbols)
    usual = whole(stage_times(session, overlays.merged(()).lengths))
    kind = kind_of_session(
        exchange,
        calendar=calendar,
        day=usual,
        fomc_schedule=fomc,
        earnings=earnings,
        symbols=symbols,
        realised_volatility=volatility,
        high_volatility=settings.high_volatility,
    )
    merged = overlays.merged(kind.types)
    stages = stage_times(session, merged.lengths)
    restrictions = fomc_rules.restrictions_in(fomc, settings.fomc_windows, whole(stages))
    if earnings:
        restrictions += earnings_rules.restrictions_in(earnings, calendar, exchange, symbols)
    meetings = fomc_rules.meetings_in(fomc, usual)
    frame = Frame(
        session=session,
        stages=stages,
        anchors=_anchors(session, meetings, settings.fomc_windows),
        restrictions=restrictions,
        prices=usable_symbols is None or bool(usable_symbols),
        symbols=earnings_rules.reports_on(earnings, calendar, exchange, symbols) if earnings else {},
    )
    planned, skipped = place(merged.tasks, frame, [removal.name for removal in merged.removals])
    prices = _price_warnings(on, desk_symbols, usable_symbols)
    return _plan(
        on,
        calendar,
        kind,
        merged,
        session=session,
        stages=planned,
        skipped=skipped,
        warnings=(*kind.warnings, *prices),
        restrictions=restrictions,
        announcements=_announcements(session, kind, meetings),
    )


def _closed(
    on: date,
    reason: str,
    calendar: TradingCalendar,
    fomc: FomcSchedule,
    earnings: EarningsSchedule | None,
    overlays: Overlays,
) -> DayPlan:
    """Return the plan of a day without a session: nothing, but what is marked to run then.

    What is marked runs in the stages of the session before, moved to this date by the exchange's local time.
    """
    kind = closed_day(reason, unknown_dates(on, fomc, earnings))
    merged = overlays.merged(kind.types)
    if not merged.tasks:
        return _plan(on, calendar, kind, merged, warnings=kind.warnings)
    model = _moved(calendar.previous_session(on), on)
    anchors = {Anchor.OPEN: model.opens_at, Anchor.CLOSE: model.closes_at}
    frame = Frame(session=None, stages=stage_times(model, merged.lengths), anchors=anchors)
    planned, skipped = place(merged.tasks, frame)
    busy = tuple(stage for stage in planned if stage.tasks)
    return _plan(on, calendar, kind, merged, stages=busy, skipped=skipped, warnings=kind.warnings)


def _plan(
    on: date,
    calendar: TradingCalendar,
    kind: DayKind,
    merged: MergedDay,
    *,
    session: Session | None = None,
    stages: tuple[PlannedStage, ...] = (),
    skipped: Iterable[SkippedTask] = (),
    warnings: Iterable[str] = (),
    restrictions: tuple[Restriction, ...] = (),
    announcements: tuple[Announcement, ...] = (),
) -> DayPlan:
    removed = (SkippedTask(name=removal.name, reason=removal.reason) for removal in merged.removals)
    previous_session, next_session = _neighbour(on, calendar, -1), _neighbour(on, calendar, 1)
    return DayPlan(
        date=on,
        calendar=calendar.code,
        timezone=calendar.timezone.key,
        session=session,
        day_types=tuple(kind.value for kind in kind.types),
        reasons={kind.value: reason for kind, reason in kind.reasons.items()},
        reason=kind.reason,
        previous_session=previous_session,
        next_session=next_session,
        stages=stages,
        skipped=(*removed, *skipped),
        warnings=(*_calendar_warnings(on, calendar), *warnings),
        restrictions=restrictions,
        announcements=announcements,
    )


def _neighbour(on: date, calendar: TradingCalendar, step: int) -> date | None:
    """Return the date of the session before or after ``on``, or ``None`` where the calendar ends before it."""
    try:
        return (calendar.next_session(on) if step > 0 else calendar.previous_session(on)).date
    except DefinitionError:
        return None


def _moved(session: Session, on: date) -> Session:
    """Return a session with the local hours of ``session`` on the date ``on``."""
    days = on - session.date

    def move(moment: datetime) -> datetime:
        local = moment.astimezone(session.timezone)
        return datetime.combine(local.date() + days, local.time(), session.timezone).astimezone(moment.tzinfo)

    return Session(
        calendar=session.calendar,
        date=on,
        opens_at=move(session.opens_at),
        closes_at=move(session.closes_at),
        timezone=session.timezone,
    )


def _anchors(session: Session, meetings: tuple[FomcMeeting, ...], windows: FomcWindows) -> dict[Anchor, datetime]:
    anchors = {Anchor.OPEN: session.opens_at, Anchor.CLOSE: session.closes_at}
    for meeting in meetings[:1]:
        anchors[Anchor.FOMC_STATEMENT] = meeting.statement
        anchors[Anchor.RESTRICTIONS_END] = max(r.ends_at for r in fomc_rules.restrictions(meeting, windows))
        if meeting.press_conference:
            anchors[Anchor.FOMC_PRESS_CONFERENCE] = meeting.press_conference
    return anchors


def _announcements(session: Session, kind: DayKind, meetings: tuple[FomcMeeting, ...]) -> tuple[Announcement, ...]:
    details: JsonObject = {"calendar": session.calendar}
    said = [Announcement(at=session.opens_at, data={"kind": "open", "details": details})]
    if session.early_close:
        ahead = max(session.opens_at, session.closes_at - timedelta(hours=1))
        details = {"closes_at": f"{session.closes_at:%Y-%m-%dT%H:%M:%SZ}"}
        said.append(Announcement(at=ahead, data={"kind": "early_close_ahead", "details": details}))
    for meeting in meetings:
        conference = meeting.press_conference
        details = {
            "scheduled": True,
            "press_conference_at": f"{conference:%Y-%m-%dT%H:%M:%SZ}" if conference else None,
            "projections": meeting.projections,
        }
        said.append(Announcement(at=meeting.statement, data={"kind": "fomc_statement", "details": details}))
    for expiring in (day_type for day_type in kind.types if day_type in _EXPIRATIONS):
        details = {"day_type": expiring.value}
        said.append(Announcement(at=session.closes_at, data={"kind": "expiration", "details": details}))
    said.append(Announcement(at=session.closes_at, data={"kind": "close", "details": {"calendar": session.calendar}}))
    return tuple(sorted(said, key=lambda announcement: announcement.at))


def _calendar_warnings(on: date, calendar: TradingCalendar) -> tuple[str, ...]:
    last = calendar.span[1]
    if last - on >= CALENDAR_ENDS_SOON:
        return ()
    return (f"the calendar of {calendar.code} ends soon, on {last}: sessions after it are not known",)


def _price_warnings(on: date, desk: Collection[str], usable: Collection[str] | None) -> tuple[str, ...]:
    if usable is None:
        return ()
    if not usable:
        return (f"no symbol of the desk has a usable price on {on}: no order task runs",)
    missing = sorted(set(desk) - set(usable))
    return (f"without a usable price on {on} and left out: {', '.join(missing)}",) if missing else ()
