"""Decide what a run does next: no I/O, no clock, no tasks.

The runner feeds this module one input at a time and performs the commands it returns, once the records that come with
them are durable.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import assert_never

from orchestration.domain.definition import StageDefinition, TaskDefinition
from orchestration.domain.json_value import JsonObject, JsonValue
from orchestration.domain.reconciliation import Finding
from orchestration.domain.records import Record, RecordKind
from orchestration.domain.retry import RetryStrategy
from orchestration.domain.states import Effects, OnFailure, RunStatus, StageStatus, TaskStatus
from orchestration.engine.agenda import DATED, Agenda, Timer
from orchestration.engine.commands import (
    Command,
    EndRun,
    EnqueueTask,
    EvaluateCondition,
    Reconcile,
    StartAttempt,
    StopAttempt,
)
from orchestration.engine.inputs import (
    AttemptFailed,
    AttemptReconciled,
    AttemptStopped,
    AttemptSucceeded,
    Begin,
    Cancel,
    ClockSet,
    ConditionDecided,
    Granted,
    Input,
    Resume,
    TimeCame,
)
from orchestration.engine.reasons import (
    lost,
    lost_too_often,
    outcome_unknown,
    retry_expired,
    retry_too_late,
    unmet,
    window_ended,
)
from orchestration.engine.retries import retry_delay
from orchestration.engine.run_state import RunState, TaskState
from orchestration.engine.stage_rules import failed_before, has_started, is_due

STOP_GRACE = timedelta(seconds=5)
"""How long an attempt that was told to stop may take to do so before it is given up on."""
MOST_AT_ONCE = 100
"""How many tasks of a stage that opens are looked at in one go; the others follow, so that nobody else waits long."""


JITTER = 0.25
"""At most this part of a delay is added to it by chance, so that those who failed together come back apart."""


@dataclass(slots=True)
class Decision:
    """What to make durable, and what to do then."""

    records: list[Record] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Stop:
    """Why a running attempt was told to stop, and whether that is the end of its task."""

    status: TaskStatus
    reason: str
    final: bool


class RunCore:
    """The deciding half of one run."""

    def __init__(
        self,
        state: RunState,
        retry: RetryStrategy | None,
        *,
        most_losses: int = 3,
        jitter: Callable[[str], float] = lambda _: 0.0,
    ) -> None:
        """``retry`` is the strategy of tasks without delays of their own; ``None``: nothing is ever retried.

        ``jitter`` draws by name, 0 <= x < 1, what is added to a delay of the strategy, as a part of `JITTER`.
        ``most_losses``: a task whose process died under it is tried again so many times.
        """
        self.state = state
        self._retry = retry
        self._most_losses = most_losses
        self._jitter = jitter
        self._agenda = Agenda()
        self._stops: dict[str, _Stop] = {}
        self._reconciling: set[str] = set()
        self._timed_out: str | None = None
        self._decided: set[str] = set()
        self._changed: deque[str] = deque()
        self._opening: deque[TaskState] = deque()
        self._stages: tuple[StageDefinition, ...] = state.definition.stages
        self._next_stage = 0
        self._decision = Decision()
        self._looks = 0
        self._stages_due = False
        self._at = datetime.min.replace(tzinfo=UTC)

    @property
    def next_due(self) -> datetime | None:
        """When `TimeCame` is to be fed next; ``None``: nothing is dated."""
        return self._at if self._opening else self._agenda.next_due

    def decide(self, event: Input) -> Decision:
        """Take in ``event``; return the records and commands that follow from it. An input that is late is no error."""
        if self.state.status.ended:
            return Decision()
        self._decision, self._at, self._looks = Decision(), event.at, MOST_AT_ONCE
        self._stages_due = isinstance(event, Begin | Resume | TimeCame | Cancel)
        match event:
            case Begin():
                if self.state.status is RunStatus.PENDING:
                    self._begin()
            case Resume():
                self._resume(event)
                self._time_came()
            case TimeCame():
                self._time_came()
            case ClockSet():
                self._agenda.clock_set(event.by)
            case ConditionDecided():
                self._condition_decided(event)
            case Granted():
                self._granted(event)
            case AttemptSucceeded() | AttemptFailed() | AttemptStopped():
                self._attempt_ended(event)
            case AttemptReconciled():
                self._reconciled(event)
            case Cancel():
                self._cancel(event.reason)
            case _:
                assert_never(event)
        self._settle()
        return self._decision

    # -- what happened

    def _begin(self) -> None:
        self._record(RecordKind.RUN_STARTED)
        self._date(self._at)
        self._open_next_stages()

    def _date(self, started_at: datetime) -> None:
        """Write down when the run's own moments come."""
        definition = self.state.definition
        if definition.timeout_s is not None:
            self._agenda.add(started_at + timedelta(seconds=definition.timeout_s), Timer.RUN_LIMIT)
        if definition.ends_by is not None:
            self._agenda.add(definition.ends_by, Timer.RUN_LIMIT, number=DATED)
        for index, announcement in enumerate(definition.announcements):
            if announcement.at >= self._at:
                self._agenda.add(announcement.at, Timer.ANNOUNCEMENT, number=index)
        for stage in self._stages:
            if stage.starts_at is not None and self.state.stages[stage.name].status is StageStatus.PENDING:
                self._agenda.add(stage.starts_at, Timer.STAGE_START, stage.name)

    def _resume(self, event: Resume) -> None:
        """Go on where the records end: attempts that were under way are lost, all else is as it was."""
        self._record(RecordKind.RUN_RESUMED, data={"token": event.token, "code_version": event.code_version})
        if self.state.status is RunStatus.PENDING:
            self._begin()
            return
        self._date(self.state.started_at or self._at)
        for definition in self._stages:
            if self.state.stages[definition.name].status is StageStatus.RUNNING:
                self._date_stage(definition, self.state.stages[definition.name].started_at or self._at)
        for task in self.state.tasks.values():
            match task.status:
                case TaskStatus.RUNNING:
                    self._lost(task)
                case TaskStatus.QUEUED:
                    self._wait_for_slot(task)
                case TaskStatus.RETRYING:
                    due = min(
                        task.retry_at or self._at, self._at + task.retry_after
                    )  # the clock may have been set back
                    self._agenda.add(due, Timer.RETRY, task.definition.name)
                case TaskStatus.PENDING:
                    self._opening.append(task)
        self._open_next_stages()

    def _lost(self, task: TaskState) -> None:
        """Deal with an attempt whose process is gone: try again, or first find out what it did."""
        again = task.definition.effects is Effects.NONE
        self._record(RecordKind.TASK_INTERRUPTED, task, {"attempt": task.attempts, "reason": lost(task)})
        if not again:
            self._reconciling.add(task.definition.name)
            if self.state.cancelling is not None:
                self._stop(task, _Stop(TaskStatus.CANCELLED, self.state.cancelling, final=True))
            self._decision.commands.append(Reconcile(task=task.definition.name, attempt=task.attempts))
        elif self.state.cancelling is not None:
            self._end(task, RecordKind.TASK_CANCELLED, {"reason": self.state.cancelling})
        else:
            self._try_again(task)

    def _try_again(self, task: TaskState) -> None:
        """Queue a task whose process died under it, unless it may be what kills it."""
        if task.losses > self._most_losses:
            error = lost_too_often(task)
            self._end(task, RecordKind.TASK_FAILED, {"status": "failed", "error": error, "attempt": task.attempts})
        else:
            self._enqueue(task)

    def _reconciled(self, event: AttemptReconciled) -> None:
        task = self.state.tasks[event.task]
        if event.task not in self._reconciling or task.attempts != event.attempt:
            return
        self._reconciling.remove(event.task)
        answer, stopped = event.answer, event.task in self._stops
        if stopped and answer.outcome is Finding.NOT_DONE:
            self._stopped(task)
            return
        self._stops.pop(event.task, None)
        if answer.outcome is Finding.DONE:
            data = {"result": answer.result, "attempt": task.attempts, "reason": answer.reason or None}
            self._end(task, RecordKind.TASK_COMPLETED, data)
        elif answer.outcome is Finding.UNKNOWN:
            error = outcome_unknown(answer.reason)
            self._end(task, RecordKind.TASK_FAILED, {"status": "failed", "error": error, "attempt": task.attempts})
        else:
            self._try_again(task)

    def _time_came(self) -> None:
        while not self.state.status.ended and (due := self._agenda.take(self._at)) is not None:
            self._timer_came(*due)
            self._settle()

    def _timer_came(self, timer: Timer, number: int, name: str) -> None:
        match timer:
            case Timer.ANNOUNCEMENT:
                self._record(RecordKind.MARKET_EVENT, data=self.state.definition.announcements[number].data)
            case Timer.ATTEMPT_LIMIT:
                self._limit_reached(self.state.tasks[name], number)
            case Timer.STOP_GRACE:
                self._given_up(self.state.tasks[name], number)
            case Timer.STAGE_LIMIT:
                limit = self._stages[number].timeout_s
                self._close(self._stages[number].tasks, f"stage {name} timed out after {limit:g} s")
            case Timer.RUN_LIMIT:
                self._timed_out = f"the run was not over by {self._at:%Y-%m-%dT%H:%M:%SZ}"
                self._close(self.state.definition.tasks, self._timed_out)
            case Timer.DEADLINE:
                self._deadline_came(self.state.tasks[name])
            case Timer.STAGE_START:
                self._open_next_stages()
            case Timer.TASK_START:
                self._consider(self.state.tasks[name])
            case Timer.RETRY:
                if self.state.tasks[name].status is TaskStatus.RETRYING:
                    self._enqueue(self.state.tasks[name])
            case _:
                assert_never(timer)

    def _limit_reached(self, task: TaskState, attempt: int) -> None:
        if task.status is TaskStatus.RUNNING and task.attempts == attempt:
            limit = task.definition.timeout_s
            self._stop(task, _Stop(TaskStatus.TIMEOUT, f"not finished within {limit:g} s", final=False))

    def _given_up(self, task: TaskState, attempt: int) -> None:
        name = task.definition.name
        if task.status is TaskStatus.RUNNING and task.attempts == attempt and name in self._stops:
            stop = self._stops[name]
            waited = STOP_GRACE.total_seconds()
            where = f"{name} of {self.state.definition.name}"
            message = f"{where}, told to stop ({stop.reason}), went on for {waited:g} s and was given up on"
            self._record(RecordKind.SYSTEM_ALERT, task, {"source": "engine", "message": message})
            self._stops[name] = _Stop(stop.status, stop.reason, final=True)
            self._stopped(task)

    def _deadline_came(self, task: TaskState) -> None:
        if task.status in {TaskStatus.PENDING, TaskStatus.QUEUED} and not task.attempts:
            self._expire(task, self.state.deadline(task.definition) or self._at)

    def _condition_decided(self, event: ConditionDecided) -> None:
        task = self.state.tasks[event.task]
        if task.status is not TaskStatus.PENDING:
            return
        self._decided.add(event.task)
        if event.error is not None:
            self._end(task, RecordKind.TASK_FAILED, {"status": "failed", "error": event.error, "attempt": 0})
        elif event.skip_reason is not None:
            self._end(task, RecordKind.TASK_SKIPPED, {"reason": event.skip_reason, "own_condition": True})
        else:
            self._consider(task)

    def _granted(self, event: Granted) -> None:
        task = self.state.tasks[event.task]
        if task.status is not TaskStatus.QUEUED:
            return
        deadline = self.state.deadline(task.definition)
        if deadline is not None and self._at >= deadline:
            self._expire(task, deadline)
            return
        attempt = task.attempts + 1
        self._record(RecordKind.TASK_STARTED, task, {"attempt": attempt})
        limit = timedelta(seconds=task.definition.timeout_s)
        self._agenda.add(self._at + limit, Timer.ATTEMPT_LIMIT, event.task, attempt)
        self._decision.commands.append(StartAttempt(task=event.task, attempt=attempt))

    def _attempt_ended(self, event: AttemptSucceeded | AttemptFailed | AttemptStopped) -> None:
        task = self.state.tasks[event.task]
        if task.status is not TaskStatus.RUNNING or task.attempts != event.attempt:
            return  # it was given up on
        if event.task in self._stops:
            self._stopped(task)
            return
        match event:
            case AttemptSucceeded():
                data: JsonObject = {"result": event.result, "attempt": event.attempt}
                self._end(task, RecordKind.TASK_COMPLETED, {**data, "cached": True} if event.cached else data)
            case AttemptFailed():
                self._agent_error(task, event.error)
                self._failed(task, TaskStatus.FAILED, event.error, retryable=event.retryable)
            case AttemptStopped():
                self._failed(task, TaskStatus.FAILED, "its coroutine cancelled itself", retryable=True)

    def _cancel(self, reason: str) -> None:
        if self.state.cancelling is not None:
            return
        self._record(RecordKind.RUN_CANCELLING, data={"reason": reason})
        for task in self.state.tasks.values():
            if task.status is TaskStatus.RUNNING:
                self._stop(task, _Stop(TaskStatus.CANCELLED, reason, final=True))
            elif not task.status.ended:
                self._end(task, RecordKind.TASK_CANCELLED, {"reason": reason})

    # -- what follows

    def _settle(self) -> None:
        """Follow up until nothing changes: dependants, stages, the end of the run."""
        while True:
            while self._changed:
                self._follow(self.state.tasks[self._changed.popleft()])
            self._look_at_opened()
            if self._changed:
                continue
            if not self._stages_due:
                return
            self._stages_due = self._close_stages() or self._open_next_stages()
            if not (self._stages_due or self._changed):
                break
        if self._under_way and all(s.completed_at for s in self.state.stages.values()):
            self._end_run()

    def _look_at_opened(self) -> None:
        """Consider the tasks of stages that have opened, so many in one decision."""
        while self._opening and self._looks > 0:
            self._looks -= 1
            self._consider(self._opening.popleft())

    @property
    def _under_way(self) -> bool:
        """Whether stages may end: the run has begun, or was cancelled before it could."""
        return self.state.status is RunStatus.RUNNING or (
            self.state.cancelling is not None and self.state.status is RunStatus.PENDING
        )

    def _follow(self, ended: TaskState) -> None:
        for name in self.state.needed_by[ended.definition.name]:
            task = self.state.tasks[name]
            if ended.satisfied:
                self._consider(task)
            elif not task.status.ended:
                self._end(task, RecordKind.TASK_SKIPPED, {"reason": unmet(ended)})

    def _consider(self, task: TaskState) -> None:
        """Queue ``task`` if nothing is in its way any more."""
        stage = self.state.stages[task.definition.stage]
        if task.status is not TaskStatus.PENDING or task.missing or stage.status is not StageStatus.RUNNING:
            return
        definition = task.definition
        deadline = self.state.deadline(definition)
        if deadline is not None and self._at >= deadline:
            self._expire(task, deadline)
        elif definition.starts_at is not None and self._at < definition.starts_at:
            self._agenda.add(definition.starts_at, Timer.TASK_START, definition.name)
        elif (definition.when or definition.skip_conditions) and definition.name not in self._decided:
            self._decision.commands.append(EvaluateCondition(task=definition.name))
        else:
            self._enqueue(task)

    def _enqueue(self, task: TaskState) -> None:
        self._record(RecordKind.TASK_QUEUED, task)
        self._wait_for_slot(task)

    def _wait_for_slot(self, task: TaskState) -> None:
        name = task.definition.name
        self._decision.commands.append(
            EnqueueTask(
                task=name,
                priority=self.state.priorities[name],
                deadline=self.state.deadline(task.definition),
                path=self.state.paths[name],
                again=task.attempts > task.lost_attempts,
            )
        )

    def _open_next_stages(self) -> bool:
        """Start the stages whose turn it is; tell whether any did."""
        opened = False
        for index in range(self._next_stage, len(self._stages)):
            definition, stage = self._stages[index], self.state.stages[self._stages[index].name]
            if stage.status is not StageStatus.PENDING or self.state.status is not RunStatus.RUNNING:
                continue
            if is_due(self.state, index, self._at):
                self._open(definition)
                opened = True
        while self._next_stage < len(self._stages) and has_started(self.state, self._next_stage):
            self._next_stage += 1
        return opened

    def _open(self, definition: StageDefinition) -> None:
        failed = failed_before(self.state, self.state.stages[definition.name].index)
        if failed is not None:
            self._skip_stage(definition, failed)
            return
        self._record(RecordKind.STAGE_STARTED, stage=definition.name)
        self._date_stage(definition, self._at)
        self._opening.extend(self.state.tasks[task.name] for task in definition.tasks)
        self._look_at_opened()

    def _date_stage(self, definition: StageDefinition, started_at: datetime) -> None:
        if definition.timeout_s is not None:
            index = self.state.stages[definition.name].index
            limit = started_at + timedelta(seconds=definition.timeout_s)
            self._agenda.add(limit, Timer.STAGE_LIMIT, definition.name, index)
        for task in definition.tasks:
            deadline = self.state.deadline(task)
            if deadline is not None and not self.state.tasks[task.name].status.ended:
                self._agenda.add(deadline, Timer.DEADLINE, task.name)

    def _skip_stage(self, definition: StageDefinition, failed: str) -> None:
        reason = f"stage {failed} failed"
        for task in definition.tasks:
            if not self.state.tasks[task.name].status.ended:
                self._end(self.state.tasks[task.name], RecordKind.TASK_SKIPPED, {"reason": reason})
        self._end_stage(definition, StageStatus.SKIPPED, reason)

    def _close_stages(self) -> bool:
        """End the stages whose tasks have all ended; tell whether any did."""
        closed = False
        for definition in self._stages:
            stage = self.state.stages[definition.name]
            if stage.left or stage.completed_at or not self._under_way:
                continue
            if self.state.cancelling is not None:
                self._end_stage(definition, StageStatus.CANCELLED, self.state.cancelling)
            elif stage.status is StageStatus.RUNNING:
                failed = stage.failed_task
                reason = None if failed is None else f"task {failed} {self.state.tasks[failed].status}"
                self._end_stage(definition, StageStatus.FAILED if failed else StageStatus.COMPLETED, reason)
            elif definition.tasks or self._timed_out is not None:
                self._end_stage(definition, StageStatus.SKIPPED, "all of its tasks ended before it could start")
            else:
                continue
            closed = True
            failed_here = stage.failed_task is not None and definition.on_failure is OnFailure.FAIL
            if failed_here and self.state.cancelling is None:
                for later in self._stages[stage.index + 1 :]:
                    if self.state.stages[later.name].status is StageStatus.PENDING:
                        self._skip_stage(later, definition.name)
        return closed

    def _end_stage(self, definition: StageDefinition, status: StageStatus, reason: str | None) -> None:
        self._record(RecordKind.STAGE_COMPLETED, stage=definition.name, data={"status": status, "reason": reason})

    def _end_run(self) -> None:
        failed = [name for name, task in self.state.tasks.items() if task.status in _FAILURES]
        if self.state.cancelling is not None:
            self._record(RecordKind.RUN_CANCELLED, data={"reason": self.state.cancelling})
        elif failed or self._timed_out is not None:
            reason = self._timed_out or f"{len(failed)} of {len(self.state.tasks)} tasks failed, the first {failed[0]}"
            self._record(RecordKind.RUN_FAILED, data={"reason": reason})
        else:
            self._record(RecordKind.RUN_COMPLETED, data={"reason": None})
        self._opening.clear()  # nothing that is left falls due any more
        self._agenda.clear()
        self._decision.commands.append(EndRun())

    # -- the ends of attempts and tasks

    def _stop(self, task: TaskState, stop: _Stop) -> None:
        name = task.definition.name
        already = self._stops.get(name)
        if already is not None and already.final:
            return  # nothing that comes later brings the task back
        self._stops[name] = stop
        if already is None and name not in self._reconciling:
            self._agenda.add(self._at + STOP_GRACE, Timer.STOP_GRACE, name, task.attempts)
            self._decision.commands.append(StopAttempt(task=name, attempt=task.attempts))

    def _stopped(self, task: TaskState) -> None:
        stop = self._stops.pop(task.definition.name)
        if stop.status is TaskStatus.CANCELLED:
            self._end(task, RecordKind.TASK_CANCELLED, {"reason": stop.reason})
        else:
            self._failed(task, stop.status, stop.reason, retryable=not stop.final)

    def _failed(self, task: TaskState, status: TaskStatus, error: str, *, retryable: bool) -> None:
        """Retry the task or end it after an attempt that failed or timed out."""
        attempt, definition = task.attempts, task.definition
        data: dict[str, JsonValue] = {"status": status, "error": error, "attempt": attempt}
        delay = retry_delay(definition, attempt - task.lost_attempts, self._retry) if retryable else None
        if delay is None:
            self._end(task, RecordKind.TASK_FAILED, data)
            return
        if not definition.retry_delays:
            delay *= 1 + JITTER * self._jitter(f"{self.state.run_id} {definition.name} {attempt}")
        due, deadline = self._at + timedelta(seconds=delay), self.state.deadline(definition)
        if deadline is not None and due >= deadline:
            self._end(task, RecordKind.TASK_FAILED, {**data, "reason": retry_too_late(due, deadline)})
            return
        self._record(RecordKind.TASK_RETRYING, task, {**data, "delay_s": delay})
        self._agenda.add(due, Timer.RETRY, definition.name)

    def _close(self, tasks: tuple[TaskDefinition, ...], reason: str) -> None:
        """End all of ``tasks`` because time is up: what runs is stopped, what has not started never does."""
        for definition in tasks:
            task = self.state.tasks[definition.name]
            if task.status is TaskStatus.RUNNING:
                self._stop(task, _Stop(TaskStatus.TIMEOUT, reason, final=True))
            elif task.attempts and not task.status.ended:
                self._end_without_retry(task, reason)
            elif not task.status.ended:
                self._end(task, RecordKind.TASK_EXPIRED, {"reason": reason})

    def _expire(self, task: TaskState, deadline: datetime) -> None:
        if task.attempts:
            self._end_without_retry(task, retry_expired(deadline))
        else:
            self._end(task, RecordKind.TASK_EXPIRED, {"reason": window_ended(task, deadline)})

    def _end_without_retry(self, task: TaskState, reason: str) -> None:
        """End a task that waits for a retry with the outcome of its last attempt."""
        data = {"status": task.outcome, "error": task.error, "attempt": task.attempts, "reason": reason}
        self._end(task, RecordKind.TASK_FAILED, data)

    def _end(self, task: TaskState, kind: RecordKind, data: Mapping[str, JsonValue]) -> None:
        self._record(kind, task, data)
        self._changed.append(task.definition.name)
        if not self.state.stages[task.definition.stage].left:
            self._stages_due = True

    def _agent_error(self, task: TaskState, error: str) -> None:
        if task.definition.agent is not None:
            self._record(RecordKind.AGENT_ERROR, task, {"attempt": task.attempts, "error": error})

    # -- small things

    def _record(
        self,
        kind: RecordKind,
        task: TaskState | None = None,
        data: JsonObject | None = None,
        stage: str | None = None,
    ) -> None:
        record = Record(
            run_id=self.state.run_id,
            sequence=self.state.sequence + 1,
            kind=kind,
            at=self._at,
            stage=stage if task is None else task.definition.stage,
            task=None if task is None else task.definition.name,
            data=_NOTHING if data is None else data,
        )
        self.state.apply(record)
        self._decision.records.append(record)


_NOTHING: JsonObject = {}
_FAILURES = (TaskStatus.FAILED, TaskStatus.TIMEOUT)
