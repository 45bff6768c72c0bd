"""The journal: what a store that fails, is slow, or is met again means for a run."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from orchestration.adapters.memory.run_store import MemoryRunStore
from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.domain.errors import DefinitionError, StoreUnavailableError
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.records import RecordKind
from orchestration.engine.engine import WorkflowEngine
from orchestration.engine.stored_definition import from_json
from tests.unit.engine.stores import FailingStore, SlowStore
from tests.unit.engine.test_engine import DESK, open_engine
from tests.unit.engine.world import START, Scripted, after, lasting, open_world, simulated, staged, task


@pytest.mark.parametrize("kind", [RecordKind.RUN_STARTED, RecordKind.TASK_COMPLETED, RecordKind.RUN_COMPLETED])
def test_a_store_that_fails_in_the_middle_ends_the_call_and_leaves_no_attempt_running(kind: RecordKind) -> None:
    stopped: list[str] = []

    async def hang(task_data: Any) -> object:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append("hang")
        return None

    async def main() -> int:
        clock = SimulatedClock(START)
        agents = {"desk": Scripted(hang=hang, ten=lasting(10))}
        engine = WorkflowEngine(agents, SimpleNamespace(), run_store=FailingStore(kind), clock=clock)
        tasks = [task("ten")] if kind is RecordKind.RUN_COMPLETED else [task("ten"), task("hang")]
        run_id = await engine.create_workflow(staged(*tasks))
        with pytest.raises(StoreUnavailableError, match="the disk is full"):
            await engine.execute_workflow(run_id)
        return len(asyncio.all_tasks())

    assert simulated(main) == 1
    assert stopped == (["hang"] if kind is RecordKind.TASK_COMPLETED else [])


def test_an_attempt_that_will_not_stop_does_not_hold_up_the_stores_error() -> None:
    async def main() -> float:
        engine = open_engine(FailingStore(RecordKind.TASK_COMPLETED))
        run_id = await engine.create_workflow(staged(task("ten"), task("deaf")))
        with pytest.raises(StoreUnavailableError):
            await engine.execute_workflow(run_id)
        return engine.clock.monotonic()

    assert simulated(main) == 15


def test_after_the_store_is_back_an_open_engine_goes_on() -> None:
    async def main() -> str:
        store = FailingStore(RecordKind.TASK_COMPLETED)
        async with open_engine(store) as engine:
            broken = await engine.create_workflow(staged(task("ten")))
            with pytest.raises(StoreUnavailableError):
                await engine.execute_workflow(broken)
            with pytest.raises(DefinitionError, match="is running, and this engine does not carry it out"):
                await engine.execute_workflow(broken)
            store.kind = None
            result = await engine.execute_workflow(await engine.create_workflow(staged(task("ten"))))
            with pytest.raises(DefinitionError, match="is running, and this engine does not carry it out"):
                await engine.execute_workflow(broken)
        assert list(await store.unfinished()) == [broken]
        return str(result["status"])

    assert simulated(main) == "completed"


def test_nothing_is_created_that_the_store_did_not_take() -> None:
    async def main() -> None:
        engine = open_engine(FailingStore(RecordKind.RUN_CREATED))
        with pytest.raises(StoreUnavailableError):
            await engine.create_workflow(staged(task("a")))

    simulated(main)


def test_what_depends_on_a_record_happens_after_its_commit_and_what_gathers_meanwhile_goes_into_the_next() -> None:
    async def main() -> tuple[list[int], list[float]]:
        store = SlowStore()
        engine = open_engine(store)
        run_id = await engine.create_workflow(staged(task("a"), task("ten", "a")))
        started: list[float] = []
        await engine.register_event_handler(
            OrchestrationEvent.TASK_STARTED, lambda event, data: started.append(engine.clock.monotonic())
        )
        await engine.execute_workflow(run_id)
        return store.commits, started

    commits, started = simulated(main)
    assert commits == [1, 4, 3, 3]  # created; begun and the first started; its end and the next start; the end of all
    assert started == [4, 6]


def test_an_attempt_that_ended_while_its_stop_was_being_committed_has_timed_out_all_the_same() -> None:
    async def main() -> dict[str, Any]:
        engine = open_engine(SlowStore())
        definition = staged(task("ten", timeout=9, max_retries=0))
        return await engine.execute_workflow(await engine.create_workflow(definition))

    assert simulated(main)["tasks"]["ten"]["status"] == "timeout"


async def test_the_store_of_an_engine_without_one_has_nothing() -> None:
    store = WorkflowEngine(DESK, SimpleNamespace()).run_store
    assert [*await store.records("x"), *await store.unfinished(), *await store.runs()] == []


def test_a_record_in_the_journal_names_the_definition_and_the_parameters_it_began_with() -> None:
    async def main() -> Any:
        world = await open_world(DESK)
        run_id = await world.engine.create_workflow(staged(task("a"), name="A day"), {"size": 3})
        return (await world.store.records(run_id))[0].data

    data = simulated(main)
    assert data["name"] == "A day"
    assert data["parameters"] == {"size": 3}
    assert data["definition"]["version"] == 1


def test_a_definition_of_a_newer_version_is_refused() -> None:
    with pytest.raises(DefinitionError, match="newer Belltower"):
        from_json({"version": 2})


def test_runs_that_a_dead_process_left_are_marked_and_nothing_of_them_runs() -> None:
    async def main() -> tuple[bool, dict[str, Any], tuple[str, ...]]:
        store = MemoryRunStore()
        dead = open_engine(store)
        run_id = await dead.create_workflow(staged(task("ten")))
        caller = asyncio.create_task(dead.execute_workflow(run_id))
        await dead.clock.sleep_until(after(3))
        new = open_engine(store)
        marked = await new.interrupt_unfinished()
        result = await new.execute_workflow(run_id)
        again = await new.interrupt_unfinished()
        caller.cancel()
        with pytest.raises(DefinitionError, match="already has a record"):  # the dead one, were it not quite dead
            await caller
        return marked == (run_id,), result, again

    marked, result, again = simulated(main)
    assert marked
    assert again == ()
    assert result["status"] == "interrupted"
    assert result["reason"].startswith("the process that carried it out ended before it did")
    assert result["tasks"]["ten"]["status"] == "running"
