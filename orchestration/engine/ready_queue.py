"""What goes first: importance, then deadline, then the longest way still to go, then age; and who may go at all."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush

from orchestration.domain.states import TaskPriority
from orchestration.engine.lanes import Lane

Entry = tuple[str, str]
PATIENCE = timedelta(minutes=1)
"""How long an entry waits before it counts as one that others keep from going."""
FAIR_SHARE = 8
"""Of so many slots that are given while somebody has lost patience, one goes to whoever has waited longest."""
_LOOKS = 16
"""So many of those who have waited longest are looked at in one go, for one that may start."""
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """What decides an entry's place. ``path`` is the number of tasks on the longest chain that starts with it."""

    priority: TaskPriority
    deadline: datetime | None
    path: int


class _Waiting:
    """An entry in the queue; ``gone`` once it was taken, since it stands in two orders."""

    __slots__ = ("entry", "gone", "lanes", "since")

    def __init__(self, entry: Entry, lanes: Sequence[Lane], since: datetime) -> None:
        self.entry = entry
        self.lanes = lanes
        self.since = since
        self.gone = False


_Key = tuple[int, datetime, int, int]  # no two are equal, so that what stands behind one is never compared
_Heap = list[tuple[_Key, _Waiting]]


class ReadyQueue:
    """Tasks, as (run id, name), in the order in which they get one of ``slots``; CRITICAL ones never wait for any.

    An entry also needs a place in each of its lanes. Those that find one full stand aside, in their order, until it has
    a place again. Adding and taking are O(log n).
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._held: dict[Entry, Sequence[Lane]] = {}
        self._critical: _Heap = []
        self._others: _Heap = []
        self._aside: dict[Lane, _Heap] = {}
        self._by_age: deque[_Waiting] = deque()
        self._waiting = 0
        self._age = 0
        self._in_turn = 0
        self._looked_at = datetime.min.replace(tzinfo=UTC)

    def __len__(self) -> int:
        return self._waiting

    @property
    def held(self) -> int:
        """How many slots are taken."""
        return len(self._held)

    def add(self, entry: Entry, rank: Rank, lanes: Sequence[Lane], now: datetime) -> None:
        """Let ``entry`` wait. The same entry may wait twice: whoever takes it looks whether it still matters."""
        self._age += 1
        self._waiting += 1
        key = (-rank.priority, rank.deadline or _NEVER, -rank.path, self._age)
        waiting = _Waiting(entry, lanes, now)
        if rank.priority >= TaskPriority.CRITICAL:
            heappush(self._critical, (key, waiting))
            return
        heappush(self._others, (key, waiting))
        by_age = self._by_age
        by_age.append(waiting)
        while by_age[0].gone:
            by_age.popleft()
        if len(by_age) > 2 * self._waiting + 64:  # the oldest waits on, and those behind it have gone
            self._by_age = deque(one for one in by_age if not one.gone)

    def take(self, now: datetime) -> Entry | None:
        """Remove and return the first entry that may start now, with its slot and places; ``None``: none may.

        A slot is kept until `free`.
        """
        if self._aside:
            self._looked_at = now
            self._look_at_openings(now)
        if self._critical:
            self._waiting -= 1
            return heappop(self._critical)[1].entry
        if len(self._held) >= self._slots:
            return None
        return self._take_oldest(now) or self._take_first(now)

    def free(self, entry: Entry, now: datetime) -> None:
        """Give back the slot and the places of ``entry``, if it holds any."""
        for lane in self._held.pop(entry, ()):
            lane.leave(entry)
            self._look_again(lane, now)

    def _look_again(self, lane: Lane, now: datetime) -> None:
        """Let those that stand aside for ``lane`` queue again, as many as it has room for."""
        aside = self._aside.get(lane)
        if aside is None:
            return
        room = lane.room(now)
        while aside and room > 0:
            key, waiting = heappop(aside)
            if not waiting.gone:
                heappush(self._others, (key, waiting))
                room -= 1
        if not aside:
            del self._aside[lane]

    def next_opening(self) -> datetime | None:
        """When a lane for which somebody stands aside opens by itself; ``None``: none does.

        One that was open when `take` last looked is none: what keeps its tasks waiting now is something else.
        """
        openings = (lane.opens_at for lane in self._aside)
        return min((at for at in openings if at is not None and at > self._looked_at), default=None)

    def _look_at_openings(self, now: datetime) -> None:
        """`_look_again` at every lane that has opened by itself."""
        for lane in [lane for lane in self._aside if (at := lane.opens_at) is not None and at <= now]:
            self._look_again(lane, now)

    def _take_first(self, now: datetime) -> Entry | None:
        while self._others:
            key, waiting = heappop(self._others)
            if waiting.gone:
                continue
            for lane in waiting.lanes:
                if lane.room(now) <= 0:
                    heappush(self._aside.setdefault(lane, []), (key, waiting))
                    self._pass_on(waiting.lanes, lane, now)
                    break
            else:
                return self._hold(waiting, now)
        return None

    def _pass_on(self, lanes: Sequence[Lane], full: Lane, now: datetime) -> None:
        """Let others have the places in ``lanes`` that an entry can't use, since there is none for it in ``full``."""
        for lane in lanes:
            if lane is not full and lane in self._aside:
                self._look_again(lane, now)

    def _take_oldest(self, now: datetime) -> Entry | None:
        """The one that has waited longest of those who may start, when it is its turn.

        Those who may not go to the end of the row, so that they keep nobody from being looked at.
        """
        by_age = self._by_age
        while by_age and by_age[0].gone:
            by_age.popleft()
        if not by_age or now - by_age[0].since < PATIENCE:
            return None
        self._in_turn += 1
        if self._in_turn < FAIR_SHARE:
            return None
        for _ in range(min(_LOOKS, len(by_age))):
            oldest = by_age[0]
            if not oldest.gone:
                if now - oldest.since < PATIENCE:
                    return None
                if all(lane.room(now) > 0 for lane in oldest.lanes):
                    self._in_turn = 0
                    return self._hold(oldest, now)
                by_age.append(oldest)
            by_age.popleft()
        return None

    def _hold(self, waiting: _Waiting, now: datetime) -> Entry:
        waiting.gone = True
        self._waiting -= 1
        self._held[waiting.entry] = waiting.lanes
        for lane in waiting.lanes:
            lane.enter(waiting.entry, now)
        return waiting.entry
