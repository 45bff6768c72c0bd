"""WorkflowEngine: the public face of the engine."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.metadata import version
from typing import Any

from orchestration.domain.definition import Workflow
from orchestration.domain.errors import DefinitionError
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.json_value import JsonValue, to_json_value
from orchestration.domain.records import Claim, Record, RecordKind
from orchestration.domain.states import RunStatus
from orchestration.engine.admission import Admission
from orchestration.engine.caching_executor import CachingExecutor
from orchestration.engine.checked_definitions import CheckedDefinitions
from orchestration.engine.circuit_breaker import BreakerState
from orchestration.engine.core import RunCore
from orchestration.engine.definitions import Defaults
from orchestration.engine.engine_settings import EngineSettings
from orchestration.engine.event_bus import InProcessEventBus
from orchestration.engine.in_process_executor import InProcessExecutor
from orchestration.engine.inputs import Begin, Cancel, Resume
from orchestration.engine.null_run_store import NullRunStore
from orchestration.engine.public_events import iso
from orchestration.engine.recovery import Recovered, recovered
from orchestration.engine.result import run_result
from orchestration.engine.run_state import RunState, rebuild
from orchestration.engine.runner import Runner
from orchestration.engine.stored_definition import from_json
from orchestration.engine.task_types import TASK_TYPES, TaskTypes
from orchestration.ports.clock import Clock
from orchestration.ports.event_bus import EventHandler, EventObserver
from orchestration.ports.executor import Executor
from orchestration.ports.ids import Ids
from orchestration.ports.randomness import Randomness
from orchestration.ports.result_cache import ResultCache
from orchestration.ports.run_store import RunStore
from orchestration.system.clock import WallClock
from orchestration.system.ids import SystemIds
from orchestration.system.randomness import SeededRandomness

JOURNAL = "journal"
"""The source of the alerts that the store is out, and back."""
KEPT_WITHOUT_STORE = 1000
KEPT_WITH_STORE = 10
"""How many ended runs an engine remembers, the newest; others are asked of the store."""


NOT_CREATED = "it was not made: the store was lost meanwhile, or whoever wanted it went away"


@cache
def code_version() -> str:
    """The version of this code; it is read from the installed package once, which takes a while."""
    return version("belltower")


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A run that `execute_workflow` will carry out; ``token``: that of its claim, when another process began it."""

    core: RunCore
    token: int | None = None

    def first(self, at: datetime) -> Begin | Resume:
        """What its core is told first."""
        if self.token is None:
            return Begin(at=at)
        return Resume(at=at, token=self.token, code_version=code_version())


class WorkflowEngine:
    """Creates and carries out runs.

    ``agents`` are looked up by name, see `ports.agent.Agent`. ``config`` is anything with the fields of
    `OrchestrationConfig`, in either spelling. Without a ``run_store`` nothing outlives the process, and without a
    ``result_cache`` no result is reused. It may be used as it is, or as an async context manager that keeps its parts
    running between runs.
    """

    def __init__(
        self,
        agents: Mapping[str, Any],
        config: object,
        *,
        run_store: RunStore | None = None,
        clock: Clock | None = None,
        executor: Executor | None = None,
        ids: Ids | None = None,
        randomness: Randomness | None = None,
        task_types: TaskTypes = TASK_TYPES,
        services: Mapping[str, object] | None = None,
        result_cache: ResultCache | None = None,
    ) -> None:
        self.agents = dict(agents)
        self.clock: Clock = clock or WallClock()
        self.settings = EngineSettings.read(config)
        self.max_concurrent_tasks = self.settings.max_concurrent_tasks
        self.run_store: RunStore = run_store or NullRunStore()
        self._ids = ids or SystemIds()
        self._randomness: Randomness = randomness or SeededRandomness(0)
        self._task_types = task_types
        defaults = Defaults(
            timeout_s=self.settings.default_task_timeout,
            max_retries=self.settings.max_retries,
            run_timeout_s=self.settings.workflow_timeout,
        )
        self._definitions = CheckedDefinitions(self.agents, task_types, defaults)
        self._executor: Executor = executor or InProcessExecutor(
            self.agents, task_types, services=services or {}, environment=self.settings.environment
        )
        if result_cache is not None:
            self._executor = CachingExecutor(
                self._executor, result_cache, self.clock, environment=self.settings.environment
            )
        self._bus = InProcessEventBus(self.clock)
        self._runner = self._new_runner()
        self._users = 0
        self._running: asyncio.Task[None] | None = None
        self._waiting: dict[str, _Waiting] = {}
        self._claims: deque[Claim] = deque()
        self._recovered: list[Recovered] = []
        self._ended: OrderedDict[str, RunState] = OrderedDict()
        self._ends: Counter[RunStatus] = Counter()

    async def __aenter__(self) -> "WorkflowEngine":
        await self._enter()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._leave()

    async def create_workflow(
        self, definition: Mapping[str, Any] | Workflow, parameters: Mapping[str, Any] | None = None
    ) -> str:
        """Check ``definition``, keep it, and return the id of a run of it, which starts with `execute_workflow`.

        A parameter that is named like a task and holds an object is merged into that task's own parameters; any other
        is a variable. Raises `DefinitionError` with the place and the nearest right name.
        """
        values = to_json_value({} if parameters is None else parameters, "parameters")
        if not isinstance(values, Mapping):
            raise DefinitionError(f"parameters is a {type(parameters).__name__}; give a mapping")
        checked = self._definitions.read(definition, values)
        run_id = self._ids.next_id()
        data: dict[str, JsonValue] = {
            "name": checked.definition.name,
            "definition": checked.stored,
            "parameters": values,
            "code_version": code_version(),
        }
        self._replace_broken()
        created = Record(run_id=run_id, sequence=1, kind=RecordKind.RUN_CREATED, at=self.clock.now(), data=data)
        void = created._replace(sequence=2, kind=RecordKind.RUN_CANCELLED, data={"reason": NOT_CREATED})
        await self._runner.journal.keep([created], withdraw=[void])
        state = RunState(run_id=run_id, definition=checked.definition, parameters=values)
        state.apply(created)
        self._waiting[run_id] = _Waiting(self.core_for(state))
        return run_id

    async def execute_workflow(self, execution_id: str) -> dict[str, Any]:
        """Carry the run out and return its result; called again, also at the same time, return the same result.

        Returns when the handlers have had its last event, or after the limit of `event_bus`. Cancelling the call
        cancels the run. Raises `DefinitionError` for an unknown id and for an unfinished run of another engine,
        `StoreUnavailableError` when the journal fails.
        """
        waiting = self._waiting.pop(execution_id, None)
        if waiting is None and self._runner.ended(execution_id) is None:
            return run_result(await self._ended_run(execution_id))
        async with self._started():
            if waiting is not None:
                self._runner.add(waiting.core, waiting.first(self.clock.now()))
            ended = self._runner.ended(execution_id)
            if ended is None:
                return run_result(await self._ended_run(execution_id))
            try:
                state = await asyncio.shield(ended)
            except asyncio.CancelledError:
                self._runner.feed(execution_id, Cancel(at=self.clock.now(), reason="the caller was cancelled"))
                await asyncio.shield(ended)
                raise
            finally:
                await self._bus.drain()
        return run_result(state)

    async def cancel(self, execution_id: str, reason: str) -> None:
        """End the run: what has not started never does, what runs is stopped. Returns once that is asked for.

        A run that has ended stays as it is. Raises `DefinitionError` for an unknown id.
        """
        event = Cancel(at=self.clock.now(), reason=reason)
        waiting = self._waiting.pop(execution_id, None)
        if waiting is not None:
            async with self._started():
                if waiting.token is None:
                    ended = self._runner.add(waiting.core, event)
                else:  # what it was doing when its process died has to be found out first
                    ended = self._runner.add(waiting.core, waiting.first(event.at))
                    self._runner.feed(execution_id, event)
                await asyncio.shield(ended)
                await self._bus.drain()
        elif self._runner.ended(execution_id) is not None:
            self._runner.feed(execution_id, event)
        else:
            await self._ended_run(execution_id)

    def get_execution_status(self, execution_id: str) -> dict[str, Any]:
        """Return the result so far of a run of this process. Raises `DefinitionError` for any other."""
        waiting = self._waiting.get(execution_id)
        state = waiting.core.state if waiting else self._runner.state(execution_id) or self._ended.get(execution_id)
        if state is None:
            raise DefinitionError(f"no run {execution_id!r} is known to this process")
        return run_result(state)

    async def describe(self, execution_id: str) -> dict[str, Any]:
        """Return the result of a run, or how far it has come, wherever it was carried out.

        Raises `DefinitionError` for an unknown id.
        """
        waiting = self._waiting.get(execution_id)
        state = waiting.core.state if waiting else self._runner.state(execution_id)
        return run_result(state or self._ended.get(execution_id) or await self._stored_run(execution_id))

    async def wind_down(self, grace: timedelta) -> bool:
        """Start nothing more, and wait until what is under way has ended, at most ``grace``; whether it has.

        What waits stays where it is: cancel its run, or leave the engine, afterwards.
        """
        return await self._runner.wind_down(grace)

    def counts(self) -> dict[str, int]:
        """How many runs are active, and how many this process has completed and failed."""
        return {
            "active_executions": len(self._runner.active),
            "completed_executions": self._ends[RunStatus.COMPLETED],
            "failed_executions": self._ends[RunStatus.FAILED],
        }

    async def register_event_handler(self, event: OrchestrationEvent | None, handler: EventHandler) -> None:
        """Call ``handler(event, data)`` for every ``event`` from now on; ``None``: for all.

        Each handler gets events in order, one at a time, at most 5 s a call; one that raises or hangs harms nobody
        and is reported once as `SYSTEM_ALERT`.
        """
        self._bus.subscribe(event, handler)

    def observe(self, observer: EventObserver) -> None:
        """Call ``observer(event, data)`` at once for every event from now on; see `InProcessEventBus.observe`."""
        self._bus.observe(observer)

    async def emit_event(self, event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
        """Give ``event`` to its handlers and return at once."""
        self.publish(event, data)

    def publish(self, event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
        """`emit_event` for those who can't await; in the thread of the loop."""
        self._bus.publish(event, data)

    async def recover(self) -> tuple[Recovered, ...]:
        """Take over the runs that processes left unfinished which are gone, and return what becomes of each.

        `execute_workflow` goes on with one of them; what can't be continued by this code is ended, with the reason.
        Raises `StoreUnavailableError` when the store fails in the middle: call it again, and it goes on from there.
        """
        self._claims.extend(await self.run_store.take_over())
        while self._claims:
            one = await recovered(self._claims[0], self.run_store, self.agents, self._task_types, self.clock)
            if one.state is not None:
                self._waiting[one.run_id] = _Waiting(self.core_for(one.state), one.token)
            self._recovered.append(one)
            self._claims.popleft()
        found, self._recovered = tuple(self._recovered), []
        return found

    @property
    def trouble(self) -> str | None:
        """Why the store takes nothing, while it does not."""
        return self._runner.journal.trouble

    @property
    def queued(self) -> int:
        """How many tasks wait for a slot."""
        return self._admission.waiting

    @property
    def breakers(self) -> Mapping[str, BreakerState]:
        """Where the breaker of each agent is that has worked."""
        return self._admission.breakers

    def core_for(self, state: RunState) -> RunCore:
        """Return what decides about the run ``state`` by this engine's settings."""
        settings = self.settings
        return RunCore(
            state,
            settings.retry_strategy if settings.enable_retry else None,
            most_losses=settings.max_retries,
            jitter=lambda name: self._randomness.stream(name).random(),
        )

    # -- the parts while they run

    @asynccontextmanager
    async def _started(self) -> AsyncIterator[None]:
        await self._enter()
        try:
            yield
        finally:
            await self._leave()

    async def _enter(self) -> None:
        self._users += 1
        self._replace_broken()
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._runner.run())

    def _replace_broken(self) -> None:
        if self._running is not None and self._running.done():  # the store failed for good, and may be mended
            self._runner, self._running = self._new_runner(), None
            if self._users:
                self._running = asyncio.get_running_loop().create_task(self._runner.run())

    async def _leave(self) -> None:
        self._users -= 1
        if self._users or self._running is None:
            return
        running, self._running = self._running, None
        self._runner = self._new_runner()  # before anything is awaited: somebody may enter meanwhile
        running.cancel()
        await asyncio.wait([running])
        if not self._users:
            await self._bus.close()

    def _new_runner(self) -> Runner:
        self._admission = Admission(self.settings.limits, self.agents)
        return Runner(
            clock=self.clock,
            store=self.run_store,
            bus=self._bus,
            executor=self._executor,
            admission=self._admission,
            on_trouble=self._say_trouble,
            on_end=self._remember,
        )

    def _say_trouble(self, trouble: str | None) -> None:
        message = "the store takes records again" if trouble is None else f"nothing is started, {trouble}"
        alert = {"source": JOURNAL, "message": message, "at": iso(self.clock.now())}
        self._bus.publish(OrchestrationEvent.SYSTEM_ALERT, alert)

    def _remember(self, state: RunState) -> None:
        self._ends[state.status] += 1
        self._ended[state.run_id] = state
        kept = KEPT_WITHOUT_STORE if isinstance(self.run_store, NullRunStore) else KEPT_WITH_STORE
        while len(self._ended) > kept:
            self._ended.popitem(last=False)

    async def _ended_run(self, execution_id: str) -> RunState:
        state = self._ended.get(execution_id)
        if state is None:
            state = await self._stored_run(execution_id)
            if not state.status.ended:
                raise DefinitionError(
                    f"run {execution_id!r} is {state.status}, and this engine does not carry it out: another one does, "
                    "or it broke off; create_workflow makes a new one"
                )
        return state

    async def _stored_run(self, execution_id: str) -> RunState:
        records = await self.run_store.records(execution_id)
        if not records:
            raise DefinitionError(f"there is no run {execution_id!r}; create_workflow returns the id of a new one")
        definition: Any = records[0].data["definition"]
        return rebuild(from_json(definition), records)
