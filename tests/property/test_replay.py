"""Whatever happened to a run, and however late its clock was, today's core makes the same records of it."""

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.adapters.memory.run_store import MemoryRunStore
from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.adapters.simulated.ids import SimulatedIds
from orchestration.domain.definition import WorkflowDefinition
from orchestration.domain.reconciliation import Reconciled
from orchestration.domain.records import Record
from orchestration.engine.engine import WorkflowEngine
from orchestration.engine.replaying import Replayed, replay_run
from tests.property.definitions import definitions
from tests.property.test_runs import Script, Scripts, _scripts, as_form, with_handed_down_priority
from tests.unit.engine.lives import MortalStore
from tests.unit.engine.world import START, simulated


class LateClock(SimulatedClock):
    """A clock under which every turn of the engine comes a little late, as live it does."""

    def __init__(self, seed: int, most_ms: int) -> None:
        super().__init__(START)
        self._draws = random.Random(seed)
        self._most_ms = most_ms

    async def quiet(self) -> None:
        if not self._most_ms:
            await super().quiet()
        else:
            await asyncio.sleep(self._draws.randint(0, self._most_ms * 1000) / 1_000_000)


@dataclass
class Fate:
    """What happens to a run from outside; seconds after its start."""

    cancelled_at: float | None
    killed_at: tuple[float, ...]
    answer: Reconciled
    late_ms: int
    seed: int


class Reconciling(Scripts):
    """Scripts whose lost attempts have an answer.

    Some hear of nothing until they are given up on, but not under a clock that is late: all times here are whole
    seconds, and when one falls together with that end, nothing recorded says which the late clock saw first.
    """

    answer: Reconciled
    hears = True

    async def work(self, seconds: int, how: str) -> None:
        await super().work(seconds, how)
        if how == "deaf" and seconds % 2 and not self.hears:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(8)

    async def reconcile(self, task_data: Mapping[str, Any]) -> Reconciled:
        await asyncio.sleep(1)
        return self.answer


FATES = st.builds(
    Fate,
    cancelled_at=st.none() | st.floats(0, 60),
    killed_at=st.lists(st.floats(0.5, 40), max_size=3).map(lambda moments: tuple(sorted(moments))),
    answer=st.sampled_from(
        [Reconciled.done("found", "by the broker"), Reconciled.not_done(), Reconciled.unknown("nobody knows")]
    ),
    late_ms=st.sampled_from([0, 2, 60]),
    seed=st.integers(0, 2**16),
)


def an_engine(store: MortalStore, clock: SimulatedClock, agent: object, slots: int) -> WorkflowEngine:
    config = SimpleNamespace(max_concurrent_tasks=slots, max_retries=2)
    return WorkflowEngine({"desk": agent}, config, run_store=store, clock=clock, ids=SimulatedIds(clock))


async def carry_out(
    definition: WorkflowDefinition, scripts: list[Script], slots: int, wanted: object, fate: Fate
) -> list[Record]:
    """Carry the run out to its end through all that happens to it; return its journal."""
    clock, store = LateClock(fate.seed, fate.late_ms), MemoryRunStore()
    agent = Reconciling(scripts, with_handed_down_priority(definition))
    agent.answer, agent.hears = fate.answer, fate.late_ms > 0
    engine = an_engine(MortalStore(store, None), clock, agent, slots)
    run_id = await engine.create_workflow(as_form(definition), {} if wanted is None else {"wanted": wanted})
    cancelled = False
    life: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    for killed_at in (*fate.killed_at, None):
        life = asyncio.create_task(engine.execute_workflow(run_id))
        before = asyncio.all_tasks() - {life}
        while not life.done():
            now = (clock.now() - START).total_seconds()
            if not cancelled and fate.cancelled_at is not None and now >= fate.cancelled_at:
                cancelled = True
                await engine.cancel(run_id, "somebody wanted it so")
            if killed_at is not None and now >= killed_at:
                break
            moments = [m for m in (killed_at, None if cancelled else fate.cancelled_at) if m is not None and m > now]
            await asyncio.wait([life], timeout=min(moments, default=now + 1000) - now)
        if life.done():
            break
        engine.run_store.left = 0  # type: ignore[attr-defined]  # the dead keep nothing
        while left := asyncio.all_tasks() - before - {asyncio.current_task()}:
            for one in left:
                one.cancel()
            await asyncio.sleep(0)
        await asyncio.sleep(0.7)
        store = store.successor()
        engine = an_engine(MortalStore(store, None), clock, agent, slots)
        await engine.recover()
    await asyncio.wait([life])
    return list(await store.records(run_id))


def replayed(journal: list[Record], late: timedelta) -> Replayed:
    config = SimpleNamespace(max_retries=2)
    return replay_run(journal, WorkflowEngine({}, config).core_for, late=late)


@given(definition=definitions(), scripts=st.lists(_scripts, min_size=1, max_size=3), slots=st.integers(1, 3),
       wanted=st.sampled_from([True, False, None]), fate=FATES)  # fmt: skip
@settings(deadline=None, max_examples=150)
def test_a_replay_of_any_run_shows_no_difference(
    definition: WorkflowDefinition, scripts: list[Script], slots: int, wanted: object, fate: Fate
) -> None:
    journal = simulated(lambda: carry_out(definition, scripts, slots, wanted, fate))
    again = replayed(journal, timedelta(milliseconds=4 * fate.late_ms))
    assert again.difference is None
    assert again.same == len(journal)
