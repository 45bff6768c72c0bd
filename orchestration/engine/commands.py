"""What the core wants done, once the records that come with it are durable."""

from dataclasses import dataclass
from datetime import datetime

from orchestration.domain.states import TaskPriority


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateCondition:
    """Find out whether the task's own conditions hold."""

    task: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnqueueTask:
    """Let the task wait for a slot, in its place: see `ready_queue`. ``again``: it was tried before."""

    task: str
    priority: TaskPriority
    deadline: datetime | None
    path: int
    again: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAttempt:
    """Carry out this attempt."""

    task: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile:
    """Find out what became of this attempt, which was lost with its process; nothing is sent before that is known."""

    task: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAttempt:
    """Cancel this attempt and say when it has stopped."""

    task: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRun:
    """Nothing more will happen in this run."""


Command = EvaluateCondition | EnqueueTask | StartAttempt | Reconcile | StopAttempt | EndRun
