"""A day of the controller: what its end leaves for people, and what a halt does while it lasts."""

import asyncio
import csv
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orchestration.client.client import DeskClient, find_daemon
from orchestration.config import TradingConfig
from orchestration.controller import OrchestrationController
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.halts import HaltLevel
from orchestration.domain.orders import Order, Side
from orchestration.system import clock as system_clock
from orchestration.wiring import LiveParts, open_planner, plan_days
from tests.desk import exchange
from tests.integration.live_desk import SetClock, assert_nothing_half_started, completed, desk, until
from workflows.day_loop import DayLoop

pytestmark = pytest.mark.usefixtures("settled")

PRE_MARKET_TASKS = 7


def moment(clock: str) -> datetime:
    """A moment of 2012-12-12, an FOMC day whose session is 14:30 to 21:00."""
    return datetime.fromisoformat(f"2012-12-12T{clock}").replace(tzinfo=UTC)


@pytest.fixture(autouse=True)
def _short_naps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sleeps by the wall clock notices at once that the test has set it."""
    monkeypatch.setattr(system_clock, "NAP_S", 0.01)


def parts_of(control: OrchestrationController) -> LiveParts:
    assert control._parts is not None
    return control._parts


class Heard:
    """What a running desk emits."""

    def __init__(self) -> None:
        self.alerts: list[str] = []
        self.done: set[str] = set()

    async def listen(self, control: OrchestrationController) -> None:
        assert control.workflow_engine is not None
        await control.workflow_engine.register_event_handler(None, self)

    async def __call__(self, event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
        if event is OrchestrationEvent.SYSTEM_ALERT:
            self.alerts.append(str(data["message"]))
        elif event is OrchestrationEvent.TASK_COMPLETED:
            self.done.add(str(data["task"]))


async def let_pass(clock: SetClock, step: timedelta, fact: Callable[[], object]) -> None:
    """Let the clock go on by ``step`` whenever the loop has turned, until ``fact`` holds."""

    def stepped() -> object:
        clock.set(clock.now() + step)
        return fact()

    await until(stepped)


# -- the report


async def test_a_day_that_ended_leaves_its_report_in_the_home_the_log_and_the_status(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, heard = SetClock(moment("14:25")), Heard()
    page = tmp_path / "reports" / "2012-12-12_XNYS_paper" / "report.html"
    async with desk(tmp_path, clock=clock) as control:
        assert control.get_system_status()["last_report"] is None
        await heard.listen(control)
        await until(lambda: completed(control, PRE_MARKET_TASKS))
        clock.set(moment("14:31"))
        await until(lambda: "validate_trades" in heard.done)
        await let_pass(clock, timedelta(seconds=5), lambda: "execute_trades" in heard.done)
        clock.set(moment("21:01"))
        with caplog.at_level(logging.INFO):
            await until(lambda: control.get_system_status()["last_report"] is not None)
        assert control.get_system_status()["last_report"] == str(page)
        url, token = find_daemon(tmp_path)
        async with DeskClient(url, token) as client:
            assert (await client.status()).last_report == str(page)
        fills = await parts_of(control).broker.fills()
        equity = (await parts_of(control).broker.account()).equity
        [run] = await control.executions(limit=10)
    assert f"the report of 2012-12-12: {page}" in caplog.messages
    text = page.read_text(encoding="utf-8")
    assert "<title>Trading day 2012-12-12 (paper)</title>" in text
    assert "replayed from 2012-12-12; intraday paths synthetic (seed 1)" in text
    assert "Made by `belltower run`" in text
    rows = list(csv.DictReader((page.parent / "trades.csv").read_text().splitlines()))
    assert fills
    assert [row["fill_id"] for row in rows] == [fill.fill_id for fill in fills]
    assert all(row["client_order_id"].startswith(run.run_id) for row in rows)
    points = csv.DictReader((page.parent / "equity.csv").read_text().splitlines())
    worth = [row["equity"] for row in points]
    assert (worth[0], worth[-1]) == ("1000000.00", f"{equity:.2f}")
    assert not [alert for alert in heard.alerts if "report" in alert]
    assert_nothing_half_started(tmp_path)


async def test_the_status_names_the_last_report_after_a_restart_too(tmp_path: Path) -> None:
    for day in ("2012-12-11", "2012-12-06"):
        page = tmp_path / "reports" / f"{day}_XNYS_paper" / "report.html"
        page.parent.mkdir(parents=True)
        page.write_text("")
    (tmp_path / "reports" / "2012-12-12_XNYS_seed-1").mkdir()
    async with desk(tmp_path) as control:
        last = control.get_system_status()["last_report"]
    assert last == str(tmp_path / "reports" / "2012-12-11_XNYS_paper" / "report.html")


async def test_a_report_that_cant_be_written_is_an_alert_and_the_next_day_is_planned(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file where a folder should be")
    clock, heard = SetClock(moment("22:30")), Heard()
    async with desk(tmp_path, clock=clock) as control:
        await heard.listen(control)
        await until(lambda: any("could not be written" in alert for alert in heard.alerts))
        [alert] = [alert for alert in heard.alerts if "could not be written" in alert]
        assert alert.startswith("what follows the day 2012-12-12 failed: ")
        assert str(tmp_path / "reports" / "2012-12-12_XNYS_paper") in alert
        await until(lambda: parts_of(control).day_loop.planned is not None)
        assert str(parts_of(control).day_loop.planned.date) == "2012-12-13"  # type: ignore[union-attr]  # waited for
        await until(lambda: control.readiness().ready)
        assert control.get_system_status()["last_report"] is None
    assert_nothing_half_started(tmp_path)


# -- its plan


@pytest.mark.parametrize(("threshold", "volatile"), [(0.05, True), (9.0, False)])
async def test_the_command_line_plans_a_live_day_as_the_daemon_does_in_its_morning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threshold: float, volatile: bool
) -> None:
    monkeypatch.setattr(DayLoop, "run", _idle)
    (tmp_path / "desk.yaml").write_text(f"high_volatility: {threshold}\n")
    config, calendar = TradingConfig(home=tmp_path), exchange("XNYS")
    recorded, live = date(2013, 1, 15), date(2016, 6, 9)
    plans = plan_days(config, calendar, [live, recorded, live + timedelta(days=1)], seed=1)
    assert [plan.date for plan in plans] == [live, recorded, live + timedelta(days=1)]
    for plan in plans[:2]:
        assert ("high_volatility" in plan.day_types) is volatile
        assert plan.warnings == ()
    assert plans[1] == open_planner(config, calendar, 1).plan_day(recorded)
    async with desk(tmp_path, datetime(2016, 6, 9, 10, tzinfo=UTC)) as control:
        assert control.plan(None) == plans[0].to_json()


# -- a halt and the exchange's hours


async def _idle(self: DayLoop) -> None:
    self._beat()  # type: ignore[misc]  # the controller gives one
    await asyncio.Event().wait()


async def test_a_halt_while_the_exchange_is_closed_is_carried_out_at_the_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DayLoop, "run", _idle)
    clock = SetClock(moment("15:00"))
    async with desk(tmp_path, clock=clock, health_check_interval=3600) as control:
        broker = parts_of(control).broker
        await broker.submit(Order(client_order_id="mine", symbol="IBM", side=Side.BUY, quantity=Decimal(100)))
        clock.set(moment("15:30"))
        assert [p.symbol for p in (await broker.account()).positions] == ["IBM"]
        clock.set(moment("22:00"))
        await control.halt(HaltLevel.FLATTEN, "the feed is wrong", "ann")
        [left] = control.get_system_status()["halt_left"]
        assert left.startswith("position IBM: ")
        assert "was rejected" in left
        url, token = find_daemon(tmp_path)
        async with DeskClient(url, token) as client:
            assert (await client.status()).halt_left == [left]
        sent = len(await broker.orders())

        clock.set(moment("23:00"))
        await control.run_health_checks()
        assert len(await broker.orders()) == sent  # the exchange would only refuse it again
        assert control.get_system_status()["halt_left"] == [left]

        clock.set(datetime(2012, 12, 13, 14, 31, tzinfo=UTC))
        await control.run_health_checks()
        assert len(await broker.orders()) == sent + 1
        clock.set(datetime(2012, 12, 13, 15, 30, tzinfo=UTC))
        await control.run_health_checks()
        assert (await broker.account()).positions == ()
        assert control.get_system_status()["halt_left"] == []
        assert len(await broker.orders()) == sent + 1
        assert control.get_system_status()["halt"]["level"] == "flatten"
    assert_nothing_half_started(tmp_path)


async def test_what_an_earlier_process_left_of_a_halt_is_done_by_the_next_one_at_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DayLoop, "run", _idle)
    order = Order(client_order_id="mine", symbol="IBM", side=Side.BUY, quantity=Decimal(100))
    async with desk(tmp_path, clock=(clock := SetClock(moment("15:00")))) as control:
        await parts_of(control).broker.submit(order)
        clock.set(moment("15:30"))
        assert (await parts_of(control).broker.account()).positions
        clock.set(moment("22:00"))
        await control.halt(HaltLevel.FLATTEN, "the feed is wrong", "ann")
    async with desk(tmp_path, clock=(clock := SetClock(datetime(2012, 12, 13, 15, tzinfo=UTC)))) as control:
        clock.set(datetime(2012, 12, 13, 15, 30, tzinfo=UTC))
        await control.run_health_checks()
        assert (await parts_of(control).broker.account()).positions == ()
        assert control.get_system_status()["halt_left"] == []
    assert_nothing_half_started(tmp_path)
