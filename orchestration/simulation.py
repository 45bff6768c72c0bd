"""A day or a range of days on the simulated clock, through the code that runs live."""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from agents.report.contents import Report, ReportDay
from agents.report.day_record import EndedDay, record_day
from agents.report.write import write_report
from orchestration.config import TradingConfig
from orchestration.domain.errors import DefinitionError, FinalError
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.folding import base_name
from orchestration.domain.json_value import JsonObject
from orchestration.domain.orders import Account, OrderState
from orchestration.engine.event_log import event_log_sha256
from orchestration.ports.trading_calendar import TradingCalendar
from orchestration.recipe import keep_recipe
from orchestration.system.clock import WallClock
from orchestration.wiring import DeskParts, on_simulated_loop, open_planner, preload_figures, simulated_desk
from workflows.trading_day.day_plan import DayPlan, iso

Stops: TypeAlias = Callable[[Callable[[str], None]], AbstractContextManager[object]]
"""Calls what it is given with the name of a signal that asks for the end, while its body runs."""
STATUSES = ("completed", "failed", "timeout", "skipped", "cancelled", "expired")
_DAYS_IN_DETAIL = 5
"""Up to so many days a report shows every path; for longer ranges only what is small is kept."""
_DAY = timedelta(days=1)


class Watcher(Protocol):
    """Who follows a simulation while it runs."""

    def set_day(self, plan: JsonObject) -> None:
        """A day begins."""

    def set_account(self, equity: Decimal, orders: Sequence[OrderState]) -> None:
        """The account and the day's orders after something changed."""

    async def __call__(self, event: OrchestrationEvent, data: JsonObject) -> None:
        """Something happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Day:
    """What is kept of a day that was simulated."""

    summary: dict[str, Any]
    report: ReportDay


def simulate(
    config: TradingConfig,
    calendar: TradingCalendar,
    dates: Sequence[date],
    *,
    seed: int,
    watcher: Watcher | None = None,
    stops: Stops = nullcontext,
) -> dict[str, Any]:
    """Run ``dates``, positions carried over, write the report, and return the summary.

    The account starts with the desk's cash and no positions, in a store of its own under the home's ``simulations/``.
    Raises `DefinitionError`, before anything is written, when a session lies outside of all prices, and `FinalError`
    when it was stopped by what ``stops`` hears: then the run under way is cancelled, and there is no report.
    """
    _check(config, calendar, dates, seed)
    folder = _new_folder(config.home / "simulations", _name(calendar, dates, seed))
    keep_recipe(folder, config, calendar, dates, seed)
    preload_figures()
    wall = WallClock()
    began = wall.monotonic()
    start = start_of(dates)

    store, stopped = folder / "belltower.db", list[str]()

    async def main() -> tuple[list[_Day], Account, str, dict[str, Decimal]]:
        this = asyncio.current_task()

        def stop(name: str) -> None:
            stopped.append(name)
            if this is not None:
                this.cancel()

        with stops(stop):
            return await whole()

    async def whole() -> tuple[list[_Day], Account, str, dict[str, Decimal]]:
        async with simulated_desk(config, calendar, start=start, seed=seed, store=store) as parts:
            opening = await parts.broker.account()
            if watcher is not None:
                await parts.engine.register_event_handler(None, watcher)
            days = await run_days(parts, dates, watcher)
            multipliers = {name: item.multiplier for name, item in parts.desk.desk.instruments.items()}
            return days, opening, parts.market_data.source, multipliers

    try:
        days, opening, source, multipliers = on_simulated_loop(main)
    except asyncio.CancelledError:
        if not stopped:
            raise
        raise FinalError(
            f"stopped by {stopped[0]}: what was simulated until then is in {store}, and there is no report"
        ) from None
    wall_s = round(wall.monotonic() - began, 3)
    report = Report(
        title=_title(dates),
        calendar=calendar.code,
        timezone=calendar.timezone,
        seed=seed,
        source=source,
        days=tuple(day.report for day in days),
        account_start=opening,
        mode="simulated",
        generated_note=f"Made by `belltower simulate`; every price path is drawn from seed {seed}.",
        multipliers=multipliers,
    )
    path = write_report(report, config.home / "reports" / folder.name)
    for day in days:
        day.summary["report"] = str(path)
    return {"days": [day.summary for day in days], "wall_s": wall_s}


def start_of(dates: Sequence[date]) -> datetime:
    """Where the simulated clock stands when ``dates`` begin."""
    return datetime.combine(dates[0] - _DAY, time(), UTC)


async def run_days(parts: DeskParts, dates: Sequence[date], watcher: Watcher | None) -> list[_Day]:
    """Run ``dates`` on a simulated desk, each from its first stage; on a calendar that never closes, days overlap."""
    detailed = len(dates) <= _DAYS_IN_DETAIL
    running: list[asyncio.Task[_Day]] = []
    async with asyncio.TaskGroup() as group:
        for on in dates:
            plan = parts.daily.plan_day(on)
            if plan.span is not None:
                await parts.clock.sleep_until(plan.span.starts_at)
            running.append(group.create_task(_run_day(parts, plan, watcher, detailed=detailed)))
    return [day.result() for day in running]


async def _run_day(parts: DeskParts, plan: DayPlan, watcher: Watcher | None, *, detailed: bool) -> _Day:
    before = await parts.broker.account()
    described = plan.to_json()
    if watcher is not None:
        watcher.set_day(described)
    result = await parts.daily.run_day(plan, parts.daily.surprises)
    ran = "execution_id" in result
    log = event_log_sha256(await parts.run_store.records(result["execution_id"])) if ran else None
    day = EndedDay(
        plan=described,
        result=result if detailed else _short(result),
        date=plan.date,
        session=plan.session,
        since=before.at,
        runs=(result["execution_id"],) if ran else (),
        event_log_sha256=log or "",
    )
    report = await record_day(
        day, before=before, broker=parts.broker, market=parts.market_data, desk=parts.desk.desk, detailed=detailed
    )
    if watcher is not None:
        watcher.set_account(report.account.equity, report.orders)
    return _Day(summary=_summary(plan, result, report.orders, report.account, log), report=report)


def _summary(
    plan: DayPlan, result: dict[str, Any], orders: Sequence[OrderState], account: Account, log: str | None
) -> dict[str, Any]:
    statuses = [task["status"] for task in result.get("tasks", {}).values()]
    return {
        "date": plan.date.isoformat(),
        "day_types": list(plan.day_types),
        "status": result["status"],
        "tasks": {"total": len(statuses)} | {status: statuses.count(status) for status in STATUSES},
        "stages": result.get("stages", {}),
        "orders": [_order(state) for state in orders],
        "equity": str(account.equity),
        "report": None,
        "event_log_sha256": log,
    }


def _order(state: OrderState) -> dict[str, Any]:
    order = state.order
    return {
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.type.value,
        "quantity": str(order.quantity),
        "limit_price": None if order.limit_price is None else str(order.limit_price),
        "stop_price": None if order.stop_price is None else str(order.stop_price),
        "status": state.status.value,
        "filled_quantity": str(state.filled_quantity),
        "average_price": None if state.average_price is None else str(state.average_price),
        "submitted_at": iso(state.submitted_at),
        "updated_at": iso(state.updated_at),
        "reason": state.reason,
    }


def _short(result: dict[str, Any]) -> dict[str, Any]:
    """``result`` with what a page shows of it: of recurring tasks the last result, of the others the words."""
    last = {base_name(name): name for name in result.get("tasks", {})}
    tasks = {}
    for name, task in result.get("tasks", {}).items():
        said = task["result"] if last[base_name(name)] == name else None
        words = {
            key: said[key] for key in ("conclusion", "method", "targets") if isinstance(said, dict) and key in said
        }
        tasks[name] = {**task, "result": words or None}
    return {**result, "tasks": tasks} if tasks else result


def _check(config: TradingConfig, calendar: TradingCalendar, dates: Sequence[date], seed: int) -> None:
    """Refuse what can't be simulated, before anything is written."""
    for folder in (config.home / "simulations", config.home / "reports"):
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
            raise DefinitionError(f"{there} can't be written to; choose a --home that can")
    planner = open_planner(config, calendar, seed)
    market, symbols = planner.market_data, planner.desk.desk.symbols
    spans = [market.span(symbol) for symbol in symbols] if market is not None else []
    first, last = min(s[0] for s in spans), max(s[1] for s in spans)
    for on in dates:
        if calendar.session(on) is not None and not first <= on <= last:
            names = ", ".join(symbols)
            raise DefinitionError(f"{on} is out of range: the prices of {names} go from {first} to {last}")


def _new_folder(parent: Path, name: str) -> Path:
    """Make and return a folder that nobody had before."""
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError:
            number += 1
        except OSError as error:
            raise DefinitionError(
                f"{parent} can't be written to ({error.strerror}); choose a --home that can"
            ) from None
        else:
            return folder


def _name(calendar: TradingCalendar, dates: Sequence[date], seed: int) -> str:
    span = f"{dates[0]}" if len(dates) == 1 else f"{dates[0]}_{dates[-1]}"
    return f"{span}_{calendar.code.replace('/', '-')}_seed-{seed}"


def _title(dates: Sequence[date]) -> str:
    return f"Trading day {dates[0]}" if len(dates) == 1 else f"Trading days {dates[0]} to {dates[-1]}"
