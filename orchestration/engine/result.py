"""What a run came to, in the words that users get."""

from typing import Any

from orchestration.engine.public_events import iso, seconds
from orchestration.engine.run_state import RunState, StageState, TaskState


def run_result(state: RunState) -> dict[str, Any]:
    """Return the result of a run, or how far it has come."""
    ended = state.completed_at
    return {
        "execution_id": state.run_id,
        "name": state.definition.name,
        "status": state.status.value,
        "reason": state.reason,
        "started_at": None if state.started_at is None else iso(state.started_at),
        "completed_at": None if ended is None else iso(ended),
        "duration_s": None if ended is None else seconds(state.started_at, ended),
        "stages": {name: _stage(stage) for name, stage in state.stages.items()},
        "tasks": {name: _task(task) for name, task in state.tasks.items()},
    }


def _stage(stage: StageState) -> dict[str, Any]:
    return {
        "status": stage.status.value,
        "reason": stage.reason,
        "started_at": None if stage.started_at is None else iso(stage.started_at),
        "completed_at": None if stage.completed_at is None else iso(stage.completed_at),
    }


def _task(task: TaskState) -> dict[str, Any]:
    return {
        "status": task.status.value,
        "result": task.result,
        "error": task.error,
        "attempts": task.attempts,
        "started_at": None if task.started_at is None else iso(task.started_at),
        "completed_at": None if task.completed_at is None else iso(task.completed_at),
        "reason": task.reason,
    }
