"""What a start imports, and what it leaves for when the desk is ready."""

import asyncio
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from orchestration import controller as controller_module
from orchestration.adapters.alerts.webhook import WebhookAlerts
from orchestration.client.client import find_daemon
from orchestration.controller import OrchestrationController
from orchestration.domain.events import OrchestrationEvent
from orchestration.ports.alerts import Alert
from tests.integration.live_desk import PATIENCE_S, SATURDAY, SetClock, desk, until
from workflows.day_loop import DayLoop

NOT_FOR_A_START = (
    "alembic", "bokeh_sampledata", "empyrical", "exchange_calendars", "httpx", "jinja2", "matplotlib", "scipy",
)  # fmt: skip

MONDAYS_OPEN = datetime(2012, 12, 10, 14, 30, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("settled")


def test_the_controller_imports_without_what_only_a_day_or_a_setting_needs() -> None:
    code = "import sys, orchestration.controller; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "orchestration.wiring" in loaded
    assert loaded.isdisjoint(NOT_FOR_A_START)


def test_a_running_desk_is_halted_without_the_parts_of_one() -> None:
    """Who has to stop a desk waits for nothing."""
    code = """
import sys
from orchestration import cli
from orchestration.client import client
client.ask = lambda home, question: None
cli.halt(reason="a test")
cli.resume(reason="a test")
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert set(done.stdout.split()).isdisjoint({"orchestration.wiring", "pandas", "sqlalchemy"})


async def test_what_a_day_needs_is_imported_beside_the_loop_once_the_desk_is_ready_and_before_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = desk(tmp_path)
    told: list[str] = []
    begun, done = threading.Event(), threading.Event()

    def imports() -> None:
        beside = threading.current_thread() is not threading.main_thread()
        told.append(f"imports, beside the loop: {beside}, ready: {control.readiness().ready}")
        begun.set()
        assert done.wait(PATIENCE_S)

    async def days(self: DayLoop) -> None:
        told.append("days")
        await asyncio.Event().wait()

    monkeypatch.setattr(controller_module, "preload_figures", imports)
    monkeypatch.setattr(DayLoop, "run", days)
    running = asyncio.create_task(control.run(when_warm=lambda: told.append("warm")))
    await until(begun.is_set)
    assert (await asked(tmp_path, "/health/ready")).status_code == httpx.codes.OK
    assert told == ["imports, beside the loop: True, ready: True"]
    done.set()
    await until(lambda: "days" in told)
    assert told[1:] == ["warm", "days"]
    control.request_stop("the test is over")
    await running


async def test_days_wait_for_the_first_look_at_the_parts_and_not_for_one_that_goes_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(self: OrchestrationController) -> None:
        raise RuntimeError("nothing can be looked at")

    began = asyncio.Event()

    async def days(self: DayLoop) -> None:
        began.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(OrchestrationController, "run_health_checks", fails)
    monkeypatch.setattr(DayLoop, "run", days)
    async with desk(tmp_path):
        await until(began.is_set)


async def test_alerts_go_to_the_webhook_whose_address_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    async def send(self: WebhookAlerts, alert: Alert) -> None:
        sent.append(alert.message)

    monkeypatch.setattr(WebhookAlerts, "send", send)
    async with desk(tmp_path, alert_webhook_url="http://127.0.0.1:1/hook") as control:
        assert control.workflow_engine is not None
        alert = {"source": "test", "message": "look here", "at": "2012-12-08T12:00:00Z"}
        await control.workflow_engine.emit_event(OrchestrationEvent.SYSTEM_ALERT, alert)
        await until(lambda: sent)
    assert sent == ["look here"]


async def test_a_scrape_tells_the_next_bell_before_the_parts_are_looked_at_again(tmp_path: Path) -> None:
    clock = SetClock(SATURDAY)
    async with desk(tmp_path, clock=clock, health_check_interval=3600) as control:
        await until(lambda: control._parts is not None and control._parts.day_loop.planned)
        text = (await asked(tmp_path, "/metrics")).text
    left = next(line.split()[1] for line in text.splitlines() if line.startswith("belltower_next_bell_seconds "))
    assert float(left) == pytest.approx((MONDAYS_OPEN - clock.now()).total_seconds(), abs=PATIENCE_S)


async def asked(home: Path, path: str) -> httpx.Response:
    url, token = find_daemon(home)
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
        return await http.get(path, headers={"Authorization": f"Bearer {token}"})
