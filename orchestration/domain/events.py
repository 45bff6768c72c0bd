"""The public events and what each carries."""

from enum import Enum
from typing import TypedDict

from orchestration.domain.json_value import JsonObject, JsonValue


class OrchestrationEvent(Enum):
    """What handlers can be registered for."""

    __hash__ = object.__hash__  # Enum's own is written in Python, and these are looked up for every event

    WORKFLOW_STARTED = "workflow_started"
    WORKFLOW_COMPLETED = "workflow_completed"
    WORKFLOW_FAILED = "workflow_failed"
    WORKFLOW_CANCELLED = "workflow_cancelled"

    TASK_STARTED = "task_started"
    TASK_COMPLETED = "task_completed"
    TASK_FAILED = "task_failed"
    TASK_RETRYING = "task_retrying"
    TASK_SKIPPED = "task_skipped"
    TASK_EXPIRED = "task_expired"
    TASK_CANCELLED = "task_cancelled"

    STAGE_STARTED = "stage_started"
    STAGE_COMPLETED = "stage_completed"

    SYSTEM_ALERT = "system_alert"
    AGENT_ERROR = "agent_error"
    MARKET_EVENT = "market_event"


class RunEvent(TypedDict):
    """What every event of a run carries; ``at`` is ISO 8601 in UTC."""

    execution_id: str
    workflow: str
    at: str


class WorkflowEvent(RunEvent):
    """`WORKFLOW_*`."""

    status: str
    reason: str | None
    duration_s: float | None


class StageEvent(RunEvent):
    """`STAGE_*`."""

    stage: str
    status: str
    reason: str | None


class TaskEvent(RunEvent):
    """`TASK_*`.

    ``queue_wait_s`` is set at the start, ``delay_s`` while retrying, ``result`` on completion, ``error`` on failure.
    """

    stage: str
    task: str
    agent: str | None
    task_type: str
    status: str
    attempt: int
    result: JsonValue
    error: str | None
    reason: str | None
    delay_s: float | None
    duration_s: float | None
    queue_wait_s: float | None


class AgentErrorEvent(RunEvent):
    """`AGENT_ERROR`: an agent raised."""

    stage: str
    task: str
    agent: str
    task_type: str
    attempt: int
    error: str


class MarketEvent(RunEvent):
    """`MARKET_EVENT`: ``kind`` is ``open``, ``close``, ``early_close_ahead``, ``fomc_statement`` or ``expiration``.

    Between runs (then without an execution) also ``next_session`` and ``plan_changed``, in a day ``high_volatility``.
    """

    kind: str
    details: JsonObject


class SystemAlert(TypedDict):
    """`SYSTEM_ALERT`: something of the service itself is wrong. ``source`` names the part."""

    source: str
    message: str
    at: str
