"""What goes through the doors: requests, in which everything is checked, and answers, to which fields may be added."""

import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)

from orchestration.domain.errors import DefinitionError, nearest
from orchestration.domain.halts import Halt, HaltLevel
from orchestration.domain.health import Health
from orchestration.domain.records import RecordKind
from orchestration.domain.states import RunStatus, StageStatus, TaskStatus

MOST_EXECUTIONS = 1000
_SHOWN = 80  # characters of what was sent that are repeated and compared
_BREAKS_A_LINE = {"Cc", "Zl", "Zp"}  # control characters, line and paragraph separators
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def _parse_level(value: object) -> object:
    try:
        return HaltLevel.parse(str(value)[:_SHOWN])
    except DefinitionError as error:
        raise ValueError(str(error)) from None


def _parse_date(value: object) -> object:
    """Only YYYY-MM-DD: by itself pydantic would take a number for seconds since 1970."""
    if isinstance(value, str) and _ISO_DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError(f"{value!r} is no date; write it as YYYY-MM-DD, such as 2012-12-12")


def _on_one_line(text: str) -> str:
    if any(unicodedata.category(character) in _BREAKS_A_LINE for character in text):
        raise ValueError("write it on one line, without control characters")
    return text


Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=1000),
    AfterValidator(_on_one_line),
    Field(description="Why, for whoever looks at it next; one line."),
]


By = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=60),
    AfterValidator(_on_one_line),
    Field(description="Who asks, as the audit is to name them: a person or a program. It is taken at its word."),
]
DEFAULT_BY = "api"
"""Who asks when the request does not say."""


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _name_unknown_fields(cls, data: object) -> object:
        if isinstance(data, Mapping):
            known = [field.alias or name for name, field in cls.model_fields.items()]
            for name in data:
                if name not in known:
                    shown = str(name)[:_SHOWN]
                    raise ValueError(f"there is no field {shown!r}{nearest(shown, known)}")
        return data


class HaltRequest(_Request, strict=True):
    """Stop the desk in the way of ``level``."""

    level: Annotated[HaltLevel, BeforeValidator(_parse_level)] = HaltLevel.NO_NEW_ORDERS
    reason: Reason
    by: By = DEFAULT_BY


class ResumeRequest(_Request, strict=True):
    """Lift the halt."""

    reason: Reason
    by: By = DEFAULT_BY


class ReasonRequest(_Request, strict=True):
    """Cancel a run."""

    reason: Reason


class PlanQuery(_Request):
    """Which day's plan; no date: today's, by the clock and the exchange's time zone."""

    on: Annotated[date | None, BeforeValidator(_parse_date)] = Field(None, alias="date")


class ExecutionsQuery(_Request):
    """How many of the newest runs."""

    limit: int = Field(50, ge=1, le=MOST_EXECUTIONS)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Fault(_Answer):
    """What is wrong at one place of a request."""

    path: str
    detail: str


class Problem(_Answer):
    """An error (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[Fault] = []


class Alive(_Answer):
    """Whether the event loop turns."""

    alive: bool


class Ready(_Answer):
    """Whether the service can do its work, and, if not, why."""

    ready: bool
    reasons: list[str] = []


class Component(_Answer):
    """One part or dependency, in its state since ``since``; without a required one the service is not ready."""

    name: str
    state: Health
    since: AwareDatetime
    required: bool
    reason: str | None = None
    latency_ms: float | None = None


class Components(_Answer):
    """Every part and dependency, sorted by name."""

    components: list[Component]


class HaltRow(_Answer):
    """A halt that holds."""

    level: HaltLevel
    reason: str
    at: AwareDatetime
    by: str

    @classmethod
    def of(cls, halt: Halt) -> "HaltRow":
        """Return ``halt`` as it is sent."""
        return cls(level=halt.level, reason=halt.reason, at=halt.at, by=halt.by)


class HaltState(_Answer):
    """The halt that holds now, if one does."""

    halt: HaltRow | None


class AgentsStatus(_Answer):
    """The agents of the desk."""

    total: int
    healthy: int
    names: list[str]


class WorkflowEngineStatus(_Answer):
    """Runs, counted since the start."""

    active_executions: int
    completed_executions: int
    failed_executions: int


class Statistics(_Answer):
    """What was done since the start; the duration in seconds, the rate from 0 to 1, each null while there is none."""

    workflows_executed: int
    total_tasks_completed: int
    average_task_duration: float | None
    success_rate: float | None


class SystemStatus(_Answer):
    """The status of document 003, with the halt that holds, and what is left to do of it.

    ``last_report`` is the page of the newest day that ended, on the daemon's machine; null while there is none.
    """

    system_running: bool
    startup_time: str | None
    uptime_seconds: float
    agents: AgentsStatus
    workflow_engine: WorkflowEngineStatus
    statistics: Statistics
    halt: HaltRow | None = None
    halt_left: list[str] = []
    last_report: str | None = None


class PlannedTask(_Answer):
    """A task of a plan; without ``starts_at`` it starts as soon as what it depends on is done."""

    name: str
    agent: str
    task_type: str
    priority: str
    dependencies: list[str]
    starts_at: AwareDatetime | None
    deadline: AwareDatetime
    day_type: str


class PlannedStage(_Answer):
    """A dated stage of a plan."""

    name: str
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    tasks: list[PlannedTask]


class SkippedTask(_Answer):
    """A task that the day leaves out, and why."""

    name: str
    reason: str


class Break(_Answer):
    """A pause inside a session."""

    starts_at: AwareDatetime
    ends_at: AwareDatetime


class PlanDay(_Answer):
    """One day of ``belltower plan --json``; a closed day has no stages, and a reason."""

    date: date
    is_session: bool
    open: AwareDatetime | None
    close: AwareDatetime | None
    breaks: list[Break]
    early_close: bool
    day_types: list[str]
    reason: str | None
    previous_session: str | None
    next_session: str | None
    stages: list[PlannedStage]
    skipped: list[SkippedTask]
    warnings: list[str]


class ExecutionRow(_Answer):
    """One run in a list."""

    id: str
    name: str
    status: RunStatus
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    completed_at: AwareDatetime | None


class Executions(_Answer):
    """The newest runs, newest first."""

    executions: list[ExecutionRow]


class ExecutionStage(_Answer):
    """One stage of a run."""

    status: StageStatus
    reason: str | None = None
    started_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None


class ExecutionTask(_Answer):
    """One task of a run."""

    status: TaskStatus
    result: JsonValue = None
    error: str | None = None
    attempts: int
    started_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None
    reason: str | None = None


class Execution(_Answer):
    """The result of a run, or how far it has come; ``duration_s`` is null until it has ended."""

    execution_id: str
    name: str
    status: RunStatus
    reason: str | None = None
    started_at: AwareDatetime | None
    completed_at: AwareDatetime | None
    duration_s: float | None
    stages: dict[str, ExecutionStage]
    tasks: dict[str, ExecutionTask]


class Event(_Answer):
    """One record of a run's journal."""

    execution_id: str
    sequence: int
    kind: RecordKind
    at: AwareDatetime
    stage: str | None
    task: str | None
    data: dict[str, JsonValue]


class Events(_Answer):
    """A run's journal in sequence."""

    events: list[Event]


class Address(_Answer):
    """Where the service listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address for a caller on this machine: where the service listens everywhere, it is the loopback one."""
        ip = ipaddress.ip_address(self.host)
        host = {4: "127.0.0.1", 6: "::1"}[ip.version] if ip.is_unspecified else self.host
        return f"http://[{host}]:{self.port}" if ip.version == 6 else f"http://{host}:{self.port}"


class DaemonFile(_Answer):
    """``daemon.json`` in the home, while the daemon runs."""

    pid: int
    address: Address
