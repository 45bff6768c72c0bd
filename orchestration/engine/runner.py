"""Perform what the core decides: commit, tell, start, stop; feed back what happened.

One turn takes everything that has happened and is due, in order of time, run and task, decides, makes the records
durable in one append, and only then performs the commands.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from heapq import heappop, heappush
from typing import assert_never

import structlog

from orchestration.domain.errors import OrchestrationError, is_retryable
from orchestration.domain.json_value import storable, to_json_value
from orchestration.domain.records import Record, RecordKind
from orchestration.engine.commands import EndRun, EnqueueTask, EvaluateCondition, StartAttempt, StopAttempt
from orchestration.engine.conditions import skip_reason
from orchestration.engine.core import STOP_GRACE, RunCore
from orchestration.engine.inputs import (
    AttemptFailed,
    AttemptStopped,
    AttemptSucceeded,
    ConditionDecided,
    Granted,
    Input,
    TimeCame,
)
from orchestration.engine.public_events import public_event
from orchestration.engine.ready_queue import Rank, ReadyQueue
from orchestration.engine.run_context import RunContext
from orchestration.engine.run_state import RunState
from orchestration.ports.clock import Clock
from orchestration.ports.event_bus import EventBus
from orchestration.ports.executor import Attempt, Executor
from orchestration.ports.run_store import RunStore

_log = logging.getLogger(__name__)
_Later = StartAttempt | StopAttempt | EndRun  # the commands that wait for the commit


@dataclass(slots=True)
class _ActiveRun:
    """A run that is being carried out, and who wants to know its end.

    ``reminder`` is the earliest moment for which it stands among those that are due.
    """

    core: RunCore
    ended: asyncio.Future[RunState]
    attempts: dict[tuple[str, int], asyncio.Task[Input]] = field(default_factory=dict)
    reminder: datetime | None = None


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
        slots: int,
        on_end: Callable[[RunState], None],
    ) -> None:
        self._clock = clock
        self._store = store
        self._bus = bus
        self._executor = executor
        self._slots = slots
        self._on_end = on_end
        self._runs: dict[str, _ActiveRun] = {}
        self._inbox: list[tuple[str, Input]] = []
        self._wake = asyncio.Event()
        self._due: list[tuple[datetime, str]] = []
        self._ready = ReadyQueue()
        self._slotted: set[tuple[str, str]] = set()
        self._winding_down = False
        self._idle = asyncio.Event()

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
        run = _ActiveRun(core, asyncio.get_running_loop().create_future())
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
        """Take turns until cancelled, or until the store fails: then every run fails with its error.

        Attempts that are under way then are stopped first, those that go on all the same are left behind.
        """
        try:
            try:
                while True:
                    await self._wait()
                    await self._clock.quiet()
                    await self._turn()
            finally:
                await self._stop_attempts()
        except Exception as error:  # noqa: BLE001 (whoever waits for a run must not wait for ever)
            for run in self._runs.values():
                run.ended.set_exception(error)

    async def wind_down(self, grace: timedelta) -> bool:
        """Grant no more slots; return once no attempt is under way (true) or ``grace`` is over (false)."""
        self._winding_down = True
        with suppress(TimeoutError):
            async with self._clock.timeout(grace.total_seconds()):
                while self._busy:
                    self._idle.clear()
                    await self._idle.wait()
        return not self._busy

    @property
    def _busy(self) -> bool:
        return any(run.attempts for run in self._runs.values())

    async def _wait(self) -> None:
        self._wake.clear()  # before looking, so that nothing that comes meanwhile is slept over
        if not self._inbox:
            await self._clock.wait(self._wake, self._due[0][0] if self._due else None)

    async def _turn(self) -> None:
        now = self._clock.now()
        batch, self._inbox = self._inbox, []
        due: set[str] = set()
        while self._due and self._due[0][0] <= now:
            run_id = heappop(self._due)[1]
            due.add(run_id)
            if run_id in self._runs:
                self._runs[run_id].reminder = None
        batch += [(run_id, TimeCame(at=now)) for run_id in due]
        batch.sort(key=_order)
        records: list[tuple[Record, RunState]] = []
        commands: list[tuple[_ActiveRun, _Later]] = []
        for run_id, event in batch:
            self._decide(run_id, event, records, commands)
        self._grant(now, records, commands)
        if records:
            await self._store.append([record for record, _ in records])
        self._tell(records)
        for run, command in commands:
            self._perform(run, command)

    def _decide(
        self,
        run_id: str,
        event: Input,
        records: list[tuple[Record, RunState]],
        commands: list[tuple[_ActiveRun, _Later]],
    ) -> None:
        """Feed one input; conditions are looked at and places taken on the spot, the rest waits for the commit."""
        run = self._runs.get(run_id)
        if run is None:
            return
        decision = run.core.decide(event)
        for record in decision.records:
            if record.task is not None and record.kind in _SLOT_FREED:
                self._slotted.discard((run_id, record.task))
        records += [(record, run.core.state) for record in decision.records]
        for command in decision.commands:
            match command:
                case EvaluateCondition():
                    decided = self._evaluate(run, command.task, event.at)
                    self._decide(run_id, decided, records, commands)
                case EnqueueTask():
                    rank = Rank(priority=command.priority, deadline=command.deadline, path=command.path)
                    self._ready.add((run_id, command.task), rank)
                case StartAttempt() | StopAttempt() | EndRun():
                    commands.append((run, command))
                case _:
                    assert_never(command)
        self._remind(run)

    def _evaluate(self, run: _ActiveRun, name: str, at: datetime) -> ConditionDecided:
        state = run.core.state
        try:
            reason = skip_reason(state.tasks[name].definition, RunContext(state))
        except OrchestrationError as error:
            return ConditionDecided(at=at, task=name, error=str(error))
        return ConditionDecided(at=at, task=name, skip_reason=reason)

    def _grant(
        self, now: datetime, records: list[tuple[Record, RunState]], commands: list[tuple[_ActiveRun, _Later]]
    ) -> None:
        while not self._winding_down and (taken := self._ready.take(self._slots - len(self._slotted))) is not None:
            (run_id, name), needs_slot = taken
            before = len(commands)
            self._decide(run_id, Granted(at=now, task=name), records, commands)
            started = any(isinstance(c, StartAttempt) and c.task == name for _, c in commands[before:])
            if started and needs_slot:
                self._slotted.add((run_id, name))

    def _remind(self, run: _ActiveRun) -> None:
        due = run.core.next_due
        if due is not None and (run.reminder is None or due < run.reminder):
            run.reminder = due
            heappush(self._due, (due, run.core.state.run_id))

    def _tell(self, records: Iterable[tuple[Record, RunState]]) -> None:
        for record, state in records:
            event = public_event(record, state)
            if event is not None:
                self._bus.publish(*event)

    def _perform(self, run: _ActiveRun, command: _Later) -> None:
        match command:
            case StartAttempt():
                attempt = asyncio.get_running_loop().create_task(self._attempt(run.core.state, command))
                run.attempts[command.task, command.attempt] = attempt
                attempt.add_done_callback(partial(self._attempt_over, run, command))
            case StopAttempt():
                running = run.attempts.get((command.task, command.attempt))
                if running is not None:
                    running.cancel()
            case EndRun():
                del self._runs[run.core.state.run_id]
                self._on_end(run.core.state)
                run.ended.set_result(run.core.state)
            case _:
                assert_never(command)

    async def _attempt(self, state: RunState, command: StartAttempt) -> Input:
        """Carry out one attempt and return how it ended; raises nothing."""
        name, number = command.task, command.attempt
        definition = state.tasks[name].definition
        attempt = Attempt(
            run_id=state.run_id,
            workflow=state.definition.name,
            labels=state.definition.labels,
            task=definition,
            number=number,
            env=state.definition.env,
            inputs=state.inputs_of(definition),
            context=RunContext(state),
            deadline=state.deadline(definition),
        )
        structlog.contextvars.bind_contextvars(run_id=state.run_id, task=name, attempt=number)
        try:
            result = to_json_value(await self._executor.execute(attempt), f"the result of {name}")
        except asyncio.CancelledError:
            return AttemptStopped(at=self._clock.now(), task=name, attempt=number)
        except Exception as error:  # noqa: BLE001 (whatever a task raises is its outcome)
            _log.warning("attempt %s of %s failed: %s", number, name, error, exc_info=True)
            at, said = self._clock.now(), storable(f"{type(error).__name__}: {error}")
            return AttemptFailed(at=at, task=name, attempt=number, error=said, retryable=is_retryable(error))
        return AttemptSucceeded(at=self._clock.now(), task=name, attempt=number, result=result)

    def _attempt_over(self, run: _ActiveRun, command: StartAttempt, attempt: "asyncio.Task[Input]") -> None:
        del run.attempts[command.task, command.attempt]
        self._idle.set()
        if attempt.cancelled():  # it was told to stop before its first step
            event: Input = AttemptStopped(at=self._clock.now(), task=command.task, attempt=command.attempt)
        else:
            event = attempt.result()
        self.feed(run.core.state.run_id, event)

    async def _stop_attempts(self) -> None:
        attempts = [attempt for run in self._runs.values() for attempt in run.attempts.values()]
        for attempt in attempts:
            attempt.cancel()
        if attempts:
            with suppress(TimeoutError):
                async with self._clock.timeout(STOP_GRACE.total_seconds()):
                    await asyncio.wait(attempts)


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
