"""What is tried again, when, and how often."""

import asyncio
from typing import Any

import pytest

from orchestration.domain.errors import DefinitionError, FinalError, OutcomeUnknownError, StoreUnavailableError
from orchestration.domain.records import RecordKind
from tests.unit.engine.world import Scripted, World, after, boom, failing, for_ever, lasting, run, staged, task


def test_the_delays_are_those_of_003() -> None:
    out = run(staged(task("work", max_retries=8)), {"desk": Scripted(work=failing(8))})
    assert out.starts("work") == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert out.task("work")["status"] == "completed"
    assert out.task("work")["result"] == out.task("work")["attempts"] == 9
    assert out.task("work")["error"] is None


def test_the_settings_change_the_delays() -> None:
    out = run(staged(task("work")), {"desk": Scripted(work=failing(3))}, RETRY_BASE_DELAY=0.5, retry_max_delay=1.5)
    assert out.starts("work") == [0, 0.5, 1.5, 3.0]


def test_a_task_may_have_delays_of_its_own_and_the_last_one_lasts() -> None:
    tasks = [task("work", max_retries=3, retry_delays=[5, 0.25])]
    assert run(staged(*tasks), {"desk": Scripted(work=failing(3))}).starts("work") == [0, 5, 5.25, 5.5]


@pytest.mark.parametrize("max_retries", [0, 1, 2])
def test_max_retries_counts_the_attempts_after_the_first(max_retries: int) -> None:
    out = run(staged(task("work", max_retries=max_retries)), {"desk": Scripted(work=boom)})
    assert out.status("work") == "failed"
    assert out.task("work")["attempts"] == max_retries + 1
    assert out.task("work")["error"] == "RuntimeError: boom"


def test_without_a_number_of_its_own_a_task_of_003s_form_has_the_settings() -> None:
    assert run(staged(task("work")), {"desk": Scripted(work=boom)}, MAX_RETRIES=2).task("work")["attempts"] == 3
    assert run({"tasks": [task("work")]}, {"desk": Scripted(work=boom)}, MAX_RETRIES=2).task("work")["attempts"] == 1


def test_with_retries_off_nothing_is_tried_again() -> None:
    tasks = [task("work", max_retries=3, retry_delays=[1])]
    assert run(staged(*tasks), {"desk": Scripted(work=boom)}, enable_retry=False).task("work")["attempts"] == 1


@pytest.mark.parametrize("error", [DefinitionError("wrong"), OutcomeUnknownError("who knows"), FinalError("never")])
def test_what_would_fail_again_is_not_tried_again(error: Exception) -> None:
    out = run(staged(task("work")), {"desk": Scripted(work=failing(1, error))})
    assert out.task("work")["attempts"] == 1
    assert out.task("work")["error"] == f"{type(error).__name__}: {error}"


def test_a_transient_error_is_tried_again() -> None:
    out = run(staged(task("work")), {"desk": Scripted(work=failing(1, StoreUnavailableError("busy")))})
    assert (out.status("work"), out.task("work")["attempts"]) == ("completed", 2)


def test_a_timeout_is_tried_again_and_the_status_is_the_last_attempts() -> None:
    out = run(staged(task("work", timeout=10, max_retries=1)), {"desk": Scripted(work=for_ever)})
    assert out.starts("work") == [0, 11]
    assert out.status("work") == "timeout"
    assert out.task("work")["error"] == "not finished within 10 s"

    async def slow_then_wrong(task_data: Any) -> object:
        if task_data["execution"]["attempt"] == 1:
            await asyncio.sleep(100)
        raise RuntimeError("wrong")

    out = run(staged(task("work", timeout=10, max_retries=1)), {"desk": Scripted(work=slow_then_wrong)})
    assert out.status("work") == "failed"


def test_a_coroutine_that_cancels_itself_has_failed() -> None:
    async def give_up(task_data: Any) -> object:
        raise asyncio.CancelledError

    out = run(staged(task("work", max_retries=1)), {"desk": Scripted(work=give_up)})
    assert out.status("work") == "failed"
    assert out.task("work")["attempts"] == 2
    assert out.task("work")["error"] == "its coroutine cancelled itself"


@pytest.mark.parametrize(("deadline", "attempts"), [(3.0, 2), (3.001, 3), (1.0, 1)])
def test_a_retry_that_would_be_due_at_the_deadline_or_later_is_not_made(deadline: float, attempts: int) -> None:
    out = run(staged(task("work", deadline=after(deadline))), {"desk": Scripted(work=boom)})
    assert out.status("work") == "failed"
    assert out.task("work")["attempts"] == attempts
    assert "a retry would be due at 11:00:0" in out.task("work")["reason"]


def test_a_retry_that_gets_its_slot_too_late_is_not_made() -> None:
    tasks = [task("work", deadline=after(5)), task("long", priority="LOW")]
    desk = Scripted(work=failing(1), long=lasting(60))
    out = run(staged(*tasks), {"desk": desk}, max_concurrent_tasks=1)
    assert out.status("work") == "failed"
    assert out.task("work")["attempts"] == 1
    assert out.task("work")["error"] == "RuntimeError: boom 1"
    assert out.task("work")["reason"] == "its retry could not start before 11:00:05Z"


def test_between_two_attempts_a_task_holds_no_slot() -> None:
    tasks = [task("work", max_retries=1, retry_delays=[30], priority="HIGH"), task("other")]
    out = run(staged(*tasks), {"desk": Scripted(work=failing(1), other=lasting(5))}, max_concurrent_tasks=1)
    assert (out.starts("work"), out.starts("other")) == ([0, 30], [0])


def test_a_retry_takes_its_turn_for_a_slot() -> None:
    tasks = [task("work", max_retries=1, retry_delays=[3], priority="HIGH"), task("other")]
    out = run(staged(*tasks), {"desk": Scripted(work=failing(1), other=lasting(5))}, max_concurrent_tasks=1)
    assert out.starts("work") == [0, 5]


def test_the_status_between_two_attempts_is_retrying() -> None:
    seen: list[str] = []

    async def look(world: World, run_id: str) -> None:
        await world.clock.sleep_until(after(10))
        seen.append(world.engine.get_execution_status(run_id)["tasks"]["work"]["status"])

    tasks = [task("work", max_retries=1, retry_delays=[30])]
    out = run(staged(*tasks), {"desk": Scripted(work=failing(1))}, meanwhile=look)
    assert seen == ["retrying"]
    assert out.moments(RecordKind.TASK_RETRYING) == [0]
