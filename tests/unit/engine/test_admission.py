"""Who may start beside the slots: limits of agents and task types, bulkheads, breakers, the budget of retries."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from orchestration.domain.errors import DefinitionError, OutcomeUnknownError
from orchestration.domain.events import OrchestrationEvent
from orchestration.engine.admission import RETRY_BURST, Limits
from orchestration.engine.circuit_breaker import BreakerState
from orchestration.engine.engine import WorkflowEngine
from tests.unit.engine.test_slots import order
from tests.unit.engine.world import (
    Outcome,
    Scripted,
    World,
    after,
    at_once,
    boom,
    for_ever,
    lasting,
    open_world,
    run,
    simulated,
    staged,
    task,
)

DESK = Scripted(ten=lasting(10), other=lasting(10), hang=for_ever, boom=boom, quick=at_once)


def tens(count: int, **more: Any) -> list[dict[str, Any]]:
    agent, kind = str(more.pop("agent", "desk")), str(more.pop("kind", "ten"))
    return [task(kind, agent=agent, name=f"{agent}{kind}{n}", **more) for n in range(count)]


def most(out: Outcome, *, agent: str = "", kind: str = "") -> int:
    """How many attempts of tasks so named were under way at a time, at most; each took ten seconds."""
    starts = [at for name in out.statuses() if agent in name and kind in name for at in out.starts(name)]
    return max(sum(start <= at < start + 10 for start in starts) for at in starts)


def test_an_agent_gets_no_more_than_its_limit_and_the_others_get_the_slots() -> None:
    tasks = [*tens(6, agent="slow"), *tens(6, agent="desk")]
    out = run(staged(*tasks), {"slow": DESK, "desk": DESK}, max_concurrent_tasks=4, agent_limits={"slow": 1})
    assert (most(out, agent="slow"), most(out, agent="desk"), most(out)) == (1, 3, 4)
    assert out.result["duration_s"] == 60


def test_a_task_type_gets_no_more_than_its_limit() -> None:
    tasks = [*tens(4), *tens(4, kind="other")]
    out = run(staged(*tasks), {"desk": DESK}, max_concurrent_tasks=4, TASK_TYPE_LIMITS={"ten": 1})
    assert (most(out, kind="ten"), most(out, kind="other")) == (1, 3)
    assert out.result["duration_s"] == 40


def test_where_there_are_several_agents_none_takes_every_slot() -> None:
    tasks = [*tens(12, agent="slow", priority="HIGH"), task("quick")]
    out = run(staged(*tasks), {"slow": DESK, "desk": DESK}, max_concurrent_tasks=10)
    assert most(out, agent="slow") == 8
    assert out.starts("quick") == [0]


def test_a_single_agent_that_has_work_and_a_single_slot_are_not_divided() -> None:
    assert most(run(staged(*tens(6)), {"desk": DESK, "idle": DESK}, max_concurrent_tasks=5)) == 5
    assert Limits(slots=1).agent("a", 6) == 1


def test_a_limit_of_ones_own_may_take_every_slot() -> None:
    tasks = [*tens(5), task("quick", agent="b", priority="low")]
    out = run(staged(*tasks), {"desk": DESK, "b": DESK}, max_concurrent_tasks=5, agent_limits={"desk": 5})
    assert most(out, agent="desk") == 5


def test_what_is_critical_passes_every_limit() -> None:
    tasks = [*tens(3), *(task("other", name=f"c{n}", priority="critical") for n in range(3))]
    limits: dict[str, Any] = {"agent_limits": {"desk": 1}, "task_type_limits": {"other": 1}}
    out = run(staged(*tasks), {"desk": DESK}, max_concurrent_tasks=1, **limits)
    assert [out.starts(f"c{n}") for n in range(3)] == [[0]] * 3
    assert [out.starts(f"deskten{n}") for n in range(3)] == [[0], [10], [20]]


def test_a_place_that_one_can_not_use_goes_to_the_next() -> None:
    """Two wait for the type's only place; the first of them has to wait for its agent too when that is free."""
    busy, free = {"agent": "busy"}, {"agent": "free"}
    tasks = [
        task("ten", name="holds_type", **free, priority="high"),
        task("other", name="holds_agent", starts_at=after(5), priority="high", **busy),
        task("ten", name="first", **busy),
        task("ten", name="second", priority="low", **free),
    ]
    limits: dict[str, Any] = {"agent_limits": {"busy": 1}, "task_type_limits": {"ten": 1}}
    out = run(staged(*tasks), {"busy": DESK, "free": DESK}, max_concurrent_tasks=9, **limits)
    assert out.starts("second") == [10]
    assert out.starts("first") == [20]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"agent_limits": {"dekc": 1}}, "agent_limits: there is no agent 'dekc'; did you mean 'desk'?"),
        ({"agent_limits": {"desk": 0}}, "agent_limits.desk is 0; give a whole number from 1 up"),
        ({"task_type_limits": {"ten": -1}}, "task_type_limits.ten is -1; give a whole number from 1 up"),
    ],
)
def test_a_limit_of_nobody_or_of_nothing_is_refused(limits: dict[str, object], message: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        WorkflowEngine({"desk": DESK}, SimpleNamespace(**limits))
    assert message in str(refused.value)


class Moody:
    """An agent that fails until a moment, and notes when it is asked."""

    def __init__(self, well_from: float) -> None:
        self.well_from = well_from
        self.asked: list[float] = []

    async def analyze(self, task_data: Any) -> object:
        now = asyncio.get_running_loop().time()
        self.asked.append(now)
        if now < self.well_from:
            raise RuntimeError("not now")
        await asyncio.sleep(1)
        return None


def alerts(out: Outcome) -> list[tuple[str, str]]:
    told = out.told(OrchestrationEvent.SYSTEM_ALERT)
    return [(data["at"][11:-1], data["message"]) for data in told if data["source"] == "circuit_breaker"]


def test_an_agent_that_keeps_failing_is_left_alone_and_then_tried_by_one_task() -> None:
    moody = Moody(well_from=20)
    tasks = [task("x", agent="moody", name=f"m{n}", max_retries=0) for n in range(8)]
    tasks.append(task("ten", name="meanwhile", starts_at=after(3)))
    out = run(staged(*tasks), {"moody": moody, "desk": DESK}, max_concurrent_tasks=5, agent_limits={"moody": 5})
    assert moody.asked == [0] * 5 + [30] + [31] * 2
    assert [out.status(f"m{n}") for n in range(8)] == ["failed"] * 5 + ["completed"] * 3
    assert out.starts("meanwhile") == [3]
    assert alerts(out) == [
        (
            "11:00:00",
            (
                "moody failed 5 times in a row or more, and is left alone until 2012-12-12T11:00:30Z; "
                "then one task tries it. CRITICAL tasks go on"
            ),
        ),
        ("11:00:31", "moody answers again"),
    ]


def test_a_probe_that_fails_has_it_left_alone_for_longer() -> None:
    moody = Moody(well_from=50)
    tasks = [task("x", agent="moody", name=f"m{n}", max_retries=0) for n in range(8)]
    out = run(staged(*tasks), {"moody": moody, "desk": DESK}, max_concurrent_tasks=9, agent_limits={"moody": 5})
    assert moody.asked == [0] * 5 + [30, 90, 91]
    assert len(alerts(out)) == 3


def test_critical_tasks_go_on_while_it_is_left_alone() -> None:
    moody = Moody(well_from=1)
    tasks = [task("x", agent="moody", name=f"m{n}", max_retries=0) for n in range(6)]
    tasks.append(task("x", agent="moody", name="c", priority="critical", starts_at=after(5)))
    out = run(staged(*tasks), {"moody": moody}, max_concurrent_tasks=5)
    assert out.starts("c") == [5]
    assert out.starts("m5") == [30]


def test_errors_that_tell_nothing_of_the_agent_do_not_count() -> None:
    async def wrong(task_data: Any) -> object:
        raise OutcomeUnknownError("who knows")

    tasks = [task("wrong", name=f"t{n}") for n in range(12)]
    out = run(staged(*tasks), {"desk": Scripted(wrong=wrong)}, max_concurrent_tasks=2)
    assert out.result["duration_s"] == 0
    assert alerts(out) == []


def test_attempts_that_time_out_count() -> None:
    tasks = [task("hang", name=f"t{n}", timeout=5, max_retries=0) for n in range(5)]
    assert len(alerts(run(staged(*tasks), {"desk": DESK}))) == 1


def test_the_breakers_can_be_looked_at() -> None:
    async def main() -> tuple[dict[str, BreakerState], ...]:
        world = await open_world({"desk": DESK, "idle": DESK})
        async with world.engine as engine:
            before = dict(engine.breakers)
            tasks = [task("boom", name=f"t{n}", max_retries=0) for n in range(5)]
            await engine.execute_workflow(await engine.create_workflow(staged(*tasks)))
            return before, dict(engine.breakers)

    assert simulated(main) == ({}, {"desk": BreakerState.OPEN})


def test_while_a_task_waits_for_its_agent_and_every_slot_is_taken_time_goes_on() -> None:
    moody = Moody(well_from=1)
    tasks = [task("x", agent="moody", name=f"m{n}", max_retries=0) for n in range(8)]
    tasks += tens(2, agent="desk", starts_at=after(25))
    out = run(
        staged(*tasks), {"moody": moody, "desk": DESK}, max_concurrent_tasks=2, agent_limits={"moody": 2, "desk": 2}
    )
    assert [out.starts("deskten0"), out.starts("deskten1")] == [[25], [25]]
    assert moody.asked[6:] == [35, 36]


def test_an_engine_that_winds_down_while_a_task_waits_for_its_agent_comes_to_its_end() -> None:
    async def main() -> tuple[bool, float]:
        world = await open_world({"moody": Moody(well_from=1), "desk": DESK})
        async with world.engine as engine:
            tasks = [task("x", agent="moody", name=f"m{n}", max_retries=0) for n in range(8)]
            run_id = await engine.create_workflow(staged(*tasks, *tens(1, starts_at=after(25))))
            caller = asyncio.create_task(engine.execute_workflow(run_id))
            await world.clock.sleep_until(after(28))
            calm, at = await engine.wind_down(after(60) - after(0)), world.clock.monotonic()
            await world.clock.sleep_until(after(40))
            await engine.cancel(run_id, "the day is over")
            await caller
        return calm, at

    assert simulated(main) == (True, 35)


def test_retries_after_an_outage_come_in_a_burst_and_then_one_by_one() -> None:
    async def main() -> list[float]:
        starts: list[float] = []

        async def work(task_data: Any) -> object:
            if task_data["execution"]["attempt"] == 1:
                await asyncio.sleep(1)
                raise RuntimeError("down")
            starts.append(asyncio.get_running_loop().time())
            return None

        agents = {f"a{n}": Scripted(work=work) for n in range(15)}  # so few each that no breaker opens
        world = await open_world(agents, max_concurrent_tasks=60)
        tasks = [task("work", agent=f"a{n % 15}", name=f"t{n}", retry_delays=[2]) for n in range(45)]
        result = await world.engine.execute_workflow(await world.engine.create_workflow(staged(*tasks)))
        assert result["status"] == "completed"
        return starts

    starts = simulated(main)
    assert starts[:RETRY_BURST] == [3] * RETRY_BURST
    assert [round(at, 1) for at in starts[RETRY_BURST:]] == [round(3 + 0.2 * n, 1) for n in range(1, 26)]


def test_what_waits_long_is_not_kept_from_going_by_what_is_more_important() -> None:
    async def look(world: World, run_id: str) -> None:
        await world.clock.sleep_until(after(300))
        await world.engine.cancel(run_id, "seen enough")

    tasks = [task("ten", name="patient", priority="low"), *tens(60, priority="high")]
    out = run(staged(*tasks), {"desk": DESK}, max_concurrent_tasks=1, meanwhile=look)
    assert len(out.starts("patient")) == 1
    assert 60 <= out.starts("patient")[0] <= 60 + 70 * 10
    assert order(out).index("patient") < 30
