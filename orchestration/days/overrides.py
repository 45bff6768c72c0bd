"""What the operator knows better than the calendar: exchanges announce closures and early closes days ahead."""

from dataclasses import dataclass
from datetime import date, time


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """The exchange is closed on ``date``; ``calendar`` is the code it concerns, ``None``: any."""

    date: date
    reason: str
    calendar: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyClose:
    """The exchange closes at ``close``, its local time, on ``date``; ``calendar`` as in `Closure`."""

    date: date
    close: time
    reason: str
    calendar: str | None = None


Override = Closure | EarlyClose
