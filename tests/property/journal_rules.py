"""What must hold of any journal, judged from its records alone, by other means than the core's."""

from datetime import datetime, timedelta

from orchestration.domain.definition import StageDefinition, TaskDefinition, WorkflowDefinition
from orchestration.domain.records import RUN_ENDINGS, Record, RecordKind
from orchestration.domain.states import OnFailure

_TASK_ENDINGS = {
    RecordKind.TASK_COMPLETED,
    RecordKind.TASK_FAILED,
    RecordKind.TASK_SKIPPED,
    RecordKind.TASK_EXPIRED,
    RecordKind.TASK_CANCELLED,
}


class JournalRules:
    """Takes in records one by one and asserts that each may follow what came before."""

    def __init__(self, definition: WorkflowDefinition, *, retries: bool) -> None:
        self.definition = definition
        self.retries = retries
        self.sequence = 1
        self.at: datetime | None = None
        self.begun = False
        self.ended_as: RecordKind | None = None
        self.running: set[str] = set()
        self.attempts: dict[str, int] = {}
        self.endings: dict[str, Record] = {}
        self.retry_due: dict[str, datetime] = {}
        self.token = 1
        self.lost: dict[str, set[int]] = {}
        self.losses: dict[str, int] = {}
        self.cancelling = False
        self.stages_started: set[str] = set()
        self.stages_ended: set[str] = set()
        self._tasks = {task.name: task for task in definition.tasks}
        self._stages = {stage.name: stage for stage in definition.stages}

    def take(self, record: Record) -> None:
        """Assert that ``record`` may come now."""
        assert record.sequence == self.sequence + 1, "a gap in the sequence"
        assert self.at is None or record.at >= self.at, "time goes back"
        assert self.ended_as is None, "something happens after the end"
        self.sequence, self.at = record.sequence, record.at
        if record.task is not None:
            assert record.stage == self._tasks[record.task].stage
            self._take_task(self._tasks[record.task], record)
        elif record.stage is not None:
            self._take_stage(self._stages[record.stage], record)
        elif record.kind is RecordKind.RUN_STARTED:
            assert not self.begun, "it starts twice"
            self.begun = True
        elif record.kind is RecordKind.RUN_RESUMED:
            token = record.data["token"]
            assert isinstance(token, int)
            assert token > self.token, "a claim that is older than another"
            self.token = token
        elif record.kind is RecordKind.RUN_CANCELLING:
            assert not self.cancelling, "it is cancelled twice"
            self.cancelling = True
        elif record.kind in RUN_ENDINGS:
            assert not self.cancelling or record.kind is RecordKind.RUN_CANCELLED, "its cancelling was forgotten"
            assert set(self.endings) == set(self._tasks), "the run ends before its tasks"
            assert self.stages_ended == set(self._stages), "the run ends before its stages"
            self.ended_as = record.kind

    def _take_task(self, task: TaskDefinition, record: Record) -> None:
        assert task.name not in self.endings, "something happens to a task that has ended"
        if record.kind is RecordKind.TASK_STARTED:
            self._starts(task, record)
        elif record.kind is RecordKind.TASK_QUEUED:
            assert record.at >= self.retry_due.get(task.name, record.at), "a retry comes too early"
            if task.name in self.running:
                attempt = self.attempts[task.name]
                assert attempt in self.lost.get(task.name, set()), "it waits for its turn while it runs"
                self.running.remove(task.name)
        elif record.kind is RecordKind.TASK_INTERRUPTED:
            assert task.name in self.running, "what was not under way can't be lost"
            assert record.data["attempt"] == self.attempts[task.name]
            self.lost.setdefault(task.name, set()).add(self.attempts[task.name])
            self.losses[task.name] = self.losses.get(task.name, 0) + 1
            assert self.losses[task.name] <= self.token - 1, "more losses than processes"
        elif record.kind is RecordKind.TASK_RETRYING:
            self._retries(task, record)
        elif record.kind in _TASK_ENDINGS:
            self._ends(task, record)

    def _starts(self, task: TaskDefinition, record: Record) -> None:
        stage = self._stages[task.stage]
        assert all(self._satisfied(name) for name in task.dependencies), "it starts before what it needs"
        assert task.name not in self.running, "it runs twice at the same time"
        assert task.stage in self.stages_started, "it starts before its stage"
        assert task.stage not in self.stages_ended, "it starts after its stage"
        assert task.starts_at is None or record.at >= task.starts_at, "it starts too early"
        assert stage.starts_at is None or record.at >= stage.starts_at, "it starts before its stage's time"
        deadline = task.deadline or stage.ends_at
        assert deadline is None or record.at < deadline, "it starts after its deadline"
        self.attempts[task.name] = self.attempts.get(task.name, 0) + 1
        assert record.data["attempt"] == self.attempts[task.name]
        lost = len(self.lost.get(task.name, ()))
        assert self.attempts[task.name] - lost <= task.max_retries + 1, "too many attempts"
        assert not self.cancelling, "it starts though it was cancelled"
        self.running.add(task.name)

    def _retries(self, task: TaskDefinition, record: Record) -> None:
        assert self.retries, "retries are off"
        assert task.name in self.running
        self.running.remove(task.name)
        failed = self.attempts[task.name] - len(self.lost.get(task.name, ()))
        delays = task.retry_delays or [2.0**n for n in range(failed)]  # 003: base 1, doubled each time
        delay = delays[min(failed, len(delays)) - 1]
        assert record.data["delay_s"] == delay
        self.retry_due[task.name] = record.at + timedelta(seconds=delay)
        deadline = task.deadline or self._stages[task.stage].ends_at
        assert deadline is None or self.retry_due[task.name] < deadline, "a retry is due after the deadline"

    def _ends(self, task: TaskDefinition, record: Record) -> None:
        completed = record.kind is RecordKind.TASK_COMPLETED
        assert completed or record.data.get("reason") or record.data.get("error"), "it ends without a word why"
        if completed:
            assert task.name in self.running, "it completes without running"
        if record.kind is RecordKind.TASK_EXPIRED:
            assert task.name not in self.attempts, "it expires though it was tried"
        self.running.discard(task.name)
        self.endings[task.name] = record

    def _take_stage(self, stage: StageDefinition, record: Record) -> None:
        earlier = self.definition.stages[: self.definition.stages.index(stage)]
        if record.kind is RecordKind.STAGE_STARTED:
            assert stage.name not in self.stages_started | self.stages_ended, "a stage starts twice"
            if stage.starts_at is None:
                assert all(other.name in self.stages_ended for other in earlier), "an undated stage jumps the queue"
            else:
                assert record.at >= stage.starts_at, "a dated stage starts too early"
            assert not any(s.on_failure is OnFailure.FAIL and self._has_failed(s) for s in earlier), "failure ignored"
            self.stages_started.add(stage.name)
        else:
            assert stage.name not in self.stages_ended, "a stage ends twice"
            assert all(task.name in self.endings for task in stage.tasks), "a stage ends before its tasks"
            self.stages_ended.add(stage.name)

    def _satisfied(self, name: str) -> bool:
        ending = self.endings.get(name)
        return ending is not None and (
            ending.kind is RecordKind.TASK_COMPLETED or ending.data.get("own_condition") is True
        )

    def _has_failed(self, stage: StageDefinition) -> bool:
        return any(
            task.name in self.endings and self.endings[task.name].kind is RecordKind.TASK_FAILED for task in stage.tasks
        )
