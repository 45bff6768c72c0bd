"""A workflow as the engine carries it out: checked, complete, the same whatever form it was written in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestration.domain.json_value import JsonObject
from orchestration.domain.states import Effects, OnFailure, TaskPriority


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentWork:
    """``agent`` does ``task_type`` with ``data``."""

    agent: str
    task_type: str
    data: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerWork:
    """The function at the dotted path ``handler`` is called with ``params``."""

    handler: str
    params: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedWork:
    """A task type of the registry, made with ``config``."""

    type: str
    config: JsonObject


Work = AgentWork | HandlerWork | TypedWork


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """A result may be given again for ``ttl_s`` seconds to whoever asks the same agent, handler or type by ``key``.

    ``key`` may hold references; it says all that the result hangs on.
    """

    key: str
    ttl_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefinition:
    """One task.

    ``dependencies`` are names of tasks of the same or of earlier stages. ``starts_at`` and ``deadline`` are aware, UTC;
    ``None``: the stage's. ``timeout_s`` limits one attempt; ``retry_delays`` (seconds) replace the retry strategy.
    ``when`` is an expression that must hold, each of ``skip_conditions`` (``context_key``, ``value``) must not.
    Only a task without effects has a ``cache``.
    """

    name: str
    stage: str
    work: Work
    priority: TaskPriority = TaskPriority.MEDIUM
    dependencies: tuple[str, ...] = ()
    timeout_s: float
    max_retries: int
    retry_delays: tuple[float, ...] | None = None
    starts_at: datetime | None = None
    deadline: datetime | None = None
    effects: Effects = Effects.NONE
    when: str | None = None
    skip_conditions: tuple[JsonObject, ...] = ()
    cache: CachePolicy | None = None

    @property
    def agent(self) -> str | None:
        """The agent that does it, if one does."""
        return self.work.agent if isinstance(self.work, AgentWork) else None

    @property
    def type(self) -> str:
        """What kind of work it is: the agent's task type, the handler's path or the registry's name."""
        match self.work:
            case AgentWork():
                return self.work.task_type
            case HandlerWork():
                return self.work.handler
            case TypedWork():
                return self.work.type


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDefinition:
    """A named part of a run, dated when it has ``starts_at`` (aware, UTC).

    ``ends_at`` is the last moment at which its tasks may start.
    """

    name: str
    tasks: tuple[TaskDefinition, ...]
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    on_failure: OnFailure = OnFailure.CONTINUE
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """Something that the run says at a moment (aware, UTC) as a `MARKET_EVENT`, such as the open of the exchange."""

    at: datetime
    data: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowDefinition:
    """A workflow that passed every check.

    ``timeout_s`` counts from the start of a run; ``ends_by`` (aware, UTC) is when a dated one is over at the latest.
    ``labels`` are told to every agent and handler that works on it; ``env`` lists the environment variables that its
    tasks may read.
    """

    name: str
    stages: tuple[StageDefinition, ...]
    description: str = ""
    timeout_s: float | None = None
    ends_by: datetime | None = None
    announcements: tuple[Announcement, ...] = ()
    env: tuple[str, ...] = ()
    labels: JsonObject = field(default_factory=dict)

    @property
    def tasks(self) -> tuple[TaskDefinition, ...]:
        """All tasks, stage by stage."""
        return tuple(task for stage in self.stages for task in stage.tasks)


@dataclass(kw_only=True)
class Workflow:
    """A workflow as a script writes it: tasks with a ``name``, and who waits for whom.

    With ``dependencies`` left out, tasks run in order, unless one of them names dependencies of its own.
    ``env`` lists the environment variables that its tasks may read.
    """

    name: str
    tasks: Sequence[Any]
    description: str = ""
    dependencies: Mapping[str, Sequence[str]] | None = None
    env: Sequence[str] = ()
    timeout: float | None = None
