"""What a store that fails, is slow, or is met again means for a run."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from orchestration.adapters.memory.run_store import MemoryRunStore
from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.adapters.simulated.ids import SimulatedIds
from orchestration.domain.errors import ClaimLostError, DefinitionError, StoreUnavailableError
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.records import RecordKind
from orchestration.engine.engine import WorkflowEngine
from orchestration.engine.stored_definition import from_json
from tests.unit.engine.stores import FailingStore, SlowStore, TroubledStore
from tests.unit.engine.test_engine import DESK, open_engine
from tests.unit.engine.world import START, Scripted, after, lasting, open_world, simulated, staged, task

WRONG = DefinitionError("somebody else carries this run out")


@pytest.mark.parametrize("kind", [RecordKind.RUN_STARTED, RecordKind.TASK_COMPLETED, RecordKind.RUN_COMPLETED])
def test_an_error_that_waiting_can_not_mend_ends_the_call_and_leaves_no_attempt_running(kind: RecordKind) -> None:
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
        engine = WorkflowEngine(agents, SimpleNamespace(), run_store=FailingStore(kind, WRONG), clock=clock)
        tasks = [task("ten")] if kind is RecordKind.RUN_COMPLETED else [task("ten"), task("hang")]
        run_id = await engine.create_workflow(staged(*tasks))
        with pytest.raises(DefinitionError, match="somebody else"):
            await engine.execute_workflow(run_id)
        return len(asyncio.all_tasks())

    assert simulated(main) == 1
    assert stopped == (["hang"] if kind is RecordKind.TASK_COMPLETED else [])


def test_an_attempt_that_will_not_stop_does_not_hold_up_the_stores_error() -> None:
    async def main() -> float:
        engine = open_engine(FailingStore(RecordKind.TASK_COMPLETED, WRONG))
        run_id = await engine.create_workflow(staged(task("ten"), task("deaf")))
        with pytest.raises(DefinitionError):
            await engine.execute_workflow(run_id)
        return engine.clock.monotonic()

    assert simulated(main) == 15


def test_after_such_an_error_an_open_engine_takes_on_new_runs() -> None:
    async def main() -> str:
        store = FailingStore(RecordKind.TASK_COMPLETED, WRONG)
        async with open_engine(store) as engine:
            broken = await engine.create_workflow(staged(task("ten")))
            with pytest.raises(DefinitionError, match="somebody else"):
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


def test_a_process_whose_runs_were_taken_over_stops_what_it_does_and_says_why() -> None:
    stopped: list[float] = []

    async def main() -> None:
        clock, store = SimulatedClock(START), MemoryRunStore()

        async def hang(task_data: Any) -> object:
            try:
                await asyncio.Event().wait()
            finally:
                stopped.append(clock.monotonic())
            return None

        agents = {"desk": Scripted(hang=hang, ten=lasting(10))}
        engine = WorkflowEngine(agents, SimpleNamespace(), run_store=store, clock=clock, ids=SimulatedIds(clock))
        run_id = await engine.create_workflow(staged(task("ten"), task("hang")))
        caller = asyncio.create_task(engine.execute_workflow(run_id))
        await clock.sleep_until(after(3))
        await store.successor().take_over()
        before = len(await store.records(run_id))
        with pytest.raises(ClaimLostError, match="another process carries out the runs"):
            await caller
        assert len(await store.records(run_id)) == before

    simulated(main)
    assert stopped == [10]


def test_a_run_goes_on_after_an_outage_as_if_nothing_had_been() -> None:
    async def main() -> tuple[dict[str, Any], list[str], list[float]]:
        store, ran, started = TroubledStore(), [], []

        async def work(task_data: Any) -> object:
            ran.append(str(task_data["execution"]["task"]))
            started.append(engine.clock.monotonic())
            await asyncio.sleep(2)
            return None

        agents, clock = {"desk": Scripted(work=work)}, SimulatedClock(START)
        engine = WorkflowEngine(agents, SimpleNamespace(), run_store=store, clock=clock, ids=SimulatedIds(clock))
        names = [f"w{n}" for n in range(6)]
        tasks = [task("work", *names[max(0, n - 1) : n], name=name) for n, name in enumerate(names)]
        run_id = await engine.create_workflow(staged(*tasks))
        caller = asyncio.create_task(engine.execute_workflow(run_id))
        for outage in (1, 4.5, 9, 14):
            await clock.sleep_until(after(outage))
            store.fail()
            await clock.sleep_until(after(outage + 2.5))
            assert not caller.done()
            store.mend()
        result = await caller
        assert [r.sequence for r in await store.records(run_id)] == list(range(1, len(await store.records(run_id)) + 1))
        return result, ran, started

    result, ran, started = simulated(main)
    assert result["status"] == "completed"
    assert ran == [f"w{n}" for n in range(6)]
    assert started == sorted(set(started))


def test_while_the_store_is_out_runs_are_refused_and_it_is_told_when_that_begins_and_ends() -> None:
    async def main() -> list[tuple[float, str]]:
        store, told = TroubledStore(), []
        async with open_engine(store) as engine:
            await engine.register_event_handler(
                OrchestrationEvent.SYSTEM_ALERT,
                lambda event, data: told.append((engine.clock.monotonic(), str(data["message"]))),
            )
            caller = asyncio.create_task(engine.execute_workflow(await engine.create_workflow(staged(task("ten")))))
            await engine.clock.sleep_until(after(1))
            troubles = [engine.trouble]
            store.fail()
            await engine.clock.sleep_until(after(11))
            troubles.append(engine.trouble)
            for _ in range(2):
                with pytest.raises(StoreUnavailableError, match="nothing new is taken on while the store is out"):
                    await engine.create_workflow(staged(task("a")))
            store.mend()
            assert (await caller)["status"] == "completed"
            assert [*troubles, engine.trouble] == [None, "the disk is full", None]
        return told

    assert simulated(main) == [(10, "nothing is started, the disk is full"), (11.5, "the store takes records again")]


def test_what_is_due_while_the_store_is_out_is_done_when_it_is_back_and_what_ended_in_time_has_not_timed_out() -> None:
    async def main() -> dict[str, Any]:
        store = TroubledStore()
        engine = open_engine(store)
        tasks = [task("ten", timeout=12, max_retries=0), task("hang", timeout=12, max_retries=0)]
        caller = asyncio.create_task(engine.execute_workflow(await engine.create_workflow(staged(*tasks, task("a")))))
        await engine.clock.sleep_until(after(9))
        store.fail()
        await engine.clock.sleep_until(after(60))
        store.mend()
        return await caller

    result = simulated(main)
    assert {name: part["status"] for name, part in result["tasks"].items()} == {
        "ten": "completed",
        "hang": "timeout",
        "a": "completed",
    }


def test_a_run_that_has_not_begun_is_cancelled_through_an_outage() -> None:
    async def main() -> tuple[str, float]:
        store = TroubledStore()
        async with open_engine(store) as engine:
            run_id = await engine.create_workflow(staged(task("a")))
            store.fail()
            asking = asyncio.create_task(engine.cancel(run_id, "enough"))
            await engine.clock.sleep_until(after(1))
            store.mend()
            await asking
            result = await engine.execute_workflow(run_id)
            return str(result["status"]), engine.clock.monotonic()

    assert simulated(main) == ("cancelled", 1.5)


def test_an_engine_that_is_left_during_an_outage_starts_nothing_when_the_store_is_back() -> None:
    ran: list[str] = []

    async def main() -> int:
        async def note(task_data: Any) -> object:
            ran.append("next")
            return None

        store, clock = TroubledStore(), SimulatedClock(START)
        agents = {"desk": Scripted(ten=lasting(10), next=note)}
        engine = WorkflowEngine(agents, SimpleNamespace(), run_store=store, clock=clock, ids=SimulatedIds(clock))
        run_id = await engine.create_workflow(staged(task("ten"), task("next", "ten")))
        caller = asyncio.create_task(engine.execute_workflow(run_id))
        await clock.sleep_until(after(9))
        store.fail()
        await clock.sleep_until(after(11))
        for _ in range(2):  # the second time nobody waits for the run to end
            caller.cancel()
            await clock.sleep_until(after(11.1))
        store.mend()
        await clock.sleep_until(after(30))
        assert caller.done()
        return len(asyncio.all_tasks())

    assert simulated(main) == 1
    assert ran == []


def test_winding_down_does_not_end_between_a_commit_and_what_follows_from_it() -> None:
    async def main() -> tuple[bool, float]:
        engine = open_engine(SlowStore())
        async with engine:
            runs = [await engine.create_workflow(staged(task("ten"))) for _ in range(3)]
            callers = [asyncio.create_task(engine.execute_workflow(run_id)) for run_id in runs]
            await engine.clock.sleep_until(after(7))
            calm = await engine.wind_down(after(60) - START)
            at = engine.clock.monotonic()
            await asyncio.gather(*callers)
        return calm, at

    calm, at = simulated(main)
    assert calm
    assert at == 20  # begun at 6, kept at 8, ten seconds of work, and its end is kept two seconds later


def test_a_full_journal_is_waited_for_before_more_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestration.engine.journal.ROOM", 1)

    async def main() -> tuple[str, list[int]]:
        store = SlowStore()
        engine = open_engine(store)
        result = await engine.execute_workflow(await engine.create_workflow(staged(task("a"), task("a", name="b"))))
        return str(result["status"]), store.commits

    status, commits = simulated(main)
    assert status == "completed"
    assert sum(commits) == 1 + 2 + 6 + 2


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


def test_many_attempts_that_end_at_the_very_moment_of_their_limit_have_ended_in_time() -> None:
    async def main() -> dict[str, Any]:
        engine = open_engine(MemoryRunStore(), max_concurrent_tasks=100)
        tasks = [task("ten", name=f"t{n}", timeout=10, max_retries=0) for n in range(60)]
        return await engine.execute_workflow(await engine.create_workflow(staged(*tasks)))

    assert {part["status"] for part in simulated(main)["tasks"].values()} == {"completed"}


async def test_the_store_of_an_engine_without_one_has_nothing() -> None:
    store = WorkflowEngine(DESK, SimpleNamespace()).run_store
    assert [*await store.records("x"), *await store.unfinished(), *await store.runs(), *await store.take_over()] == []
    assert await store.prune(START) == 0


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


def test_what_could_not_be_kept_before_its_window_ended_is_not_started_late() -> None:
    async def main() -> tuple[dict[str, Any], list[str]]:
        store, ran = TroubledStore(), []

        async def work(task_data: Any) -> object:
            ran.append(str(task_data["execution"]["task"]))
            return None

        clock = SimulatedClock(START)
        engine = WorkflowEngine({"desk": Scripted(work=work)}, SimpleNamespace(), run_store=store, clock=clock)
        late = task("work", name="late", starts_at=after(5), deadline=after(20))
        other = task("work", name="other", starts_at=after(5))
        caller = asyncio.create_task(engine.execute_workflow(await engine.create_workflow(staged(late, other))))
        await clock.sleep_until(after(3))
        store.fail()
        await clock.sleep_until(after(30))
        store.mend()
        return await caller, ran

    result, ran = simulated(main)
    assert ran == ["other"]
    assert result["tasks"]["late"]["status"] == "failed"
    assert "the store was out" in result["tasks"]["late"]["error"]
