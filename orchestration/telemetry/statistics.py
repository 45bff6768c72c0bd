"""What the service has done since it started, in the words of document 003."""

from collections.abc import Mapping
from typing import Any

from orchestration.domain.events import OrchestrationEvent

_RUN_ENDS = {
    OrchestrationEvent.WORKFLOW_COMPLETED,
    OrchestrationEvent.WORKFLOW_FAILED,
    OrchestrationEvent.WORKFLOW_CANCELLED,
}


class Statistics:
    """An event handler that counts; register it for all events."""

    def __init__(self) -> None:
        self._runs = 0
        self._completed = 0
        self._failed = 0
        self._seconds = 0.0

    def __call__(self, event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
        """Count one event."""
        if event in _RUN_ENDS:
            self._runs += 1
        elif event is OrchestrationEvent.TASK_COMPLETED:
            self._completed += 1
            self._seconds += data.get("duration_s") or 0.0
        elif event is OrchestrationEvent.TASK_FAILED:
            self._failed += 1

    def to_json(self) -> dict[str, int | float | None]:
        """The ``statistics`` of the status; what can't be known yet is null. Durations are in seconds."""
        ended = self._completed + self._failed
        return {
            "workflows_executed": self._runs,
            "total_tasks_completed": self._completed,
            "average_task_duration": round(self._seconds / self._completed, 6) if self._completed else None,
            "success_rate": round(self._completed / ended, 6) if ended else None,
        }
