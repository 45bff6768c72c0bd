"""When options expire: the third Friday, the quarterly ones, and those on the VIX; for US equity calendars only."""

from datetime import date, timedelta

from orchestration.ports.trading_calendar import TradingCalendar

US_EQUITY_CALENDARS = frozenset({"XNYS", "NYSE", "NASDAQ", "XNAS", "XASE", "ARCX", "BATS", "OOTC"})
"""The codes, aliases included, of the calendars that share the expirations of US listed options."""

QUARTER_MONTHS = frozenset({3, 6, 9, 12})

FIRST_VIX_MONTH = date(2004, 5, 1)
"""Futures on the VIX began to trade in March 2004 and first expired in May."""

_FRIDAY = 4


def third_friday(year: int, month: int) -> date:
    """Return the third Friday of the month, a session or not."""
    first = date(year, month, 1)
    return first + timedelta(days=(_FRIDAY - first.weekday()) % 7 + 14)


def monthly_expiration(calendar: TradingCalendar, year: int, month: int) -> date:
    """Return the session on which that month's equity options expire.

    The third Friday, or the session before when the exchange is closed on it.
    """
    friday = third_friday(year, month)
    return friday if calendar.session(friday) else calendar.previous_session(friday).date


def vix_expiration(calendar: TradingCalendar, year: int, month: int) -> date:
    """Return the session on which that month's VIX options and futures expire.

    The Wednesday 30 days before the next month's third Friday, or the session before that Wednesday when the
    exchange is closed on either.
    """
    friday = third_friday(year + month // 12, month % 12 + 1)
    wednesday = friday - timedelta(days=30)
    # Only a December at the end of the calendar's span asks for a Friday beyond it, and no January's third Friday
    # is an exchange holiday.
    closed_friday = friday <= calendar.span[1] and calendar.session(friday) is None
    if closed_friday or calendar.session(wednesday) is None:
        return calendar.previous_session(wednesday).date
    return wednesday


def is_monthly_expiration(calendar: TradingCalendar, on: date) -> bool:
    """Whether equity options expire on ``on``; never outside the US equity calendars."""
    return calendar.code in US_EQUITY_CALENDARS and monthly_expiration(calendar, on.year, on.month) == on


def is_quarterly_expiration(calendar: TradingCalendar, on: date) -> bool:
    """Whether ``on`` is also the expiration of index futures and options ("triple witching")."""
    return on.month in QUARTER_MONTHS and is_monthly_expiration(calendar, on)


def is_vix_expiration(calendar: TradingCalendar, on: date) -> bool:
    """Whether options and futures on the VIX expire on ``on``."""
    if calendar.code not in US_EQUITY_CALENDARS or on < FIRST_VIX_MONTH:
        return False
    return vix_expiration(calendar, on.year, on.month) == on
