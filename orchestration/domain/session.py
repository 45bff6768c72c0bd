"""A trading session: one day of one exchange, in instants."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A half-open span of time: from ``starts_at`` up to, but not including, ``ends_at`` (aware, UTC)."""

    starts_at: datetime
    ends_at: datetime

    def __post_init__(self) -> None:
        if not self.starts_at < self.ends_at:
            raise ValueError(f"an interval ends after it starts, but {self.ends_at} is not after {self.starts_at}")

    def __contains__(self, moment: datetime) -> bool:
        return self.starts_at <= moment < self.ends_at

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.ends_at - self.starts_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A trading session, named by its date.

    ``opens_at`` and ``closes_at`` are aware, UTC; ``breaks`` are pauses inside (lunch in Tokyo). ``early_close``: the
    exchange closes before its usual hour. ``timezone`` is the exchange's.
    """

    calendar: str
    date: date
    opens_at: datetime
    closes_at: datetime
    timezone: ZoneInfo
    breaks: tuple[Interval, ...] = ()
    early_close: bool = False

    def is_open(self, moment: datetime) -> bool:
        """Whether trading goes on at ``moment``: within the session, not in a break."""
        return self.opens_at <= moment < self.closes_at and not any(moment in pause for pause in self.breaks)
