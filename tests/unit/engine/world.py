"""A desk on the simulated clock: run a definition and see what came of it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, TypeVar

from orchestration.adapters.memory.run_store import MemoryRunStore
from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.adapters.simulated.ids import SimulatedIds
from orchestration.adapters.simulated.loop import run_simulated
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.records import Record, RecordKind
from orchestration.engine.engine import WorkflowEngine

START = datetime(2012, 12, 12, 11, tzinfo=UTC)
T = TypeVar("T")
Doing = Callable[[Mapping[str, Any]], Awaitable[Any]]


def simulated(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run ``main`` on a simulated loop of its own."""
    return run_simulated(main)


def after(seconds: float) -> datetime:
    """The moment ``seconds`` after the start of the simulation."""
    return START + timedelta(seconds=seconds)


class Scripted:
    """An agent that does what the test says: a coroutine function for each task type."""

    def __init__(self, **does: Doing) -> None:
        for task_type, doing in does.items():
            setattr(self, f"execute_{task_type}", doing)


async def at_once(task_data: Mapping[str, Any]) -> object:
    """Work that takes no time."""
    return {"ok": True}


async def boom(task_data: Mapping[str, Any]) -> object:
    """Work that fails."""
    raise RuntimeError("boom")


async def for_ever(task_data: Mapping[str, Any]) -> object:
    """Work that ends only when it is told to."""
    await asyncio.Event().wait()
    return None


def lasting(seconds: float, result: object = None) -> Doing:
    """Work that takes its time."""

    async def doing(task_data: Mapping[str, Any]) -> object:
        await asyncio.sleep(seconds)
        return result

    return doing


def deaf(seconds: float) -> Doing:
    """Work that hears no cancellation and ends when it is done."""

    async def doing(task_data: Mapping[str, Any]) -> object:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while loop.time() < until:
            try:
                await asyncio.sleep(until - loop.time())
            except asyncio.CancelledError:
                continue
        return "done all the same"

    return doing


def failing(times: int, error: Exception | None = None) -> Doing:
    """Work that fails the first ``times`` and then succeeds, saying at which attempt."""

    async def doing(task_data: Mapping[str, Any]) -> object:
        attempt = task_data["execution"]["attempt"]
        if attempt <= times:
            raise error or RuntimeError(f"boom {attempt}")
        return attempt

    return doing


class NoChance:
    """Draws nothing but zeros: delays come without jitter."""

    def stream(self, name: str) -> "NoChance":
        """The same for every name."""
        return self

    def random(self) -> float:
        """Zero."""
        return 0.0


@dataclass
class Outcome:
    """What came of a run; moments are seconds after the start."""

    result: dict[str, Any]
    events: list[tuple[OrchestrationEvent, Mapping[str, Any]]]
    records: list[Record]
    store: MemoryRunStore
    started: dict[str, list[float]] = field(default_factory=dict)

    def task(self, name: str) -> Mapping[str, Any]:
        """The task's part of the result."""
        part: Mapping[str, Any] = self.result["tasks"][name]
        return part

    def status(self, name: str) -> str:
        """The task's status."""
        return str(self.task(name)["status"])

    def statuses(self) -> dict[str, str]:
        """The status of every task."""
        return {name: task["status"] for name, task in self.result["tasks"].items()}

    def moments(self, kind: RecordKind, task: str | None = None) -> list[float]:
        """When records of ``kind`` were made, of one task or of all."""
        return [(r.at - START).total_seconds() for r in self.records if r.kind is kind and task in {None, r.task}]

    def starts(self, task: str) -> list[float]:
        """When the attempts of ``task`` started."""
        return self.moments(RecordKind.TASK_STARTED, task)

    def told(self, event: OrchestrationEvent) -> list[Mapping[str, Any]]:
        """The payloads of ``event``, in order."""
        return [data for told, data in self.events if told is event]


@dataclass
class World:
    """An engine on a simulated clock, what it said, and the store that it keeps."""

    engine: WorkflowEngine
    clock: SimulatedClock
    store: MemoryRunStore
    events: list[tuple[OrchestrationEvent, Mapping[str, Any]]] = field(default_factory=list)

    async def outcome(self, run_id: str, result: dict[str, Any]) -> Outcome:
        """What came of the run ``run_id``."""
        return Outcome(result, list(self.events), list(await self.store.records(run_id)), self.store)


async def open_world(agents: Mapping[str, object], **config: object) -> World:
    """An engine whose events are all noted; call it on a simulated loop."""
    clock, store = SimulatedClock(START), MemoryRunStore()
    engine = WorkflowEngine(
        agents,
        SimpleNamespace(**config),
        run_store=store,
        clock=clock,
        ids=SimulatedIds(clock),
        randomness=NoChance(),
    )
    world = World(engine, clock, store)

    async def note(event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
        world.events.append((event, data))

    await engine.register_event_handler(None, note)
    return world


def run(
    definition: Mapping[str, Any],
    agents: Mapping[str, object] | None = None,
    *,
    parameters: Mapping[str, Any] | None = None,
    meanwhile: Callable[[World, str], Coroutine[Any, Any, None]] | None = None,
    **config: object,
) -> Outcome:
    """Carry ``definition`` out in a world of its own; ``meanwhile`` goes on beside it."""

    async def main() -> Outcome:
        world = await open_world(agents or {}, **config)
        run_id = await world.engine.create_workflow(definition, parameters)
        async with asyncio.TaskGroup() as group:
            if meanwhile is not None:
                group.create_task(meanwhile(world, run_id))
            result = await world.engine.execute_workflow(run_id)
        return await world.outcome(run_id, result)

    return simulated(main)


def task(task_type: str, *needs: str, agent: str = "desk", **more: object) -> dict[str, Any]:
    """A task of the staged form."""
    return {"agent": agent, "task_type": task_type, **({"dependencies": list(needs)} if needs else {}), **more}


def staged(*tasks: Mapping[str, Any], **more: object) -> dict[str, Any]:
    """A definition with one stage."""
    return {"name": "test", "stages": {"main": {"tasks": list(tasks)}}, **more}
