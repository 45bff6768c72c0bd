"""What every agent has: the services it works with, its task types read off its methods, and its health."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar
from zoneinfo import ZoneInfo

from orchestration.domain.desk import Desk
from orchestration.domain.errors import DefinitionError
from orchestration.domain.json_value import JsonObject, JsonValue
from orchestration.domain.reconciliation import Reconciled
from orchestration.ports.broker import Broker
from orchestration.ports.clock import Clock
from orchestration.ports.market_data import MarketData

PREFIX = "execute_"
RECONCILE = "reconcile"
Execute = Callable[["BaseAgent", Mapping[str, JsonValue]], Awaitable[JsonValue]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What agents work with; ``timezone`` is the exchange's, in which a session's date is meant."""

    market_data: MarketData
    broker: Broker
    clock: Clock
    desk: Desk
    timezone: ZoneInfo


class BaseAgent:
    """An agent does what its coroutine methods ``execute_<task_type>(task_data)`` do; ``task_types`` follows from them.

    An agent keeps a few counters and nothing else from one task to the next.
    """

    name: ClassVar[str] = "agent"
    task_types: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        own = {name: method for name, method in vars(cls).items() if name.startswith(PREFIX)}
        for name, method in own.items():
            if not inspect.iscoroutinefunction(method):
                raise DefinitionError(f"{cls.__name__}.{name} is not a coroutine function; define it with `async def`")
            setattr(cls, name, _counted(method))
        for name, method in vars(cls).items():
            if (name + "_").startswith(RECONCILE + "_") and not inspect.iscoroutinefunction(method):
                raise DefinitionError(f"{cls.__name__}.{name} is not a coroutine function; define it with `async def`")
        cls.task_types = cls.task_types | {name.removeprefix(PREFIX) for name in own}

    def __init__(self, services: Services) -> None:
        self.services = services
        self._running = True
        self._tasks_done = 0
        self._failures = 0
        self._failed_last = False
        self._last_error: str | None = None

    async def start(self) -> None:
        """Be ready for work, also again after `stop`."""
        self._running = True

    async def stop(self) -> None:
        """Say goodbye; there is nothing to let go of."""
        self._running = False

    @property
    def healthy(self) -> bool:
        """Whether it is at work and its last task went well."""
        return self._running and not self._failed_last

    async def health(self) -> JsonObject:
        """How it goes: ``status`` is ``healthy``, ``degraded`` (the last task failed) or ``stopped``."""
        status = "stopped" if not self._running else "degraded" if self._failed_last else "healthy"
        return {
            "status": status,
            "tasks_done": self._tasks_done,
            "failures": self._failures,
            "last_error": self._last_error,
        }

    async def analyze(self, task_data: Mapping[str, JsonValue]) -> JsonValue:
        """Refuse: raises `DefinitionError` naming what this agent can do."""
        known = ", ".join(sorted(self.task_types)) or "nothing"
        raise DefinitionError(
            f"the agent {self.name!r} was asked for a task type that it does not have; it does: {known}"
        )

    async def reconcile(self, task_data: Mapping[str, JsonValue]) -> Reconciled:
        """Say what an attempt that was lost with its process brought about; ``task_data`` are the attempt's own.

        Called only for tasks with effects. ``reconcile_<task_type>``, where an agent has it, is asked instead. An agent
        that cannot tell says so, and a person has to look.
        """
        return Reconciled.unknown(f"the agent {self.name!r} has no way to find out what the lost attempt did")

    def count(self, error: Exception | None) -> None:
        """Note how a task ended."""
        self._failed_last = error is not None
        if error is None:
            self._tasks_done += 1
        else:
            self._failures += 1
            self._last_error = f"{type(error).__name__}: {error}"


def _counted(method: Execute) -> Execute:
    @functools.wraps(method)
    async def execute(self: BaseAgent, task_data: Mapping[str, JsonValue]) -> JsonValue:
        try:
            result = await method(self, task_data)
        except Exception as error:
            self.count(error)
            raise
        self.count(None)
        return result

    return execute
