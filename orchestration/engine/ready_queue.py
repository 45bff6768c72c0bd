"""What goes first: importance, then deadline, then the longest way still to go, then age."""

from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import heappop, heappush

from orchestration.domain.states import TaskPriority

Entry = tuple[str, str]
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """What decides an entry's place. ``path`` is the number of tasks on the longest chain that starts with it."""

    priority: TaskPriority
    deadline: datetime | None
    path: int


class ReadyQueue:
    """Tasks, as (run id, name), in the order in which they get slots; CRITICAL ones never wait for one.

    Adding and taking are O(log n).
    """

    def __init__(self) -> None:
        self._critical: list[tuple[int, datetime, int, int, Entry]] = []
        self._others: list[tuple[int, datetime, int, int, Entry]] = []
        self._age = 0

    def __len__(self) -> int:
        return len(self._critical) + len(self._others)

    def add(self, entry: Entry, rank: Rank) -> None:
        """Let ``entry`` wait. The same entry may wait twice: whoever takes it looks whether it still matters."""
        self._age += 1
        heap = self._critical if rank.priority >= TaskPriority.CRITICAL else self._others
        heappush(heap, (-rank.priority, rank.deadline or _NEVER, -rank.path, self._age, entry))

    def take(self, free_slots: int) -> tuple[Entry, bool] | None:
        """Remove and return the first entry and whether it needs a slot; ``None`` when none may start now."""
        if self._critical:
            return heappop(self._critical)[-1], False
        if self._others and free_slots > 0:
            return heappop(self._others)[-1], True
        return None
