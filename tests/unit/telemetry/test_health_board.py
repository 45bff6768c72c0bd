"""The board shows each part as it is, finds the slow ones, and says whether the service is ready."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.adapters.simulated.loop import run_simulated
from orchestration.domain.errors import DefinitionError
from orchestration.domain.health import ComponentHealth, Health
from orchestration.telemetry.health_board import ENOUGH, WINDOW, HealthBoard
from tests.doubles import ManualClock

START = datetime(2012, 12, 12, 11, tzinfo=UTC)


def board_of(*names: str) -> tuple[HealthBoard, ManualClock]:
    clock = ManualClock(START)
    board = HealthBoard(clock)
    for name in names:
        board.register(name)
    return board, clock


def only(board: HealthBoard) -> ComponentHealth:
    (component,) = board.components()
    return component


def test_a_board_without_parts_is_not_ready() -> None:
    board, _ = board_of()
    assert not board.readiness().ready
    assert board.readiness().reasons == ("no part has been started yet",)


@pytest.mark.parametrize(
    ("state", "ready"),
    [
        (Health.STARTING, False),
        (Health.OK, True),
        (Health.DEGRADED, True),
        (Health.FAILED, False),
        (Health.STOPPED, False),
    ],
)
def test_a_required_part_must_work(state: Health, *, ready: bool) -> None:
    board, _ = board_of("store")
    board.set("store", state)
    assert board.readiness().ready is ready


def test_readiness_names_each_unfit_part_and_why() -> None:
    board, _ = board_of("store", "broker")
    board.set("store", Health.FAILED, "the disk is full")
    assert board.readiness().reasons == ("broker is starting", "store is failed: the disk is full")


def test_a_part_that_can_be_done_without_does_not_hold_up_the_service() -> None:
    board, _ = board_of("store")
    board.set("store", Health.OK)
    board.register("alerts", required=False)
    board.set("alerts", Health.FAILED, "nobody answers")
    assert board.readiness().ready
    assert [(one.name, one.required) for one in board.components()] == [("alerts", False), ("store", True)]


def test_since_is_when_the_state_changed_last() -> None:
    board, clock = board_of("store")
    clock.moment += timedelta(seconds=5)
    board.set("store", Health.OK)
    clock.moment += timedelta(seconds=5)
    board.set("store", Health.OK, "still fine")
    board.observe("store", 3.0)
    assert (only(board).since, only(board).reason) == (START + timedelta(seconds=5), "still fine")
    board.set("store", Health.FAILED)
    assert only(board).since == START + timedelta(seconds=10)


def test_a_restarted_part_starts_anew_and_forgets_how_fast_it_was() -> None:
    board, clock = board_of("store")
    board.set("store", Health.OK)
    for _ in range(ENOUGH):
        board.observe("store", 1.0)
    clock.moment += timedelta(seconds=5)
    board.register("store")
    assert (only(board).state, only(board).since) == (Health.STARTING, clock.moment)
    clock.moment += timedelta(seconds=5)
    board.register("store")
    assert only(board).since == clock.moment - timedelta(seconds=5)
    board.set("store", Health.OK)
    board.observe("store", 50.0)
    assert only(board).state is Health.OK


def test_a_latency_over_three_times_the_median_is_degraded_until_the_next_usual_one() -> None:
    board, clock = board_of("store")
    board.set("store", Health.OK)
    for _ in range(ENOUGH):
        board.observe("store", 10.0)
    board.observe("store", 30.0)
    assert only(board).state is Health.OK
    clock.moment += timedelta(seconds=1)
    board.observe("store", 30.1)
    slow = only(board)
    assert (slow.state, slow.since, slow.latency_ms) == (Health.DEGRADED, clock.moment, 30.1)
    assert slow.reason == "took 30.1 ms, usually 10 ms"
    assert board.readiness().ready
    board.observe("store", 12.0)
    assert (only(board).state, only(board).reason) == (Health.OK, None)


def test_too_few_latencies_judge_nothing() -> None:
    board, _ = board_of("store")
    board.set("store", Health.OK)
    for _ in range(ENOUGH - 1):
        board.observe("store", 1.0)
    board.observe("store", 1000.0)
    assert only(board).state is Health.OK


def test_a_part_that_has_become_slow_for_good_is_usual_again_after_half_a_window() -> None:
    board, _ = board_of("store")
    board.set("store", Health.OK)
    for _ in range(WINDOW):
        board.observe("store", 1.0)
    states = []
    for _ in range(WINDOW):
        board.observe("store", 10.0)
        states.append(only(board).state)
    assert states.index(Health.OK) == WINDOW // 2 + 1 or states.index(Health.OK) == WINDOW // 2
    assert states[-1] is Health.OK


def test_slowness_hides_no_failure() -> None:
    board, _ = board_of("store")
    board.set("store", Health.OK)
    for latency in (*[1.0] * ENOUGH, 100.0):
        board.observe("store", latency)
    board.set("store", Health.FAILED, "gone")
    assert (only(board).state, only(board).reason) == (Health.FAILED, "gone")


def test_a_secret_in_a_reason_is_masked() -> None:
    board, _ = board_of("store")
    board.set("store", Health.FAILED, "can't open postgresql://desk:hunter2@db/x")
    assert "hunter2" not in "".join(board.readiness().reasons)


def test_an_unknown_part_is_named_with_the_nearest_known_one() -> None:
    board, _ = board_of("store")
    with pytest.raises(DefinitionError, match="no part 'stroe' is on the health board; did you mean 'store'"):
        board.set("stroe", Health.OK)
    with pytest.raises(DefinitionError, match="no part 'stroe'"):
        board.observe("stroe", 1.0)


@given(st.lists(st.floats(min_value=0.001, max_value=1e6), min_size=1, max_size=150))
def test_only_a_latency_over_three_medians_shows_as_degraded(latencies: list[float]) -> None:
    board, _ = board_of("store")
    board.set("store", Health.OK)
    for index, latency in enumerate(latencies):
        board.observe("store", latency)
        before = sorted(latencies[max(0, index - WINDOW) : index])
        middle = 0.0 if not before else (before[(len(before) - 1) // 2] + before[len(before) // 2]) / 2
        slow = len(before) >= ENOUGH and latency > 3 * middle
        assert (only(board).state is Health.DEGRADED) is slow


# -- checks


async def fit() -> None:
    return None


async def without_prices() -> str:
    return "runs without prices"


async def broken() -> None:
    raise ConnectionError("refused, token=abcdef")


async def hanging() -> None:
    await asyncio.Event().wait()


async def slow_but_fit() -> None:
    await asyncio.sleep(0.25)


def test_checks_run_side_by_side_and_each_finding_is_shown() -> None:
    async def main() -> tuple[HealthBoard, float]:
        clock = SimulatedClock(START)
        board = HealthBoard(clock)
        board.add_check("a", fit)
        board.add_check("b", without_prices, required=False)
        board.add_check("c", broken)
        board.add_check("d", hanging, limit_s=2)
        board.add_check("e", slow_but_fit)
        await board.run_checks()
        return board, clock.monotonic()

    board, took = run_simulated(main)
    assert took == 2
    assert [(one.name, one.state, one.reason, one.latency_ms) for one in board.components()] == [
        ("a", Health.OK, None, 0),
        ("b", Health.DEGRADED, "runs without prices", 0),
        ("c", Health.FAILED, "ConnectionError: refused, token=***", 0),
        ("d", Health.FAILED, "no answer within 2 s", 2000),
        ("e", Health.OK, None, 250),
    ]


def test_a_failed_check_is_no_sample_of_how_long_an_answer_takes() -> None:
    async def main() -> ComponentHealth:
        clock = SimulatedClock(START)
        board = HealthBoard(clock)
        delays = iter([*[0.01] * ENOUGH, *[9.0] * 2 * ENOUGH, 0.02])

        async def check() -> None:
            await asyncio.sleep(next(delays))

        board.add_check("store", check, limit_s=1)
        for _ in range(3 * ENOUGH):
            await board.run_checks()
        assert only(board).state is Health.FAILED
        await board.run_checks()
        board.observe("store", 31.0)
        return only(board)

    assert run_simulated(main).state is Health.DEGRADED


def test_a_cancelled_round_can_be_made_again() -> None:
    async def main() -> HealthBoard:
        clock = SimulatedClock(START)
        board = HealthBoard(clock)
        board.add_check("a", fit)
        board.add_check("b", slow_but_fit)
        with pytest.raises(TimeoutError):
            async with clock.timeout(0.1):
                await board.run_checks()
        assert [one.state for one in board.components()] == [Health.OK, Health.STARTING]
        await board.run_checks()
        return board

    assert [one.state for one in run_simulated(main).components()] == [Health.OK, Health.OK]
