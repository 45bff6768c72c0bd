"""Five weeks of the autumn of 2012, day after day: a storm, a clock change, a holiday, an early close; and restarts."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest

from orchestration.config import TradingConfig
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.orders import OrderState
from orchestration.domain.records import Record, RecordKind, RunSummary
from orchestration.domain.states import RunStatus
from orchestration.wiring import DeskParts, on_simulated_loop, simulated_desk
from tests.desk import exchange
from workflows.day_loop import DayLoop
from workflows.trading_day.day_plan import DayPlan

CLOSED = {date(2012, 10, 29), date(2012, 10, 30), date(2012, 11, 22)}
SESSIONS = [
    day
    for day in (date(2012, 10, 22) + timedelta(days=n) for n in range(33))
    if day.weekday() < 5 and day not in CLOSED
]
SPECIAL = {
    date(2012, 10, 24): ("fomc",),
    date(2012, 11, 16): ("monthly_expiration",),
    date(2012, 11, 21): ("vix_expiration",),
    date(2012, 11, 23): ("early_close",),
}
CLOCKS_CHANGE = date(2012, 11, 4)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass(kw_only=True)
class Lived:
    """What a desk went through."""

    days: list[tuple[DayPlan, dict[str, Any]]] = field(default_factory=list)
    market: list[tuple[datetime, Mapping[str, Any]]] = field(default_factory=list)
    alerts: list[Mapping[str, Any]] = field(default_factory=list)
    runs: list[RunSummary] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    orders: tuple[OrderState, ...] = ()

    def said(self, kind: str) -> list[tuple[datetime, Mapping[str, Any]]]:
        return [(at, event["details"]) for at, event in self.market if event["kind"] == kind]


def live(home: Path, start: str, script: Callable[[DeskParts, Lived], Awaitable[None]], store: Path | None) -> Lived:
    """Have a desk on the simulated clock, its loop started and stopped by ``script``."""
    config = TradingConfig(home=home)

    async def main() -> Lived:
        lived = Lived()
        async with simulated_desk(config, exchange("XNYS"), start=utc(start), seed=1, store=store) as desk:

            async def hear(event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
                if event is OrchestrationEvent.MARKET_EVENT:
                    lived.market.append((desk.clock.now(), data))
                elif event is OrchestrationEvent.SYSTEM_ALERT:
                    lived.alerts.append(data)

            await desk.engine.register_event_handler(None, hear)
            await script(desk, lived)
            lived.runs = list(reversed(await desk.run_store.runs()))
            for run in lived.runs:
                lived.records.extend(await desk.run_store.records(run.run_id))
            lived.orders = await desk.broker.orders()
        return lived

    return on_simulated_loop(main)


@asynccontextmanager
async def looping(desk: DeskParts, lived: Lived) -> AsyncIterator[None]:
    async def note(plan: DayPlan, result: dict[str, Any]) -> None:
        lived.days.append((plan, result))

    recovered = [(one.run_id, one.name) for one in await desk.engine.recover() if one.state]
    running = asyncio.create_task(DayLoop(desk.daily, on_day_end=note, recovered=recovered).run())
    try:
        yield
        assert not running.done()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.fixture(scope="module")
def autumn(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    async def script(desk: DeskParts, lived: Lived) -> None:
        async with looping(desk, lived):
            await desk.clock.sleep_until(utc("2012-11-24T12:00"))

    return live(tmp_path_factory.mktemp("home"), "2012-10-20T12:00", script, None)


def test_every_session_runs_once_and_no_other_day_does(autumn: Lived) -> None:
    assert [plan.date for plan, _ in autumn.days] == SESSIONS
    assert [run.name for run in autumn.runs] == [f"XNYS {day}" for day in SESSIONS]
    assert Counter(r.kind for r in autumn.records)[RecordKind.RUN_STARTED] == len(SESSIONS)


def test_each_session_has_the_plan_of_its_kind(autumn: Lived) -> None:
    for plan, _ in autumn.days:
        assert plan.day_types == SPECIAL.get(plan.date, ("standard",))
    tasks = {plan.date: {task.name for task in plan.tasks} for plan, _ in autumn.days}
    assert {"exposure_cut_execution", "statement_analysis"} <= tasks[date(2012, 10, 24)]
    assert len(tasks[date(2012, 11, 23)]) < len(tasks[date(2012, 11, 20)])


def test_each_session_begins_at_six_in_new_york_to_the_microsecond(autumn: Lived) -> None:
    for plan, result in autumn.days:
        hour = 10 if plan.date < CLOCKS_CHANGE else 11
        assert result["started_at"] == f"{plan.date}T{hour}:00:00Z"


def test_each_session_ends_with_its_stages(autumn: Lived) -> None:
    for plan, result in autumn.days:
        early, summer = plan.date == date(2012, 11, 23), plan.date < CLOCKS_CHANGE
        close = 18 if early else 20 if summer else 21
        assert result["stages"]["close"]["started_at"] == f"{plan.date}T{close - 1}:00:00Z"
        assert result["stages"]["post_market"]["started_at"] == f"{plan.date}T{close}:00:00Z"


def test_nothing_is_late_without_a_reason(autumn: Lived) -> None:
    planned = {(plan.date, task.name): task.starts_at for plan, _ in autumn.days for task in plan.tasks}
    dates = {run.run_id: date.fromisoformat(run.name[-10:]) for run in autumn.runs}
    started = [r for r in autumn.records if r.kind is RecordKind.TASK_STARTED and r.data["attempt"] == 1]
    assert len(started) == len(planned)
    for record in started:
        due = planned[dates[record.run_id], str(record.task)]
        assert due is None or due <= record.at <= due + timedelta(minutes=1)
    ends = [task for _, result in autumn.days for task in result["tasks"].values()]
    assert [task for task in ends if task["status"] != "completed" and not (task["reason"] or task["error"])] == []


def test_each_day_is_announced_once_when_the_one_before_is_over(autumn: Lived) -> None:
    said = autumn.said("next_session")
    assert [details["date"] for _, details in said] == [*map(str, SESSIONS), "2012-11-26"]
    ends = [utc(str(result["completed_at"])[:-1]) for _, result in autumn.days]
    assert [at for at, _ in said][1:] == ends
    storm = next(details for at, details in said if at.date() == date(2012, 10, 26))
    assert storm["date"] == "2012-10-31"
    assert autumn.said("plan_changed") == []
    assert autumn.alerts == []


def test_the_desk_trades_and_every_order_ends(autumn: Lived) -> None:
    assert len({state.submitted_at.date() for state in autumn.orders}) > 10
    assert [state for state in autumn.orders if state.status.open] == []
    ids = [state.order.client_order_id for state in autumn.orders]
    assert len(ids) == len(set(ids))


# -- the middle of a session


def test_started_in_mid_session_it_runs_what_is_left_and_says_why_the_rest_does_not(tmp_path: Path) -> None:
    async def script(desk: DeskParts, lived: Lived) -> None:
        async with looping(desk, lived):
            await desk.clock.sleep_until(utc("2012-10-23T09:00"))

    lived = live(tmp_path, "2012-10-22T16:02", script, None)
    ((_, result),) = lived.days
    tasks = result["tasks"]
    assert result["status"] == "completed"
    assert tasks["data_collection"]["status"] == "expired"
    assert tasks["data_collection"]["reason"].startswith("its window ended at 2012-10-22T13:30:00Z")
    assert tasks["execute_trades"]["status"] == "skipped"
    assert tasks["execute_trades"]["reason"] == "it needs validate_trades, which was skipped"
    assert tasks["risk_execution@15:00Z"]["reason"] == "it needs risk_monitoring@15:00Z, which was expired"
    assert tasks["risk_execution@16:00Z"]["status"] == "completed"
    assert tasks["performance_analysis"]["status"] == "completed"
    assert all(task["status"] == "completed" or task["reason"] for task in tasks.values())
    started = [r.at for r in lived.records if r.kind is RecordKind.TASK_STARTED]
    assert min(started) == utc("2012-10-22T16:02")


def repeated(lived: Lived, kind: RecordKind) -> list[str]:
    """The tasks that have more than one record of ``kind`` in all runs."""
    return [name for name, count in Counter(str(r.task) for r in lived.records if r.kind is kind).items() if count > 1]


@pytest.mark.parametrize("at", ["09:59", "12:00", "13:30:30", "13:42", "16:30", "19:55", "20:30"])
def test_stopped_and_started_again_the_day_goes_on_and_nothing_is_done_twice(tmp_path: Path, at: str) -> None:
    async def script(desk: DeskParts, lived: Lived) -> None:
        async with looping(desk, lived):
            await desk.clock.sleep_until(utc(f"2012-10-24T{at}"))
        await desk.clock.sleep_until(desk.clock.now() + timedelta(minutes=1))
        async with looping(desk, lived):
            await desk.clock.sleep_until(utc("2012-10-25T09:00"))

    lived = live(tmp_path, "2012-10-24T08:00", script, None)
    statuses = [run.status for run in lived.runs]
    whole = at in {"09:59", "20:30"}
    assert statuses == ([RunStatus.COMPLETED] if whole else [RunStatus.CANCELLED, RunStatus.COMPLETED])
    assert repeated(lived, RecordKind.TASK_COMPLETED) == []
    orders = [r.task for r in lived.records if r.kind is RecordKind.TASK_STARTED and "execut" in str(r.task)]
    assert len(orders) == len(set(orders))
    plan, result = lived.days[-1]
    assert all(skipped.reason for skipped in plan.skipped)
    assert "post_market" in result["stages"]


def keep_disk(store: Path, copy: Path) -> None:
    """Copy what is on the disk now: all that is left when the process dies."""
    for part in ("", "-wal"):
        if Path(f"{store}{part}").exists():
            copyfile(f"{store}{part}", f"{copy}{part}")


def test_after_a_crash_during_orders_the_next_process_goes_on_and_sends_none_of_them_again(tmp_path: Path) -> None:
    first, second = tmp_path / "first.db", tmp_path / "second.db"

    async def die(desk: DeskParts, lived: Lived) -> None:
        async with looping(desk, lived):
            await desk.clock.sleep_until(utc("2012-10-24T13:42"))
            keep_disk(first, second)

    async def go_on(desk: DeskParts, lived: Lived) -> None:
        async with looping(desk, lived):
            await desk.clock.sleep_until(utc("2012-10-25T09:00"))

    dead = live(tmp_path, "2012-10-24T08:00", die, first)
    lived = live(tmp_path, "2012-10-24T13:45", go_on, second)
    assert [run.status for run in lived.runs] == [RunStatus.COMPLETED]
    kinds = {r.kind for r in lived.records if r.task == "execute_trades"}
    assert {RecordKind.TASK_INTERRUPTED, RecordKind.TASK_COMPLETED} <= kinds
    ((_, result),) = lived.days
    assert {task["status"] for task in result["tasks"].values()} == {"completed"}
    assert repeated(lived, RecordKind.TASK_COMPLETED) == []
    before, after = sent(dead), sent(lived)
    assert before
    assert len(after) == len(set(after))
    assert set(before) < set(after)


def sent(lived: Lived) -> list[str]:
    """The ids of the orders of `execute_trades`."""
    return [s.order.client_order_id for s in lived.orders if ":execute_trades:" in s.order.client_order_id]
