"""What 003's users hand the engine: mocks, and settings of any kind."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from orchestration.config import OrchestrationConfig
from orchestration.domain.errors import DefinitionError
from orchestration.engine.engine import WorkflowEngine
from orchestration.engine.engine_settings import EngineSettings
from tests.unit.engine.world import START, Scripted, after, at_once, open_world, simulated, staged, task


@pytest.fixture
def mock_agents() -> dict[str, Mock]:
    """The fixture of 003."""
    agents = {}
    for name in ("junior_analyst", "portfolio_manager"):
        agent = Mock()
        agent.analyze = AsyncMock(return_value={"status": "success"})
        agent.execute_test = AsyncMock(return_value={"status": "success"})
        agents[name] = agent
    return agents


async def test_the_mocks_of_003_do_the_work(mock_agents: dict[str, Mock]) -> None:
    config = Mock()
    config.MAX_CONCURRENT_TASKS = 2
    engine = WorkflowEngine(mock_agents, config)
    assert engine.agents == mock_agents
    assert engine.max_concurrent_tasks == 2
    definition = staged(
        task("test", agent="junior_analyst", task_data={"x": 1}), task("review", "test", agent="portfolio_manager")
    )
    result = await engine.execute_workflow(await engine.create_workflow(definition))
    assert [part["result"] for part in result["tasks"].values()] == [{"status": "success"}] * 2
    given = mock_agents["junior_analyst"].execute_test.await_args.args[0]
    assert (given["x"], given["inputs"]) == (1, {})
    assert mock_agents["portfolio_manager"].analyze.await_args.args[0]["inputs"] == {"test": {"status": "success"}}


async def test_a_mock_without_a_coroutine_is_refused(mock_agents: dict[str, Mock]) -> None:
    engine = WorkflowEngine({"junior_analyst": Mock()}, Mock())
    with pytest.raises(DefinitionError, match="has no coroutine function execute_test and no analyze"):
        await engine.create_workflow(staged(task("test", agent="junior_analyst")))


def test_an_agent_that_sleeps_for_half_an_hour_costs_no_time_and_lands_at_the_right_moment() -> None:
    async def doze(task_data: Mapping[str, Any]) -> object:
        await asyncio.sleep(1800)
        return None

    async def main() -> tuple[dict[str, Any], object]:
        world = await open_world({"desk": Scripted(doze=doze, a=at_once)}, default_task_timeout=3600)
        run_id = await world.engine.create_workflow(staged(task("doze"), task("a", "doze")))
        return await world.engine.execute_workflow(run_id), world.clock.now()

    result, now = simulated(main)
    assert now == after(1800)
    assert result["tasks"]["a"]["started_at"] == "2012-12-12T11:30:00Z"
    assert after(0) == START


@pytest.mark.parametrize(
    "config",
    [
        OrchestrationConfig(max_concurrent_tasks=2, max_retries=1),
        SimpleNamespace(MAX_CONCURRENT_TASKS=2, MAX_RETRIES=1),
        SimpleNamespace(max_concurrent_tasks=2, max_retries=1),
        Mock(max_concurrent_tasks=2, MAX_RETRIES=1),
    ],
)
def test_settings_are_read_in_either_spelling(config: object) -> None:
    settings = EngineSettings.read(config)
    assert (settings.max_concurrent_tasks, settings.max_retries) == (2, 1)
    assert (settings.default_task_timeout, settings.workflow_timeout, settings.enable_retry) == (300, 3600, True)
    assert (settings.retry_strategy.base_delay, settings.retry_strategy.max_delay) == (1.0, 60.0)


def test_what_is_not_there_has_its_default() -> None:
    assert EngineSettings.read(object()) == EngineSettings.read(Mock()) == EngineSettings()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"max_concurrent_tasks": 0}, "max_concurrent_tasks is 0; it is at least 1"),
        ({"MAX_RETRIES": -1}, "max_retries is -1; it is at least 0"),
        ({"default_task_timeout": 0}, "default_task_timeout is 0; it is a positive number of seconds"),
        ({"workflow_timeout": float("nan")}, "workflow_timeout is nan; it is a positive number of seconds"),
        ({"workflow_timeout": 1e300}, "workflow_timeout is 1e.300"),
        ({"retry_base_delay": -1}, "retry_base_delay is -1; it is a number of seconds from 0 up"),
        ({"retry_max_delay": float("inf")}, "retry_max_delay is inf"),
        ({"MAX_CONCURRENT_TASKS": "10"}, "MAX_CONCURRENT_TASKS is the text '10'; give a number"),
    ],
)
def test_settings_that_make_no_sense_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        EngineSettings.read(SimpleNamespace(**config))
