"""The breaker of an agent: when it opens, whom it lets through then, and what closes it."""

from datetime import timedelta

from orchestration.engine.circuit_breaker import (
    ANY,
    FAILURES,
    LONGEST_REST,
    REST,
    TASKS,
    BreakerState,
    CircuitBreaker,
)
from tests.unit.engine.world import START

LATER = START + REST


def opened() -> CircuitBreaker:
    """One that has just opened, at the start."""
    breaker = CircuitBreaker()
    assert [breaker.failed(n % TASKS, START) for n in range(FAILURES)] == [False] * (FAILURES - 1) + [True]
    return breaker


def test_closed_it_lets_everybody_through() -> None:
    breaker = CircuitBreaker()
    assert (breaker.state, breaker.allows(START), breaker.retry_at) == (BreakerState.CLOSED, ANY, None)


def test_so_many_failures_in_a_row_of_so_many_tasks_open_it() -> None:
    breaker = opened()
    assert (breaker.state, breaker.allows(START), breaker.retry_at) == (BreakerState.OPEN, 0, LATER)


def test_one_task_that_fails_again_and_again_does_not_open_it() -> None:
    breaker = CircuitBreaker()
    assert not any(breaker.failed(n % (TASKS - 1), START) for n in range(10 * FAILURES))
    assert breaker.state is BreakerState.CLOSED


def test_a_success_between_them_starts_the_count_anew() -> None:
    breaker = CircuitBreaker()
    for n in range(FAILURES - 1):
        breaker.failed(n, START)
    assert breaker.succeeded("x") is False
    assert not any(breaker.failed(n, START) for n in range(FAILURES - 1))


def test_when_it_has_rested_it_lets_one_through_and_no_more() -> None:
    breaker = opened()
    assert breaker.allows(LATER - timedelta.resolution) == 0
    assert breaker.allows(LATER) == 1
    breaker.started("probe")
    assert (breaker.state, breaker.allows(LATER), breaker.retry_at) == (BreakerState.HALF_OPEN, 0, None)


def test_a_probe_that_succeeds_closes_it() -> None:
    breaker = opened()
    breaker.started("probe")
    assert breaker.succeeded("probe") is True
    assert (breaker.state, breaker.allows(LATER)) == (BreakerState.CLOSED, ANY)
    assert not breaker.failed("x", LATER)


def test_a_probe_that_fails_opens_it_for_twice_as_long_each_time_up_to_a_longest() -> None:
    breaker, now, rests = opened(), START, []
    for _ in range(6):
        now = breaker.retry_at or now
        breaker.started("probe")
        assert breaker.failed("probe", now) is True
        rests.append((breaker.retry_at or now) - now)
    assert rests == [2 * REST, 4 * REST, 8 * REST, LONGEST_REST, LONGEST_REST, LONGEST_REST]


def test_after_a_probe_has_succeeded_it_rests_as_long_as_the_first_time() -> None:
    breaker = opened()
    breaker.started("probe")
    breaker.failed("probe", LATER)
    breaker.started("probe")
    breaker.succeeded("probe")
    for n in range(FAILURES):
        breaker.failed(n, LATER)
    assert breaker.retry_at == LATER + REST


def test_a_probe_that_ends_without_a_word_makes_room_for_another() -> None:
    breaker = opened()
    breaker.started("probe")
    breaker.ended("somebody else")
    assert breaker.allows(LATER) == 0
    breaker.ended("probe")
    assert (breaker.state, breaker.allows(LATER)) == (BreakerState.OPEN, 1)


def test_those_who_were_under_way_when_it_opened_neither_close_it_nor_open_it_again() -> None:
    breaker = opened()
    assert breaker.failed("late", LATER) is False
    assert breaker.succeeded("late") is False
    assert (breaker.state, breaker.retry_at) == (BreakerState.OPEN, LATER)
