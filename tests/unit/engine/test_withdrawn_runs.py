"""A run of which its creator was told that it was not made is not carried out by anybody, whatever the store kept."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace

import pytest

from orchestration.adapters.memory.run_store import MemoryRunStore
from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.domain.errors import StoreUnavailableError
from orchestration.domain.records import Record
from orchestration.domain.states import RunStatus
from orchestration.engine.engine import WorkflowEngine
from tests.unit.engine.world import START, Scripted, at_once, simulated, staged, task

RUN = staged(task("quick"))


class LosesAnswers(MemoryRunStore):
    """Takes the first ``lost`` appends, and seems not to have; each append takes a second."""

    def __init__(self, lost: int, *, keeps: bool = True) -> None:
        super().__init__()
        self.lost = lost
        self._keeps = keeps

    async def append(self, records: Sequence[Record]) -> None:
        self.lost -= 1
        await asyncio.sleep(1)
        if self.lost < 0 or self._keeps:
            await super().append(records)
        if self.lost >= 0:
            raise StoreUnavailableError("the line broke")


def lived(store: LosesAnswers, script: Callable[[WorkflowEngine], Awaitable[None]]) -> list[RunStatus]:
    """Do ``script``, wait a minute, and return what the runs are; a successor must find none to go on with."""

    async def main() -> list[RunStatus]:
        agents = {"desk": Scripted(quick=at_once)}
        async with WorkflowEngine(agents, SimpleNamespace(), run_store=store, clock=SimulatedClock(START)) as engine:
            await script(engine)
            await asyncio.sleep(60)
            assert engine.trouble is None
        assert await store.successor().take_over() == []
        return [run.status for run in await store.runs()]

    return simulated(main)


@pytest.mark.parametrize("keeps", [True, False])
def test_a_run_whose_creator_was_refused_is_void(keeps: bool) -> None:
    async def script(engine: WorkflowEngine) -> None:
        with pytest.raises(StoreUnavailableError, match="the line broke"):
            await engine.create_workflow(RUN)

    assert lived(LosesAnswers(2, keeps=keeps), script) == [RunStatus.CANCELLED]


def test_a_creator_that_asks_again_gets_one_run() -> None:
    async def script(engine: WorkflowEngine) -> None:
        with pytest.raises(StoreUnavailableError):
            await engine.create_workflow(RUN)
        await asyncio.sleep(30)
        result = await engine.execute_workflow(await engine.create_workflow(RUN))
        assert result["status"] == "completed"

    assert sorted(lived(LosesAnswers(3), script)) == [RunStatus.CANCELLED, RunStatus.COMPLETED]


def test_a_run_whose_creator_went_away_during_the_commit_is_void() -> None:
    async def script(engine: WorkflowEngine) -> None:
        creating = asyncio.create_task(engine.create_workflow(RUN))
        await asyncio.sleep(0.5)
        creating.cancel()
        await asyncio.wait([creating])

    assert lived(LosesAnswers(0), script) == [RunStatus.CANCELLED]


def test_a_run_whose_creator_went_away_before_the_commit_was_never_there() -> None:
    async def script(engine: WorkflowEngine) -> None:
        first = asyncio.create_task(engine.create_workflow(RUN))
        await asyncio.sleep(0.5)
        second = asyncio.create_task(engine.create_workflow(RUN))
        await asyncio.sleep(0.1)
        second.cancel()
        await asyncio.wait([second])
        await engine.execute_workflow(await first)

    assert lived(LosesAnswers(0), script) == [RunStatus.COMPLETED]
