"""A calendar that can be exchanged while everybody who holds it goes on."""

from datetime import date
from zoneinfo import ZoneInfo

from orchestration.domain.session import Session
from orchestration.ports.trading_calendar import TradingCalendar


class LiveCalendar:
    """The `TradingCalendar` that was put into it last, which is always one of the same exchange."""

    def __init__(self, calendar: TradingCalendar) -> None:
        self._calendar = calendar

    def replace(self, calendar: TradingCalendar) -> None:
        """Ask ``calendar`` from now on: the operator's file has changed, or a year has begun."""
        self._calendar = calendar

    @property
    def code(self) -> str:
        """The exchange's code."""
        return self._calendar.code

    @property
    def timezone(self) -> ZoneInfo:
        """The exchange's time zone."""
        return self._calendar.timezone

    @property
    def span(self) -> tuple[date, date]:
        """The first and the last date that is known now."""
        return self._calendar.span

    def session(self, on: date) -> Session | None:
        """The session of that date, or ``None``."""
        return self._calendar.session(on)

    def closure_reason(self, on: date) -> str:
        """Why there is no session."""
        return self._calendar.closure_reason(on)

    def next_session(self, after: date) -> Session:
        """The first session after ``after``."""
        return self._calendar.next_session(after)

    def previous_session(self, before: date) -> Session:
        """The last session before ``before``."""
        return self._calendar.previous_session(before)
