"""Build the parts from the settings: the only file that knows every adapter."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, TypeVar

from agents.base import BaseAgent
from agents.desk import AGENTS, build_agents
from agents.quant.performance import preload
from agents.report.day_record import EndedDay
from agents.report.day_reporter import DayReporter
from orchestration.adapters.alerts.null import NullAlerts
from orchestration.adapters.brokers.gate import GatedBroker
from orchestration.adapters.brokers.halting import HaltSwitch
from orchestration.adapters.brokers.paper import PaperBroker
from orchestration.adapters.brokers.reconciliation import BrokerReconciliation
from orchestration.adapters.brokers.recorded import RecordedBroker
from orchestration.adapters.markets.exchange_calendar import open_calendar
from orchestration.adapters.markets.growing_csv import GrowingCsvMarket
from orchestration.adapters.markets.live_calendar import LiveCalendar
from orchestration.adapters.markets.replay import ReplayedMarket
from orchestration.adapters.markets.sample_prices import SamplePrices, open_market_data
from orchestration.adapters.memory.ledger import MemoryLedger
from orchestration.adapters.memory.order_log import MemoryOrderLog
from orchestration.adapters.memory.result_cache import MemoryResultCache
from orchestration.adapters.memory.run_store import MemoryRunStore
from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.adapters.simulated.ids import SimulatedIds
from orchestration.adapters.simulated.loop import run_simulated
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.halt_store import SqlHaltStore
from orchestration.adapters.sql.ledger import SqlLedger
from orchestration.adapters.sql.migration import upgrade
from orchestration.adapters.sql.order_log import SqlOrderLog
from orchestration.adapters.sql.result_cache import SqlResultCache
from orchestration.adapters.sql.run_store import SqlRunStore
from orchestration.adapters.sql.token_store import SqlTokenStore
from orchestration.config import TradingConfig
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.restrictions import Restriction
from orchestration.engine.engine import WorkflowEngine
from orchestration.engine.event_log import event_log_sha256
from orchestration.engine.history import DailyCleanUp, History
from orchestration.ports.alerts import Alerts
from orchestration.ports.broker import Broker
from orchestration.ports.clock import Clock
from orchestration.ports.ledger import Ledger
from orchestration.ports.market_data import MarketData
from orchestration.ports.run_store import RunStore
from orchestration.ports.token_store import TokenStore
from orchestration.ports.trading_calendar import TradingCalendar
from orchestration.system.clock import WallClock
from orchestration.system.randomness import SeededRandomness
from orchestration.telemetry.alerting import AlertRelay, Report, system_report
from orchestration.telemetry.deadlines import Deadlines
from orchestration.telemetry.health_board import HealthBoard
from orchestration.telemetry.loop_watch import LoopWatch
from orchestration.telemetry.metrics import Metrics
from workflows.daily_trading import DailyTradingWorkflow
from workflows.day_loop import RUNS_LOOKED_AT, DayLoop
from workflows.desk_files.calendar_overrides import read_calendar_overrides
from workflows.desk_files.desk import DeskFile, read_desk
from workflows.trading_day.day_plan import DayPlan, iso
from workflows.trading_day.overlays import Overlays, load_overlays

T = TypeVar("T")
LIVE_SEED = 1
"""What replayed days are drawn from."""
DAY_LOOP = "day loop"
DAY_LOOP_PERIOD = timedelta(minutes=5)
HISTORY = "history"
HISTORY_PERIOD = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskParts:
    """A desk that is ready to run days."""

    clock: Clock
    calendar: TradingCalendar
    market_data: MarketData
    desk: DeskFile
    broker: Broker
    agents: Mapping[str, BaseAgent]
    run_store: RunStore
    engine: WorkflowEngine
    daily: DailyTradingWorkflow


def open_desk_calendar(config: TradingConfig) -> TradingCalendar:
    """The calendar that the settings name, with the operator's closures and early closes; takes about a second."""
    return open_calendar(
        config.calendar, clock=WallClock(), overrides=read_calendar_overrides(config.home / "calendar.yaml")
    )


def open_planner(config: TradingConfig, calendar: TradingCalendar, seed: int) -> DailyTradingWorkflow:
    """What plans days, and runs none: the prices are only asked for what they were before a day."""
    clock = WallClock()
    return _planner(config, calendar, clock, open_prices(config, calendar, clock, seed))


def plan_days(config: TradingConfig, calendar: TradingCalendar, dates: Iterable[date], seed: int) -> list[DayPlan]:
    """Plan each of ``dates``: up to the last recorded price as a simulation does, later ones as a desk that runs will.

    A later day is planned by the prices that such a desk has when the day begins, as far as they are known now.
    """
    recorded = open_planner(config, calendar, seed)
    market, symbols = recorded.market_data, recorded.desk.desk.symbols
    last = max(market.span(symbol)[1] for symbol in symbols) if market and symbols else date.max
    clock, live, plans = _DayClock(), list[DailyTradingWorkflow](), list[DayPlan]()
    for on in dates:
        if on <= last:
            plans.append(recorded.plan_day(on))
            continue
        clock.moment = datetime.combine(on, time(), calendar.timezone).astimezone(UTC)
        if not live:  # `report` would hear of later trouble with the files: nothing is read later
            prices = open_live_prices(config, calendar, clock, seed, report=lambda _: None)
            live.append(_planner(config, calendar, clock, prices))
        plans.append(live[0].plan_day(on))
    return plans


class _DayClock(WallClock):
    """The machine's clock, but that it is always the same moment: the one when a day begins."""

    def __init__(self) -> None:
        self.moment = super().now()

    def now(self) -> datetime:
        """That moment."""
        return self.moment


def _planner(
    config: TradingConfig, calendar: TradingCalendar, clock: Clock, market: MarketData
) -> DailyTradingWorkflow:
    desk = read_desk(config.home, symbols=config.symbols, available=market.symbols)
    engine = WorkflowEngine({}, config, clock=clock)
    return DailyTradingWorkflow(
        engine, config, calendar=calendar, market_data=market, desk=desk, overlays=_overlays(config)
    )


def _overlays(config: TradingConfig) -> Overlays:
    """The stage files, ours and the home's, which may ask of the agents only what they do."""
    return load_overlays(config.home / "days", {agent.name: agent.task_types for agent in AGENTS})


def open_prices(config: TradingConfig, calendar: TradingCalendar, clock: Clock, seed: int) -> MarketData:
    """The prices that the settings name: the sample's, or those of a folder."""
    folder = None if config.data == "replay" else Path(config.data)
    return open_market_data(calendar=calendar, clock=clock, randomness=SeededRandomness(seed), data=folder)


def open_live_prices(
    config: TradingConfig, calendar: TradingCalendar, clock: Clock, seed: int, *, report: Callable[[str], None]
) -> MarketData:
    """The prices of a desk that runs by the wall clock: a replay of the sample, or a folder that grows.

    ``report`` is told what goes wrong with the folder later; what is wrong with it now raises `DefinitionError`.
    """
    randomness = SeededRandomness(seed)
    if config.data == "replay":
        return ReplayedMarket(SamplePrices(), calendar=calendar, clock=clock, randomness=randomness)
    return GrowingCsvMarket(Path(config.data), calendar=calendar, clock=clock, randomness=randomness, report=report)


@asynccontextmanager
async def simulated_desk(
    config: TradingConfig, calendar: TradingCalendar, *, start: datetime, seed: int, store: Path | None
) -> AsyncIterator[DeskParts]:
    """A desk on the simulated clock, which stands at ``start``, with a new paper account.

    ``store`` is the SQLite file to keep its journal and book in, which must not exist; ``None``: memory. Use it on a
    simulated loop.
    """
    clock = SimulatedClock(start)
    market = open_prices(config, calendar, clock, seed)
    desk = read_desk(config.home, symbols=config.symbols, available=market.symbols)
    async with _stores(store) as (run_store, ledger):
        inner = await PaperBroker.open(
            ledger=ledger, market_data=market, calendar=calendar, clock=clock, desk=desk.desk
        )
        days: list[DailyTradingWorkflow] = []

        def restrictions() -> tuple[Restriction, ...]:
            return tuple(restriction for daily in days for restriction in daily.restrictions)

        broker = GatedBroker(
            RecordedBroker(inner, log=MemoryOrderLog(), clock=clock, compared=True),
            clock=clock,
            limits=desk.desk.limits,
            market_data=market,
            restrictions=restrictions,
            instrument=desk.desk.instrument,
            scale=lambda: min((daily.limit_scale for daily in days), default=1.0),
        )
        agents = build_agents(
            market_data=market,
            broker=broker,
            config=config,
            clock=clock,
            desk=desk.desk,
            timezone=calendar.timezone,
        )
        engine = WorkflowEngine(
            agents,
            config,
            run_store=run_store,
            result_cache=MemoryResultCache(),
            clock=clock,
            ids=SimulatedIds(clock),
        )
        daily = DailyTradingWorkflow(
            engine, config, calendar=calendar, market_data=market, desk=desk, overlays=_overlays(config)
        )
        days.append(daily)
        async with engine:
            yield DeskParts(
                clock=clock,
                calendar=calendar,
                market_data=market,
                desk=desk,
                broker=broker,
                agents=agents,
                run_store=run_store,
                engine=engine,
                daily=daily,
            )


def on_simulated_loop(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run ``main()`` where time jumps and nothing waits."""
    return run_simulated(main)


def preload_figures() -> None:
    """Import what performance figures need, which takes seconds, before a day rather than in it."""
    preload()


@asynccontextmanager
async def _stores(path: Path | None) -> AsyncIterator[tuple[RunStore, Ledger]]:
    if path is None:
        yield MemoryRunStore(), MemoryLedger()
        return
    async with Database(f"sqlite:///{path}", inline=True) as database:
        await upgrade(database)
        yield SqlRunStore(database), SqlLedger(database)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveParts(DeskParts):
    """A desk that runs by the wall clock, with what watches over it."""

    tokens: TokenStore
    recovered: tuple[str, ...]
    """The executions that a dead process began and that are no days; somebody has to go on with them."""
    switch: HaltSwitch
    day_loop: DayLoop
    reporter: DayReporter
    history: DailyCleanUp
    deadlines: Deadlines
    relay: AlertRelay
    report: Report


@asynccontextmanager
async def live_desk(
    config: TradingConfig, clock: Clock, board: HealthBoard, metrics: Metrics
) -> AsyncIterator[LiveParts]:
    """The desk of the home's own store, ready to run day after day; whatever a dead process left is marked so.

    Raises `DefinitionError` for anything in the home or the settings that is wrong, `StoreUnavailableError` when the
    store can't be opened.
    """
    calendar = LiveCalendar(await asyncio.to_thread(open_desk_calendar, config))
    holder: list[LiveParts] = []

    def price_trouble(message: str) -> None:
        if holder:
            alert = {"source": "prices", "message": message, "at": iso(clock.now())}
            holder[0].engine.publish(OrchestrationEvent.SYSTEM_ALERT, alert)

    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(config.store_url))
        await upgrade(database)
        run_store = SqlRunStore(database)
        market = await asyncio.to_thread(open_live_prices, config, calendar, clock, LIVE_SEED, report=price_trouble)
        desk = read_desk(config.home, symbols=config.symbols, available=market.symbols)
        inner = await PaperBroker.open(
            ledger=SqlLedger(database), market_data=market, calendar=calendar, clock=clock, desk=desk.desk
        )

        def order_trouble(message: str) -> None:
            if holder:
                alert = {"source": "orders", "message": message, "at": iso(clock.now())}
                holder[0].engine.publish(OrchestrationEvent.SYSTEM_ALERT, alert)
            else:
                early.append(message)

        early: list[str] = []
        recorded = RecordedBroker(inner, log=SqlOrderLog(database), clock=clock, report=order_trouble)
        gate = GatedBroker(
            recorded,
            clock=clock,
            limits=desk.desk.limits,
            market_data=market,
            restrictions=lambda: holder[0].daily.restrictions if holder else (),
            instrument=desk.desk.instrument,
            halt=lambda: switch.current,
            scale=lambda: holder[0].daily.limit_scale if holder else 1.0,
        )
        halts = SqlHaltStore(database)
        switch = await HaltSwitch.open(
            store=halts, gate=gate, clock=clock, before_resume=lambda reason, by: reconciliation.accept(reason, by)
        )
        reconciliation = BrokerReconciliation(recorded, switch=switch, halts=halts, clock=clock, report=order_trouble)
        agents = build_agents(
            market_data=market, broker=gate, config=config, clock=clock, desk=desk.desk, timezone=calendar.timezone
        )
        results = SqlResultCache(database)
        engine = WorkflowEngine(
            agents, config, run_store=run_store, result_cache=results, clock=clock, services={"broker": gate}
        )
        report = system_report(clock, engine.emit_event)
        alerts = await _open_alerts(config, clock, stack)
        relay = await stack.enter_async_context(AlertRelay(alerts, clock, board, on_outcome=metrics.count_alert))
        await stack.enter_async_context(LoopWatch(report, on_lag=metrics.observe_loop_lag))
        await stack.enter_async_context(engine)
        recovered = await engine.recover()
        for one in recovered:
            if one.reason is not None:
                await report("engine", f"execution {one.run_id} of {one.name} was ended: {one.reason}")
        daily = DailyTradingWorkflow(
            engine, config, calendar=calendar, market_data=market, desk=desk, overlays=_overlays(config)
        )
        deadlines = Deadlines(clock, board, report)

        async def reopen_calendar() -> None:
            calendar.replace(await asyncio.to_thread(open_desk_calendar, config))

        def beat() -> None:
            deadlines.beat(DAY_LOOP)

        reporter = DayReporter(
            reports=config.home / "reports",
            calendar=calendar.code,
            timezone=calendar.timezone,
            mode=config.mode,
            seed=LIVE_SEED,
            broker=gate,
            market=market,
            desk=desk.desk,
        )

        async def write_report(plan: DayPlan, result: dict[str, Any]) -> None:
            await reporter.write(await _ended(plan, result, run_store))

        deadlines.promise(DAY_LOOP, DAY_LOOP_PERIOD)
        deadlines.promise(HISTORY, HISTORY_PERIOD, required=False)
        history = DailyCleanUp(
            History(runs=run_store, results=results, audit=halts, clock=clock),
            clock,
            days=config.history_days,
            busy=lambda: engine.counts()["active_executions"] > 0,
            beat=lambda: deadlines.beat(HISTORY),
        )
        parts = LiveParts(
            clock=clock,
            calendar=calendar,
            market_data=market,
            desk=desk,
            broker=gate,
            agents=agents,
            run_store=run_store,
            engine=engine,
            daily=daily,
            tokens=SqlTokenStore(database),
            switch=switch,
            day_loop=DayLoop(
                daily,
                home=config.home,
                reopen_calendar=reopen_calendar,
                beat=beat,
                on_day_end=write_report,
                recovered=[(one.run_id, one.name) for one in recovered if one.state and "session" in one.labels],
            ),
            recovered=tuple(one.run_id for one in recovered if one.state and "session" not in one.labels),
            reporter=reporter,
            history=history,
            deadlines=deadlines,
            relay=relay,
            report=report,
        )
        await stack.enter_async_context(reconciliation)
        holder.append(parts)
        for message in early:
            await report("orders", message)
        yield parts


async def _open_alerts(config: TradingConfig, clock: Clock, stack: AsyncExitStack) -> Alerts:
    if not config.alert_webhook_url:
        return NullAlerts()
    from orchestration.adapters.alerts.webhook import WebhookAlerts  # with httpx, which nothing else of a desk needs

    return await stack.enter_async_context(WebhookAlerts(config.alert_webhook_url, clock=clock, mode=config.mode))


async def _ended(plan: DayPlan, result: dict[str, Any], run_store: RunStore) -> EndedDay:
    """What a report needs to know of a day that has run; its runs are those that broke off before, too."""
    records = await run_store.records(result["execution_id"])
    runs = await run_store.runs(limit=RUNS_LOOKED_AT)
    return EndedDay(
        plan=plan.to_json(),
        result=result,
        date=plan.date,
        session=plan.session,
        since=records[0].at if plan.span is None else plan.span.starts_at,
        runs=frozenset(run.run_id for run in runs if run.name == result["name"]),
        event_log_sha256=event_log_sha256(records),
    )
