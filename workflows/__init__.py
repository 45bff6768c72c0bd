"""What is done."""

from importlib import import_module
from typing import TYPE_CHECKING

_HOMES = {
    "DailyTradingWorkflow": "workflows.daily_trading",
    "Workflow": "orchestration.domain.definition",
    "Task": "workflows.tasks.base",
    "TASK_TYPES": "orchestration.engine.task_types",
    "LogTask": "workflows.tasks.log",
    "WaitTask": "workflows.tasks.wait",
}

if TYPE_CHECKING:
    from orchestration.domain.definition import Workflow as Workflow
    from orchestration.engine.task_types import TASK_TYPES as TASK_TYPES
    from workflows.daily_trading import DailyTradingWorkflow as DailyTradingWorkflow
    from workflows.tasks.base import Task as Task
    from workflows.tasks.log import LogTask as LogTask
    from workflows.tasks.wait import WaitTask as WaitTask
else:

    def __getattr__(name: str) -> object:
        """Import a public name from its home on first use (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value

    def __dir__() -> list[str]:
        return [*globals(), *_HOMES]

    __all__ = list(_HOMES)
