"""What is known of a run: rebuilt from its records, changed by nothing else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from orchestration.domain.definition import TaskDefinition, WorkflowDefinition
from orchestration.domain.graph import dependants, in_order, inherited_priorities, remaining_paths
from orchestration.domain.json_value import JsonObject, JsonValue
from orchestration.domain.records import RUN_ENDINGS, Record, RecordKind
from orchestration.domain.states import RunStatus, StageStatus, TaskPriority, TaskStatus

_ENDS_WITHOUT_ATTEMPT = {
    RecordKind.TASK_SKIPPED: TaskStatus.SKIPPED,
    RecordKind.TASK_EXPIRED: TaskStatus.EXPIRED,
    RecordKind.TASK_CANCELLED: TaskStatus.CANCELLED,
}


@dataclass(slots=True)
class TaskState:
    """One task of a run.

    ``missing`` counts what it still waits for; ``satisfied``: what needs it may go on; ``outcome`` is the last failed
    attempt's. ``losses`` counts the processes that ended during it, ``lost_attempts`` the attempts that went with them:
    fewer, when a process ended while it was finding out about one that was lost before.
    """

    definition: TaskDefinition
    index: int
    missing: int
    agent: str | None
    type: str
    status: TaskStatus = TaskStatus.PENDING
    attempts: int = 0
    losses: int = 0
    lost_attempts: int = 0
    lost_last: int = 0
    satisfied: bool = False
    result: JsonValue = None
    error: str | None = None
    outcome: TaskStatus | None = None
    reason: str | None = None
    queued_at: datetime | None = None
    retry_at: datetime | None = None
    retry_after: timedelta = timedelta(0)
    started_at: datetime | None = None
    completed_at: datetime | None = None


@dataclass(slots=True)
class StageState:
    """One stage of a run. ``left`` counts its tasks that have not ended."""

    index: int
    left: int
    status: StageStatus = StageStatus.PENDING
    failed_task: str | None = None
    reason: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None


@dataclass(slots=True)
class RunState:
    """One run. `apply` is the only thing that changes it, so its records rebuild it exactly.

    ``token`` is the number of the claim under which it is carried out; ``cancelling`` why it is to end early.
    """

    run_id: str
    definition: WorkflowDefinition
    parameters: JsonObject = field(default_factory=dict)
    status: RunStatus = RunStatus.PENDING
    sequence: int = 0
    token: int = 1
    cancelling: str | None = None
    reason: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    tasks: dict[str, TaskState] = field(init=False)
    stages: dict[str, StageState] = field(init=False)
    needed_by: Mapping[str, tuple[str, ...]] = field(init=False)
    priorities: Mapping[str, TaskPriority] = field(init=False)
    paths: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        definitions = self.definition.tasks
        needs = {task.name: task.dependencies for task in definitions}
        order = in_order(needs)
        self.tasks = {
            task.name: TaskState(task, i, len(task.dependencies), task.agent, task.type)
            for i, task in enumerate(definitions)
        }
        self.stages = {stage.name: StageState(i, len(stage.tasks)) for i, stage in enumerate(self.definition.stages)}
        self.needed_by = dependants(needs)
        self.priorities = inherited_priorities({task.name: task.priority for task in definitions}, needs, order)
        self.paths = remaining_paths(needs, order)

    def inputs_of(self, task: TaskDefinition) -> dict[str, JsonValue]:
        """The results of what ``task`` depends on, by name."""
        return {name: self.tasks[name].result for name in task.dependencies}

    def deadline(self, task: TaskDefinition) -> datetime | None:
        """The last moment at which ``task`` may start: its own, else its stage's end."""
        if task.deadline is not None:
            return task.deadline
        return self.definition.stages[self.stages[task.stage].index].ends_at

    def apply(self, record: Record) -> None:
        """Take in what happened."""
        self.sequence = record.sequence
        if record.task is not None:
            self._apply_to_task(self.tasks[record.task], record)
        elif record.stage is not None:
            self._apply_to_stage(self.stages[record.stage], record)
        else:
            self._apply_to_run(record)

    def _apply_to_run(self, record: Record) -> None:
        if record.kind is RecordKind.RUN_CREATED:
            self.created_at = record.at
        elif record.kind is RecordKind.RUN_STARTED:
            self.status, self.started_at = RunStatus.RUNNING, record.at
        elif record.kind is RecordKind.RUN_RESUMED:
            self.token = int(str(record.data["token"]))
        elif record.kind is RecordKind.RUN_CANCELLING:
            self.cancelling = _text(record.data.get("reason"))
        elif record.kind in RUN_ENDINGS:
            self.status, self.completed_at = RUN_ENDINGS[record.kind], record.at
            self.reason = _text(record.data.get("reason"))

    def _apply_to_stage(self, stage: StageState, record: Record) -> None:
        if record.kind is RecordKind.STAGE_STARTED:
            stage.status, stage.started_at = StageStatus.RUNNING, record.at
        elif record.kind is RecordKind.STAGE_COMPLETED:
            stage.status, stage.completed_at = StageStatus(str(record.data["status"])), record.at
            stage.reason = _text(record.data.get("reason"))

    def _apply_to_task(self, task: TaskState, record: Record) -> None:
        kind, data = record.kind, record.data
        if kind is RecordKind.TASK_QUEUED:
            task.status, task.queued_at = TaskStatus.QUEUED, record.at
        elif kind is RecordKind.TASK_STARTED:
            task.status = TaskStatus.RUNNING
            task.attempts += 1
            task.started_at = task.started_at or record.at
        elif kind is RecordKind.TASK_COMPLETED:
            task.result, task.error = data.get("result"), None
            self._apply_end(task, TaskStatus.COMPLETED, record)
        elif kind is RecordKind.TASK_RETRYING:
            task.status, task.reason = TaskStatus.RETRYING, _text(data.get("reason"))
            task.error, task.outcome = _text(data.get("error")), TaskStatus(str(data["status"]))
            task.retry_after = timedelta(seconds=float(str(data["delay_s"])))
            task.retry_at = record.at + task.retry_after
        elif kind is RecordKind.TASK_INTERRUPTED:
            task.losses += 1
            task.lost_attempts += task.lost_last != task.attempts
            task.lost_last = task.attempts
            task.error, task.outcome = _text(data.get("reason")), TaskStatus.FAILED
        elif kind is RecordKind.TASK_FAILED:
            task.error, task.outcome = _text(data.get("error")), TaskStatus(str(data["status"]))
            self._apply_end(task, task.outcome, record)
        elif kind in _ENDS_WITHOUT_ATTEMPT:
            self._apply_end(task, _ENDS_WITHOUT_ATTEMPT[kind], record)

    def _apply_end(self, task: TaskState, status: TaskStatus, record: Record) -> None:
        task.status, task.completed_at = status, record.at
        task.reason = _text(record.data.get("reason"))
        own_condition = task.status is TaskStatus.SKIPPED and record.data.get("own_condition") is True
        task.satisfied = task.status is TaskStatus.COMPLETED or own_condition
        stage = self.stages[task.definition.stage]
        stage.left -= 1
        if task.status in {TaskStatus.FAILED, TaskStatus.TIMEOUT}:
            stage.failed_task = stage.failed_task or task.definition.name
        if task.satisfied:
            for name in self.needed_by[task.definition.name]:
                self.tasks[name].missing -= 1


def rebuild(definition: WorkflowDefinition, records: Iterable[Record]) -> RunState:
    """Return the run that ``records`` (in sequence, the first one its creation) tell of."""
    journal = list(records)
    parameters = journal[0].data.get("parameters")
    state = RunState(
        run_id=journal[0].run_id,
        definition=definition,
        parameters=parameters if isinstance(parameters, Mapping) else {},
    )
    for record in journal:
        state.apply(record)
    return state


def _text(value: JsonValue) -> str | None:
    return None if value is None else str(value)
