"""Carry a recorded run out again by today's rules, and find the first record that comes out another way.

What came from outside is taken from the record: how attempts ended, who got a slot and when, cancelling, crashes and
resuming, and how late the clock of then was. All that follows from it is decided by today's core.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from orchestration.domain.errors import DefinitionError, OrchestrationError
from orchestration.domain.json_value import JsonValue
from orchestration.domain.reconciliation import Reconciled
from orchestration.domain.records import Record, RecordKind
from orchestration.domain.states import TaskStatus
from orchestration.engine.commands import EvaluateCondition, Reconcile, StopAttempt
from orchestration.engine.conditions import skip_reason
from orchestration.engine.core import RunCore
from orchestration.engine.event_log import log_line
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
from orchestration.engine.run_context import RunContext
from orchestration.engine.run_state import RunState, TaskState, rebuild
from orchestration.engine.stored_definition import from_json, to_json

LATE = timedelta(seconds=1)
"""How late a clock that is not simulated may do what is due, if nobody says otherwise."""
SHOWN_BEFORE = 5
"""How many of the records just before it are shown with a difference."""
_LOOKS_AHEAD = 100_000

_OWN_LIMIT = "not finished within "
_CANCELLED_ITSELF = "its coroutine cancelled itself"
_UNKNOWN = ("its outcome is unknown: ", "; find out what happened before anything is done again")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first record that is another one. ``recorded`` or ``today`` is ``None`` where there is none (more).

    ``where`` is the path of the first value that differs, and ``values`` what stands there: recorded, and today.
    """

    recorded: Record | None
    today: Record | None
    where: str
    values: tuple[JsonValue, JsonValue]
    before: tuple[Record, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came of a replay. ``same`` counts the records that were alike; ``latest`` is the most a timer was late."""

    same: int
    difference: Difference | None
    latest: timedelta = timedelta()


def replay_run(
    recorded: Sequence[Record], core_for: Callable[[RunState], RunCore], *, late: timedelta = LATE
) -> Replayed:
    """Replay the run that ``recorded`` (all of it, in sequence) tells of.

    Each record is compared as a line of the event log. What the clock brings about may have been recorded up to
    ``late`` after it was due. Raises `DefinitionError` for a run that has not ended.
    """
    if not recorded or recorded[0].kind is not RecordKind.RUN_CREATED:
        raise DefinitionError("the journal has lost the beginning of this run: there is nothing to replay")
    again = _Again(recorded, core_for, late)
    if not rebuild(again.state.definition, recorded).status.ended:
        raise DefinitionError(f"run {recorded[0].run_id} has not ended: wait for it, or cancel it")
    difference = again.run()
    return Replayed(same=again.same, difference=difference, latest=again.latest)


def first_difference(recorded: Sequence[Record], today: Sequence[Record]) -> Difference | None:
    """Return where two journals of a run part, by the lines of their event logs."""
    for old, new in zip(recorded, today, strict=False):
        if log_line(old) != log_line(new):
            return difference_at(recorded, old, new)
    if len(recorded) == len(today):
        return None
    at = min(len(recorded), len(today))
    return difference_at(recorded, *((recorded[at], None) if len(recorded) > at else (None, today[at])))


def difference_at(recorded: Sequence[Record], old: Record | None, new: Record | None) -> Difference:
    """Return the difference between ``old``, the next of ``recorded``, and ``new``."""
    index = len(recorded) if old is None else old.sequence - 1
    where, values = "", (_document(old), _document(new))
    if old is not None and new is not None:
        where, values = parting(*values)
    before = tuple(recorded[max(0, index - SHOWN_BEFORE) : index])
    return Difference(recorded=old, today=new, where=where, values=values, before=before)


def _document(record: Record | None) -> Any:
    return None if record is None else orjson.loads(log_line(record))


def parting(old: Any, new: Any, where: str = "") -> tuple[str, tuple[Any, Any]]:
    """The path of the first value that is another one, in the order of the names, and both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        # the kind, the task and the time tell more than the data that follow from them
        for key in sorted(old.keys() | new.keys(), key=lambda name: (not where and name == "data", name)):
            if key not in old or key not in new or old[key] != new[key]:
                return parting(old.get(key), new.get(key), f"{where}.{key}" if where else key)
    if isinstance(old, list) and isinstance(new, list):
        for index, pair in enumerate(zip(old, new, strict=False)):
            if pair[0] != pair[1]:
                return parting(*pair, f"{where}[{index}]")
        at = min(len(old), len(new))
        longer = (old[at], None) if len(old) > at else (None, new[at])
        return f"{where}[{at}]", longer
    return where, (old, new)


class _Again:
    """One replay: the records of then, and those that today's core makes."""

    def __init__(self, recorded: Sequence[Record], core_for: Callable[[RunState], RunCore], late: timedelta) -> None:
        first = recorded[0]
        stored: Any = first.data["definition"]
        definition = from_json(stored)
        created = first._replace(data={**first.data, "definition": to_json(definition)})
        self.state = rebuild(definition, [created])
        self.latest = timedelta()
        self.same = 0
        self._old = recorded
        self._new = [created]
        self._core_for = core_for
        self._late = late
        self._loose: set[int] = set()
        self._begin(self.state)

    def _begin(self, state: RunState) -> None:
        self.state = state
        self._core = self._core_for(state)
        self._stopping: set[tuple[str, int]] = set()
        self._reconciling: set[str] = set()

    def run(self) -> Difference | None:
        """Go through the records and return the first one that differs."""
        for index, old in enumerate(self._old):
            if index >= len(self._new):
                self._bring_about(old)
            if index >= len(self._new):
                self._go_on()
                new = self._new[index] if len(self._new) > index else None
                return difference_at(self._old, old, new)
            if not self._alike(old, self._new[index]):
                return difference_at(self._old, old, self._new[index])
            self.same += 1
        more = self._new[len(self._old) :]
        return difference_at(self._old, None, more[0]) if more else None

    def _alike(self, old: Record, new: Record) -> bool:
        if new.sequence in self._loose and abs(old.at - new.at) <= self._late:
            new = new._replace(at=old.at)
        return log_line(old) == log_line(new)

    def _feed(self, event: Input) -> bool:
        """Tell the core; return whether it made records of it."""
        decision = self._core.decide(event)
        self._new += decision.records
        made = bool(decision.records)
        for command in decision.commands:
            if isinstance(command, EvaluateCondition):
                made |= self._feed(self._evaluated(command.task, event.at))
            elif isinstance(command, StopAttempt):
                self._stopping.add((command.task, command.attempt))
            elif isinstance(command, Reconcile):
                self._reconciling.add(command.task)
        return made

    def _evaluated(self, name: str, at: datetime) -> ConditionDecided:
        try:
            reason = skip_reason(self.state.tasks[name].definition, RunContext(self.state))
        except OrchestrationError as error:
            return ConditionDecided(at=at, task=name, error=str(error))
        return ConditionDecided(at=at, task=name, skip_reason=reason)

    # -- what brought a record about

    def _bring_about(self, old: Record) -> None:
        """Tell the core what must have happened before it made ``old``."""
        match old.kind:
            case RecordKind.RUN_STARTED:
                self._feed(Begin(at=old.at))
            case RecordKind.RUN_RESUMED:
                token, version = int(str(old.data["token"])), str(old.data.get("code_version"))
                self._begin(rebuild(self.state.definition, self._new))
                self._feed(Resume(at=old.at, token=token, code_version=version))
            case RecordKind.RUN_CANCELLING:
                if not self._time_passes(old.at - self._late):
                    self._feed(Cancel(at=old.at, reason=str(old.data.get("reason"))))
            case RecordKind.RUN_INTERRUPTED:  # whoever found the run could not go on with it
                self._new.append(old._replace(sequence=len(self._new) + 1))
            case _ if old.task is not None and old.task in self.state.tasks:
                self._bring_about_of_task(old, self.state.tasks[old.task])
            case _:
                self._time_comes(old.at)

    def _bring_about_of_task(self, old: Record, task: TaskState) -> None:
        name, kind = task.definition.name, old.kind
        if kind is RecordKind.TASK_STARTED:
            if not self._time_comes(old.at, early=False):
                self._feed(Granted(at=old.at, task=name))
        elif kind is RecordKind.TASK_CANCELLED and self.state.cancelling is None:
            self._feed(Cancel(at=old.at, reason=str(old.data.get("reason"))))  # versions before RUN_CANCELLING told so
        elif name in self._reconciling and kind in _ANSWERED:
            self._reconciled(old, task)
        elif task.status is TaskStatus.RUNNING and kind in _ATTEMPT_ENDED:
            if old.data.get("status") == TaskStatus.TIMEOUT:
                self._limit_passes(task, old)
            self._feed(self._outcome(old, task))
        else:
            if kind is RecordKind.SYSTEM_ALERT:
                self._limit_passes(task, old)
            if not self._time_comes(old.at):
                self._feed(Granted(at=old.at, task=name))  # which came too late

    def _outcome(self, old: Record, task: TaskState) -> Input:
        """How an attempt ended that brought ``old`` about."""
        at, name, number, error = old.at, task.definition.name, task.attempts, str(old.data.get("error"))
        if old.kind is RecordKind.TASK_COMPLETED:
            cached = old.data.get("cached") is True
            return AttemptSucceeded(at=at, task=name, attempt=number, result=old.data.get("result"), cached=cached)
        told = old.kind is RecordKind.AGENT_ERROR
        if told or (task.agent is None and old.data.get("status") == "failed" and error != _CANCELLED_ITSELF):
            retryable = self._was_retryable(old, task)
            return AttemptFailed(at=at, task=name, attempt=number, error=error, retryable=retryable)
        return AttemptStopped(at=at, task=name, attempt=number)

    def _was_retryable(self, old: Record, task: TaskState) -> bool:
        """Whether another attempt made sense: it was made or came too late, or all of them had been made."""
        following = self._old[old.sequence - 1 : old.sequence + 1]
        end = next((r for r in following if r.task == old.task and r.kind is not RecordKind.AGENT_ERROR), None)
        if end is None or end.kind is not RecordKind.TASK_FAILED or "reason" in end.data:
            return True
        return task.attempts - task.losses > task.definition.max_retries

    def _reconciled(self, old: Record, task: TaskState) -> None:
        """Tell what was found out about a lost attempt."""
        reason = str(old.data.get("reason") or "")
        if old.data.get("status") == TaskStatus.TIMEOUT:
            self._limit_passes(task, old)
            answer = Reconciled.not_done()
        elif old.kind is RecordKind.TASK_COMPLETED:
            answer = Reconciled.done(old.data.get("result"), reason)
        elif old.kind is RecordKind.TASK_FAILED:
            error = str(old.data.get("error"))
            answer = Reconciled.unknown(error.removeprefix(_UNKNOWN[0]).removesuffix(_UNKNOWN[1]))
        else:
            answer = Reconciled.not_done()
        name = task.definition.name
        self._reconciling.discard(name)
        self._feed(AttemptReconciled(at=old.at, task=name, attempt=task.attempts, answer=answer))

    # -- the clock

    def _time_comes(self, at: datetime, *, early: bool = True) -> bool:
        """Let what is due happen, as late as it was recorded; return whether that made records.

        What is later than `late` allows happens when it is due. A stop that nothing tells of may have come a little
        later here than it did, and with it what follows; then, if ``early``, that happens a little ahead of its time.
        """
        while (due := self._core.next_due) is not None and due <= at:
            moment = at if at - due <= self._late else due
            if self._feed(TimeCame(at=moment)):
                if moment == at:
                    self.latest = max(self.latest, at - due)
                return True
        if early and due is not None and due - at <= self._late:
            before = len(self._new)
            made = self._feed(TimeCame(at=due))
            self._loose.update(range(before + 1, len(self._new) + 1))
            return made
        return False

    def _limit_passes(self, task: TaskState, old: Record) -> None:
        """Let the limit be reached that stopped the attempt whose end, or whose being given up on, is ``old``.

        Nothing was recorded of it then. A limit of the stage or the run may have come on top of the attempt's own.
        """
        own = _OWN_LIMIT in str(old.data.get("error") or old.data.get("message"))
        attempt = (task.definition.name, task.attempts)
        passed = [old.at] if own else [at for at in self._limits(task) if at <= old.at]
        while (due := self._core.next_due) is not None and passed and due <= max(passed):
            if (own and attempt in self._stopping) or self._feed(TimeCame(at=due)):
                return

    def _limits(self, task: TaskState) -> Iterator[datetime]:
        """The moments by which the task's stage and the run were to be over."""
        run, stage = self.state, self.state.stages[task.definition.stage]
        for since, limit in (
            (stage.started_at, run.definition.stages[stage.index].timeout_s),
            (run.started_at, run.definition.timeout_s),
        ):
            if since is not None and limit is not None:
                yield since + timedelta(seconds=limit)
        if run.definition.ends_by is not None:
            yield run.definition.ends_by

    def _time_passes(self, until: datetime) -> bool:
        """Let all happen that is due before ``until``, each when it is; return whether that made records."""
        while (due := self._core.next_due) is not None and due < until:
            if self._feed(TimeCame(at=due)):
                return True
        return False

    def _go_on(self) -> None:
        """Let time pass until today's core does something, when it does nothing where the record goes on."""
        for _ in range(_LOOKS_AHEAD):
            due = self._core.next_due
            if due is None or self._feed(TimeCame(at=due)):
                return


_ATTEMPT_ENDED = frozenset(
    {
        RecordKind.AGENT_ERROR,
        RecordKind.TASK_COMPLETED,
        RecordKind.TASK_RETRYING,
        RecordKind.TASK_FAILED,
        RecordKind.TASK_CANCELLED,
    }
)
_ANSWERED = frozenset(
    {RecordKind.TASK_COMPLETED, RecordKind.TASK_FAILED, RecordKind.TASK_QUEUED, RecordKind.TASK_CANCELLED}
)
