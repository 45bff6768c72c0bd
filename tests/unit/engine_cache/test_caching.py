"""A result that may be reused is worked for once."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from orchestration.adapters.memory.result_cache import MemoryResultCache
from orchestration.adapters.memory.run_store import MemoryRunStore
from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.adapters.simulated.ids import SimulatedIds
from orchestration.domain.errors import StoreUnavailableError
from orchestration.domain.json_value import JsonValue
from orchestration.domain.reconciliation import Finding, Reconciled
from orchestration.domain.records import Record, RecordKind
from orchestration.engine.caching_executor import CachingExecutor
from orchestration.engine.circuit_breaker import FAILURES, BreakerState
from orchestration.engine.engine import WorkflowEngine
from orchestration.ports.executor import Attempt
from orchestration.ports.result_cache import CachedResult, ResultCache
from tests.unit.engine.world import START, NoChance, simulated, staged, task


class Counting:
    """Says how often it was asked, and for what."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.broken = False

    async def execute_look(self, data: Mapping[str, Any]) -> object:
        self.asked.append(data.get("symbol", "-"))
        await asyncio.sleep(data.get("takes", 0))
        if self.broken:
            raise RuntimeError("broken")
        return {"asked": len(self.asked)}

    execute_other = execute_look
    execute_nothing = execute_look

    async def execute_wrong(self, data: Mapping[str, Any]) -> object:
        self.asked.append("wrong")
        return float("nan")


class BrokenCache:
    """A cache whose store is out."""

    def __init__(self, *, reads: bool) -> None:
        self.reads = reads

    async def get(self, key: str, now: datetime) -> CachedResult | None:
        if self.reads:
            return None
        raise StoreUnavailableError("the store is out")

    async def put(self, key: str, result: JsonValue, until: datetime) -> None:
        raise StoreUnavailableError("the store is out")

    async def prune(self, now: datetime) -> int:
        return 0


class Desk:
    """An engine with a cache, on the simulated clock."""

    def __init__(self, cache: ResultCache | None = None, **environment: str) -> None:
        self.agent, self.other = Counting(), Counting()
        self.clock, self.store = SimulatedClock(START), MemoryRunStore()
        self.cache = cache or MemoryResultCache()
        self.engine = WorkflowEngine(
            {"desk": self.agent, "second": self.other},
            SimpleNamespace(environment=environment),
            run_store=self.store,
            clock=self.clock,
            ids=SimulatedIds(self.clock),
            randomness=NoChance(),
            result_cache=self.cache,
        )

    async def run(self, *tasks: Mapping[str, Any], parameters: Mapping[str, Any] | None = None, **more: object) -> Any:
        """Run ``tasks`` and return the result."""
        run_id = await self.engine.create_workflow(staged(*tasks, **more), parameters)
        return await self.engine.execute_workflow(run_id)

    async def completed(self, result: Mapping[str, Any]) -> list[Record]:
        records = await self.store.records(result["execution_id"])
        return [record for record in records if record.kind is RecordKind.TASK_COMPLETED]


def look(key: str = "k", ttl: float = 60, task_type: str = "look", **more: Any) -> dict[str, Any]:
    return task(task_type, cache={"key": key, "ttl": ttl}, **more)


def test_a_result_is_worked_for_once_and_the_journal_says_which_was_reused() -> None:
    async def main() -> None:
        desk = Desk()
        results = [await desk.run(look()) for _ in range(3)]
        assert [result["tasks"]["look"]["result"] for result in results] == [{"asked": 1}] * 3
        assert [result["status"] for result in results] == ["completed"] * 3
        said = [dict((await desk.completed(result))[0].data) for result in results]
        plain = {"result": {"asked": 1}, "attempt": 1}
        assert said == [plain, {**plain, "cached": True}, {**plain, "cached": True}]

    simulated(main)


def test_a_result_is_worked_for_again_when_its_time_is_up() -> None:
    async def main() -> None:
        desk = Desk()
        await desk.run(look(ttl=10, task_data={"takes": 2}))  # put at 2 s
        await asyncio.sleep(9.999)
        assert (await desk.run(look(ttl=10)))["tasks"]["look"]["result"] == {"asked": 1}
        await asyncio.sleep(0.001)
        assert (await desk.run(look(ttl=10)))["tasks"]["look"]["result"] == {"asked": 2}

    simulated(main)


def test_a_reused_result_does_not_live_longer_for_it() -> None:
    async def main() -> None:
        desk = Desk()
        for _ in range(3):
            await desk.run(look(ttl=10))
            await asyncio.sleep(6)
        assert len(desk.agent.asked) == 2

    simulated(main)


def test_a_key_is_what_its_references_say_when_the_task_starts() -> None:
    async def main() -> None:
        desk = Desk(REGION="eu")
        tasks = (
            look("${day} ${env:REGION} ${nothing_result.asked}", dependencies=["nothing"]),
            task("nothing", agent="second"),
        )
        for day in ("monday", "tuesday"):
            desk.other.asked.clear()
            await desk.run(*tasks[::-1], parameters={"day": day}, env=["REGION"])
        desk.other.asked.clear()
        await desk.run(*tasks[::-1], parameters={"day": "monday"}, env=["REGION"])
        assert len(desk.agent.asked) == 2
        await desk.run(*tasks[::-1], parameters={"day": "monday"}, env=["REGION"])  # another result of the other task
        assert len(desk.agent.asked) == 3

    simulated(main)


def test_a_key_that_refers_to_nothing_fails_the_task_for_good() -> None:
    async def main() -> None:
        desk = Desk(PLACE="x")
        result = await desk.run(look("${days}", max_retries=3), parameters={"day": "monday"})
        failed = result["tasks"]["look"]
        assert failed["status"] == "failed"
        assert failed["attempts"] == 1
        assert "cache.key: ${days}: nothing is called 'days' here; did you mean 'day'?" in failed["error"]
        unlisted = await desk.run(look("${env:PLACE}"))
        assert "cache.key: ${env:PLACE}: PLACE is not set" in unlisted["tasks"]["look"]["error"]
        assert desk.agent.asked == []

    simulated(main)


def test_two_who_do_different_work_never_share_a_result() -> None:
    async def main() -> None:
        desk = Desk()
        await desk.run(look())
        await desk.run(look(task_type="other"))
        await desk.run(look(agent="second"))
        assert (len(desk.agent.asked), len(desk.other.asked)) == (2, 1)

    simulated(main)


def test_a_whole_reference_keeps_its_type_in_the_key() -> None:
    async def main() -> None:
        desk = Desk()
        for value in (1, "1", [1], {"a": 1, "b": 2}, {"b": 2, "a": 1}):
            await desk.run(look("${value}"), parameters={"value": value})
        assert len(desk.agent.asked) == 4

    simulated(main)


def test_failures_are_not_kept() -> None:
    async def main() -> None:
        desk = Desk()
        desk.agent.broken = True
        await desk.run(look(max_retries=0))
        desk.agent.broken = False
        assert (await desk.run(look()))["tasks"]["look"]["result"] == {"asked": 2}

    simulated(main)


def test_a_result_that_is_no_json_fails_as_it_does_without_a_cache() -> None:
    async def main() -> None:
        desk = Desk()
        errors = [
            (await desk.run(one, parameters={}))["tasks"]["wrong"]["error"]
            for one in (look(task_type="wrong"), task("wrong"))
        ]
        assert errors[0] == errors[1]
        assert "the result of wrong is nan" in errors[0]

    simulated(main)


def test_a_null_is_a_result_too() -> None:
    async def main() -> None:
        desk = Desk()

        async def nothing(data: Mapping[str, Any]) -> object:
            desk.agent.asked.append("-")
            return None

        desk.agent.execute_nothing = nothing  # type: ignore[method-assign]  # this desk's own
        for _ in range(2):
            await desk.run(look(task_type="nothing"))
        assert desk.agent.asked == ["-"]

    simulated(main)


@pytest.mark.parametrize(("reads", "said"), [(False, "was not read for look"), (True, "was not put into the cache")])
def test_a_cache_that_fails_is_a_warning_and_the_task_runs(
    reads: bool, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        desk = Desk(BrokenCache(reads=reads))
        result = await desk.run(look())
        assert result["tasks"]["look"]["result"] == {"asked": 1}
        assert result["status"] == "completed"

    with caplog.at_level(logging.WARNING):
        simulated(main)
    assert said in caplog.text
    assert "the store is out" in caplog.text


def test_the_log_says_at_debug_what_comes_from_the_cache(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        desk = Desk()
        await desk.run(look())
        assert "from the cache" not in caplog.text
        await desk.run(look())

    with caplog.at_level(logging.DEBUG, logger="orchestration.engine.caching_executor"):
        simulated(main)
    assert "attempt 1 of look takes its result from the cache" in caplog.text


def test_without_a_cache_the_task_runs_each_time() -> None:
    async def main() -> None:
        agent = Counting()
        engine = WorkflowEngine({"desk": agent}, SimpleNamespace(), clock=SimulatedClock(START))
        for _ in range(2):
            await engine.execute_workflow(await engine.create_workflow(staged(look())))
        assert len(agent.asked) == 2

    simulated(main)


def test_what_comes_from_the_cache_says_nothing_of_its_agent() -> None:
    """An open breaker's probe that was served from the cache has not tried the agent out."""

    async def main() -> None:
        desk = Desk()
        async with desk.engine:
            await desk.run(look("kept", 10_000))
            desk.agent.broken = True
            for number in range(FAILURES):
                await desk.run(task("look", name=f"broken{number}", max_retries=0))
            assert desk.engine.breakers["desk"] is BreakerState.OPEN
            result = await desk.run(look("kept", 10_000, timeout=600))
            assert result["tasks"]["look"]["result"] == {"asked": 1}
            assert desk.engine.breakers["desk"] is BreakerState.OPEN

    simulated(main)


def test_what_became_of_a_lost_attempt_is_asked_of_whoever_made_it() -> None:
    class Inner:
        async def execute(self, attempt: Attempt) -> "JsonValue | CachedResult":
            return CachedResult(1)  # as one that caches by itself would

        async def reconcile(self, attempt: Attempt) -> Reconciled:
            return Reconciled.done(7)

    async def main() -> None:
        desk = Desk()
        executor = CachingExecutor(Inner(), desk.cache, desk.clock, environment={})
        engine = WorkflowEngine({"desk": desk.agent}, SimpleNamespace(), clock=desk.clock, executor=executor)
        result = await engine.execute_workflow(await engine.create_workflow(staged(look())))
        assert result["tasks"]["look"]["result"] == 1
        attempt: Any = None
        assert (await executor.reconcile(attempt)).outcome is Finding.DONE

    simulated(main)
