"""The deciding half keeps its rules whatever happens in whatever order."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestration.domain.definition import WorkflowDefinition
from orchestration.domain.reconciliation import Reconciled
from orchestration.domain.records import Record, RecordKind
from orchestration.domain.retry import RetryStrategy
from orchestration.domain.states import ENDED, Effects, TaskStatus
from orchestration.engine.commands import (
    Command,
    EndRun,
    EnqueueTask,
    EvaluateCondition,
    Reconcile,
    StartAttempt,
    StopAttempt,
)
from orchestration.engine.core import RunCore
from orchestration.engine.inputs import (
    AttemptFailed,
    AttemptReconciled,
    AttemptStopped,
    AttemptSucceeded,
    Begin,
    Cancel,
    ConditionDecided,
    Granted,
    Input,
    Resume,
    TimeCame,
)
from orchestration.engine.ready_queue import Rank, ReadyQueue
from orchestration.engine.run_state import RunState, rebuild
from orchestration.engine.stored_definition import from_json, to_json
from tests.property.definitions import START, definitions
from tests.property.journal_rules import JournalRules

RUN = "run"
MOST_LOSSES = 2


class AnyOrder(RuleBasedStateMachine):
    """Feeds one run with inputs in any order, late and doubled ones too; `JournalRules` judges every record."""

    @initialize(definition=definitions() | definitions(lively=True), retries=st.booleans())
    def begin(self, definition: WorkflowDefinition, *, retries: bool) -> None:
        self.now = START
        created = Record(run_id=RUN, sequence=1, kind=RecordKind.RUN_CREATED, at=START, data={"parameters": {"x": 1}})
        state = RunState(run_id=RUN, definition=definition, parameters={"x": 1})
        state.apply(created)
        self.retry = RetryStrategy() if retries else None
        self.core = RunCore(state, self.retry, most_losses=MOST_LOSSES)
        self.judge = JournalRules(definition, retries=retries)
        self.records = [created]
        self.fed: list[Input] = []
        self.start_process()
        self.ends = 0
        self.feed(Begin(at=self.now))

    def start_process(self) -> None:
        """Nothing is under way, and nothing is known but the records."""
        self.ready = ReadyQueue(10**6)
        self.asked: list[str] = []
        self.live: list[tuple[str, int]] = []
        self.stopping: set[tuple[str, int]] = set()
        self.lost: list[tuple[str, int]] = []

    def feed(self, event: Input) -> None:
        self.sound = False  # until all of it has been judged
        decision = self.core.decide(event)
        self.fed.append(event)
        for record in decision.records:
            self.judge.take(record)
        self.records += decision.records
        started = [r.task for r in decision.records if r.kind is RecordKind.TASK_STARTED]
        assert started == [c.task for c in decision.commands if isinstance(c, StartAttempt)]
        for command in decision.commands:
            self.perform(command)
        self.sound = True

    def perform(self, command: Command) -> None:
        match command:
            case EvaluateCondition():
                self.asked.append(command.task)
            case EnqueueTask():
                rank = Rank(priority=command.priority, deadline=command.deadline, path=command.path)
                tried = self.judge.attempts.get(command.task, 0) - len(self.judge.lost.get(command.task, ()))
                assert command.again is (tried > 0), "a retry is one that follows a failure"
                self.ready.add((RUN, command.task), rank, (), self.now)
            case StartAttempt():
                assert command.task not in [task for task, _ in self.lost], "it is done again before anybody has asked"
                self.live.append((command.task, command.attempt))
            case Reconcile():
                assert self.core.state.tasks[command.task].definition.effects is not Effects.NONE
                self.lost.append((command.task, command.attempt))
            case StopAttempt():
                assert (command.task, command.attempt) in self.live
                assert (command.task, command.attempt) not in self.stopping
                self.stopping.add((command.task, command.attempt))
            case EndRun():
                self.ends += 1

    def finish(self, number: int) -> tuple[str, int]:
        return self.live.pop(number % len(self.live))

    @precondition(lambda self: len(self.ready) > 0)
    @rule()
    def another_slot_is_free(self) -> None:
        self.a_slot_is_free()

    @precondition(lambda self: len(self.ready) > 0)
    @rule()
    def a_slot_is_free(self) -> None:
        taken = self.ready.take(self.now)
        assert taken is not None
        self.feed(Granted(at=self.now, task=taken[1]))

    @precondition(lambda self: self.live)
    @rule(number=st.integers(0, 20))
    def an_attempt_succeeds(self, number: int) -> None:
        task, attempt = self.finish(number)
        self.feed(AttemptSucceeded(at=self.now, task=task, attempt=attempt, result={"ok": attempt}))

    @precondition(lambda self: self.live)
    @rule(number=st.integers(0, 20), retryable=st.booleans())
    def an_attempt_fails(self, number: int, *, retryable: bool) -> None:
        task, attempt = self.finish(number)
        self.feed(AttemptFailed(at=self.now, task=task, attempt=attempt, error="boom", retryable=retryable))

    @precondition(lambda self: self.live)
    @rule(number=st.integers(0, 20))
    def an_attempt_stops(self, number: int) -> None:
        task, attempt = self.finish(number)
        self.feed(AttemptStopped(at=self.now, task=task, attempt=attempt))

    @precondition(lambda self: self.asked)
    @rule(answer=st.sampled_from([{}, {}, {"skip_reason": "not today"}, {"error": "no such name"}]))
    def a_condition_is_decided(self, answer: dict[str, str]) -> None:
        self.feed(ConditionDecided(at=self.now, task=self.asked.pop(0), **answer))

    @precondition(lambda self: self.lost)
    @rule(
        number=st.integers(0, 20),
        answer=st.sampled_from(
            [Reconciled.done("it was done"), Reconciled.not_done(), Reconciled.unknown("who knows")]
        ),
    )
    def it_is_known_what_became_of_an_attempt(self, number: int, answer: Reconciled) -> None:
        task, attempt = self.lost.pop(number % len(self.lost))
        self.feed(AttemptReconciled(at=self.now, task=task, attempt=attempt, answer=answer))

    @precondition(lambda self: not self.core.state.status.ended)
    @rule(seconds=st.integers(0, 90))
    def the_process_dies_and_another_goes_on(self, seconds: int) -> None:
        before = self.core.state
        under_way = {name for name, task in before.tasks.items() if task.status is TaskStatus.RUNNING}
        self.now += timedelta(seconds=seconds)
        self.start_process()
        self.fed.clear()
        state = rebuild(before.definition, self.records)
        assert state == before
        self.core = RunCore(state, self.retry, most_losses=MOST_LOSSES)
        known = len(self.records)
        self.feed(Resume(at=self.now, token=before.token + 1, code_version="test"))
        told = {r.task for r in self.records[known:] if r.kind is RecordKind.TASK_INTERRUPTED}
        assert told == under_way
        asked = {task for task, _ in self.lost}
        for name in under_way:
            task = self.core.state.tasks[name]
            assert (name in asked) is (task.definition.effects is not Effects.NONE)
        self.fed.clear()

    @rule(seconds=st.integers(0, 40))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.feed(TimeCame(at=self.now))

    @precondition(lambda self: self.core.next_due is not None)
    @rule()
    def the_next_moment_comes(self) -> None:
        due = self.core.next_due
        assert due is not None
        self.now = max(self.now, due)
        self.feed(TimeCame(at=self.now))
        if not self.core.state.status.ended:
            assert self.core.next_due is None or self.core.next_due > self.now

    @rule(rarely=st.integers(0, 5))
    def somebody_cancels(self, rarely: int) -> None:
        if rarely == 3:
            self.feed(Cancel(at=self.now, reason="somebody wanted it"))

    @rule(number=st.integers(0, 100))
    def an_input_comes_again(self, number: int) -> None:
        if not self.fed or number % 4 != 1:
            return
        self.feed(replace(self.fed[number % len(self.fed)], at=self.now))

    @invariant()
    def the_records_rebuild_the_state(self) -> None:
        assert rebuild(self.core.state.definition, self.records) == self.core.state

    @invariant()
    def the_run_ends_once_and_after_its_tasks(self) -> None:
        state = self.core.state
        assert self.ends == (1 if state.status.ended else 0)
        if state.status.ended:
            assert all(task.status in ENDED for task in state.tasks.values())

    def teardown(self) -> None:
        """Whatever happened before, it comes to an end by itself."""
        if not getattr(self, "sound", False):
            return
        for _ in range(1000):
            if self.core.state.status.ended:
                break
            if self.asked:
                self.a_condition_is_decided({})
            elif len(self.ready):
                self.a_slot_is_free()
            elif self.lost:
                self.it_is_known_what_became_of_an_attempt(0, Reconciled.not_done())
            elif self.live:
                self.an_attempt_stops(0) if self.live[0] in self.stopping else self.an_attempt_succeeds(0)
            else:
                self.the_next_moment_comes()
            self.the_records_rebuild_the_state()
        self.the_run_ends_once_and_after_its_tasks()
        assert self.core.state.status.ended
        assert not self.core.decide(Cancel(at=self.now, reason="too late")).records


AnyOrder.TestCase.settings = settings(
    max_examples=150, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestAnyOrder = AnyOrder.TestCase


@given(definitions())
def test_a_definition_is_read_back_as_it_was_stored(definition: WorkflowDefinition) -> None:
    assert from_json(to_json(definition)) == definition
