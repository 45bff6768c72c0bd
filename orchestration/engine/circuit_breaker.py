"""A breaker for each agent: one that keeps failing is left alone for a while, and then tried with one attempt."""

from collections.abc import Hashable
from datetime import datetime, timedelta
from enum import StrEnum

FAILURES, TASKS = 5, 3
"""So many attempts failing in a row, of at least so many tasks, open the breaker: one task that fails again and again
tells of itself, not of its agent."""
REST, LONGEST_REST = timedelta(seconds=30), timedelta(minutes=5)
"""How long it stays open, twice as long after each probe that fails, and at most."""

ANY = 2**31
"""More than there can be."""


class BreakerState(StrEnum):
    """Where a breaker is."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitBreaker:
    """Closed it counts, open it lets nothing through, half-open one attempt, the probe, whose outcome decides.

    ``who`` is the task of an attempt.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._failing: set[Hashable] = set()
        self._rest = REST
        self._open_until: datetime | None = None
        self._probe: Hashable = None

    @property
    def state(self) -> BreakerState:
        """Half-open from when a probe has started."""
        if self._open_until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._probe is None else BreakerState.HALF_OPEN

    @property
    def retry_at(self) -> datetime | None:
        """When a probe may start; ``None``: it is closed, or a probe is under way."""
        return self._open_until if self._probe is None else None

    def allows(self, now: datetime) -> int:
        """How many attempts may start now."""
        if self._open_until is None:
            return ANY
        return 1 if self._probe is None and now >= self._open_until else 0

    def started(self, who: Hashable) -> None:
        """An attempt starts; while the breaker is open, as its probe."""
        if self._open_until is not None:
            self._probe = who

    def succeeded(self, who: Hashable) -> bool:
        """An attempt succeeded; return whether that closed the breaker."""
        self._failures = 0
        self._failing.clear()
        if self._probe is None or who != self._probe:
            return False
        self._probe, self._open_until, self._rest = None, None, REST
        return True

    def failed(self, who: Hashable, now: datetime) -> bool:
        """An attempt failed in a way that tells of its agent; return whether that opened the breaker."""
        self._failures += 1
        if len(self._failing) < TASKS:
            self._failing.add(who)
        if self._probe is not None and who == self._probe:
            self._rest = min(2 * self._rest, LONGEST_REST)
        elif self._open_until is not None or self._failures < FAILURES or len(self._failing) < TASKS:
            return False
        self._probe, self._open_until = None, now + self._rest
        return True

    def ended(self, who: Hashable) -> None:
        """An attempt is over; a probe that neither succeeded nor failed makes room for another one."""
        if who == self._probe:
            self._probe = None
