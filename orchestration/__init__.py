"""The service that runs a trading desk's day."""

from importlib import import_module
from typing import TYPE_CHECKING

_HOMES = {
    "OrchestrationController": "orchestration.controller",
    "TradingConfig": "orchestration.config",
    "OrchestrationConfig": "orchestration.config",
    "WorkflowEngine": "orchestration.engine.engine",
    "OrchestrationEvent": "orchestration.domain.events",
    "TaskPriority": "orchestration.domain.states",
    "TaskStatus": "orchestration.domain.states",
    "RetryStrategy": "orchestration.domain.retry",
}

if TYPE_CHECKING:
    from orchestration.config import OrchestrationConfig as OrchestrationConfig
    from orchestration.config import TradingConfig as TradingConfig
    from orchestration.controller import OrchestrationController as OrchestrationController
    from orchestration.domain.events import OrchestrationEvent as OrchestrationEvent
    from orchestration.domain.retry import RetryStrategy as RetryStrategy
    from orchestration.domain.states import TaskPriority as TaskPriority
    from orchestration.domain.states import TaskStatus as TaskStatus
    from orchestration.engine.engine import WorkflowEngine as WorkflowEngine
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
