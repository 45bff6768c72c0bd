"""Find the stages of running days that should be over and are not."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from orchestration.domain.states import TaskStatus
from workflows.trading_day.day_plan import DayPlan


def overdue_stages(
    running: Mapping[str, DayPlan], status_of: Callable[[str], Mapping[str, Any]], now: datetime
) -> dict[str, timedelta]:
    """Return by name how long ago each stage ended that still has unfinished tasks, of several days the longest.

    ``running`` are the days by execution, ``status_of`` the result so far of an execution.
    """
    found: dict[str, timedelta] = {}
    for execution_id, plan in running.items():
        over = [stage for stage in plan.stages if stage.tasks and stage.ends_at < now]
        tasks = status_of(execution_id)["tasks"] if over else {}
        for stage in over:
            if any(task.name in tasks and not TaskStatus(tasks[task.name]["status"]).ended for task in stage.tasks):
                found[stage.name] = max(now - stage.ends_at, found.get(stage.name, timedelta()))
    return found
