"""What the public hears: which events, when, with which payload, in which order."""

from collections.abc import Mapping
from typing import Any

import pytest

from orchestration.domain.events import (
    AgentErrorEvent,
    MarketEvent,
    OrchestrationEvent,
    StageEvent,
    SystemAlert,
    TaskEvent,
    WorkflowEvent,
)
from tests.unit.engine.world import (
    Outcome,
    Scripted,
    World,
    after,
    at_once,
    boom,
    deaf,
    failing,
    for_ever,
    lasting,
    run,
    staged,
    task,
)

EVENT = OrchestrationEvent
DESK = {"desk": Scripted(quick=at_once, bad=boom, wrong=failing(1), hang=for_ever, ten=lasting(10, "T"), deaf=deaf(99))}


def payload_keys(event: OrchestrationEvent) -> frozenset[str]:
    """The keys of the typed dict of an event."""
    kinds: dict[str, Any] = {"workflow": WorkflowEvent, "stage": StageEvent, "task": TaskEvent}
    others: dict[OrchestrationEvent, Any] = {
        EVENT.AGENT_ERROR: AgentErrorEvent,
        EVENT.MARKET_EVENT: MarketEvent,
        EVENT.SYSTEM_ALERT: SystemAlert,
    }
    keys: frozenset[str] = (others.get(event) or kinds[event.value.partition("_")[0]]).__required_keys__
    return keys


async def cancel_later(world: World, run_id: str) -> None:
    await world.clock.sleep_until(after(100))
    await world.engine.cancel(run_id, "enough")


@pytest.fixture(scope="module")
def everything() -> list[tuple[OrchestrationEvent, Mapping[str, Any]]]:
    """The events of three runs in which everything happens that is told of."""
    tasks = [
        task("wrong", max_retries=1),
        task("bad", max_retries=0),
        task("quick", "bad"),
        task("deaf", timeout=20, max_retries=0),
        task("hang", timeout=500),
        task("late", "ten", agent="other", deadline=after(5)),
        task("ten"),
    ]
    desks = {**DESK, "other": Scripted(late=at_once)}
    announcements = [{"at": after(1), "kind": "open", "details": {"calendar": "XNYS"}}]
    cancelled = run(staged(*tasks, announcements=announcements), desks, meanwhile=cancel_later)
    return [
        *cancelled.events,
        *run(staged(task("quick")), DESK).events,
        *run(staged(task("bad", max_retries=0)), DESK).events,
    ]


@pytest.mark.parametrize("event", list(OrchestrationEvent))
def test_a_payload_has_the_keys_that_its_type_says(
    everything: list[tuple[OrchestrationEvent, Mapping[str, Any]]], event: OrchestrationEvent
) -> None:
    payloads = [data for told, data in everything if told is event]
    assert payloads, f"nothing made it tell of {event}"
    for data in payloads:
        assert set(data) == payload_keys(event)


def words(out: Outcome) -> list[str]:
    return [f"{event.value} {data.get('task') or data.get('stage') or ''}".strip() for event, data in out.events]


def test_events_come_in_the_order_in_which_things_happened() -> None:
    assert words(run(staged(task("ten"), task("quick", "ten")), DESK)) == [
        "workflow_started",
        "stage_started main",
        "task_started ten",
        "task_completed ten",
        "task_started quick",
        "task_completed quick",
        "stage_completed main",
        "workflow_completed",
    ]


def test_a_completed_task_tells_its_result_and_how_long_it_took() -> None:
    assert dict(run(staged(task("ten"), name="day"), DESK).told(EVENT.TASK_COMPLETED)[0]) | {"execution_id": "x"} == {
        "execution_id": "x",
        "workflow": "day",
        "at": "2012-12-12T11:00:10Z",
        "stage": "main",
        "task": "ten",
        "agent": "desk",
        "task_type": "ten",
        "status": "completed",
        "attempt": 1,
        "result": "T",
        "error": None,
        "reason": None,
        "delay_s": None,
        "duration_s": 10.0,
        "queue_wait_s": None,
    }


def test_a_start_tells_how_long_the_task_waited_for_its_slot() -> None:
    out = run(staged(task("ten"), task("ten", name="second"), name="day"), DESK, max_concurrent_tasks=1)
    assert [told["queue_wait_s"] for told in out.told(EVENT.TASK_STARTED)] == [0.0, 10.0]


def test_a_retry_tells_the_error_and_the_delay() -> None:
    out = run(staged(task("wrong")), DESK)
    told = out.told(EVENT.TASK_RETRYING)[0]
    assert (told["status"], told["error"], told["delay_s"], told["attempt"]) == (
        "retrying",
        "RuntimeError: boom 1",
        1,
        1,
    )
    assert [data["attempt"] for data in out.told(EVENT.TASK_STARTED)] == [1, 2]
    assert out.told(EVENT.TASK_COMPLETED)[0]["duration_s"] == 1


def test_an_agent_that_raises_is_told_of_with_its_name() -> None:
    told = run(staged(task("bad", max_retries=1)), DESK).told(EVENT.AGENT_ERROR)
    assert [(data["agent"], data["task"], data["attempt"]) for data in told] == [("desk", "bad", 1), ("desk", "bad", 2)]
    assert told[0]["error"] == "RuntimeError: boom"


def test_a_handler_of_a_task_that_raises_is_no_agent() -> None:
    out = run({"tasks": [{"name": "x", "handler": "tests.unit.engine.handlers.double"}]})
    assert out.status("x") == "failed"
    assert out.told(EVENT.AGENT_ERROR) == []


def test_a_timeout_is_a_task_that_failed_with_that_status() -> None:
    out = run(staged(task("hang", timeout=5, max_retries=0)), DESK)
    assert [data["status"] for data in out.told(EVENT.TASK_FAILED)] == ["timeout"]
    assert out.told(EVENT.AGENT_ERROR) == []


def test_the_end_of_a_run_tells_status_reason_and_duration() -> None:
    failed = run(staged(task("bad", max_retries=0)), DESK).told(EVENT.WORKFLOW_FAILED)[0]
    assert (failed["status"], failed["reason"]) == ("failed", "1 of 1 tasks failed, the first bad")
    out = run(staged(task("ten")), DESK)
    assert out.told(EVENT.WORKFLOW_STARTED)[0]["status"] == "running"
    assert out.told(EVENT.WORKFLOW_COMPLETED)[0]["duration_s"] == 10


def test_stages_tell_how_they_ended() -> None:
    stages = {"a": {"tasks": [task("bad", max_retries=0)], "on_failure": "fail"}, "b": {"tasks": [task("quick")]}}
    told = run({"stages": stages}, DESK).told(EVENT.STAGE_COMPLETED)
    assert [(data["stage"], data["status"], data["reason"]) for data in told] == [
        ("a", "failed", "task bad failed"),
        ("b", "skipped", "stage a failed"),
    ]


def test_announcements_are_market_events_at_their_moment() -> None:
    announcements = [
        {"at": after(20), "kind": "close"},
        {"at": after(5), "kind": "open", "details": {"calendar": "XNYS"}},
        {"at": after(-5), "kind": "early_close_ahead"},
        {"at": after(0), "kind": "expiration"},
        {"at": after(400), "kind": "fomc_statement"},
    ]
    out = run(staged(task("ten"), task("quick", starts_at=after(30)), announcements=announcements), DESK)
    assert [(data["at"][11:], data["kind"], data["details"]) for data in out.told(EVENT.MARKET_EVENT)] == [
        ("11:00:00Z", "expiration", {}),
        ("11:00:05Z", "open", {"calendar": "XNYS"}),
        ("11:00:20Z", "close", {}),
    ]


def test_what_waits_for_a_slot_is_not_told_of() -> None:
    assert "task_queued" not in {event.value for event in OrchestrationEvent}


def test_the_twelve_of_003_have_their_names() -> None:
    names = {
        "WORKFLOW_STARTED", "WORKFLOW_COMPLETED", "WORKFLOW_FAILED", "TASK_STARTED", "TASK_COMPLETED", "TASK_FAILED",
        "TASK_RETRYING", "STAGE_STARTED", "STAGE_COMPLETED", "SYSTEM_ALERT", "AGENT_ERROR", "MARKET_EVENT",
    }  # fmt: skip
    assert names <= set(OrchestrationEvent.__members__)
    assert all(event.value == event.name.lower() for event in OrchestrationEvent)
