"""What falls due in a run, and when."""

from datetime import datetime, timedelta
from enum import StrEnum
from heapq import heapify, heappop, heappush


class Timer(StrEnum):
    """What falls due; at one moment in this order."""

    ANNOUNCEMENT = "a"
    ATTEMPT_LIMIT = "b"
    STOP_GRACE = "c"
    STAGE_LIMIT = "d"
    RUN_LIMIT = "e"
    DEADLINE = "f"
    STAGE_START = "g"
    TASK_START = "h"
    RETRY = "i"


_SPANS = frozenset({Timer.ATTEMPT_LIMIT, Timer.STOP_GRACE, Timer.STAGE_LIMIT, Timer.RUN_LIMIT, Timer.RETRY})
"""What falls due after so much time, and not at a moment that the calendar or the clock names."""
DATED = 1
"""The number of a run limit that is such a moment all the same."""


class Agenda:
    """Moments in order; adding and taking are O(log n).

    Nothing is crossed out: whoever takes a thing looks whether it still matters.
    """

    def __init__(self) -> None:
        self._due: list[tuple[datetime, Timer, int, str]] = []

    @property
    def next_due(self) -> datetime | None:
        """When the next thing falls due; ``None``: nothing is dated."""
        return self._due[0][0] if self._due else None

    def add(self, when: datetime, timer: Timer, name: str = "", number: int = 0) -> None:
        """Let ``timer`` fall due ``when``; ``name`` and ``number`` say for whom."""
        heappush(self._due, (when, timer, number, name))

    def clock_set(self, by: timedelta) -> None:
        """Have what falls due after so much time do so, though the clock was set ``by`` so much meanwhile."""
        self._due = [
            (
                when + by if timer in _SPANS and (timer, number) != (Timer.RUN_LIMIT, DATED) else when,
                timer,
                number,
                name,
            )
            for when, timer, number, name in self._due
        ]
        heapify(self._due)

    def clear(self) -> None:
        """Forget all of it."""
        self._due.clear()

    def take(self, now: datetime) -> tuple[Timer, int, str] | None:
        """Remove and return the first thing that is due by ``now``: timer, number, name."""
        if not self._due or self._due[0][0] > now:
            return None
        _, timer, number, name = heappop(self._due)
        return timer, number, name
