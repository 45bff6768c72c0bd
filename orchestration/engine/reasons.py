"""Why a task ended as it did, in words for people."""

from datetime import datetime

from orchestration.domain.states import TaskStatus
from orchestration.engine.run_state import TaskState


def unmet(needed: TaskState) -> str:
    """Why what needs ``needed`` is skipped."""
    name, status = needed.definition.name, needed.status
    said = "timed out" if status is TaskStatus.TIMEOUT else f"was {status}"
    return f"it needs {name}, which {'failed' if status is TaskStatus.FAILED else said}"


def window_ended(task: TaskState, deadline: datetime) -> str:
    """Why a task that never started expired at ``deadline``."""
    if task.status is TaskStatus.QUEUED:
        waited = "waiting for a slot"
    else:
        waited = "waiting for what it needs" if task.missing else "not begun"
    return f"its window ended at {deadline:%Y-%m-%dT%H:%M:%SZ} before it could start ({waited})"


def retry_too_late(due: datetime, deadline: datetime) -> str:
    """Why a failed task is not tried again."""
    return f"a retry would be due at {due:%H:%M:%SZ}, its deadline is {deadline:%H:%M:%SZ}"


def retry_expired(deadline: datetime) -> str:
    """Why a task that waited for its retry ended without it."""
    return f"its retry could not start before {deadline:%H:%M:%SZ}"


def lost(task: TaskState) -> str:
    """What is known of an attempt whose process is gone."""
    return f"attempt {task.attempts} was lost with the process that made it"


def lost_too_often(task: TaskState) -> str:
    """Why a task is not tried again after its process died under it."""
    return (
        f"the process ended {task.losses} times while it was under way; it may be what ends it, and is not tried again"
    )


def outcome_unknown(reason: str) -> str:
    """Why a lost attempt that may have had effects is neither done nor tried again."""
    return f"its outcome is unknown: {reason}; find out what happened before anything is done again"


def kept_too_late(deadline: datetime) -> str:
    """Why an attempt that was decided in time was not made."""
    return f"its start was kept only after its window had ended at {deadline:%Y-%m-%dT%H:%M:%SZ}: the store was out"
