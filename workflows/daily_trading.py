"""DailyTradingWorkflow: plan the day and run it, live and in a simulation alike."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, time
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from orchestration.days.earnings import EarningsSchedule
from orchestration.days.fomc import FomcSchedule, FomcSurprise
from orchestration.domain.errors import DefinitionError
from orchestration.domain.restrictions import Restriction
from orchestration.engine.engine import WorkflowEngine
from orchestration.ports.market_data import MarketData
from orchestration.ports.trading_calendar import TradingCalendar
from orchestration.quant.volatility import basket_volatility
from workflows.desk_files.desk import DeskFile, read_desk
from workflows.desk_files.earnings import read_earnings
from workflows.desk_files.fomc import read_fomc
from workflows.trading_day.day_plan import DayPlan, PlannedTask
from workflows.trading_day.overlays import Overlays, load_overlays
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
        home = home if isinstance(home, Path) else None
        self._clock = workflow_engine.clock
        self.calendar = calendar or _plug_in_calendar(config, workflow_engine)
        self.market_data = market_data
        self.desk = desk or read_desk(home, available=market_data.symbols if market_data else None)
        self._overlays = overlays or load_overlays(home / "days" if home else None)
        self._fomc = fomc or read_fomc()
        self._earnings = earnings or (read_earnings(home / "earnings.csv") if home else None)
        zone = getattr(config, "timezone", None)
        self._settings = DaySettings(
            market_open=_time_of(config, "market_open_time"),
            market_close=_time_of(config, "market_close_time"),
            timezone=ZoneInfo(zone) if isinstance(zone, str) else None,
            fomc_windows=self.desk.fomc,
            high_volatility=self.desk.desk.high_volatility,
        )
        self._running: dict[str, DayPlan] = {}
        self._last: dict[str, Any] | None = None

    @property
    def restrictions(self) -> tuple[Restriction, ...]:
        """What the days that run now forbid."""
        return tuple(restriction for plan in self._running.values() for restriction in plan.restrictions)

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
            settings=self._settings,
        )
        return self._scaled(plan)

    async def run_daily_workflow(self) -> dict[str, Any]:
        """Run today's day by the clock and the exchange's time zone, and return its result."""
        return await self.run_day(self.plan_day(self._clock.now().astimezone(self.calendar.timezone).date()))

    async def run_day(self, plan: DayPlan, simulated_surprises: Iterable[FomcSurprise] = ()) -> dict[str, Any]:
        """Run ``plan`` from now on and return the run's result.

        A day without tasks runs nothing: the result is ``{"status": "market_closed", "reason", "next_session"}``.
        """
        if not plan.tasks:
            following = plan.next_session.isoformat() if plan.next_session else None
            self._last = {"status": "market_closed", "reason": plan.reason, "next_session": following}
            return self._last
        definition = plan.to_definition(simulated_surprises=simulated_surprises)
        labels = {
            "session": plan.date.isoformat(),
            "next_session": plan.next_session.isoformat() if plan.next_session else None,
            "day_types": list(plan.day_types),
        }
        execution_id = await self.workflow_engine.create_workflow({**definition, "labels": labels})
        self._running[execution_id] = plan
        try:
            self._last = await self.workflow_engine.execute_workflow(execution_id)
        finally:
            del self._running[execution_id]
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

    def _scaled(self, plan: DayPlan) -> DayPlan:
        """Tell the tasks of the day by what its kind multiplies the limits, the smallest where there are several."""
        scale = min((self.desk.limit_scales[t] for t in plan.day_types if t in self.desk.limit_scales), default=None)
        if scale is None:
            return plan

        def told(task: PlannedTask) -> PlannedTask:
            return replace(task, task_data={"limit_scale": scale, **task.task_data})

        stages = tuple(replace(stage, tasks=tuple(map(told, stage.tasks))) for stage in plan.stages)
        return replace(plan, stages=stages)


def _time_of(config: object, name: str) -> time | None:
    value = getattr(config, name, None)
    return value if isinstance(value, time) else None


def _plug_in_calendar(config: object, engine: WorkflowEngine) -> TradingCalendar:
    code = getattr(config, "calendar", None)
    points = sorted(entry_points(group="belltower.calendars"), key=lambda point: point.name)
    if not points:
        raise DefinitionError("no calendar is installed: give calendar=, or install a belltower.calendars plug-in")
    opened = points[0].load()(code if isinstance(code, str) else "XNYS", clock=engine.clock)
    return cast("TradingCalendar", opened)
