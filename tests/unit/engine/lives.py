"""Runs that outlive the process that began them: several engines, one after the other, over the same records."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from orchestration.adapters.memory.run_store import MemoryRunStore
from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.adapters.simulated.ids import SimulatedIds
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.reconciliation import Reconciled
from orchestration.domain.records import Record
from orchestration.engine.engine import WorkflowEngine
from orchestration.engine.recovery import Recovered
from tests.unit.engine.world import START, NoChance, after


class MortalStore:
    """A store whose process dies with its ``commits``-th commit: just before, or just ``after_it``; ``None``: never."""

    def __init__(self, inner: MemoryRunStore, commits: int | None, *, after_it: bool = False) -> None:
        self.inner = inner
        self.left = commits
        self.after_it = after_it
        self.count = 0
        self.dead = asyncio.Event()
        self.take_over = inner.take_over
        self.records = inner.records
        self.unfinished = inner.unfinished
        self.runs = inner.runs
        self.prune = inner.prune

    async def append(self, records: Sequence[Record]) -> None:
        """Keep ``records``, or die; the dead hear of nothing any more."""
        self.count += 1
        last = self.left is not None and self.count >= self.left
        if not self.dead.is_set() and (not last or self.after_it):
            await self.inner.append(records)
        if last:
            self.dead.set()
            await asyncio.Event().wait()


@dataclass
class Did:
    """One thing that an agent did or was asked."""

    what: str
    task: str
    attempt: int
    token: int
    at: float


Doing = Callable[[Mapping[str, Any]], Awaitable[Any]]


@dataclass
class Lives:
    """Engines over one journal, the next one begun when the one before is dead; call it on a simulated loop.

    ``does`` says what a task does, by its type, ``answers`` what its agent says of an attempt that was lost.
    """

    does: Mapping[str, Doing]
    answers: Mapping[str, Doing] = field(default_factory=dict)
    config: Mapping[str, object] = field(default_factory=dict)
    did: list[Did] = field(default_factory=list)
    told: list[tuple[OrchestrationEvent, Mapping[str, Any]]] = field(default_factory=list)
    token: int = 0

    def __post_init__(self) -> None:
        self.clock = SimulatedClock(START)
        self.ids = SimulatedIds(self.clock)
        self.store = MemoryRunStore()
        self.mortal = MortalStore(self.store, None)

    def agent(self) -> object:
        """An agent of one process."""
        agent = SimpleNamespace()
        for name, doing in self.does.items():
            setattr(agent, f"execute_{name}", self._noted("ran", doing))
        for name, answer in self.answers.items():
            setattr(agent, f"reconcile_{name}", self._noted("asked", answer))
        return agent

    def _noted(self, what: str, doing: Doing) -> Doing:
        async def noted(task_data: Mapping[str, Any]) -> object:
            about = task_data["execution"]
            now = self.clock.monotonic()
            self.did.append(Did(what, about["task"], about["attempt"], about["fencing_token"], now))
            answer = await doing(task_data)
            self.did.append(Did(what + " to its end", about["task"], about["attempt"], about["fencing_token"], now))
            return answer

        return noted

    def engine(
        self, commits: int | None = None, *, after_it: bool = False, agents: Mapping[str, object] | None = None
    ) -> WorkflowEngine:
        """The engine of a new process, which dies with its ``commits``-th commit."""
        if self.token:
            self.store = self.store.successor()
        self.token += 1
        self.mortal = MortalStore(self.store, commits, after_it=after_it)
        return WorkflowEngine(
            agents or {"desk": self.agent()},
            SimpleNamespace(**self.config),
            run_store=self.mortal,
            clock=self.clock,
            ids=self.ids,
            randomness=NoChance(),
        )

    async def begin(self, engine: WorkflowEngine, definition: Mapping[str, Any], **parameters: object) -> str:
        """Create a run and have it carried out until it ends or the process dies; return its id."""
        await engine.register_event_handler(None, lambda event, data: self.told.append((event, data)))
        run_ids: list[str] = []

        async def living() -> None:
            run_ids.append(await engine.create_workflow(definition, parameters))
            await engine.execute_workflow(run_ids[0])

        await self.live(living())
        return run_ids[0] if run_ids else ""

    async def go_on(self, engine: WorkflowEngine) -> tuple[Recovered, ...]:
        """Take over what there is and carry it on, until it ends or the process dies."""
        await engine.register_event_handler(None, lambda event, data: self.told.append((event, data)))
        found: list[Recovered] = []

        async def living() -> None:
            found.extend(await engine.recover())
            await asyncio.gather(*(engine.execute_workflow(one.run_id) for one in found if one.state is not None))

        await self.live(living())
        return tuple(found)

    async def live(self, living: Awaitable[object], until: float | None = None) -> None:
        """Await ``living``, or end all that it began when its process dies, by its store or at a moment."""
        before = asyncio.all_tasks()
        life = asyncio.ensure_future(living)
        death = asyncio.create_task(self.mortal.dead.wait() if until is None else self.clock.sleep_until(after(until)))
        await asyncio.wait([life, death], return_when=asyncio.FIRST_COMPLETED)
        death.cancel()
        if life.done():
            life.result()
            return
        self.mortal.left = 0  # the dead keep nothing
        while left := asyncio.all_tasks() - before:
            for one in left:
                one.cancel()
            await asyncio.sleep(0)

    def ran(self, task: str, what: str = "ran") -> list[tuple[int, int]]:
        """The attempts of ``task`` with their tokens."""
        return [(did.attempt, did.token) for did in self.did if did.task == task and did.what == what]

    def times(self, task: str, what: str = "ran") -> list[float]:
        """When the attempts of ``task`` began."""
        return [did.at for did in self.did if did.task == task and did.what == what]


def answering(answer: object) -> Doing:
    """An agent's answer to what became of a lost attempt."""

    async def answered(task_data: Mapping[str, Any]) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return answered


DONE = answering(Reconciled.done("found done", "the broker has it"))
NOT_DONE = answering(Reconciled.not_done("the broker knows nothing of it"))
UNKNOWN = answering(Reconciled.unknown("the broker does not answer"))
