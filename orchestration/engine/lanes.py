"""Places that an attempt needs beside its slot: at its agent, at its task type, among the retries."""

from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Protocol

from orchestration.engine.circuit_breaker import CircuitBreaker


class Lane(Protocol):
    """Something with room for so many attempts at a time."""

    @property
    def opens_at(self) -> datetime | None:
        """When there is room again by itself; ``None``: when somebody leaves, or at once."""

    def room(self, now: datetime) -> int:
        """How many more may enter."""

    def enter(self, who: Hashable, now: datetime) -> None:
        """One attempt begins."""

    def leave(self, who: Hashable) -> None:
        """One attempt has ended."""


class Limit:
    """At most ``most`` at a time; it may be changed, and who is inside already stays."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._inside = 0

    @property
    def opens_at(self) -> datetime | None:
        """Never by itself."""
        return None

    def room(self, now: datetime) -> int:
        """What is left of the limit."""
        return self.most - self._inside

    def enter(self, who: Hashable, now: datetime) -> None:
        """Take a place."""
        self._inside += 1

    def leave(self, who: Hashable) -> None:
        """Give it back."""
        self._inside -= 1


class AgentLane(Limit):
    """An agent's own limit, closed while its ``breaker`` is open, and for one at a time while that tries it out."""

    def __init__(self, most: int, breaker: CircuitBreaker) -> None:
        super().__init__(most)
        self.breaker = breaker

    @property
    def opens_at(self) -> datetime | None:
        """When the breaker lets a probe through."""
        return self.breaker.retry_at

    def room(self, now: datetime) -> int:
        """What the limit leaves, and the breaker allows."""
        return min(super().room(now), self.breaker.allows(now))

    def enter(self, who: Hashable, now: datetime) -> None:
        """Take a place; while the breaker is open, as its probe."""
        super().enter(who, now)
        self.breaker.started(who)

    def leave(self, who: Hashable) -> None:
        """Give it back."""
        super().leave(who)
        self.breaker.ended(who)


class RetryBudget:
    """Lets retries through in a burst of at most ``burst``, then one every ``interval``.

    An outage makes many attempts fail at once; without it their retries would come back as a storm.
    """

    def __init__(self, burst: int, interval: timedelta) -> None:
        self._burst = burst
        self._interval = interval
        self._full_at: datetime | None = None

    @property
    def opens_at(self) -> datetime | None:
        """When the next one may go."""
        return None if self._full_at is None else self._full_at - (self._burst - 1) * self._interval

    def room(self, now: datetime) -> int:
        """How many may go now."""
        if self._full_at is None or self._full_at <= now:
            return self._burst
        return self._burst - -((now - self._full_at) // self._interval)

    def enter(self, who: Hashable, now: datetime) -> None:
        """One goes."""
        self._full_at = max(now, self._full_at or now) + self._interval

    def leave(self, who: Hashable) -> None:
        """What was spent comes back by itself."""
