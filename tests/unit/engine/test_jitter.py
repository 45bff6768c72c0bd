"""Delays are drawn a little longer, so that those who failed together come back apart."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from orchestration.adapters.memory.run_store import MemoryRunStore
from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.adapters.simulated.ids import SimulatedIds
from orchestration.domain.records import RecordKind
from orchestration.engine.core import JITTER
from orchestration.engine.engine import WorkflowEngine
from orchestration.system.randomness import SeededRandomness
from tests.unit.engine.world import START, Scripted, boom, simulated, staged, task


def delays(seed: int, **more: Any) -> dict[str, list[float]]:
    """The delays of three tasks that fail, by task."""

    async def main() -> dict[str, list[float]]:
        clock, store = SimulatedClock(START), MemoryRunStore()
        engine = WorkflowEngine(
            {"desk": Scripted(work=boom)},
            SimpleNamespace(),
            run_store=store,
            clock=clock,
            ids=SimulatedIds(clock),
            randomness=SeededRandomness(seed),
        )
        definition = staged(*(task("work", name=name, max_retries=3, **more) for name in "abc"))
        run_id = await engine.create_workflow(definition)
        await engine.execute_workflow(run_id)
        drawn: dict[str, list[float]] = {}
        for record in await store.records(run_id):
            if record.kind is RecordKind.TASK_RETRYING:
                delay: Any = record.data["delay_s"]
                drawn.setdefault(str(record.task), []).append(delay)
        return drawn

    return simulated(main)


def test_a_delay_is_up_to_a_quarter_longer_than_the_strategy_says() -> None:
    drawn = [parts for seed in range(20) for parts in delays(seed).values()]
    for parts in drawn:
        assert all(base <= delay <= base * (1 + JITTER) for base, delay in zip([1, 2, 4], parts, strict=True))
    assert max(parts[0] for parts in drawn) > 1 + JITTER * 0.9
    assert min(parts[0] for parts in drawn) < 1 + JITTER * 0.1


def test_those_who_failed_together_come_back_apart() -> None:
    first = sorted(parts[0] for parts in delays(1).values())
    assert all(earlier < later for earlier, later in pairwise(first))


def test_the_same_seed_draws_the_same_and_another_draws_others() -> None:
    assert delays(7) == delays(7) != delays(8)


def test_delays_of_a_tasks_own_are_kept_as_they_are() -> None:
    assert delays(1, retry_delays=[5, 2]) == {name: [5, 2, 2] for name in "abc"}
