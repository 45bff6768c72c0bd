"""A run that is not wanted any more ends, and says so."""

import asyncio
from typing import Any

import pytest

from orchestration.domain.errors import DefinitionError
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.records import RecordKind
from tests.unit.engine.world import (
    Outcome,
    Scripted,
    World,
    after,
    at_once,
    deaf,
    failing,
    for_ever,
    open_world,
    run,
    simulated,
    staged,
    task,
)

DESK = {"desk": Scripted(hang=for_ever, quick=at_once, slow=deaf(13), deaf=deaf(1000), wrong=failing(1))}


def cancelled(definition: dict[str, Any], at: float) -> Outcome:
    """Carry it out and cancel it at a moment."""

    async def meanwhile(world: World, run_id: str) -> None:
        await world.clock.sleep_until(after(at))
        await world.engine.cancel(run_id, "enough")

    return run(definition, DESK, meanwhile=meanwhile)


def test_what_runs_is_stopped_and_what_waits_never_starts() -> None:
    tasks = [task("hang"), task("quick", "hang"), task("slow", starts_at=after(60))]
    out = cancelled({"stages": {"s": {"tasks": tasks}, "t": {"tasks": [task("deaf")]}}}, at=8)
    assert set(out.statuses().values()) == {"cancelled"}
    assert {part["reason"] for part in out.result["tasks"].values()} == {"enough"}
    assert {name: stage["status"] for name, stage in out.result["stages"].items()} == {
        "s": "cancelled",
        "t": "cancelled",
    }
    assert (out.result["status"], out.result["reason"], out.result["duration_s"]) == ("cancelled", "enough", 8)


def test_what_had_ended_stays_as_it_was() -> None:
    out = cancelled(staged(task("quick"), task("hang")), at=8)
    assert out.statuses() == {"quick": "completed", "hang": "cancelled"}


def test_a_task_between_two_attempts_is_cancelled() -> None:
    out = cancelled(staged(task("wrong", max_retries=1, retry_delays=[60])), at=8)
    assert out.status("wrong") == "cancelled"
    assert out.result["duration_s"] == 8


def test_a_task_that_stops_slowly_is_waited_for() -> None:
    out = cancelled(staged(task("slow", timeout=100)), at=10)
    assert (out.status("slow"), out.result["duration_s"]) == ("cancelled", 13)


def test_a_task_that_will_not_stop_is_given_up_on_and_the_run_ends() -> None:
    out = cancelled(staged(task("deaf", timeout=100)), at=10)
    assert (out.status("deaf"), out.result["duration_s"]) == ("cancelled", 15)
    assert len(out.told(OrchestrationEvent.SYSTEM_ALERT)) == 1


def test_a_limit_that_passes_while_a_cancelled_task_stops_does_not_bring_it_back() -> None:
    out = cancelled(staged(task("slow", timeout=12, max_retries=3)), at=10)
    assert (out.status("slow"), out.task("slow")["attempts"], out.result["duration_s"]) == ("cancelled", 1, 13)
    assert out.result["status"] == "cancelled"


def test_a_task_that_is_being_stopped_for_its_limit_is_not_tried_again_once_the_run_is_cancelled() -> None:
    out = cancelled(staged(task("slow", timeout=10, max_retries=3)), at=11)
    assert (out.status("slow"), out.task("slow")["attempts"]) == ("cancelled", 1)


def test_cancelling_twice_keeps_the_first_reason() -> None:
    async def meanwhile(world: World, run_id: str) -> None:
        await world.clock.sleep_until(after(8))
        await world.engine.cancel(run_id, "first")
        await world.engine.cancel(run_id, "second")

    assert run(staged(task("hang")), DESK, meanwhile=meanwhile).result["reason"] == "first"


def test_cancelling_what_has_ended_changes_nothing() -> None:
    async def main() -> tuple[str, str]:
        world = await open_world(DESK)
        run_id = await world.engine.create_workflow(staged(task("quick")))
        before = await world.engine.execute_workflow(run_id)
        await world.engine.cancel(run_id, "too late")
        after = await world.engine.execute_workflow(run_id)
        return before["status"], after["status"]

    assert simulated(main) == ("completed", "completed")


def test_cancelling_an_unknown_run_is_refused() -> None:
    async def main() -> None:
        world = await open_world(DESK)
        await world.engine.cancel("nothing", "why not")

    with pytest.raises(DefinitionError, match="there is no run 'nothing'"):
        simulated(main)


def test_a_run_that_is_cancelled_before_its_start_never_starts_and_is_told_of() -> None:
    async def main() -> Outcome:
        world = await open_world(DESK)
        run_id = await world.engine.create_workflow(staged(task("quick")))
        await world.clock.sleep_until(after(3))
        await world.engine.cancel(run_id, "changed my mind")
        await world.clock.sleep_until(after(4))
        return await world.outcome(run_id, await world.engine.execute_workflow(run_id))

    out = simulated(main)
    assert (out.result["status"], out.result["reason"]) == ("cancelled", "changed my mind")
    assert (out.result["started_at"], out.result["duration_s"]) == (None, None)
    assert out.result["completed_at"] == "2012-12-12T11:00:03Z"
    assert out.status("quick") == out.result["stages"]["main"]["status"] == "cancelled"
    assert [record.kind for record in out.records] == [
        RecordKind.RUN_CREATED,
        RecordKind.RUN_CANCELLING,
        RecordKind.TASK_CANCELLED,
        RecordKind.STAGE_COMPLETED,
        RecordKind.RUN_CANCELLED,
    ]
    assert [event for event, _ in out.events] == [
        OrchestrationEvent.TASK_CANCELLED,
        OrchestrationEvent.STAGE_COMPLETED,
        OrchestrationEvent.WORKFLOW_CANCELLED,
    ]


def test_cancelling_the_caller_cancels_the_run() -> None:
    async def main() -> tuple[Outcome, Outcome]:
        world = await open_world(DESK)
        run_id = await world.engine.create_workflow(staged(task("hang"), task("quick", "hang")))
        caller = asyncio.create_task(world.engine.execute_workflow(run_id))
        await world.clock.sleep_until(after(4))
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        told = await world.outcome(run_id, world.engine.get_execution_status(run_id))
        return told, await world.outcome(run_id, await world.engine.execute_workflow(run_id))

    told, again = simulated(main)
    assert told.result == again.result
    assert told.statuses() == {"hang": "cancelled", "quick": "cancelled"}
    assert told.result["reason"] == "the caller was cancelled"
    assert len(told.told(OrchestrationEvent.WORKFLOW_CANCELLED)) == 1


def test_a_caller_that_is_cancelled_twice_does_not_wait_for_the_end() -> None:
    async def main() -> float:
        world = await open_world(DESK)
        run_id = await world.engine.create_workflow(staged(task("deaf", timeout=999)))
        caller = asyncio.create_task(world.engine.execute_workflow(run_id))
        await world.clock.sleep_until(after(4))
        caller.cancel()
        await world.clock.sleep_until(after(5))
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        return world.clock.monotonic()

    assert simulated(main) <= 10
