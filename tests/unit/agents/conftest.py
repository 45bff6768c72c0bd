"""A desk of three symbols with a year of prices, in memory."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from math import sin
from zoneinfo import ZoneInfo

import pytest

from agents.base import BaseAgent, Services
from agents.desk import build_agents
from orchestration.domain.desk import Desk
from orchestration.domain.json_value import JsonObject, JsonValue, to_json_value
from tests.doubles import ManualClock
from tests.fakes_market import FakeBroker, FixedMarket, bars

NOON = datetime(2012, 12, 12, 17, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")


def wave(start: float, drift: float, length: int = 260, noise: float = 1.0) -> list[float]:
    """Closes that drift, with some noise."""
    return [start * (1 + drift) ** n + noise * sin(n * 1.7) for n in range(length)]


@dataclass
class Room:
    """The desk of a test: change what you like, then ask an agent."""

    market: FixedMarket
    clock: ManualClock
    broker: FakeBroker
    desk: Desk

    def agents(self) -> dict[str, BaseAgent]:
        return build_agents(
            market_data=self.market, broker=self.broker, clock=self.clock, desk=self.desk, timezone=NEW_YORK
        )

    @property
    def services(self) -> Services:
        return next(iter(self.agents().values())).services

    def change(self, **changes: object) -> None:
        self.desk = replace(self.desk, **changes)  # type: ignore[arg-type]  # a test names fields of Desk

    async def ask(
        self, agent: str, task_type: str, inputs: dict[str, JsonValue] | None = None, **task_data: JsonValue
    ) -> JsonObject:
        """Have an agent do a task as the engine would; the result is JSON and says how and what."""
        execution: JsonObject = {
            "id": "run1",
            "workflow": "day",
            "stage": "stage",
            "task": task_type,
            "attempt": 1,
            "deadline": None,
            "session": str(date(2012, 12, 12)),
        }
        data = {"inputs": inputs or {}, "execution": execution, **task_data}
        result = await getattr(self.agents()[agent], f"execute_{task_type}")(data)
        assert isinstance(result, dict)
        assert to_json_value(result) == result
        assert result["task_type"] == task_type
        assert str(result["method"])
        assert str(result["conclusion"]).endswith(".")
        return result


@pytest.fixture
def room() -> Room:
    market = FixedMarket(
        {
            "DOWN": bars("DOWN", wave(200, -0.001)),
            "FLAT": bars("FLAT", wave(50, 0.0005)),
            "UP": bars("UP", wave(100, 0.002)),
        }
    )
    clock = ManualClock(NOON)
    desk = Desk(symbols=("DOWN", "FLAT", "UP"), cash=Decimal(1_000_000))
    return Room(market=market, clock=clock, broker=FakeBroker(market, clock), desk=desk)
