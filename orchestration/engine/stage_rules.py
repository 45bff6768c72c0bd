"""When a stage may start, and what an earlier failure means for it."""

from datetime import datetime

from orchestration.domain.states import OnFailure, StageStatus
from orchestration.engine.run_state import RunState


def has_started(state: RunState, index: int) -> bool:
    """Whether stage number ``index`` has started, or was ended without a start."""
    return state.stages[state.definition.stages[index].name].status is not StageStatus.PENDING


def is_due(state: RunState, index: int, at: datetime) -> bool:
    """Whether it is time for stage number ``index``: a dated one at its time, another when all before it have ended."""
    stages = state.definition.stages
    starts_at = stages[index].starts_at
    if starts_at is not None:
        return at >= starts_at
    return all(state.stages[earlier.name].completed_at for earlier in stages[:index])


def failed_before(state: RunState, index: int) -> str | None:
    """The first stage before number ``index`` that may not fail and did, or ``None``."""
    for earlier in state.definition.stages[:index]:
        if earlier.on_failure is OnFailure.FAIL and state.stages[earlier.name].failed_task is not None:
            return earlier.name
    return None
