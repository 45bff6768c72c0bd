"""What kind of day it is: rules that combine, each with its reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from orchestration.days import earnings as earnings_rules
from orchestration.days import expirations, fomc, volatility
from orchestration.days.earnings import EarningsSchedule, When
from orchestration.days.fomc import FomcSchedule
from orchestration.domain.session import Interval, Session
from orchestration.ports.trading_calendar import TradingCalendar


class DayType(StrEnum):
    """What makes a date special, or `STANDARD`. The values are stored and sent: they never change."""

    STANDARD = "standard"
    FOMC = "fomc"
    MONTHLY_EXPIRATION = "monthly_expiration"
    QUARTERLY_EXPIRATION = "quarterly_expiration"
    VIX_EXPIRATION = "vix_expiration"
    EARNINGS = "earnings"
    EARLY_CLOSE = "early_close"
    HIGH_VOLATILITY = "high_volatility"
    MARKET_CLOSED = "market_closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DayKind:
    """The kinds of one date: sorted ``types``, at least one, each with a reason; ``warnings`` say what is not known."""

    types: tuple[DayType, ...]
    reasons: Mapping[DayType, str]
    warnings: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """All reasons in one line."""
        return "; ".join(self.reasons[kind] for kind in self.types)


def closed_day(reason: str, warnings: tuple[str, ...] = ()) -> DayKind:
    """Return the kind of a date without a session."""
    kind = DayType.MARKET_CLOSED
    return DayKind(types=(kind,), reasons={kind: reason}, warnings=warnings)


def unknown_dates(on: date, fomc_schedule: FomcSchedule, earnings: EarningsSchedule | None) -> tuple[str, ...]:
    """Return a warning for each data file that does not know ``on``."""
    said = (fomc_schedule.warning(on), earnings.warning(on) if earnings else None)
    return tuple(warning for warning in said if warning)


def kind_of_session(
    session: Session,
    *,
    calendar: TradingCalendar,
    day: Interval,
    fomc_schedule: FomcSchedule,
    earnings: EarningsSchedule | None = None,
    symbols: frozenset[str] = frozenset(),
    realised_volatility: float | None = None,
    high_volatility: float = volatility.HIGH_VOLATILITY,
) -> DayKind:
    """Return what kind of day ``session`` is.

    ``day`` is the span of its dated stages: the session whose span holds an FOMC statement is the `fomc` one.
    ``symbols`` are the desk's; only their reports make a day an `earnings` one. ``earnings`` is ``None`` where the
    desk keeps no list of them.
    """
    on = session.date
    reasons: dict[DayType, str] = {}
    if session.early_close:
        local = session.closes_at.astimezone(session.timezone)
        reasons[DayType.EARLY_CLOSE] = f"the exchange closes early, at {local:%H:%M} ({session.timezone.key})"
    if meetings := fomc.meetings_in(fomc_schedule, day):
        statement = meetings[0].statement
        reasons[DayType.FOMC] = (
            f"FOMC statement at {statement:%H:%MZ} ({statement.astimezone(fomc.WASHINGTON):%H:%M} in New York)"
        )
    reasons |= _expirations(calendar, on)
    if earnings:
        reports = earnings_rules.reports_on(earnings, calendar, session, symbols)
        phrases = [f"{', '.join(names)} {_REPORTS[when]}" for when, names in reports.items() if names]
        if phrases:
            reasons[DayType.EARNINGS] = "earnings: " + ", ".join(phrases)
    verdict = volatility.judge(realised_volatility, high_volatility)
    if verdict.high:
        reasons[DayType.HIGH_VOLATILITY] = verdict.reason
    warnings = unknown_dates(on, fomc_schedule, earnings)
    if verdict.high is None:
        warnings = (*warnings, verdict.reason)
    if not reasons:
        reasons[DayType.STANDARD] = "an ordinary session"
    return DayKind(types=tuple(sorted(reasons)), reasons=reasons, warnings=warnings)


_REPORTS = {When.BEFORE: "before the open", When.AFTER: "after the close"}


def _expirations(calendar: TradingCalendar, on: date) -> dict[DayType, str]:
    found: dict[DayType, str] = {}
    if expirations.is_monthly_expiration(calendar, on):
        found[DayType.MONTHLY_EXPIRATION] = f"monthly options of {on:%Y-%m} expire"
    if expirations.is_quarterly_expiration(calendar, on):
        found[DayType.QUARTERLY_EXPIRATION] = f"quarterly futures and options of {on:%Y-%m} expire"
    if expirations.is_vix_expiration(calendar, on):
        found[DayType.VIX_EXPIRATION] = f"VIX options and futures of {on:%Y-%m} expire"
    return found
