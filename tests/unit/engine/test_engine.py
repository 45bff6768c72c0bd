"""The engine as a whole: its ways of being used, its memory, its stores."""

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from orchestration.adapters.memory.run_store import MemoryRunStore
from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.adapters.simulated.ids import SimulatedIds
from orchestration.domain.errors import DefinitionError
from orchestration.domain.events import OrchestrationEvent
from orchestration.engine.engine import KEPT_WITHOUT_STORE, WorkflowEngine
from orchestration.engine.event_log import event_log_sha256
from orchestration.ports.run_store import RunStore
from tests.unit.engine.world import (
    START,
    Scripted,
    after,
    at_once,
    boom,
    deaf,
    for_ever,
    lasting,
    open_world,
    simulated,
    staged,
    task,
)

DESK = {"desk": Scripted(a=at_once, ten=lasting(10, "T"), hang=for_ever, bad=boom, deaf=deaf(30))}


def open_engine(store: RunStore | None = None, **config: object) -> WorkflowEngine:
    clock = SimulatedClock(START)
    return WorkflowEngine(DESK, SimpleNamespace(**config), run_store=store, clock=clock, ids=SimulatedIds(clock))


def test_executing_again_gives_the_same_result_and_runs_nothing() -> None:
    async def main() -> tuple[dict[str, Any], dict[str, Any], int]:
        world = await open_world(DESK)
        run_id = await world.engine.create_workflow(staged(task("ten")))
        first = await world.engine.execute_workflow(run_id)
        second = await world.engine.execute_workflow(run_id)
        return first, second, len([e for e, _ in world.events if e is OrchestrationEvent.TASK_STARTED])

    first, second, starts = simulated(main)
    assert first == second
    assert starts == 1


def test_executing_at_the_same_time_gives_the_same_result_and_runs_once() -> None:
    async def main() -> tuple[list[dict[str, Any]], int]:
        world = await open_world(DESK)
        run_id = await world.engine.create_workflow(staged(task("ten")))
        results = await asyncio.gather(*(world.engine.execute_workflow(run_id) for _ in range(3)))
        return results, len([e for e, _ in world.events if e is OrchestrationEvent.TASK_STARTED])

    results, starts = simulated(main)
    assert results[0] == results[1] == results[2]
    assert starts == 1


def test_a_new_engine_over_the_same_store_knows_the_result() -> None:
    async def main() -> tuple[dict[str, Any], dict[str, Any]]:
        store = MemoryRunStore()
        old = open_engine(store)
        definition = staged(task("ten"), task("bad", max_retries=0), task("a", "bad"))
        run_id = await old.create_workflow(definition, {"size": 3})
        result = await old.execute_workflow(run_id)
        return result, await open_engine(store).execute_workflow(run_id)

    first, again = simulated(main)
    assert first == again


def test_an_unfinished_run_of_another_engine_is_not_carried_out() -> None:
    async def main() -> None:
        store = MemoryRunStore()
        run_id = await open_engine(store).create_workflow(staged(task("a")))
        with pytest.raises(DefinitionError, match=r"is pending, and this engine does not carry it out"):
            await open_engine(store).execute_workflow(run_id)

    simulated(main)


def test_an_unknown_run_is_refused() -> None:
    async def main() -> None:
        engine = open_engine()
        with pytest.raises(DefinitionError, match="there is no run 'x'; create_workflow returns the id"):
            await engine.execute_workflow("x")
        with pytest.raises(DefinitionError, match="no run 'x' is known to this process"):
            engine.get_execution_status("x")

    simulated(main)


def test_the_status_of_a_run_can_be_asked_for_before_during_and_after_it() -> None:
    async def main(store: RunStore | None) -> list[tuple[str, str]]:
        engine, seen = open_engine(store), []

        def look(run_id: str) -> None:
            status = engine.get_execution_status(run_id)
            seen.append((status["status"], status["tasks"]["ten"]["status"]))

        run_id = await engine.create_workflow(staged(task("ten")))
        look(run_id)
        running = asyncio.create_task(engine.execute_workflow(run_id))
        await engine.clock.sleep_until(after(5))
        look(run_id)
        await running
        look(run_id)
        return seen

    expected = [("pending", "pending"), ("running", "running"), ("completed", "completed")]
    assert simulated(lambda: main(None)) == expected
    assert simulated(lambda: main(MemoryRunStore())) == expected


def test_a_handler_of_the_end_finds_the_run_ended() -> None:
    async def main() -> list[str]:
        engine, seen = open_engine(), []

        def look(event: OrchestrationEvent, data: Any) -> None:
            seen.append(engine.get_execution_status(data["execution_id"])["status"])

        await engine.register_event_handler(OrchestrationEvent.WORKFLOW_COMPLETED, look)
        await engine.execute_workflow(await engine.create_workflow(staged(task("a"))))
        return seen

    assert simulated(main) == ["completed"]


def test_the_result_comes_when_slow_handlers_have_had_the_last_event() -> None:
    async def main() -> list[str]:
        engine, done = open_engine(), []

        async def slow(event: OrchestrationEvent, data: Any) -> None:
            await asyncio.sleep(4)
            done.append(event.value)

        await engine.register_event_handler(OrchestrationEvent.WORKFLOW_COMPLETED, slow)
        await engine.execute_workflow(await engine.create_workflow(staged(task("a"))))
        return done

    assert simulated(main) == ["workflow_completed"]


def test_a_handler_that_hangs_keeps_the_result_back_for_five_seconds_and_no_longer() -> None:
    async def main() -> tuple[float, str]:
        engine = open_engine()

        async def hanging(event: OrchestrationEvent, data: Any) -> None:
            await asyncio.Event().wait()

        await engine.register_event_handler(None, hanging)
        result = await engine.execute_workflow(await engine.create_workflow(staged(task("a"))))
        return engine.clock.monotonic(), result["status"]

    assert simulated(main) == (5, "completed")


def test_anybody_may_emit_an_event() -> None:
    async def main() -> list[tuple[str, Any]]:
        engine, heard = open_engine(), []
        await engine.register_event_handler(None, lambda event, data: heard.append((event.value, data)))
        await engine.emit_event(OrchestrationEvent.MARKET_EVENT, {"kind": "halt"})
        await engine.clock.sleep_until(after(1))
        return heard

    assert simulated(main) == [("market_event", {"kind": "halt"})]


def test_it_counts_the_runs_that_are_under_way_and_those_that_ended() -> None:
    async def main() -> list[dict[str, int]]:
        engine = open_engine()
        async with engine as entered:
            assert entered is engine
            await engine.execute_workflow(await engine.create_workflow(staged(task("a"))))
            await engine.execute_workflow(await engine.create_workflow(staged(task("bad", max_retries=0))))
            running = asyncio.create_task(engine.execute_workflow(await engine.create_workflow(staged(task("ten")))))
            await engine.clock.sleep_until(after(5))
            during = engine.counts()
            await running
        return [during, engine.counts()]

    assert simulated(main) == [
        {"active_executions": 1, "completed_executions": 1, "failed_executions": 1},
        {"active_executions": 0, "completed_executions": 2, "failed_executions": 1},
    ]


def test_an_engine_is_used_again_after_its_first_run_and_on_another_loop() -> None:
    engine = WorkflowEngine(DESK, SimpleNamespace())

    async def main() -> str:
        run_id = await engine.create_workflow(staged(task("a")))
        return str((await engine.execute_workflow(run_id))["status"])

    assert [asyncio.run(main()), asyncio.run(main())] == ["completed", "completed"]


def test_a_run_that_starts_while_the_engine_winds_down_is_carried_out() -> None:
    async def main() -> list[str]:
        engine = open_engine()
        first, second = [await engine.create_workflow(staged(task("ten"))) for _ in range(2)]
        later: list[asyncio.Task[dict[str, Any]]] = []

        def follow_up(run: "asyncio.Task[dict[str, Any]]") -> None:
            later.append(asyncio.ensure_future(engine.execute_workflow(second)))

        running = asyncio.ensure_future(engine.execute_workflow(first))
        assert engine._running is None
        await asyncio.sleep(0)
        parts: Any = engine._running  # it is cancelled when the first run leaves, and just then the second one enters
        parts.add_done_callback(follow_up)
        statuses = [(await running)["status"]]
        await engine.clock.sleep_until(after(15))
        statuses.append(engine.get_execution_status(second)["status"])
        return [*statuses, (await later[0])["status"]]

    assert simulated(main) == ["completed", "running", "completed"]


def test_without_a_store_the_newest_runs_are_remembered() -> None:
    async def main() -> None:
        engine = open_engine()
        async with engine:
            ids = []
            for _ in range(KEPT_WITHOUT_STORE + 1):
                ids.append(await engine.create_workflow({"stages": {}}))
                await engine.execute_workflow(ids[-1])
        assert (await engine.execute_workflow(ids[1]))["status"] == "completed"
        with pytest.raises(DefinitionError, match="there is no run"):
            await engine.execute_workflow(ids[0])

    simulated(main)


@pytest.mark.parametrize("parameters", [[1], "x", 5])
def test_parameters_are_a_mapping(parameters: Any) -> None:
    async def main() -> None:
        with pytest.raises(DefinitionError, match=r"parameters is a \w+; give a mapping"):
            await open_engine().create_workflow(staged(task("a")), parameters)

    simulated(main)


def test_parameters_are_json() -> None:
    async def main() -> None:
        with pytest.raises(DefinitionError, match=r"parameters\.x\.y is a object"):
            await open_engine().create_workflow(staged(task("a")), {"x": {"y": object()}})

    simulated(main)


def test_an_attempt_logs_with_its_run_and_task_bound(caplog: pytest.LogCaptureFixture) -> None:
    bound: list[dict[str, Any]] = []

    async def look(task_data: Any) -> object:
        bound.append(structlog.contextvars.get_contextvars())
        raise RuntimeError("boom")

    async def main() -> str:
        clock = SimulatedClock(START)
        engine = WorkflowEngine({"desk": Scripted(look=look)}, SimpleNamespace(), clock=clock)
        run_id = await engine.create_workflow(staged(task("look", max_retries=0)))
        await engine.execute_workflow(run_id)
        return run_id

    with caplog.at_level(logging.WARNING):
        run_id = simulated(main)
    assert bound == [{"run_id": run_id, "task": "look", "attempt": 1}]
    assert caplog.records[0].exc_info is not None


def test_two_runs_of_the_same_day_leave_the_same_log() -> None:
    async def main() -> str:
        world = await open_world(DESK, max_concurrent_tasks=1)
        run_id = await world.engine.create_workflow(staged(task("ten"), task("bad", max_retries=1), task("a", "ten")))
        await world.engine.execute_workflow(run_id)
        return event_log_sha256(await world.store.records(run_id))

    assert simulated(main) == simulated(main)


# -- the wall clock


async def test_on_the_wall_clock_a_workflow_runs_without_anything_else_being_said() -> None:
    engine = WorkflowEngine({"desk": Scripted(a=at_once)}, SimpleNamespace())
    result = await engine.execute_workflow(await engine.create_workflow(staged(task("a"))))
    assert result["status"] == "completed"
    assert len(result["execution_id"]) == 32


async def test_on_the_wall_clock_a_limit_is_kept() -> None:
    engine = WorkflowEngine({"desk": Scripted(hang=for_ever)}, SimpleNamespace())
    definition = staged(task("hang", timeout=0.005, max_retries=0))
    result = await engine.execute_workflow(await engine.create_workflow(definition))
    assert result["tasks"]["hang"]["status"] == "timeout"
    assert result["duration_s"] < 2


async def test_a_limit_that_is_over_before_the_attempt_takes_its_first_step_needs_no_grace() -> None:
    engine = WorkflowEngine({"desk": Scripted(hang=for_ever)}, SimpleNamespace())
    definition = staged(task("hang", timeout=1e-6, max_retries=0))
    result = await engine.execute_workflow(await engine.create_workflow(definition))
    assert result["tasks"]["hang"]["status"] == "timeout"
    assert result["duration_s"] < 2
