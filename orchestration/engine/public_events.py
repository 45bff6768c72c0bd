"""Which records the public hears of, and in what words."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.records import RUN_ENDINGS, Record, RecordKind
from orchestration.engine.run_state import RunState

_NAMES = {
    RecordKind.RUN_STARTED: OrchestrationEvent.WORKFLOW_STARTED,
    RecordKind.RUN_COMPLETED: OrchestrationEvent.WORKFLOW_COMPLETED,
    RecordKind.RUN_FAILED: OrchestrationEvent.WORKFLOW_FAILED,
    RecordKind.RUN_CANCELLED: OrchestrationEvent.WORKFLOW_CANCELLED,
    RecordKind.STAGE_STARTED: OrchestrationEvent.STAGE_STARTED,
    RecordKind.STAGE_COMPLETED: OrchestrationEvent.STAGE_COMPLETED,
    RecordKind.TASK_STARTED: OrchestrationEvent.TASK_STARTED,
    RecordKind.TASK_COMPLETED: OrchestrationEvent.TASK_COMPLETED,
    RecordKind.TASK_FAILED: OrchestrationEvent.TASK_FAILED,
    RecordKind.TASK_RETRYING: OrchestrationEvent.TASK_RETRYING,
    RecordKind.TASK_SKIPPED: OrchestrationEvent.TASK_SKIPPED,
    RecordKind.TASK_EXPIRED: OrchestrationEvent.TASK_EXPIRED,
    RecordKind.TASK_CANCELLED: OrchestrationEvent.TASK_CANCELLED,
    RecordKind.AGENT_ERROR: OrchestrationEvent.AGENT_ERROR,
    RecordKind.MARKET_EVENT: OrchestrationEvent.MARKET_EVENT,
    RecordKind.SYSTEM_ALERT: OrchestrationEvent.SYSTEM_ALERT,
}


def public_event(record: Record, state: RunState) -> tuple[OrchestrationEvent, Mapping[str, Any]] | None:
    """Return the event that ``record`` of the run ``state`` is to the public; ``None``: none.

    The payloads are the typed dicts of `domain.events`.
    """
    event = _NAMES.get(record.kind)
    if event is None:
        return None
    if record.task is not None and record.kind is not RecordKind.SYSTEM_ALERT:
        return event, _of_task(record, state)
    if record.kind is RecordKind.SYSTEM_ALERT:
        return event, {"at": iso(record.at), **record.data}
    about = {"execution_id": record.run_id, "workflow": state.definition.name, "at": iso(record.at)}
    if record.kind is RecordKind.MARKET_EVENT:
        return event, {**about, "kind": record.data.get("kind"), "details": record.data.get("details", {})}
    if record.stage is not None:
        started = record.kind is RecordKind.STAGE_STARTED
        status = "running" if started else record.data["status"]
        return event, {**about, "stage": record.stage, "status": status, "reason": record.data.get("reason")}
    ending = RUN_ENDINGS.get(record.kind)
    return event, {
        **about,
        "status": "running" if ending is None else ending.value,
        "reason": record.data.get("reason"),
        "duration_s": None if ending is None else seconds(state.started_at, record.at),
    }


def _of_task(record: Record, state: RunState) -> dict[str, Any]:
    kind, at, data, task = record.kind, record.at, record.data, state.tasks[str(record.task)]
    about = {
        "execution_id": record.run_id,
        "workflow": state.definition.name,
        "at": iso(at),
        "stage": record.stage,
        "task": record.task,
        "agent": task.agent,
        "task_type": task.type,
        "attempt": data.get("attempt", 0),
        "error": data.get("error"),
    }
    if kind is RecordKind.AGENT_ERROR:
        return about
    started = kind is RecordKind.TASK_STARTED
    about["status"] = str(data["status"]) if kind is RecordKind.TASK_FAILED else _STATUS[kind]
    about["result"] = data.get("result")
    about["reason"] = data.get("reason")
    about["delay_s"] = data.get("delay_s")
    about["duration_s"] = None if started or kind is RecordKind.TASK_RETRYING else seconds(task.started_at, at)
    about["queue_wait_s"] = seconds(task.queued_at, at) if started else None
    return about


_STATUS = {
    RecordKind.TASK_STARTED: "running",
    RecordKind.TASK_COMPLETED: "completed",
    RecordKind.TASK_RETRYING: "retrying",
    RecordKind.TASK_SKIPPED: "skipped",
    RecordKind.TASK_EXPIRED: "expired",
    RecordKind.TASK_CANCELLED: "cancelled",
}


def iso(moment: datetime) -> str:
    """Return ``moment`` (aware, UTC) in ISO 8601 with a Z, to the microsecond where it has any."""
    return moment.isoformat().replace("+00:00", "Z")


def seconds(start: datetime | None, end: datetime) -> float | None:
    """Return the seconds from ``start`` to ``end``; ``None`` when it never started."""
    return None if start is None else (end - start).total_seconds()
