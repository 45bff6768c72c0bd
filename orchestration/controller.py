"""OrchestrationController: start the parts in order, watch them, stop them in reverse."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import date, datetime, timedelta
from importlib.metadata import version
from typing import Any

from agents.base import BaseAgent
from orchestration.api.doors import open_doors
from orchestration.api.schemas import Address
from orchestration.config import TradingConfig
from orchestration.days.day_types import DayType
from orchestration.domain.errors import DefinitionError, OrchestrationError
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.halts import Halt, HaltLevel
from orchestration.domain.health import ComponentHealth, Health, Readiness
from orchestration.domain.json_value import JsonObject
from orchestration.domain.records import Record, RunSummary
from orchestration.engine.engine import JOURNAL, WorkflowEngine
from orchestration.ports.clock import Clock
from orchestration.system.clock import WallClock
from orchestration.system.home_lock import home_lock
from orchestration.telemetry.health_board import HealthBoard
from orchestration.telemetry.metrics import CONTENT_TYPE, Metrics
from orchestration.telemetry.statistics import Statistics
from orchestration.telemetry.upkeep import first_error, keep_up, pause
from orchestration.wiring import DAY_LOOP, HISTORY, LiveParts, live_desk, preload_figures
from workflows.daily_trading import DailyTradingWorkflow
from workflows.overdue_stages import overdue_stages
from workflows.trading_day.day_plan import DayPlan, iso

GRACE = timedelta(seconds=12)
"""How long the stop waits for work that is under way before it is cancelled; the whole stop may take 20 s."""
HEALTH_CHECKS, DAYS = "health checks", "days"
SLACK = timedelta(seconds=60)

_log = logging.getLogger(__name__)


class OrchestrationController:
    """A desk that runs by itself. Also an async context manager.

    The parts live in one task of their own, so that whoever starts them need not be who stops them.
    """

    def __init__(self, config: TradingConfig, *, clock: Clock | None = None) -> None:
        self.config = config
        self.agents: dict[str, BaseAgent] = {}
        self.workflow_engine: WorkflowEngine | None = None
        self.daily_workflow: DailyTradingWorkflow | None = None
        self.address: Address | None = None
        self._clock: Clock = clock or WallClock()
        self._parts: LiveParts | None = None
        self._started_at: datetime | None = None
        self._stop_reason: str | None = None
        self._stop = asyncio.Event()
        self._doors = AsyncExitStack()
        self._up = asyncio.Event()
        self._looked = asyncio.Event()
        self._life: asyncio.Task[None] | None = None
        self._when_warm: Callable[[], None] | None = None
        self._board = HealthBoard(self._clock)
        self._statistics = Statistics()
        self._metrics = Metrics(
            self._clock, mode=config.mode, version=version("belltower"), enabled=config.metrics_enabled
        )

    async def __aenter__(self) -> "OrchestrationController":
        await self.startup_system()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.shutdown_system("the body ended")

    async def startup_system(self) -> None:
        """Start every part; return once all of them are up.

        A part that does not start stops the start: those before it are stopped again, and its error is raised.
        """
        if self.alive():
            raise DefinitionError("the system was started already; stop it first")
        self._stop.clear()
        self._stop_reason = None
        self._up.clear()
        self._looked.clear()
        self._life = asyncio.create_task(self._live(), name="controller")
        up = asyncio.create_task(self._up.wait())
        try:
            await asyncio.wait([self._life, up], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self.shutdown_system("the start was cancelled")
            raise
        finally:
            up.cancel()
            await asyncio.wait([up])
        if not self._up.is_set():
            life, self._life = self._life, None
            await life

    async def shutdown_system(self, reason: str) -> None:
        """Take no new work, give what is under way `GRACE`, stop every part in reverse. Again: nothing happens."""
        self.request_stop(reason)
        life, self._life = self._life, None
        if life is not None:
            await life

    def request_stop(self, reason: str) -> None:
        """Ask for the stop and return at once; the first reason is the one that counts."""
        self._stop_reason = self._stop_reason or reason
        self._stop.set()

    async def run(self, *, when_warm: Callable[[], None] | None = None) -> None:
        """Start, run until the stop is asked for, and stop. Raises what brought the system down.

        ``when_warm`` is called once all that a day needs is imported, which is later than the start.
        """
        self._when_warm = when_warm
        await self.startup_system()
        if self._life is not None:
            await self._life

    # -- what the doors ask

    def alive(self) -> bool:
        """Whether the loop turns: whoever gets an answer knows."""
        return self._life is not None and not self._life.done()

    def readiness(self) -> Readiness:
        """Whether every required part is fit."""
        return self._board.readiness()

    def components(self) -> Sequence[ComponentHealth]:
        """Every part and dependency."""
        return self._board.components()

    def get_system_status(self) -> dict[str, Any]:
        """The status of document 003; ``startup_time`` is ISO 8601 in UTC, null before the start."""
        engine = self.workflow_engine
        counts = engine.counts() if engine else WorkflowEngine({}, self.config).counts()
        healthy = sum(agent.healthy for agent in self.agents.values())
        started = self._started_at
        halt = self._parts.switch.current if self._parts else None
        return {
            "system_running": self._up.is_set(),
            "startup_time": iso(started) if started else None,
            "uptime_seconds": (self._clock.now() - started).total_seconds() if started else 0,
            "agents": {"total": len(self.agents), "healthy": healthy, "names": list(self.agents)},
            "workflow_engine": counts,
            "statistics": self._statistics.to_json(),
            "halt": None if halt is None else _halt_row(halt),
            "halt_left": [
                f"{left.subject}: {left.reason}" for left in (self._parts.switch.left if self._parts else ())
            ],
            "last_report": self._last_report(),
            "mode": self.config.mode,
            "prices": self._parts.market_data.source if self._parts else None,
        }

    def plan(self, on: date | None) -> JsonObject:
        """The plan of ``on``, today's for ``None``."""
        daily = self._need().daily
        today = self._clock.now().astimezone(daily.calendar.timezone).date()
        return daily.plan_day(on or today).to_json()

    async def executions(self, *, limit: int) -> Sequence[RunSummary]:
        """The newest runs, newest first."""
        return await self._need().run_store.runs(limit=limit)

    async def execution(self, execution_id: str) -> JsonObject:
        """A run's result, or how far it has come."""
        return await self._need().engine.describe(execution_id)

    async def events(self, execution_id: str) -> Sequence[Record]:
        """A run's journal."""
        records = await self._need().run_store.records(execution_id)
        if not records:
            raise DefinitionError(f"there is no run {execution_id!r}")
        return records

    async def cancel(self, execution_id: str, reason: str) -> None:
        """End a run."""
        await self._need().engine.cancel(execution_id, reason)

    async def halt(self, level: HaltLevel, reason: str, by: str) -> Halt:
        """Stop trading in the way of ``level``."""
        parts = self._need()
        halt = await parts.switch.halt(level, reason, by)
        self._metrics.set_halt(halt)
        parts.relay.add("halt", str(halt))
        return halt

    async def resume(self, reason: str, by: str) -> None:
        """Lift the halt."""
        parts = self._need()
        await parts.switch.resume(reason, by)
        self._metrics.set_halt(None)
        parts.relay.add("halt", f"lifted by {by}: {reason}")

    async def run_health_checks(self) -> Sequence[ComponentHealth]:
        """Look at every part now, and return how each is."""
        parts = self._need()
        await self._board.run_checks()
        if parts.switch.left and _is_open(parts, self._clock.now()):
            await parts.switch.carry_out()
        for name, agent in parts.agents.items():
            self._metrics.set_agent_health(name, healthy=agent.healthy)
        self._metrics.observe_orders(await parts.broker.orders())
        self._metrics.set_equity((await parts.broker.account()).equity)
        self._metrics.set_halt(parts.switch.current)
        self._metrics.set_calendar_end(parts.calendar.span[1])
        return self._board.components()

    # -- the life of the parts, in one task

    async def _live(self) -> None:
        home = self.config.home
        try:
            async with AsyncExitStack() as stack:
                stack.enter_context(home_lock(home))
                parts = await self._open(stack)
                try:
                    async with asyncio.TaskGroup() as group:
                        self._doors = await stack.enter_async_context(AsyncExitStack())
                        doors = open_doors(
                            self,
                            self.config,
                            tokens=parts.tokens,
                            clock=self._clock,
                            metrics=self._render if self.config.metrics_enabled else None,
                            tasks=group,
                        )
                        self.address = await self._doors.enter_async_context(doors)
                        loops = [
                            group.create_task(self._kept_up(DAYS, self._run_days), name=DAYS),
                            group.create_task(self._kept_up(HEALTH_CHECKS, self._health_loop), name=HEALTH_CHECKS),
                            group.create_task(self._kept_up(HISTORY, parts.history.run), name=HISTORY),
                            group.create_task(parts.deadlines.run(), name="deadlines"),
                            *(group.create_task(self._go_on(run_id), name=run_id) for run_id in parts.recovered),
                        ]
                        self._up.set()
                        _log.info("the desk runs: %s", parts.market_data.source)
                        await self._stop.wait()
                        _log.info("stopping: %s", self._stop_reason)
                        self._board.set(DAYS, Health.STOPPED, self._stop_reason)
                        await parts.engine.wind_down(GRACE)
                        for loop in loops:
                            loop.cancel()
                        await self._doors.aclose()
                finally:
                    self._up.clear()
        except BaseExceptionGroup as group:
            raise first_error(group) from group
        finally:
            self._parts = None

    async def _open(self, stack: AsyncExitStack) -> LiveParts:
        """Start what needs no loop of its own; the stack stops it in reverse."""
        parts = await stack.enter_async_context(live_desk(self.config, self._clock, self._board, self._metrics))
        self._parts, self._started_at = parts, self._clock.now()
        self.agents, self.workflow_engine, self.daily_workflow = dict(parts.agents), parts.engine, parts.daily
        for observer in (self._statistics, self._metrics):
            parts.engine.observe(observer)
        await parts.engine.register_event_handler(None, parts.relay)
        await parts.engine.register_event_handler(OrchestrationEvent.SYSTEM_ALERT, self._look_at_once)
        self._board.register(DAYS)
        self._board.register(HEALTH_CHECKS)
        self._board.add_check("store", lambda: _look_at_store(parts))
        self._board.add_check("broker", lambda: _answered(parts.broker.account()))
        self._board.add_check("prices", self._look_at_prices)
        for name, agent in parts.agents.items():
            await agent.start()
            stack.push_async_callback(agent.stop)
            self._board.add_check(f"agent {name}", lambda agent=agent: _look_at(agent), required=False)  # type: ignore[misc]  # the default binds this agent
        await parts.switch.carry_out()
        return parts

    async def _look_at_once(self, event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
        """Have readiness say now, not at the next health check, that the store is out or back."""
        if data.get("source") == JOURNAL:
            await self._board.run_checks()

    async def _go_on(self, run_id: str) -> None:
        """Carry out what a dead process began; what goes wrong with it harms nobody else."""
        try:
            result = await self._need().engine.execute_workflow(run_id)
        except OrchestrationError as error:
            await self._need().report("engine", f"execution {run_id} did not go on: {error}")
        else:
            _log.info("execution %s, begun by an earlier process, %s", run_id, result["status"])

    async def _kept_up(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        await keep_up(name, work, clock=self._clock, board=self._board, report=self._need().report)

    async def _run_days(self) -> None:
        """Run day after day, once all that a day needs is imported: no start waits for that, nor the loop in a day."""
        parts = self._need()
        parts.deadlines.beat(DAY_LOOP)
        await self._looked.wait()  # the imports would hold up what makes the desk ready
        await asyncio.to_thread(preload_figures)
        if self._when_warm is not None:
            self._when_warm()
        await parts.day_loop.run()

    async def _health_loop(self) -> None:
        parts = self._need()
        interval = timedelta(seconds=self.config.health_check_interval)
        parts.deadlines.promise(HEALTH_CHECKS, 2 * interval + SLACK)
        while True:
            try:
                await self.run_health_checks()
            finally:
                self._looked.set()
            parts.deadlines.beat(HEALTH_CHECKS)
            await pause(self._clock, interval.total_seconds())

    async def _look_at_prices(self) -> str | None:
        parts = self._need()
        today = self._clock.now().astimezone(parts.calendar.timezone).date()
        if parts.calendar.session(today) is None:
            return None
        usable = [s for s in parts.desk.desk.symbols if parts.market_data.has_prices(s, today)]
        if not usable:
            raise OrchestrationError(f"no symbol of the desk has a usable price on {today}: no order task runs")
        missing = sorted(set(parts.desk.desk.symbols) - set(usable))
        return f"no usable price today: {', '.join(missing)}" if missing else None

    def _tell_session(self, parts: LiveParts) -> None:
        """Tell the metrics what phase the day is in, what of it is overdue, and when the next bell rings."""
        now = self._clock.now()
        running = next(iter(parts.daily.running.values()), None)
        coming = parts.day_loop.planned
        self._metrics.set_phase(_phase(running, now))
        self._metrics.set_overdue(overdue_stages(parts.daily.running, parts.engine.get_execution_status, now))
        self._metrics.set_day_types([DayType(kind) for kind in running.day_types] if running else [])
        bells = [bell for plan in (running, coming) if plan and plan.session for bell in _bells(plan) if bell > now]
        self._metrics.set_next_bell(min(bells, default=None))
        self._metrics.set_next_session(coming.session.opens_at if coming and coming.session else None)

    def _last_report(self) -> str | None:
        last = self._parts.reporter.last if self._parts else None
        return None if last is None else str(last)

    def _render(self) -> tuple[bytes, str]:
        self._metrics.set_health(self._board.components(), self._board.readiness())
        if self._parts is not None:
            self._tell_session(self._parts)
        return self._metrics.render(), CONTENT_TYPE

    def _need(self) -> LiveParts:
        if self._parts is None:
            raise DefinitionError("the system is not running: start it first")
        return self._parts


def _is_open(parts: LiveParts, now: datetime) -> bool:
    """Whether the exchange trades now."""
    session = parts.calendar.session(now.astimezone(parts.calendar.timezone).date())
    return session is not None and session.is_open(now)


async def _look_at_store(parts: LiveParts) -> str | None:
    await parts.run_store.runs(limit=1)
    return parts.engine.trouble


async def _answered(call: Awaitable[object]) -> str | None:
    await call
    return None


async def _look_at(agent: BaseAgent) -> str | None:
    health = await agent.health()
    return None if health["status"] == "healthy" else f"{health['status']}: {health['last_error']}"


def _phase(plan: DayPlan | None, now: datetime) -> str:
    stages = plan.stages if plan else ()
    return next((stage.name for stage in stages if stage.starts_at <= now < stage.ends_at), "closed")


def _bells(plan: DayPlan) -> tuple[datetime, ...]:
    return (plan.session.opens_at, plan.session.closes_at) if plan.session else ()


def _halt_row(halt: Halt) -> dict[str, Any]:
    return {"level": halt.level.value, "reason": halt.reason, "at": iso(halt.at), "by": halt.by}
