"""Document 003, block by block: what it shows of the engine, the day and the settings works as it is shown."""

import asyncio
from collections.abc import Mapping
from datetime import date, time
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from orchestration import (
    OrchestrationConfig,
    OrchestrationEvent,
    RetryStrategy,
    TaskPriority,
    TaskStatus,
    TradingConfig,
    WorkflowEngine,
)
from orchestration.controller import OrchestrationController
from orchestration.domain.errors import CircularDependencyError
from orchestration.domain.json_value import JsonValue
from tests.calendars import WeekdayCalendar
from workflows import DailyTradingWorkflow

AGENT_NAMES = (
    "junior_analyst",
    "senior_analyst",
    "economist",
    "portfolio_manager",
    "trade_execution",
    "analytics_reporting",
)
FRIDAY, SATURDAY = date(2012, 12, 14), date(2012, 12, 15)


@pytest.fixture
def mock_agents() -> dict[str, Mock]:
    """Mocks with coroutine methods, as the document makes them."""
    agents = {}
    for name in AGENT_NAMES:
        agent = Mock()
        agent.analyze = AsyncMock(return_value={"status": "success"})
        agent.execute_test = AsyncMock(return_value={"status": "success"})
        agents[name] = agent
    return agents


@pytest.fixture
def config() -> Mock:
    """A configuration in the document's upper-case spelling."""
    config = Mock()
    config.MAX_CONCURRENT_TASKS = 5
    return config


@pytest.fixture
def engine(mock_agents: dict[str, Mock], config: Mock) -> WorkflowEngine:
    return WorkflowEngine(mock_agents, config)


def task(task_type: str, *needs: str, **more: Any) -> dict[str, Any]:
    return {"agent": "junior_analyst", "task_type": task_type, "dependencies": list(needs), **more}


def staged(*tasks: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": "Test", "stages": {"test": {"tasks": list(tasks)}}}


# -- the blocks


def test_the_engine_takes_its_concurrency_from_the_config(engine: WorkflowEngine, mock_agents: dict[str, Mock]) -> None:
    assert engine.max_concurrent_tasks == 5
    assert engine.agents == mock_agents


async def test_the_definition_schema_of_the_api_reference_runs(engine: WorkflowEngine) -> None:
    definition = {
        "name": "Standard Trading Day",
        "stages": {
            "pre_market": {
                "tasks": [
                    {
                        "agent": "junior_analyst",
                        "task_type": "market_analysis",
                        "task_data": {"symbols": ["AAPL", "GOOGL"], "analysis_depth": "detailed"},
                        "priority": TaskPriority.HIGH.value,
                        "dependencies": [],
                        "timeout": 300,
                        "max_retries": 2,
                    }
                ]
            }
        },
    }
    result = await engine.execute_workflow(await engine.create_workflow(definition))
    assert result["status"] == "completed"
    assert result["tasks"]["market_analysis"]["result"] == {"status": "success"}
    sent = engine.agents["junior_analyst"].analyze.await_args.args[0]
    assert (sent["symbols"], sent["analysis_depth"]) == (["AAPL", "GOOGL"], "detailed")


async def test_the_task_of_the_execution_model_waits_for_what_it_names(engine: WorkflowEngine) -> None:
    definition = staged(
        task("market_analysis"),
        task("risk_assessment"),
        {
            "agent": "portfolio_manager",
            "task_type": "generate_trades",
            "dependencies": ["market_analysis", "risk_assessment"],
            "priority": TaskPriority.HIGH,
            "timeout": 600,
            "max_retries": 3,
        },
    )
    await engine.execute_workflow(await engine.create_workflow(definition))
    sent = engine.agents["portfolio_manager"].analyze.await_args.args[0]
    assert set(sent["inputs"]) == {"market_analysis", "risk_assessment"}


@pytest.mark.parametrize(("attempt", "delay"), [(0, 1.0), (1, 2.0), (5, 32.0), (6, 60.0), (2000, 60.0)])
def test_the_retry_strategy_doubles_up_to_its_ceiling(attempt: int, delay: float) -> None:
    assert RetryStrategy().get_retry_delay(attempt) == delay


def test_the_events_have_the_documents_names_and_values() -> None:
    named = {
        "WORKFLOW_STARTED", "WORKFLOW_COMPLETED", "WORKFLOW_FAILED", "TASK_STARTED", "TASK_COMPLETED", "TASK_FAILED",
        "TASK_RETRYING", "STAGE_STARTED", "STAGE_COMPLETED", "SYSTEM_ALERT", "AGENT_ERROR", "MARKET_EVENT",
    }  # fmt: skip
    assert named <= set(OrchestrationEvent.__members__)
    assert all(OrchestrationEvent[name].value == name.lower() for name in named)


async def test_a_registered_handler_gets_what_is_emitted(engine: WorkflowEngine) -> None:
    handler = AsyncMock()
    await engine.register_event_handler(OrchestrationEvent.SYSTEM_ALERT, handler)
    await engine.emit_event(OrchestrationEvent.SYSTEM_ALERT, {"message": "look"})
    await asyncio.sleep(0)
    handler.assert_awaited_once_with(OrchestrationEvent.SYSTEM_ALERT, {"message": "look"})


def test_the_variables_of_the_configuration_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    said = {
        "MAX_CONCURRENT_TASKS": "7", "DEFAULT_TASK_TIMEOUT": "120", "WORKFLOW_TIMEOUT": "1800",
        "MARKET_OPEN_TIME": "09:30", "MARKET_CLOSE_TIME": "16:00", "TIMEZONE": "America/New_York", "MAX_RETRIES": "2",
        "RETRY_BASE_DELAY": "0.5", "RETRY_MAX_DELAY": "30.0", "LOG_LEVEL": "WARNING", "METRICS_ENABLED": "false",
        "ALERT_WEBHOOK_URL": "https://alerts.invalid/hook",
    }  # fmt: skip
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    read = TradingConfig(home=tmp_path)
    assert (read.max_concurrent_tasks, read.default_task_timeout, read.workflow_timeout) == (7, 120, 1800)
    assert (read.market_open_time, read.market_close_time) == (time(9, 30), time(16))
    assert (read.timezone, read.max_retries, read.retry_base_delay, read.retry_max_delay) == (
        "America/New_York", 2, 0.5, 30.0,
    )  # fmt: skip
    assert (read.log_level, read.metrics_enabled, read.alert_webhook_url) == (
        "WARNING", False, "https://alerts.invalid/hook",
    )  # fmt: skip


def test_the_configuration_class_has_the_documents_defaults() -> None:
    config = OrchestrationConfig()
    assert (config.max_concurrent_tasks, config.default_task_timeout, config.workflow_timeout) == (5, 300, 3600)
    assert (config.enable_retry, config.max_retries, config.health_check_interval) == (True, 3, 60)


# -- the tests that it lists


async def test_tasks_run_in_the_order_of_their_dependencies(engine: WorkflowEngine) -> None:
    order: list[str] = []

    def noting(name: str) -> AsyncMock:
        async def note(data: Mapping[str, JsonValue]) -> dict[str, str]:
            order.append(name)
            return {"status": "success"}

        return AsyncMock(side_effect=note)

    for name in ("first", "second", "third"):
        setattr(engine.agents["junior_analyst"], f"execute_{name}", noting(name))
    definition = staged(task("third", "second"), task("first"), task("second", "first"))
    await engine.execute_workflow(await engine.create_workflow(definition))
    assert order == ["first", "second", "third"]


async def test_a_circle_is_refused_when_the_workflow_is_created(engine: WorkflowEngine) -> None:
    with pytest.raises(CircularDependencyError, match="first"):
        await engine.create_workflow(staged(task("first", "second"), task("second", "first")))


async def test_a_task_that_fails_once_is_retried_and_completes(mock_agents: dict[str, Mock]) -> None:
    mock_agents["junior_analyst"].execute_test = AsyncMock(side_effect=[ValueError("no"), {"status": "success"}])
    config = OrchestrationConfig()
    config.retry_base_delay = 0.0  # type: ignore[attr-defined]  # a setting of the engine that the document has not
    engine = WorkflowEngine(mock_agents, config)
    result = await engine.execute_workflow(await engine.create_workflow(staged(task("test", max_retries=2))))
    assert result["tasks"]["test"]["status"] == TaskStatus.COMPLETED
    assert result["tasks"]["test"]["attempts"] == 2


async def test_no_more_tasks_run_at_once_than_allowed(mock_agents: dict[str, Mock]) -> None:
    running = most = 0

    async def work(data: Mapping[str, JsonValue]) -> dict[str, str]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return {"status": "success"}

    mock_agents["junior_analyst"].execute_test = AsyncMock(side_effect=work)
    engine = WorkflowEngine(mock_agents, OrchestrationConfig(max_concurrent_tasks=3))
    tasks = [task("test", name=f"task {number}") for number in range(10)]
    result = await engine.execute_workflow(await engine.create_workflow(staged(*tasks)))
    assert (result["status"], most) == ("completed", 3)


async def test_a_run_emits_its_events_in_order(engine: WorkflowEngine) -> None:
    seen: list[OrchestrationEvent] = []

    async def handler(event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
        seen.append(event)

    await engine.register_event_handler(None, handler)
    await engine.execute_workflow(await engine.create_workflow(staged(task("test"))))
    assert seen == [
        OrchestrationEvent.WORKFLOW_STARTED,
        OrchestrationEvent.STAGE_STARTED,
        OrchestrationEvent.TASK_STARTED,
        OrchestrationEvent.TASK_COMPLETED,
        OrchestrationEvent.STAGE_COMPLETED,
        OrchestrationEvent.WORKFLOW_COMPLETED,
    ]


async def test_one_failing_agent_leaves_the_others_work_alone(engine: WorkflowEngine) -> None:
    engine.agents["economist"].execute_test = AsyncMock(side_effect=RuntimeError("down"))
    definition = staged(
        task("test", name="works"),
        {"agent": "economist", "task_type": "test", "name": "fails", "max_retries": 0},
        task("test", "fails", name="needs it"),
    )
    result = await engine.execute_workflow(await engine.create_workflow(definition))
    statuses = {name: outcome["status"] for name, outcome in result["tasks"].items()}
    assert statuses == {"works": "completed", "fails": "failed", "needs it": "skipped"}
    assert result["status"] == "failed"


# -- the day


@pytest.fixture
def daily(engine: WorkflowEngine, config: Mock) -> DailyTradingWorkflow:
    return DailyTradingWorkflow(engine, config, calendar=WeekdayCalendar())


def test_the_daily_workflow_has_the_documents_attributes(daily: DailyTradingWorkflow, engine: WorkflowEngine) -> None:
    assert daily.workflow_engine is engine
    assert (daily.market_open_time, daily.market_close_time) == (time(9, 30), time(16, 0))


def test_a_standard_day_has_the_stages_of_the_execution_model(daily: DailyTradingWorkflow) -> None:
    plan = daily.plan_day(date(2012, 12, 4))
    assert plan.day_types == ("standard",)
    assert [stage.name for stage in plan.stages] == ["pre_market", "market_open", "intraday", "close", "post_market"]


@pytest.mark.parametrize(
    ("day", "kind"),
    [(date(2012, 12, 12), "fomc"), (date(2012, 12, 21), "monthly_expiration"), (date(2012, 11, 23), "early_close")],
)
def test_special_days_are_known(engine: WorkflowEngine, config: Mock, day: date, kind: str) -> None:
    assert kind in DailyTradingWorkflow(engine, config).plan_day(day).day_types


def test_an_earnings_day_is_known(engine: WorkflowEngine, tmp_path: Any) -> None:
    (tmp_path / "earnings.csv").write_text("symbol,date,when\nAAPL,2012-12-04,after\n", encoding="utf-8")
    (tmp_path / "desk.yaml").write_text("symbols: [AAPL]\n", encoding="utf-8")
    daily = DailyTradingWorkflow(engine, TradingConfig(home=tmp_path), calendar=WeekdayCalendar())
    assert daily.plan_day(date(2012, 12, 4)).day_types == ("earnings",)


async def test_on_a_closed_day_nothing_runs(daily: DailyTradingWorkflow) -> None:
    result = await daily.run_day(daily.plan_day(SATURDAY))
    assert result == {"status": "market_closed", "reason": "weekend", "next_session": "2012-12-17"}


def test_the_status_says_what_runs_and_how_the_last_day_ended(daily: DailyTradingWorkflow) -> None:
    assert daily.get_status()["running"] == {}
    assert daily.get_status()["last"] is None


# -- the controller


async def test_the_controller_has_the_documents_attributes_and_starts_and_stops(tmp_path: Path) -> None:
    config = TradingConfig(home=tmp_path, port=0)
    controller = OrchestrationController(config)
    assert controller.config is config
    assert (controller.agents, controller.workflow_engine, controller.daily_workflow) == ({}, None, None)
    await controller.startup_system()
    assert sorted(controller.agents) == sorted(AGENT_NAMES)
    assert isinstance(controller.workflow_engine, WorkflowEngine)
    assert isinstance(controller.daily_workflow, DailyTradingWorkflow)
    await controller.shutdown_system("the test is over")
    assert not controller.get_system_status()["system_running"]


async def test_the_status_response_has_the_documents_shape(tmp_path: Path) -> None:
    async with OrchestrationController(TradingConfig(home=tmp_path, port=0)) as controller:
        status = controller.get_system_status()
    assert status["system_running"] is True
    assert isinstance(status["startup_time"], str)
    assert status["uptime_seconds"] >= 0
    assert (status["agents"]["total"], status["agents"]["healthy"]) == (6, 6)
    assert set(status["agents"]["names"]) == set(AGENT_NAMES)
    assert set(status["workflow_engine"]) == {"active_executions", "completed_executions", "failed_executions"}
    assert set(status["statistics"]) == {
        "workflows_executed",
        "total_tasks_completed",
        "average_task_duration",
        "success_rate",
    }
