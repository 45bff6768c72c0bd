"""The journal's records: one an event, in the past tense; what is stored is named here and never renamed."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from orchestration.domain.json_value import JsonObject
from orchestration.domain.states import RunStatus


class RecordKind(StrEnum):
    """What happened."""

    __hash__ = str.__hash__  # Enum's own is written in Python, and these are looked up for every record

    RUN_CREATED = "run_created"
    RUN_STARTED = "run_started"
    RUN_COMPLETED = "run_completed"
    RUN_FAILED = "run_failed"
    RUN_CANCELLED = "run_cancelled"
    RUN_INTERRUPTED = "run_interrupted"
    RUN_RESUMED = "run_resumed"
    RUN_CANCELLING = "run_cancelling"
    STAGE_STARTED = "stage_started"
    STAGE_COMPLETED = "stage_completed"
    TASK_QUEUED = "task_queued"
    TASK_STARTED = "task_started"
    TASK_COMPLETED = "task_completed"
    TASK_FAILED = "task_failed"
    TASK_RETRYING = "task_retrying"
    TASK_INTERRUPTED = "task_interrupted"
    TASK_SKIPPED = "task_skipped"
    TASK_EXPIRED = "task_expired"
    TASK_CANCELLED = "task_cancelled"
    AGENT_ERROR = "agent_error"
    MARKET_EVENT = "market_event"
    SYSTEM_ALERT = "system_alert"


RUN_ENDINGS = {
    RecordKind.RUN_COMPLETED: RunStatus.COMPLETED,
    RecordKind.RUN_FAILED: RunStatus.FAILED,
    RecordKind.RUN_CANCELLED: RunStatus.CANCELLED,
    RecordKind.RUN_INTERRUPTED: RunStatus.INTERRUPTED,
}


NOTHING: JsonObject = {}
"""The data of a record that has none; nobody changes it."""


class Record(NamedTuple):
    """One event of one run. ``sequence`` counts from 1 without gaps; ``at`` is aware, UTC; ``data`` is not changed.

    A tuple, since thousands a second are made, and a frozen dataclass takes twice as long.
    """

    run_id: str
    sequence: int
    kind: RecordKind
    at: datetime
    stage: str | None = None
    task: str | None = None
    data: JsonObject = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What a list of runs shows of one."""

    run_id: str
    name: str
    status: RunStatus
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A run that was taken over. ``token`` is 1 for a new run and one more at each take-over: the newest is right."""

    run_id: str
    token: int
