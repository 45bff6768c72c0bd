"""A wall clock that is set, or a machine that slept: what is to last so long lasts so long, what is dated is dated."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.engine.engine import WorkflowEngine
from orchestration.engine.runner import LOOK_S
from tests.unit.engine.world import START, Scripted, after, at_once, boom, for_ever, lasting, simulated, staged, task
from tests.unit.workflows.desk_world import SteppedClock

CONFIG = SimpleNamespace(max_concurrent_tasks=5)
HOUR = timedelta(hours=1)


def lived(definition: dict[str, Any], step: timedelta, *, at_s: float = 5) -> tuple[dict[str, Any], float]:
    """Run ``definition`` while the clock is set by ``step`` after ``at_s`` seconds; return the result, and how long."""

    async def main() -> tuple[dict[str, Any], float]:
        clock = SteppedClock(START)
        agents = {"desk": Scripted(ten=lasting(10), hang=for_ever, fail=boom, quick=at_once)}
        async with WorkflowEngine(agents, CONFIG, clock=clock) as engine:
            running = asyncio.create_task(engine.execute_workflow(await engine.create_workflow(definition)))
            await asyncio.sleep(at_s)
            clock.step = step
            return await running, SimulatedClock(START).monotonic()

    return simulated(main)


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_an_attempt_has_its_whole_time_and_no_more(step: timedelta) -> None:
    result, took = lived(staged(task("ten", timeout=30, max_retries=0), task("hang", timeout=30, max_retries=0)), step)
    assert result["tasks"]["ten"]["status"] == "completed"
    assert result["tasks"]["hang"]["status"] == "timeout"
    assert 30 <= took <= 30 + LOOK_S


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_retry_comes_after_its_delay(step: timedelta) -> None:
    result, took = lived(staged(task("fail", max_retries=1, retry_delays=[60])), step)
    assert result["tasks"]["fail"]["attempts"] == 2
    assert 60 <= took <= 60 + LOOK_S


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_run_has_its_whole_time_and_no_more(step: timedelta) -> None:
    result, took = lived({**staged(task("hang", timeout=500)), "timeout": 100}, step)
    assert result["tasks"]["hang"]["status"] == "timeout"
    assert 100 <= took <= 100 + LOOK_S


def test_what_is_dated_goes_by_the_clock_as_it_is() -> None:
    dated = {"name": "d", "stages": {"later": {"starts_at": after(7200).isoformat(), "tasks": [task("quick")]}}}
    result, took = lived(dated, HOUR)
    assert result["status"] == "completed"
    assert 3600 <= took <= 3600 + LOOK_S
