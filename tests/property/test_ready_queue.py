"""Who goes first and who may go, whatever comes and goes."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestration.domain.states import TaskPriority
from orchestration.engine.circuit_breaker import CircuitBreaker
from orchestration.engine.lanes import AgentLane, Lane, Limit, RetryBudget
from orchestration.engine.ready_queue import FAIR_SHARE, PATIENCE, Entry, Rank, ReadyQueue
from tests.property.definitions import START

NEVER = datetime.max.replace(tzinfo=UTC)
_deadlines = st.none() | st.integers(0, 5).map(lambda minutes: START + timedelta(minutes=minutes))
_ranks = st.builds(Rank, priority=st.sampled_from(TaskPriority), deadline=_deadlines, path=st.integers(1, 4))
LOW = Rank(priority=TaskPriority.LOW, deadline=None, path=1)
HIGH = Rank(priority=TaskPriority.HIGH, deadline=None, path=1)
MANY = 10**6


def key(rank: Rank, age: int) -> tuple[int, datetime, int, int]:
    return -rank.priority, rank.deadline or NEVER, -rank.path, age


def filled(slots: int, ranks: list[Rank]) -> ReadyQueue:
    queue = ReadyQueue(slots)
    for age, rank in enumerate(ranks):
        queue.add(("run", str(age)), rank, (), START)
    return queue


@given(st.lists(_ranks, max_size=20))
def test_what_is_more_important_goes_first_then_what_is_due_then_the_longer_way_then_the_older(
    ranks: list[Rank],
) -> None:
    queue, taken = filled(MANY, ranks), []
    assert len(queue) == len(ranks)
    while (entry := queue.take(START)) is not None:
        taken.append(int(entry[1]))
    assert taken == sorted(range(len(ranks)), key=lambda n: key(ranks[n], n))
    assert len(queue) == 0


@given(st.lists(_ranks, max_size=12), st.integers(1, 3))
def test_without_a_slot_only_what_is_critical_goes_and_that_takes_none(ranks: list[Rank], slots: int) -> None:
    queue, taken = filled(slots, ranks), []
    while (entry := queue.take(START)) is not None:
        taken.append(ranks[int(entry[1])].priority)
    critical = sum(rank.priority is TaskPriority.CRITICAL for rank in ranks)
    assert taken[:critical] == [TaskPriority.CRITICAL] * critical
    assert len(taken) - critical == queue.held == min(slots, len(ranks) - critical)


class Places(RuleBasedStateMachine):
    """Tasks of all kinds come, go and end; what goes is compared with what a search through all of them would say."""

    @initialize(slots=st.integers(1, 4), limits=st.lists(st.integers(1, 3), min_size=2, max_size=2))
    def open(self, slots: int, limits: list[int]) -> None:
        self.now, self.slots = START, slots
        self.queue = ReadyQueue(slots)
        self.agents = [AgentLane(limit, CircuitBreaker()) for limit in limits]
        self.kinds: list[Lane] = [Limit(1), Limit(2)]
        self.budget = RetryBudget(2, timedelta(seconds=1))
        self.limits = dict(zip([*self.agents, *self.kinds], [*limits, 1, 2], strict=True))
        self.numbers = count()
        self.waiting: dict[Entry, tuple[Rank, tuple[Lane, ...], datetime, int]] = {}
        self.going: dict[Entry, tuple[Lane, ...]] = {}
        self.taken: Counter[Entry] = Counter()
        self.in_turn = 0

    @rule(rank=_ranks, agent=st.integers(-1, 1), kind=st.integers(-1, 1), again=st.booleans())
    def one_comes(self, rank: Rank, agent: int, kind: int, *, again: bool) -> None:
        number = next(self.numbers)
        lanes: tuple[Lane, ...] = (
            *(self.agents[agent : agent + 1] if agent >= 0 else ()),
            *(self.kinds[kind : kind + 1] if kind >= 0 else ()),
            *((self.budget,) if again else ()),
        )
        self.waiting["run", str(number)] = (rank, lanes, self.now, number)
        self.queue.add(("run", str(number)), rank, lanes, self.now)

    @rule()
    def all_go_that_may(self) -> None:
        while (entry := self.queue.take(self.now)) is not None:
            self.goes(entry)
        free = len(self.going) < self.slots
        assert not any(rank.priority is TaskPriority.CRITICAL for rank, *_ in self.waiting.values())
        may = [one for one, (_, lanes, *_) in self.waiting.items() if all(lane.room(self.now) > 0 for lane in lanes)]
        assert not (free and may), "somebody may go and does not"
        opening = self.queue.next_opening()
        assert opening is None or opening > self.now, "who waits until then would not wait"
        blocked = [lanes for _, lanes, *_ in self.waiting.values()] if free else []
        for lanes in blocked:  # whoever only waits for time to pass is called in time
            shut = [lane for lane in lanes if lane.room(self.now) <= 0]
            dates = [lane.opens_at for lane in shut]
            if all(dates):
                assert opening is not None
                assert opening <= max(date for date in dates if date is not None)

    def goes(self, entry: Entry) -> None:
        self.taken[entry] += 1
        rank, lanes, since, number = self.waiting.pop(entry)
        if rank.priority is TaskPriority.CRITICAL:
            return
        assert len(self.going) < self.slots
        others = [
            key(other, n)
            for other, their_lanes, _, n in self.waiting.values()
            if other.priority is not TaskPriority.CRITICAL
            and all(lane.room(self.now) > (1 if lane in lanes else 0) for lane in their_lanes)
        ]
        if others and min(others) < key(rank, number):
            assert self.now - since >= PATIENCE, "somebody less important goes first, and has not waited long"
        self.going[entry] = lanes

    @precondition(lambda self: self.going)
    @rule(number=st.integers(0, 20), how=st.sampled_from(["well", "badly", "quietly"]))
    def one_ends(self, number: int, how: str) -> None:
        entry = list(self.going)[number % len(self.going)]
        for lane in self.going.pop(entry):
            if isinstance(lane, AgentLane) and how == "well":
                lane.breaker.succeeded(entry)
            elif isinstance(lane, AgentLane) and how == "badly":
                lane.breaker.failed(entry, self.now)
        self.queue.free(entry, self.now)

    @rule(seconds=st.sampled_from([0.3, 1, 20, 40, 70]))
    def time_passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @invariant()
    def nobody_is_lost_or_goes_twice_and_no_limit_is_exceeded(self) -> None:
        assert len(self.queue) == len(self.waiting)
        assert not self.taken or max(self.taken.values()) == 1
        assert self.queue.held == len(self.going) <= self.slots
        for lane, limit in self.limits.items():
            assert sum(lane in lanes for lanes in self.going.values()) <= limit

    def teardown(self) -> None:
        """Everybody goes in the end."""
        if not hasattr(self, "queue"):
            return
        for _ in range(2000):
            self.all_go_that_may()
            if not self.waiting:
                break
            if self.going:
                self.one_ends(0, "well")
            else:
                opening = self.queue.next_opening()
                assert opening is not None, "nothing will ever call those who wait"
                self.now = max(self.now, opening)
        assert not self.waiting


Places.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestPlaces = Places.TestCase


@given(stuck=st.integers(0, 60))
@settings(deadline=None, max_examples=30)
def test_nobody_starves_behind_a_stream_of_what_is_more_important(stuck: int) -> None:
    queue, numbers = ReadyQueue(2), count()
    shut = Limit(1)  # and stays so: those who wait for it must not keep the others from their turn
    queue.add(("stuck", "holder"), HIGH, (shut,), START)
    assert queue.take(START) is not None
    for number in range(stuck):
        queue.add(("stuck", str(number)), HIGH, (shut,), START)
    queue.add(("run", "patient"), LOW, (), START)
    now = START + PATIENCE
    for _ in range(FAIR_SHARE + stuck):
        queue.add(("run", str(next(numbers))), HIGH, (), now)
        taken = queue.take(now)
        assert taken is not None
        if taken == ("run", "patient"):
            return
        queue.free(taken, now)
        now += timedelta(milliseconds=1)
    raise AssertionError("it starves")


@given(st.integers(1, 200))
def test_what_waits_long_goes_oldest_first_when_it_is_its_turn(patient: int) -> None:
    queue, numbers = ReadyQueue(1), count()
    for number in range(patient):
        queue.add(("patient", str(number)), LOW, (), START)
    now, order = START + PATIENCE, []
    for _ in range(patient * FAIR_SHARE):
        queue.add(("new", str(next(numbers))), HIGH, (), now)
        taken = queue.take(now)
        assert taken is not None
        if taken[0] == "patient":
            order.append(int(taken[1]))
        queue.free(taken, now)
    assert order == list(range(patient))


def test_a_lane_that_is_open_already_is_not_waited_for() -> None:
    queue, budget = ReadyQueue(1), RetryBudget(1, timedelta(seconds=1))
    for name in "abc":
        queue.add(("run", name), LOW, (budget,), START)
    assert queue.take(START) == ("run", "a")
    queue.free(("run", "a"), START)
    assert queue.take(START) is None
    assert queue.next_opening() == START + timedelta(seconds=1)
    queue.add(("run", "long"), HIGH, (), START)
    assert queue.take(START) == ("run", "long")
    later = START + timedelta(seconds=1)
    assert queue.take(later) is None
    assert queue.next_opening() is None, "they wait for a slot, and would be called again and again"
    queue.free(("run", "long"), later)
    assert queue.take(later) == ("run", "b")
