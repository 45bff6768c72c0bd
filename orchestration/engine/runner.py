"""Perform what the core decides: commit, tell, start, stop; feed back what happened.

One turn takes everything that has happened and is due, in order of time, run and task, decides, and hands the records
to the journal; what waits for their commit is done after it, while the next turn may already be decided.
"""

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from heapq import heappop, heappush
from typing import Any, assert_never, cast

import structlog

from orchestration.domain.errors import OrchestrationError, is_retryable
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.json_value import storable, to_json_value
from orchestration.domain.reconciliation import Reconciled
from orchestration.domain.records import Record, RecordKind
from orchestration.engine.admission import Admission
from orchestration.engine.breath import BREATH
from orchestration.engine.commands import EndRun, EnqueueTask, EvaluateCondition, Reconcile, StartAttempt, StopAttempt
from orchestration.engine.conditions import skip_reason
from orchestration.engine.core import STOP_GRACE, RunCore
from orchestration.engine.inputs import (
    AttemptFailed,
    AttemptReconciled,
    AttemptStopped,
    AttemptSucceeded,
    ClockSet,
    ConditionDecided,
    Granted,
    Input,
    TimeCame,
)
from orchestration.engine.journal import Journal
from orchestration.engine.public_events import public_event
from orchestration.engine.reasons import kept_too_late
from orchestration.engine.run_context import RunContext
from orchestration.engine.run_state import RunState
from orchestration.ports.clock import Clock
from orchestration.ports.event_bus import EventBus
from orchestration.ports.executor import Attempt, Executor
from orchestration.ports.result_cache import CachedResult
from orchestration.ports.run_store import RunStore

LOOK_S = 10.0
"""The longest wait for a moment without a look at the clock, which may have been set."""
SET_BY = timedelta(seconds=1)
"""Wall time and monotonic time that drift apart by less are no sign of that."""
MOST_AT_ONCE = 50
"""How many inputs and starts one turn takes: so long, about a millisecond, what is urgent waits for the loop."""

_BEGINNING = datetime.min.replace(tzinfo=UTC)
_log = logging.getLogger(__name__)
_Later = StartAttempt | Reconcile | StopAttempt | EndRun  # the commands that wait for the commit
_Outcome = AttemptSucceeded | AttemptFailed | AttemptStopped | AttemptReconciled
_Event = tuple[OrchestrationEvent, Mapping[str, Any]]


@dataclass(slots=True)
class _ActiveRun:
    """A run that is being carried out, and who wants to know its end.

    ``reminder`` is the earliest moment for which it stands among those that are due.
    """

    core: RunCore
    ended: asyncio.Future[RunState]
    context: RunContext
    attempts: dict[tuple[str, int], asyncio.Task[None]] = field(default_factory=dict)
    reminder: datetime | None = None


@dataclass(slots=True)
class _Turn:
    """What a turn has decided so far; ``steady`` is its moment as if the clock had never been set."""

    at: datetime
    steady: datetime
    records: list[Record] = field(default_factory=list)
    events: list[_Event] = field(default_factory=list)
    commands: list[tuple[_ActiveRun, _Later]] = field(default_factory=list)


class Runner:
    """The doing half. `run` is its only task of its own; attempts are its children.

    ``on_end`` is called with the final state of every run, before anybody can hear of its end.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        store: RunStore,
        bus: EventBus,
        executor: Executor,
        admission: Admission,
        on_trouble: Callable[[str | None], None],
        on_end: Callable[[RunState], None],
    ) -> None:
        self._clock = clock
        self.journal = Journal(store, clock, on_trouble=on_trouble, on_end=self._broken)
        self._bus = bus
        self._executor = executor
        self._admission = admission
        self._on_end = on_end
        self._runs: dict[str, _ActiveRun] = {}
        self._inbox: list[tuple[str, Input]] = []
        self._wake = asyncio.Event()
        self._due: list[tuple[datetime, str]] = []
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at = datetime.max.replace(tzinfo=UTC)
        self._granting = False
        self._apart = self._clock_apart(clock.now())
        self._set_by = timedelta(0)
        self._closing = False
        self._winding_down = False
        self._idle = asyncio.Event()
        self._error: Exception | None = None

    @property
    def active(self) -> tuple[RunState, ...]:
        """The runs that are being carried out."""
        return tuple(run.core.state for run in self._runs.values())

    def state(self, run_id: str) -> RunState | None:
        """The run of that id, if it is being carried out."""
        run = self._runs.get(run_id)
        return None if run is None else run.core.state

    def add(self, core: RunCore, first: Input) -> "asyncio.Future[RunState]":
        """Take on a run; the future has its final state, or the error that the store gave."""
        run = _ActiveRun(core, asyncio.get_running_loop().create_future(), RunContext(core.state))
        self._runs[core.state.run_id] = run
        self.feed(core.state.run_id, first)
        return run.ended

    def ended(self, run_id: str) -> "asyncio.Future[RunState] | None":
        """The future of a run that was added and has not ended."""
        run = self._runs.get(run_id)
        return None if run is None else run.ended

    def feed(self, run_id: str, event: Input) -> None:
        """Tell the core of a run something in the next turn."""
        self._inbox.append((run_id, event))
        self._wake.set()

    async def run(self) -> None:
        """Take turns until cancelled, or until the store fails for good: then every run fails with its error.

        Attempts that are under way then are stopped first, those that go on all the same are left behind.
        """
        try:
            try:
                while self._error is None:
                    await self._wait()
                    await self._clock.quiet()
                    if self.journal.full or self.journal.trouble is not None:
                        await self.journal.settled()  # what can't be kept can't be done either
                        await BREATH  # whoever was only now told to stop may say that it has
                        continue
                    self._turn()
                    if self._more:
                        await BREATH
                raise self._error
            finally:
                if self._alarm is not None:
                    self._alarm.cancel()
                self._closing = True  # before anything is awaited: what is kept from now on starts nothing
                await self._stop_attempts()
                await self.journal.close(STOP_GRACE)
        except Exception as error:  # noqa: BLE001 (whoever waits for a run must not wait for ever)
            for run in self._runs.values():
                run.ended.set_exception(error)

    async def wind_down(self, grace: timedelta) -> bool:
        """Grant no more slots; return once nothing is under way (true) or ``grace`` is over (false)."""
        self._winding_down = True
        with suppress(TimeoutError):
            async with self._clock.timeout(grace.total_seconds()):
                while self._busy:
                    self._idle.clear()
                    await self._idle.wait()
        return not self._busy

    @property
    def _busy(self) -> bool:
        return self.journal.busy or bool(self._inbox) or any(run.attempts for run in self._runs.values())

    async def _wait(self) -> None:
        self._wake.clear()  # before looking, so that nothing that comes meanwhile is slept over
        if not self._more:
            opening = None if self._winding_down else self._admission.next_opening()
            due = self._due[0][0] if self._due else None
            opening = None if opening is None else opening + self._set_by
            self._set_alarm(due if opening is None else min(opening, due or opening))
            await self._wake.wait()

    def _set_alarm(self, at: datetime | None) -> None:
        """Wake up at ``at`` or before; an alarm that rings earlier stays, since most limits are never reached."""
        if at is None or (self._alarm is not None and self._alarm_at <= at):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at, self._alarm = at, asyncio.get_running_loop().create_task(self._ring(at))

    async def _ring(self, at: datetime) -> None:
        with suppress(TimeoutError):
            async with self._clock.timeout(LOOK_S):
                await self._clock.sleep_until(at)
        self._alarm = None
        self._wake.set()

    @property
    def _more(self) -> bool:
        """Whether there is something for another turn already."""
        return bool(self._inbox) or self._granting

    def _clock_apart(self, now: datetime) -> timedelta:
        return now - _BEGINNING - timedelta(seconds=self._clock.monotonic())

    def _look_at_clock(self, now: datetime) -> None:
        """Tell every run that the wall clock was set: what is to take so long takes so long all the same."""
        by = self._clock_apart(now) - self._apart
        if abs(by) < SET_BY:
            return
        self._apart += by
        self._set_by += by
        _log.warning("the clock was set by %s s, or the machine slept", by.total_seconds())
        for run in self._runs.values():
            run.core.decide(ClockSet(at=now, by=by))
            self._remind(run)

    def _turn(self) -> None:
        now = self._clock.now()
        self._look_at_clock(now)
        batch, self._inbox = self._inbox[:MOST_AT_ONCE], self._inbox[MOST_AT_ONCE:]
        due: set[str] = set()
        # what is left in the inbox was done before its limit, if that is due no earlier
        until = min(now, self._inbox[0][1].at - datetime.resolution) if self._inbox else now
        while self._due and self._due[0][0] <= until:
            run_id = heappop(self._due)[1]
            due.add(run_id)
            if run_id in self._runs:
                self._runs[run_id].reminder = None
        batch += [(run_id, TimeCame(at=until)) for run_id in due]
        batch.sort(key=_order)
        turn = _Turn(now, now - self._set_by)
        for run_id, event in batch:
            self._decide(run_id, event, turn)
        self._granting = not self._winding_down and self._grant(turn)
        if turn.records or turn.commands:
            self.journal.put(turn.records, partial(self._committed, turn))
        self._idle.set()

    def _decide(self, run_id: str, event: Input, turn: _Turn) -> None:
        """Feed one input; conditions are looked at and places taken on the spot, the rest waits for the commit."""
        run = self._runs.get(run_id)
        if run is None:
            return
        decision = run.core.decide(event)
        state = run.core.state
        for record in decision.records:
            if record.kind in _SLOT_FREED and (judged := self._admission.ended(record, state, event, turn.steady)):
                turn.events.append(judged)
            if (told := public_event(record, state)) is not None:
                turn.events.append(told)
        turn.records += decision.records
        for command in decision.commands:
            match command:
                case StartAttempt() | Reconcile() | StopAttempt() | EndRun():
                    turn.commands.append((run, command))
                case EnqueueTask():
                    self._admission.add(run_id, state.tasks[command.task], command, turn.steady)
                case EvaluateCondition():
                    self._decide(run_id, self._evaluate(run, command.task, event.at), turn)
                case _:
                    assert_never(command)
        self._remind(run)

    def _evaluate(self, run: _ActiveRun, name: str, at: datetime) -> ConditionDecided:
        try:
            reason = skip_reason(run.core.state.tasks[name].definition, run.context)
        except OrchestrationError as error:
            return ConditionDecided(at=at, task=name, error=str(error))
        return ConditionDecided(at=at, task=name, skip_reason=reason)

    def _grant(self, turn: _Turn) -> bool:
        """Start who may start, so many in one turn; return whether there may be more."""
        for _ in range(MOST_AT_ONCE):
            entry = self._admission.take(turn.steady)
            if entry is None:
                return False
            run_id, name = entry
            before = len(turn.commands)
            self._decide(run_id, Granted(at=turn.at, task=name), turn)
            if not any(isinstance(c, StartAttempt) and c.task == name for _, c in turn.commands[before:]):
                self._admission.free(entry, turn.steady)
        return True

    def _remind(self, run: _ActiveRun) -> None:
        due = run.core.next_due
        if due is not None and (run.reminder is None or due < run.reminder):
            run.reminder = due
            heappush(self._due, (due, run.core.state.run_id))
            self._wake.set()

    def _committed(self, turn: _Turn) -> None:
        for event, data in turn.events:
            self._bus.publish(event, data)
        for run, command in turn.commands:
            if not self._closing or isinstance(command, EndRun):
                self._perform(run, command)
        self._idle.set()

    def _broken(self, error: Exception) -> None:
        self._error = error
        self._wake.set()

    def _perform(self, run: _ActiveRun, command: _Later) -> None:
        match command:
            case StartAttempt() if (missed := self._missed(run, command)) is not None:
                self.feed(run.core.state.run_id, missed)
            case StartAttempt() | Reconcile():
                work = self._attempt(run, command) if isinstance(command, StartAttempt) else self._ask(run, command)
                run.attempts[command.task, command.attempt] = asyncio.get_running_loop().create_task(work)
            case StopAttempt():
                self._cancel(run, command)
            case EndRun():
                del self._runs[run.core.state.run_id]
                self._on_end(run.core.state)
                run.ended.set_result(run.core.state)
            case _:
                assert_never(command)

    def _missed(self, run: _ActiveRun, command: StartAttempt) -> AttemptFailed | None:
        """What to say of an attempt whose window ended while its start waited for the store; ``None``: it did not."""
        state = run.core.state
        deadline = state.deadline(state.tasks[command.task].definition)
        if deadline is None or (now := self._clock.now()) < deadline:
            return None
        error = kept_too_late(deadline)
        return AttemptFailed(at=now, task=command.task, attempt=command.attempt, error=error, retryable=False)

    def _cancel(self, run: _ActiveRun, command: StopAttempt) -> None:
        attempt = run.attempts.get((command.task, command.attempt))
        if attempt is None:
            return
        attempt.cancel()
        if inspect.getcoroutinestate(cast("Coroutine[Any, Any, None]", attempt.get_coro())) == inspect.CORO_CREATED:
            stopped = AttemptStopped(at=self._clock.now(), task=command.task, attempt=command.attempt)
            self._over(run, stopped)  # it will never take its first step, so that nobody else says so

    async def _attempt(self, run: _ActiveRun, command: StartAttempt) -> None:
        """Carry out one attempt and tell how it ended; raises nothing."""
        name, number = command.task, command.attempt
        structlog.contextvars.bind_contextvars(run_id=run.core.state.run_id, task=name, attempt=number)
        try:
            result = await self._executor.execute(_attempt_of(run, command))
            cached = type(result) is CachedResult
            result = to_json_value(cast("CachedResult", result).result if cached else result, "the result of " + name)
        except asyncio.CancelledError:
            event: _Outcome = AttemptStopped(at=self._clock.now(), task=name, attempt=number)
        except Exception as error:  # noqa: BLE001 (whatever a task raises is its outcome)
            _log.warning("attempt %s of %s failed: %s", number, name, error, exc_info=True)
            at, said = self._clock.now(), storable(f"{type(error).__name__}: {error}")
            event = AttemptFailed(at=at, task=name, attempt=number, error=said, retryable=is_retryable(error))
        else:
            _log.debug("attempt %s of %s succeeded", number, name)
            at = self._clock.now()
            event = AttemptSucceeded(at=at, task=name, attempt=number, result=result, cached=cached)
        self._over(run, event)

    async def _ask(self, run: _ActiveRun, command: Reconcile) -> None:
        """Find out what became of a lost attempt and tell; raises nothing."""
        name, number = command.task, command.attempt
        structlog.contextvars.bind_contextvars(run_id=run.core.state.run_id, task=name, attempt=number)
        attempt = _attempt_of(run, command)
        try:
            async with self._clock.timeout(attempt.task.timeout_s):
                answer = _storable(await self._executor.reconcile(attempt))
        except asyncio.CancelledError:
            answer = Reconciled.unknown("it was broken off while it was being found out")
        except TimeoutError:
            answer = Reconciled.unknown(f"it could not be found out within {attempt.task.timeout_s:g} s")
        except Exception as error:  # noqa: BLE001 (whatever goes wrong, the outcome stays unknown)
            _log.warning("attempt %s of %s could not be reconciled: %s", number, name, error, exc_info=True)
            answer = Reconciled.unknown(storable(f"{type(error).__name__}: {error}"))
        self._over(run, AttemptReconciled(at=self._clock.now(), task=name, attempt=number, answer=answer))

    def _over(self, run: _ActiveRun, event: _Outcome) -> None:
        del run.attempts[event.task, event.attempt]
        self._idle.set()
        self.feed(run.core.state.run_id, event)

    async def _stop_attempts(self) -> None:
        attempts = [attempt for run in self._runs.values() for attempt in run.attempts.values()]
        for attempt in attempts:
            attempt.cancel()
        if attempts:
            with suppress(TimeoutError):
                async with self._clock.timeout(STOP_GRACE.total_seconds()):
                    await asyncio.wait(attempts)


def _attempt_of(run: _ActiveRun, command: StartAttempt | Reconcile) -> Attempt:
    state = run.core.state
    task = state.tasks[command.task].definition
    return Attempt(
        run_id=state.run_id,
        workflow=state.definition.name,
        labels=state.definition.labels,
        task=task,
        number=command.attempt,
        token=state.token,
        env=state.definition.env,
        inputs=state.inputs_of(task),
        context=run.context,
        deadline=state.deadline(task),
    )


def _storable(answer: Reconciled) -> Reconciled:
    """Return ``answer`` as the journal can keep it; an agent may make one of anything."""
    result = to_json_value(answer.result, "the result of what was reconciled")
    return Reconciled(outcome=answer.outcome, result=result, reason=storable(answer.reason))


_SLOT_FREED = frozenset(
    {
        RecordKind.TASK_COMPLETED,
        RecordKind.TASK_FAILED,
        RecordKind.TASK_RETRYING,
        RecordKind.TASK_CANCELLED,
        RecordKind.TASK_EXPIRED,
    }
)


def _order(item: tuple[str, Input]) -> tuple[datetime, str, bool, str]:
    """By time, run and task; what was done at the very moment of a limit was done in time."""
    run_id, event = item
    return event.at, run_id, isinstance(event, TimeCame), getattr(event, "task", "")
