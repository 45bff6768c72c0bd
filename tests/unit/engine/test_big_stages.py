"""A stage of many tasks opens a part at a time, so that nobody else waits for all of it."""

import asyncio
from datetime import timedelta
from typing import Any

from orchestration.domain.records import Record, RecordKind
from orchestration.engine.core import MOST_AT_ONCE, RunCore
from orchestration.engine.definitions import Defaults, read_definition
from orchestration.engine.inputs import Begin, Cancel, TimeCame
from orchestration.engine.run_state import RunState
from orchestration.engine.task_types import TASK_TYPES
from tests.unit.engine.stores import SlowStore
from tests.unit.engine.test_engine import DESK, open_engine
from tests.unit.engine.world import START, Scripted, after, at_once, open_world, simulated, staged, task

MANY = 4 * MOST_AT_ONCE


def big(count: int = MANY, **more: Any) -> dict[str, Any]:
    return staged(*(task("a", name=f"t{n}", priority="low", **more) for n in range(count)))


def core_of(definition: dict[str, Any]) -> RunCore:
    defaults = Defaults(timeout_s=300, max_retries=0, run_timeout_s=3600)
    read = read_definition(definition, agents=DESK, task_types=TASK_TYPES, defaults=defaults, parameters={})
    state = RunState(run_id="run", definition=read)
    state.apply(Record(run_id="run", sequence=1, kind=RecordKind.RUN_CREATED, at=START))
    return RunCore(state, None)


def test_it_opens_over_several_turns_that_follow_at_once() -> None:
    core = core_of(big())
    sizes = [sum(r.kind is RecordKind.TASK_QUEUED for r in core.decide(Begin(at=START)).records)]
    while core.next_due == START:
        sizes.append(sum(r.kind is RecordKind.TASK_QUEUED for r in core.decide(TimeCame(at=START)).records))
    assert sizes == [MOST_AT_ONCE] * 4
    assert core.next_due is not None
    assert core.next_due >= START + timedelta(seconds=3600)  # nothing but the limit of the run is left


def test_one_that_is_cancelled_while_it_opens_is_over_and_has_nothing_due() -> None:
    core = core_of(big())
    core.decide(Begin(at=START))
    decision = core.decide(Cancel(at=START, reason="enough"))
    assert sum(record.kind is RecordKind.TASK_CANCELLED for record in decision.records) == MANY
    assert core.state.status.ended
    assert core.next_due is None


def test_a_run_that_is_over_while_its_end_is_being_kept_lets_time_go_on() -> None:
    async def main() -> str:
        engine = open_engine(SlowStore())
        run_id = await engine.create_workflow(big(MOST_AT_ONCE + 100))
        caller = asyncio.create_task(engine.execute_workflow(run_id))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await engine.cancel(run_id, "enough")
        return str((await caller)["status"])

    assert simulated(main) == "cancelled"


def test_what_is_critical_in_another_run_gets_in_between() -> None:
    async def main() -> tuple[int, int]:
        ran: list[str] = []

        async def note(task_data: Any) -> object:
            ran.append(str(task_data["execution"]["task"]))
            return None

        world = await open_world({"desk": Scripted(a=note)}, max_concurrent_tasks=10)
        async with world.engine as engine:
            huge = await engine.create_workflow(big())
            urgent = await engine.create_workflow(staged(task("a", name="urgent", priority="critical")))
            async with asyncio.TaskGroup() as group:
                group.create_task(engine.execute_workflow(huge))
                group.create_task(engine.execute_workflow(urgent))
        return ran.index("urgent"), len(ran)

    place, count = simulated(main)
    assert place < 30
    assert count == MANY + 1


def test_tasks_with_conditions_needs_and_times_open_as_in_a_small_one() -> None:
    async def main() -> dict[str, Any]:
        world = await open_world({"desk": Scripted(a=at_once)}, max_concurrent_tasks=50)
        tasks = [task("a", name=f"t{n}", when="wanted" if n % 2 else "not wanted") for n in range(MOST_AT_ONCE + 50)]
        tasks.append(task("a", "t0", f"t{MOST_AT_ONCE + 49}", name="last", starts_at=after(5)))
        engine = world.engine
        return await engine.execute_workflow(await engine.create_workflow(staged(*tasks), {"wanted": True}))

    result = simulated(main)
    statuses = [result["tasks"][f"t{n}"]["status"] for n in range(MOST_AT_ONCE + 50)]
    assert statuses == ["skipped", "completed"] * (len(statuses) // 2)
    assert result["tasks"]["last"]["started_at"] == "2012-12-12T11:00:05Z"
