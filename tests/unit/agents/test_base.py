"""What every agent has."""

import asyncio
from collections.abc import Mapping
from importlib.metadata import EntryPoint, EntryPoints
from types import SimpleNamespace

import pytest

from agents import desk as desk_module
from agents.base import BaseAgent
from agents.desk import build_agents, from_plug_in
from orchestration.domain.errors import DefinitionError
from orchestration.domain.json_value import JsonValue
from orchestration.ports.agent import Agent
from tests.unit.agents.conftest import Room

TASK_TYPES = {
    "junior_analyst": {"data_collection", "market_analysis", "market_monitoring"},
    "economist": {"macro_assessment", "fomc_preview", "statement_analysis", "volatility_assessment"},
    "senior_analyst": {
        "opportunity_identification",
        "validate_trades",
        "earnings_analysis",
        "expiration_review",
        "next_day_preparation",
    },
    "portfolio_manager": {
        "portfolio_review",
        "risk_assessment",
        "generate_trades",
        "risk_monitoring",
        "rebalance",
        "exposure_cut",
        "post_statement_adjustment",
        "close_expiring_positions",
        "pin_risk_check",
        "position_check",
    },
    "trade_execution": {"execute_trades", "order_tracking", "cancel_open_orders", "reconcile_positions"},
    "analytics_reporting": {"performance_analysis", "report_generation", "system_maintenance"},
}


class Echo(BaseAgent):
    name = "echo"

    async def execute_echo(self, task_data: Mapping[str, JsonValue]) -> JsonValue:
        return task_data["say"]


def test_the_six_agents_declare_what_they_do(room: Room) -> None:
    agents = room.agents()
    assert {name: set(agent.task_types) for name, agent in agents.items()} == TASK_TYPES
    assert all(isinstance(agent, Agent) for agent in agents.values())


async def test_every_task_answers_without_any_input(room: Room) -> None:
    for agent, task_types in TASK_TYPES.items():
        for task_type in sorted(task_types):
            await room.ask(agent, task_type)


async def test_every_task_answers_when_its_inputs_were_skipped(room: Room) -> None:
    skipped: dict[str, JsonValue] = {t: None for types in TASK_TYPES.values() for t in sorted(types)}
    for agent, task_types in TASK_TYPES.items():
        for task_type in sorted(task_types):
            await room.ask(agent, task_type, skipped)


async def test_every_task_answers_where_no_symbol_has_a_price(room: Room) -> None:
    for agent, task_types in TASK_TYPES.items():
        for task_type in sorted(task_types):
            await room.ask(agent, task_type, symbols=["NOPE"])


async def test_a_task_works_without_an_execution(room: Room) -> None:
    result = await room.agents()["junior_analyst"].execute_data_collection({})  # type: ignore[attr-defined]  # by its declared task type
    assert result["usable"] == ["DOWN", "FLAT", "UP"]


async def test_health_counts_and_remembers_the_last_error(room: Room) -> None:
    agent = Echo(room.services)
    assert await agent.health() == {"status": "healthy", "tasks_done": 0, "failures": 0, "last_error": None}
    with pytest.raises(KeyError):
        await agent.execute_echo({})
    health = await agent.health()
    assert (health["status"], health["failures"], health["last_error"]) == ("degraded", 1, "KeyError: 'say'")
    assert await agent.execute_echo({"say": "hello"}) == "hello"
    assert (await agent.health())["status"] == "healthy"


async def test_a_stopped_agent_says_so_and_can_be_started_again(room: Room) -> None:
    agent = Echo(room.services)
    await agent.stop()
    assert (await agent.health())["status"] == "stopped"
    await agent.start()
    assert (await agent.health())["status"] == "healthy"


async def test_being_cancelled_is_no_failure(room: Room) -> None:
    class Waits(BaseAgent):
        async def execute_wait(self, task_data: Mapping[str, JsonValue]) -> JsonValue:
            await asyncio.Event().wait()
            return None

    agent = Waits(room.services)
    task = asyncio.ensure_future(agent.execute_wait({}))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await agent.health())["failures"] == 0


async def test_what_an_agent_cannot_do_is_refused_with_what_it_can(room: Room) -> None:
    with pytest.raises(DefinitionError, match=r"'echo' .* it does: echo"):
        await Echo(room.services).analyze({})


def test_a_task_method_is_a_coroutine_function() -> None:
    with pytest.raises(DefinitionError, match="async def"):

        class Wrong(BaseAgent):
            def execute_it(self, task_data: Mapping[str, JsonValue]) -> None:
                """Not a coroutine function."""


def test_a_subclass_can_do_what_its_parent_can() -> None:
    class More(Echo):
        async def execute_more(self, task_data: Mapping[str, JsonValue]) -> JsonValue:
            return None

    assert More.task_types == {"echo", "more"}
    assert Echo.task_types == {"echo"}


def test_a_missing_plug_in_is_named() -> None:
    with pytest.raises(DefinitionError, match=r"'belltower\.nothing'"):
        from_plug_in("belltower.nothing")


def test_a_plug_in_is_loaded(monkeypatch: pytest.MonkeyPatch, room: Room) -> None:
    point = EntryPoint(name="x", value="builtins:dict", group="belltower.x")
    monkeypatch.setattr(desk_module, "entry_points", lambda group: EntryPoints([point]).select(group=group))
    assert from_plug_in("belltower.x") is dict


def test_the_zone_comes_from_the_settings_and_is_new_york_otherwise(room: Room) -> None:
    def zone(config: object) -> str:
        agents = build_agents(market_data=room.market, broker=room.broker, config=config, desk=room.desk)
        return agents["economist"].services.timezone.key

    assert zone(SimpleNamespace(timezone="Europe/London")) == "Europe/London"
    assert zone(None) == "America/New_York"


def test_without_a_desk_every_symbol_with_prices_is_traded(room: Room) -> None:
    agents = build_agents(market_data=room.market, broker=room.broker)
    assert agents["economist"].services.desk.symbols == ("DOWN", "FLAT", "UP")


@pytest.mark.parametrize(
    ("task_data", "message"),
    [
        ({"symbols": "UP"}, "symbols is 'UP'"),
        ({"symbols": [1]}, "symbols is"),
        ({"alert_move": "much"}, "alert_move is 'much'"),
        ({"alert_move": True}, "alert_move is True"),
        ({"alert_move": 7}, "from 0 to 1"),
    ],
)
async def test_wrong_task_data_is_refused(room: Room, task_data: dict[str, JsonValue], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        await room.ask("junior_analyst", "market_monitoring", None, **task_data)


@pytest.mark.parametrize("at", ["noon", "2012-12-12T17:30:00"])
async def test_an_instant_has_a_zone(room: Room, at: str) -> None:
    with pytest.raises(DefinitionError, match="statement_at"):
        await room.ask("economist", "fomc_preview", statement_at=at)
