"""DailyTradingWorkflow: plan the day and run it, live and in a simulation alike."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, time
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from orchestration.days.day_types import DayType
from orchestration.days.earnings import EarningsSchedule
from orchestration.days.fomc import FomcSchedule, FomcSurprise
from orchestration.domain.errors import DefinitionError
from orchestration.domain.restrictions import Restriction
from orchestration.engine.engine import WorkflowEngine
from orchestration.ports.market_data import MarketData
from orchestration.ports.trading_calendar import TradingCalendar
from orchestration.quant.volatility import basket_volatility
from workflows.day_loop import DayLoop
from workflows.desk_files.desk import DeskFile, read_desk
from workflows.desk_files.earnings import read_earnings
from workflows.desk_files.fomc import read_fomc
from workflows.plan_changes import Continuation
from workflows.trading_day.day_plan import DayPlan, PlannedTask
from workflows.trading_day.overlays import Overlays, TaskTypes, load_overlays
from workflows.trading_day.planner import DaySettings, plan_day

VOLATILITY_DAYS = 20
_USUAL_OPEN, _USUAL_CLOSE = time(9, 30), time(16)


class DailyTradingWorkflow:
    """Plans days with a calendar and prices, and runs them on an engine.

    ``config`` is `TradingConfig` or anything with some of its fields. What is not given comes from the plug-ins (the
    calendar), the home (``desk.yaml``, ``days/``, ``earnings.csv``) and the package (the FOMC's dates). Without
    ``market_data`` days are planned as if every symbol had a price, and volatility is not judged.
    """

    def __init__(
        self,
        workflow_engine: WorkflowEngine,
        config: object,
        *,
        calendar: TradingCalendar | None = None,
        market_data: MarketData | None = None,
        desk: DeskFile | None = None,
        overlays: Overlays | None = None,
        fomc: FomcSchedule | None = None,
        earnings: EarningsSchedule | None = None,
    ) -> None:
        self.workflow_engine = workflow_engine
        self.market_open_time = _time_of(config, "market_open_time") or _USUAL_OPEN
        self.market_close_time = _time_of(config, "market_close_time") or _USUAL_CLOSE
        home = getattr(config, "home", None)
        self._home = home = home if isinstance(home, Path) else None
        symbols = getattr(config, "symbols", None)
        self._symbols = symbols if isinstance(symbols, tuple) else None
        self._clock = workflow_engine.clock
        self.calendar = calendar or _plug_in_calendar(config, workflow_engine)
        self.market_data = market_data
        self.desk = desk or read_desk(home, available=market_data.symbols if market_data else None)
        self._overlays = overlays or load_overlays(home / "days" if home else None)
        self._fomc = fomc or read_fomc()
        self._earnings = earnings or (read_earnings(home / "earnings.csv") if home else None)
        zone = getattr(config, "timezone", None)
        self._hours = DaySettings(
            market_open=_time_of(config, "market_open_time"),
            market_close=_time_of(config, "market_close_time"),
            timezone=ZoneInfo(zone) if isinstance(zone, str) else None,
        )
        self._running: dict[str, DayPlan] = {}
        self._tightened: dict[date, float] = {}
        self._last: dict[str, Any] | None = None

    @property
    def restrictions(self) -> tuple[Restriction, ...]:
        """What the days that run now forbid."""
        return tuple(restriction for plan in self._running.values() for restriction in plan.restrictions)

    @property
    def running(self) -> Mapping[str, DayPlan]:
        """The days that run now, by execution."""
        return dict(self._running)

    @property
    def limit_scale(self) -> float:
        """What the kinds of the days that run now multiply the desk's limits by, the smallest; 1 where nothing does.

        A day that was found to be volatile on its way counts from then on.
        """
        scales = (self._tightened.get(plan.date, self._scale_of(plan) or 1.0) for plan in self._running.values())
        return min(scales, default=1.0)

    @property
    def surprises(self) -> tuple[FomcSurprise, ...]:
        """The unscheduled statements of history, which only a simulation may use."""
        return self._fomc.surprises

    def plan_day(self, on: date) -> DayPlan:
        """Return what ``on`` will be and why. Raises `DefinitionError` for a date outside the calendar."""
        market, symbols = self.market_data, self.desk.desk.symbols
        usable = None if market is None else tuple(s for s in symbols if market.has_prices(s, on))
        plan = plan_day(
            on,
            calendar=self.calendar,
            fomc=self._fomc,
            overlays=self._overlays,
            earnings=self._earnings,
            desk_symbols=symbols,
            usable_symbols=usable,
            volatility=None if market is None else self._volatility(market, on),
            settings=replace(self._hours, fomc_windows=self.desk.fomc, high_volatility=self.desk.desk.high_volatility),
        )
        return self._scaled(plan)

    def reload(self, check: Iterable[date] = ()) -> None:
        """Read ``desk.yaml``, ``days/`` and ``earnings.csv`` of the home again; what is planned next goes by them.

        Raises `DefinitionError` when one of them is wrong, or the dates of ``check`` can't be planned by them; then
        all stays as it was. Limits and costs reach the broker with the next start.
        """
        if self._home is None:
            return
        before = self.desk, self._overlays, self._earnings
        available = self.market_data.symbols if self.market_data else None
        self.desk, self._overlays, self._earnings = (
            read_desk(self._home, symbols=self._symbols, available=available),
            load_overlays(self._home / "days", _task_types(self.workflow_engine)),
            read_earnings(self._home / "earnings.csv"),
        )
        try:
            for on in check:
                self.plan_day(on)
        except DefinitionError:
            self.desk, self._overlays, self._earnings = before
            raise

    def tighten(self, on: date) -> float:
        """Have the limits of a `high_volatility` day hold for the rest of the day ``on``; return their scale."""
        scale = self.desk.limit_scales.get(DayType.HIGH_VOLATILITY, 1.0)
        self._tightened[on] = min(scale, self._tightened.get(on, 1.0))
        return scale

    async def run_days(
        self,
        *,
        reopen_calendar: Callable[[], Awaitable[None]] | None = None,
        beat: Callable[[], None] | None = None,
        on_day_end: Callable[[DayPlan, dict[str, Any]], Awaitable[None]] | None = None,
    ) -> None:
        """Run day after day until cancelled; see `DayLoop`."""
        loop = DayLoop(self, home=self._home, reopen_calendar=reopen_calendar, beat=beat, on_day_end=on_day_end)
        await loop.run()

    async def run_daily_workflow(self) -> dict[str, Any]:
        """Run today's day by the clock and the exchange's time zone, and return its result."""
        return await self.run_day(self.plan_day(self._clock.now().astimezone(self.calendar.timezone).date()))

    async def run_day(
        self,
        plan: DayPlan,
        simulated_surprises: Iterable[FomcSurprise] = (),
        *,
        continues: Continuation | None = None,
    ) -> dict[str, Any]:
        """Run ``plan`` from now on and return the run's result.

        A day without tasks runs nothing: the result is ``{"status": "market_closed", "reason", "next_session"}``.
        ``continues``, whose plan is ``plan``, has what the runs brought that broke off before.
        """
        if not plan.tasks:
            following = plan.next_session.isoformat() if plan.next_session else None
            self._last = {"status": "market_closed", "reason": plan.reason, "next_session": following}
            return self._last
        definition: dict[str, Any] = plan.to_definition(simulated_surprises=simulated_surprises)
        labels: dict[str, Any] = {
            "session": plan.date.isoformat(),
            "next_session": plan.next_session.isoformat() if plan.next_session else None,
            "day_types": list(plan.day_types),
        }
        if continues is not None:
            definition = continues.to_definition(definition)
            labels["continues"] = list(continues.executions)
        execution_id = await self.workflow_engine.create_workflow({**definition, "labels": labels})
        return await self.go_on(plan, execution_id)

    async def go_on(self, plan: DayPlan, execution_id: str) -> dict[str, Any]:
        """Carry the run ``execution_id`` of ``plan`` out, also one that a dead process began; return its result."""
        self._running[execution_id] = plan
        try:
            self._last = await self.workflow_engine.execute_workflow(execution_id)
        finally:
            del self._running[execution_id]
            if all(other.date != plan.date for other in self._running.values()):
                self._tightened.pop(plan.date, None)
        return self._last

    def get_status(self) -> dict[str, Any]:
        """Return what runs now, by execution, and how the last day ended."""
        running = {
            execution_id: {
                "date": plan.date.isoformat(),
                "day_types": list(plan.day_types),
                "status": self.workflow_engine.get_execution_status(execution_id)["status"],
            }
            for execution_id, plan in self._running.items()
        }
        last = self._last and {key: value for key, value in self._last.items() if key not in {"tasks", "stages"}}
        return {"calendar": self.calendar.code, "running": running, "last": last}

    def _volatility(self, market: MarketData, on: date) -> float | None:
        """The realised volatility of the desk's names up to the session before ``on``."""
        count = VOLATILITY_DAYS + 1
        histories = {s: market.daily_history(s, before=on, count=count) for s in self.desk.desk.symbols}
        closes = {s: {bar.date: float(bar.close) for bar in bars} for s, bars in histories.items() if bars}
        return basket_volatility(closes, VOLATILITY_DAYS)

    def _scale_of(self, plan: DayPlan) -> float | None:
        return min((self.desk.limit_scales[t] for t in plan.day_types if t in self.desk.limit_scales), default=None)

    def _scaled(self, plan: DayPlan) -> DayPlan:
        """Tell the tasks of the day by what its kind multiplies the limits, the smallest where there are several."""
        scale = self._scale_of(plan)
        if scale is None:
            return plan

        def told(task: PlannedTask) -> PlannedTask:
            return replace(task, task_data={"limit_scale": scale, **task.task_data})

        stages = tuple(replace(stage, tasks=tuple(map(told, stage.tasks))) for stage in plan.stages)
        return replace(plan, stages=stages)


def _time_of(config: object, name: str) -> time | None:
    value = getattr(config, name, None)
    return value if isinstance(value, time) else None


def _task_types(engine: WorkflowEngine) -> TaskTypes | None:
    """What the agents say that they do; ``None`` when one of them does not say, or there is none."""
    declared = {name: getattr(agent, "task_types", None) for name, agent in engine.agents.items()}
    known = {name: types for name, types in declared.items() if isinstance(types, frozenset)}
    return known if known and len(known) == len(declared) else None


def _plug_in_calendar(config: object, engine: WorkflowEngine) -> TradingCalendar:
    code = getattr(config, "calendar", None)
    points = sorted(entry_points(group="belltower.calendars"), key=lambda point: point.name)
    if not points:
        raise DefinitionError("no calendar is installed: give calendar=, or install a belltower.calendars plug-in")
    opened = points[0].load()(code if isinstance(code, str) else "XNYS", clock=engine.clock)
    return cast("TradingCalendar", opened)
