"""A desk for day loops: agents that answer at once, a calendar made by hand, a clock that the test may step."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orchestration.adapters.memory.run_store import MemoryRunStore
from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.adapters.simulated.ids import SimulatedIds
from orchestration.adapters.simulated.loop import run_simulated
from orchestration.config import TradingConfig
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.json_value import JsonValue
from orchestration.engine.engine import WorkflowEngine
from orchestration.ports.clock import Clock
from orchestration.ports.market_data import MarketData
from orchestration.ports.run_store import RunStore
from orchestration.ports.trading_calendar import TradingCalendar
from tests.calendars import WeekdayCalendar
from tests.unit.simulated.steered_clock import SteeredClock
from workflows.daily_trading import DailyTradingWorkflow
from workflows.day_loop import DayLoop
from workflows.trading_day.day_plan import DayPlan

NAMES = (
    "junior_analyst",
    "senior_analyst",
    "economist",
    "portfolio_manager",
    "trade_execution",
    "analytics_reporting",
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class SteppedClock(SimulatedClock):
    """A simulated clock that a test may step, as a suspended machine's is when it wakes."""

    step = timedelta()

    def now(self) -> datetime:
        return super().now() + self.step


class NappingClock(SteeredClock):
    """The machine's own clock, which looks at the wall again after each nap; what waits by it alone waits too long."""

    async def quiet(self) -> None:
        await SimulatedClock(self.now()).quiet()


class Helper:
    """An agent that notes what it was asked and answers, or is still at it when ``slow`` names the task."""

    def __init__(self, slow: Mapping[str, float], clock: Clock) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._slow = slow
        self._clock = clock

    async def analyze(self, task_data: Mapping[str, JsonValue]) -> JsonValue:
        about: Any = task_data["execution"]
        self.asked.append((about["task"], dict(task_data)))
        if about["task"] in self._slow:
            await asyncio.sleep(self._slow[about["task"]])
        return {"task_type": about["task"], "by": about["id"]}


@dataclass(kw_only=True)
class World:
    """The parts, and what was heard of them."""

    clock: SteppedClock | NappingClock
    daily: DailyTradingWorkflow
    store: RunStore
    helpers: dict[str, Helper]
    home: Path
    said: list[tuple[datetime, OrchestrationEvent, Mapping[str, Any]]] = field(default_factory=list)
    ended: list[tuple[DayPlan, dict[str, Any]]] = field(default_factory=list)
    beats: list[datetime] = field(default_factory=list)

    def market(self, kind: str) -> list[Mapping[str, Any]]:
        """The details of the market events of one kind."""
        return [d["details"] for _, e, d in self.said if e is OrchestrationEvent.MARKET_EVENT and d["kind"] == kind]

    @property
    def alerts(self) -> list[str]:
        return [str(d["message"]) for _, e, d in self.said if e is OrchestrationEvent.SYSTEM_ALERT]

    @property
    def asked(self) -> list[str]:
        return [name for helper in self.helpers.values() for name, _ in helper.asked]

    async def hear(self, event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
        self.said.append((self.clock.now(), event, data))

    async def note(self, plan: DayPlan, result: dict[str, Any]) -> None:
        self.ended.append((plan, result))

    def beat(self) -> None:
        self.beats.append(self.clock.now())

    @asynccontextmanager
    async def looping(self, **options: Any) -> AsyncIterator[DayLoop]:
        """A loop that runs while the body does."""
        given = {"home": self.home, "beat": self.beat, "on_day_end": self.note, **options}
        loop = DayLoop(self.daily, **given)
        running = asyncio.create_task(loop.run())
        try:
            yield loop
            assert not running.done() or running.result()
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def until(self, text: str) -> None:
        await self.clock.sleep_until(utc(text))
        await self.clock.quiet()


def in_world(
    test: Callable[[World], Awaitable[None]],
    home: Path,
    start: str,
    *,
    calendar: TradingCalendar | None = None,
    market: MarketData | None = None,
    store: RunStore | None = None,
    slow: Mapping[str, float] | None = None,
    missing: str | None = None,
    napping: bool = False,
) -> World:
    """Run ``test`` on a simulated loop that stands at ``start``; ``missing`` is an agent that is not there.

    ``napping``: on the clock of a real desk rather than a simulated one.
    """
    store = store or MemoryRunStore()

    async def main() -> World:
        clock = NappingClock(utc(start)) if napping else SteppedClock(utc(start))
        helpers = {name: Helper(slow or {}, clock) for name in NAMES if name != missing}
        config = TradingConfig(home=home)
        async with WorkflowEngine(helpers, config, clock=clock, run_store=store, ids=SimulatedIds(clock)) as engine:
            daily = DailyTradingWorkflow(engine, config, calendar=calendar or WeekdayCalendar(), market_data=market)
            world = World(clock=clock, daily=daily, store=store, helpers=helpers, home=home)
            await engine.register_event_handler(None, world.hear)
            await test(world)
            return world

    return run_simulated(main)
