"""What the core is told, one at a time; ``at`` (aware, UTC) is when it happened."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestration.domain.json_value import JsonValue
from orchestration.domain.reconciliation import Reconciled


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """The run is to start."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """The run goes on, in another process than the one that carried it out before; ``token`` is its new claim's."""

    at: datetime
    token: int
    code_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeCame:
    """It is ``at``: do what is due."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSet:
    """The wall clock was set, ``by`` so much; or the machine slept for so long."""

    at: datetime
    by: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionDecided:
    """The task's own conditions were looked at; with ``skip_reason`` it is skipped, with ``error`` it fails."""

    at: datetime
    task: str
    skip_reason: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The task got a slot."""

    at: datetime
    task: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSucceeded:
    """The attempt returned ``result``; ``cached``: one that was worked for before."""

    at: datetime
    task: str
    attempt: int
    result: JsonValue
    cached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailed:
    """The attempt raised ``error``; ``retryable``: another one makes sense."""

    at: datetime
    task: str
    attempt: int
    error: str
    retryable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStopped:
    """The attempt was cancelled and has stopped."""

    at: datetime
    task: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptReconciled:
    """Somebody found out what became of an attempt that was lost with its process."""

    at: datetime
    task: str
    attempt: int
    answer: Reconciled


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Somebody wants the run to end, and says why."""

    at: datetime
    reason: str


Input = (
    Begin
    | Resume
    | TimeCame
    | ClockSet
    | ConditionDecided
    | Granted
    | AttemptSucceeded
    | AttemptFailed
    | AttemptStopped
    | AttemptReconciled
    | Cancel
)
