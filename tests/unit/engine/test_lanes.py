"""Places beside the slots: limits, an agent's lane with its breaker, the budget of retries."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from orchestration.engine.circuit_breaker import FAILURES, REST, CircuitBreaker
from orchestration.engine.lanes import AgentLane, Limit, RetryBudget
from tests.unit.engine.world import START, after

INTERVAL = timedelta(milliseconds=200)


def test_a_limit_has_room_for_so_many_and_never_opens_by_itself() -> None:
    limit = Limit(2)
    rooms = [limit.room(START)]
    for who in "ab":
        limit.enter(who, START)
        rooms.append(limit.room(START))
    limit.leave("a")
    assert [*rooms, limit.room(START)] == [2, 1, 0, 1]
    assert limit.opens_at is None


def test_an_agents_lane_has_the_room_of_its_limit_while_the_breaker_is_closed() -> None:
    lane = AgentLane(2, CircuitBreaker())
    lane.enter("a", START)
    assert (lane.room(START), lane.opens_at) == (1, None)


def test_an_agents_lane_is_closed_with_its_breaker_and_then_open_for_one() -> None:
    lane = AgentLane(9, CircuitBreaker())
    for n in range(FAILURES):
        lane.enter(n, START)
        lane.breaker.failed(n, START)
        lane.leave(n)
    assert (lane.room(START), lane.opens_at) == (0, START + REST)
    assert lane.room(START + REST) == 1
    lane.enter("probe", START + REST)
    assert (lane.room(START + REST), lane.opens_at) == (0, None)
    lane.leave("probe")
    assert lane.room(START + REST) == 1


def test_a_full_agents_lane_lets_no_probe_through_either() -> None:
    lane = AgentLane(1, CircuitBreaker())
    lane.enter("long", START)
    for n in range(FAILURES):
        lane.breaker.failed(n, START)
    assert lane.room(START + REST) == 0


def test_retries_go_in_a_burst_and_then_one_by_one() -> None:
    budget = RetryBudget(3, INTERVAL)
    assert (budget.room(START), budget.opens_at) == (3, None)
    for n in range(3):
        budget.enter(n, START)
        budget.leave(n)
    assert (budget.room(START), budget.opens_at) == (0, after(0.2))
    assert [budget.room(after(at)) for at in (0.199, 0.2, 0.399, 0.4, 0.6, 60)] == [0, 1, 1, 2, 3, 3]


def test_a_budget_that_was_not_used_for_long_is_no_larger_for_that() -> None:
    budget = RetryBudget(2, INTERVAL)
    budget.enter("a", START)
    for n in range(2):
        budget.enter(n, after(60))
    assert (budget.room(after(60)), budget.opens_at) == (0, after(60.2))


@given(st.integers(1, 5), st.lists(st.integers(0, 700), max_size=60))
def test_never_more_retries_than_the_burst_and_one_for_each_interval_and_none_held_back_without_need(
    burst: int, pauses: list[int]
) -> None:
    budget, now, went = RetryBudget(burst, INTERVAL), START, []
    for pause in pauses:
        now += timedelta(milliseconds=pause)
        room = budget.room(now)
        assert 0 <= room <= burst
        if room:
            budget.enter("x", now)
            went.append(now)
        else:
            opens_at = budget.opens_at
            assert opens_at is not None
            assert now < opens_at <= now + INTERVAL
            assert budget.room(opens_at) == 1
            assert budget.room(opens_at - timedelta.resolution) == 0
    for first, since in enumerate(went):
        for last in range(first, len(went)):
            assert last - first + 1 <= burst + (went[last] - since) / INTERVAL
