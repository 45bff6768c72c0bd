"""The settings that the engine reads from whatever it is given."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from orchestration.domain.errors import DefinitionError
from orchestration.domain.retry import RetryStrategy
from orchestration.engine.admission import Limits
from orchestration.engine.forms import LONGEST_S

_MAPPINGS = frozenset({"environment", "agent_limits", "task_type_limits"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Durations are in seconds; ``environment`` holds the variables that workflows may be allowed to read.

    ``agent_limits`` and ``task_type_limits`` say by name how many attempts may be under way at a time.
    """

    max_concurrent_tasks: int = 5
    default_task_timeout: float = 300
    workflow_timeout: float = 3600
    enable_retry: bool = True
    max_retries: int = 3
    retry_base_delay: float = 1.0
    retry_max_delay: float = 60.0
    environment: Mapping[str, str] = field(default_factory=dict)
    agent_limits: Mapping[str, int] = field(default_factory=dict)
    task_type_limits: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, config: object) -> "EngineSettings":
        """Take the fields that ``config`` has as attributes, in lower or upper case; what it lacks has its default.

        Raises `DefinitionError` for a number that is out of range.
        """
        values: dict[str, object] = {}
        for setting in fields(cls):
            for name in (setting.name, setting.name.upper()):
                value = getattr(config, name, None)
                kinds = Mapping if setting.name in _MAPPINGS else int | float
                if isinstance(value, kinds):  # a mock has every attribute, but none that is a number
                    values[setting.name] = value
                elif isinstance(value, str):
                    raise DefinitionError(f"{name} is the text {value!r}; give a number")
        settings = cls(**values)  # type: ignore[arg-type]  # checked by kind just above and by range just below
        for name, least in (("max_concurrent_tasks", 1), ("max_retries", 0)):
            if getattr(settings, name) < least:
                raise DefinitionError(f"{name} is {getattr(settings, name)}; it is at least {least}")
        for name in ("default_task_timeout", "workflow_timeout"):
            if not 0 < getattr(settings, name) <= LONGEST_S:
                raise DefinitionError(f"{name} is {getattr(settings, name)}; it is a positive number of seconds")
        for name in ("retry_base_delay", "retry_max_delay"):
            if not 0 <= getattr(settings, name) <= LONGEST_S:
                raise DefinitionError(f"{name} is {getattr(settings, name)}; it is a number of seconds from 0 up")
        return settings

    @property
    def limits(self) -> Limits:
        """How many attempts may be under way at a time."""
        return Limits(slots=self.max_concurrent_tasks, agents=self.agent_limits, task_types=self.task_type_limits)

    @property
    def retry_strategy(self) -> RetryStrategy:
        """The strategy of tasks that name no delays of their own."""
        return RetryStrategy(base_delay=self.retry_base_delay, max_delay=self.retry_max_delay)
