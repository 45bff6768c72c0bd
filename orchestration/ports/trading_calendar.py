"""When an exchange trades."""

from datetime import date
from typing import Protocol
from zoneinfo import ZoneInfo

from orchestration.domain.session import Session


class TradingCalendar(Protocol):
    """The sessions of one exchange, the operator's extra closures and early closes included."""

    @property
    def code(self) -> str:
        """The exchange's code as the user gave it, such as ``XNYS``."""

    @property
    def timezone(self) -> ZoneInfo:
        """The exchange's time zone."""

    @property
    def span(self) -> tuple[date, date]:
        """The first and the last date that the calendar knows."""

    def session(self, on: date) -> Session | None:
        """The session of that date, or ``None`` when the exchange is closed.

        Raises `DefinitionError` for a date outside `span`, here and below.
        """

    def closure_reason(self, on: date) -> str:
        """Why there is no session: ``weekend``, the holiday's name, the operator's reason, else ``exchange closed``."""

    def next_session(self, after: date) -> Session:
        """The first session strictly after ``after``, which need not be a session itself."""

    def previous_session(self, before: date) -> Session:
        """The last session strictly before ``before``, which need not be a session itself."""
