"""How many run at a time, and who goes first."""

import asyncio

from orchestration.domain.records import RecordKind
from tests.unit.engine.world import (
    Outcome,
    Scripted,
    after,
    for_ever,
    lasting,
    open_world,
    run,
    simulated,
    staged,
    task,
)

TEN = {"desk": Scripted(**{name: lasting(10) for name in "abcdef"}, hang=for_ever)}


def order(out: Outcome) -> list[str]:
    return [str(record.task) for record in out.records if record.kind is RecordKind.TASK_STARTED]


def test_no_more_run_at_a_time_than_there_are_slots() -> None:
    out = run(staged(*(task(name) for name in "abcde")), TEN, MAX_CONCURRENT_TASKS=2)
    assert [out.starts(name) for name in "abcde"] == [[0], [0], [10], [10], [20]]


def test_without_a_setting_there_are_five() -> None:
    out = run(staged(*(task(name) for name in "abcdef")), TEN)
    assert [out.starts(name) for name in "abcdef"] == [[0]] * 5 + [[10]]


def test_what_is_more_important_goes_first() -> None:
    tasks = [task("a", priority="low"), task("b"), task("c", priority="High")]
    assert order(run(staged(*tasks), TEN, max_concurrent_tasks=1)) == ["c", "b", "a"]


def test_a_task_is_as_important_as_the_most_important_that_needs_it() -> None:
    tasks = [task("a", priority="low"), task("b"), task("c", "d", priority="high"), task("d", "a", priority="low")]
    assert order(run(staged(*tasks), TEN, max_concurrent_tasks=1)) == ["a", "d", "c", "b"]


def test_among_equals_the_nearer_deadline_goes_first() -> None:
    tasks = [task("a"), task("b", deadline=after(200)), task("c", deadline=after(100))]
    assert order(run(staged(*tasks), TEN, max_concurrent_tasks=1)) == ["c", "b", "a"]


def test_among_equals_the_longer_way_goes_first() -> None:
    tasks = [task("a"), task("b"), task("c", "b")]
    assert order(run(staged(*tasks), TEN, max_concurrent_tasks=1)) == ["b", "a", "c"]


def test_what_is_critical_waits_for_no_slot_and_takes_none() -> None:
    tasks = [task("a"), task("b"), task("c", priority="critical", starts_at=after(3)), task("d", starts_at=after(3))]
    out = run(staged(*tasks), TEN, max_concurrent_tasks=2)
    assert (out.starts("c"), out.starts("d")) == ([3], [10])


def test_what_something_critical_needs_waits_for_no_slot_either() -> None:
    tasks = [task("a"), task("b", starts_at=after(3)), task("c", "b", priority="critical")]
    out = run(staged(*tasks), TEN, max_concurrent_tasks=1)
    assert (out.starts("b"), out.starts("c")) == ([3], [13])


def test_runs_share_the_slots_of_their_engine() -> None:
    async def main() -> list[float]:
        world = await open_world(TEN, max_concurrent_tasks=1)
        runs = [await world.engine.create_workflow(staged(task("a"))) for _ in range(3)]
        results = await asyncio.gather(*(world.engine.execute_workflow(run_id) for run_id in runs))
        return [result["duration_s"] for result in results]

    assert simulated(main) == [10, 20, 30]


def test_a_place_that_was_kept_for_a_run_that_is_over_is_free() -> None:
    async def main() -> float:
        world = await open_world(TEN, max_concurrent_tasks=1)
        async with world.engine as engine:
            long = asyncio.create_task(engine.execute_workflow(await engine.create_workflow(staged(task("a")))))
            await world.clock.sleep_until(after(1))
            gone = await engine.create_workflow(staged(task("hang")))
            waiting = asyncio.create_task(engine.execute_workflow(gone))
            await world.clock.sleep_until(after(2))
            await engine.cancel(gone, "not wanted")
            await waiting
            last = await engine.execute_workflow(await engine.create_workflow(staged(task("b"))))
            await long
        return float(last["duration_s"])

    assert simulated(main) == 18
