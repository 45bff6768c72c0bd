"""Limits of attempts, tasks, stages and runs."""

import asyncio

import pytest

from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.records import RecordKind
from orchestration.engine.core import RunCore
from orchestration.engine.inputs import Begin, TimeCame
from orchestration.engine.run_state import RunState
from tests.unit.engine.test_forms import read
from tests.unit.engine.world import (
    Scripted,
    after,
    at_once,
    deaf,
    failing,
    for_ever,
    lasting,
    open_world,
    run,
    simulated,
    staged,
    task,
)

DESK = {"desk": Scripted(hang=for_ever, quick=at_once, ten=lasting(10, "ten"), deaf=deaf(1000), slow=deaf(12))}


def test_an_attempt_that_takes_too_long_is_stopped() -> None:
    out = run(staged(task("hang", timeout=30, max_retries=0)), DESK)
    assert out.status("hang") == "timeout"
    assert out.task("hang")["error"] == "not finished within 30 s"
    assert out.result["duration_s"] == 30
    assert out.result["status"] == "failed"


def test_what_is_done_at_the_very_moment_of_its_limit_is_done_in_time() -> None:
    assert run(staged(task("ten", timeout=10, max_retries=0)), DESK).status("ten") == "completed"


def test_a_task_without_a_limit_has_the_settings() -> None:
    out = run(staged(task("hang", max_retries=0)), DESK, DEFAULT_TASK_TIMEOUT=44)
    assert out.result["duration_s"] == 44


def test_an_attempt_that_will_not_stop_is_given_up_on_after_five_seconds_and_reported() -> None:
    out = run(staged(task("deaf", timeout=30, max_retries=2), task("quick", "deaf")), DESK)
    assert out.status("deaf") == "timeout"
    assert out.task("deaf")["attempts"] == 1
    assert out.result["duration_s"] == 35
    alert = out.told(OrchestrationEvent.SYSTEM_ALERT)
    assert [dict(data) for data in alert] == [
        {
            "source": "engine",
            "message": "deaf of test, told to stop (not finished within 30 s), went on for 5 s and was given up on",
            "at": "2012-12-12T11:00:35Z",
        }
    ]


def test_an_attempt_that_stops_within_the_grace_is_no_alert_and_its_late_result_counts_for_nothing() -> None:
    out = run(staged(task("slow", timeout=10, max_retries=0)), DESK)
    assert out.status("slow") == "timeout"
    assert out.task("slow")["result"] is None
    assert out.result["duration_s"] == 12
    assert out.told(OrchestrationEvent.SYSTEM_ALERT) == []


def test_what_is_given_up_on_holds_no_slot_any_more() -> None:
    tasks = [task("deaf", timeout=30, max_retries=0, priority="HIGH"), task("quick")]
    assert run(staged(*tasks), DESK, max_concurrent_tasks=1).starts("quick") == [35]


def test_the_late_end_of_what_was_given_up_on_changes_nothing() -> None:
    tasks = [task("deaf", timeout=30, max_retries=0), task("longer", timeout=2000, max_retries=0)]
    desk = {"desk": Scripted(deaf=deaf(1000), longer=lasting(1500))}
    out = run(staged(*tasks), desk)
    assert out.statuses() == {"deaf": "timeout", "longer": "completed"}
    assert out.result["duration_s"] == 1500


def test_a_limit_is_kept_by_a_run_that_got_its_slot_from_another_run() -> None:
    """The run whose task waits for the slot has no event of its own when it gets it."""

    async def main() -> tuple[float, str]:
        world = await open_world(DESK, max_concurrent_tasks=1)
        async with world.engine as engine:
            first = await engine.create_workflow(staged(task("ten")))
            second = await engine.create_workflow(staged(task("hang", timeout=7, max_retries=0)))
            results = await asyncio.gather(engine.execute_workflow(first), engine.execute_workflow(second))
        return results[1]["duration_s"], results[1]["status"]

    assert simulated(main) == (17, "failed")


# -- deadlines


def test_a_task_that_has_not_started_by_its_deadline_never_does() -> None:
    out = run(staged(task("ten"), task("quick", "ten", deadline=after(9))), DESK)
    assert out.status("quick") == "expired"
    assert out.task("quick")["completed_at"] == "2012-12-12T11:00:09Z"
    assert out.task("quick")["reason"] == (
        "its window ended at 2012-12-12T11:00:09Z before it could start (waiting for what it needs)"
    )
    assert out.result["status"] == "completed"


def test_what_it_waits_for_coming_at_the_very_deadline_is_too_late() -> None:
    assert run(staged(task("ten"), task("quick", "ten", deadline=after(10))), DESK).status("quick") == "expired"


def test_a_task_that_waits_for_a_slot_expires_too() -> None:
    tasks = [task("ten", priority="HIGH"), task("quick", deadline=after(5))]
    out = run(staged(*tasks), DESK, max_concurrent_tasks=1)
    assert out.task("quick")["reason"].endswith("(waiting for a slot)")


def test_what_runs_at_its_deadline_goes_on() -> None:
    assert run(staged(task("ten", deadline=after(5))), DESK).status("ten") == "completed"


def test_without_one_of_its_own_the_stages_end_is_the_deadline() -> None:
    stage = {"tasks": [task("ten"), task("quick", "ten")], "starts_at": after(0), "ends_at": after(9)}
    assert run({"stages": {"s": stage}}, DESK).status("quick") == "expired"


def test_a_deadline_that_is_past_when_the_run_starts_is_too_late() -> None:
    out = run(staged(task("quick", deadline=after(0))), DESK)
    assert out.status("quick") == "expired"
    assert out.task("quick")["reason"].endswith("(not begun)")


# -- stages and runs


def test_when_a_stage_runs_out_of_time_what_runs_is_stopped_and_what_waits_expires() -> None:
    tasks = [task("hang"), task("quick", "hang"), task("ten", starts_at=after(60))]
    out = run({"stages": {"s": {"tasks": tasks, "timeout": 20}, "t": {"tasks": [task("deaf", name="d")]}}},
              {"desk": Scripted(hang=for_ever, quick=at_once, ten=at_once, deaf=at_once)})  # fmt: skip
    assert out.statuses() == {"hang": "timeout", "quick": "expired", "ten": "expired", "d": "completed"}
    assert out.task("hang")["error"] == out.task("ten")["reason"] == "stage s timed out after 20 s"
    assert out.starts("d") == [20]
    assert out.result["stages"]["s"]["status"] == "failed"


def test_an_attempt_limit_does_not_bring_back_what_its_stage_has_ended() -> None:
    stage = {"tasks": [task("slow", timeout=9, max_retries=3)], "timeout": 8}
    out = run({"stages": {"s": stage}}, DESK)
    assert out.task("slow")["attempts"] == 1
    assert out.task("slow")["error"] == "stage s timed out after 8 s"
    assert out.result["duration_s"] == 12


def test_a_run_that_is_not_over_in_time_fails() -> None:
    out = run(staged(task("hang"), task("quick", "hang"), timeout=25), DESK)
    assert out.statuses() == {"hang": "timeout", "quick": "expired"}
    assert out.result["status"] == "failed"
    assert out.result["reason"] == "the run was not over by 2012-12-12T11:00:25Z"
    assert out.result["duration_s"] == 25


def test_a_run_without_a_limit_has_the_settings() -> None:
    out = run(staged(task("hang", timeout=9999)), DESK, WORKFLOW_TIMEOUT=77)
    assert out.result["duration_s"] == 77


def test_a_dated_run_ends_that_time_after_its_last_stage() -> None:
    stage = {"tasks": [task("hang", timeout=9999)], "starts_at": after(10), "ends_at": after(100)}
    out = run({"stages": {"s": stage}}, DESK, workflow_timeout=50)
    assert out.result["reason"] == "the run was not over by 2012-12-12T11:02:30Z"


def test_stages_to_come_are_skipped_when_the_run_is_out_of_time() -> None:
    later = {"tasks": [task("quick")], "starts_at": after(60)}
    empty = {"tasks": [], "starts_at": after(90)}
    out = run({"stages": {"s": {"tasks": [task("hang")]}, "later": later, "empty": empty}, "timeout": 25}, DESK)
    assert out.status("quick") == "expired"
    assert out.result["stages"]["later"]["status"] == out.result["stages"]["empty"]["status"] == "skipped"
    assert out.result["duration_s"] == 25


def test_a_task_between_two_attempts_ends_as_its_last_attempt_did_when_time_is_up() -> None:
    tasks = [task("work", max_retries=1, retry_delays=[60])]
    out = run(staged(*tasks, timeout=25), {"desk": Scripted(work=failing(1))})
    assert out.status("work") == "failed"
    assert out.task("work")["error"] == "RuntimeError: boom 1"
    assert out.task("work")["reason"] == "the run was not over by 2012-12-12T11:00:25Z"


def test_nothing_is_recorded_after_the_end_even_if_more_was_due_when_time_came_late() -> None:
    announcements = [{"at": after(50), "kind": "open"}]
    state = RunState(run_id="r", definition=read(staged(task("a"), timeout=25, announcements=announcements)))
    core = RunCore(state, None)
    core.decide(Begin(at=after(0)))
    records = core.decide(TimeCame(at=after(60))).records
    assert records[-1].kind is RecordKind.RUN_FAILED


@pytest.mark.parametrize("kind", list(RecordKind))
def test_every_kind_of_record_has_a_name_that_never_changes(kind: RecordKind) -> None:
    assert kind.value == kind.name.lower()
