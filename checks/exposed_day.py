"""What ``make observability`` lets a real Prometheus read: a simulated day as it goes, and every trouble at once."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from orchestration.config import TradingConfig
from orchestration.days.day_types import DayType
from orchestration.days.stage_times import StageName
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.halts import Halt, HaltLevel
from orchestration.domain.health import Health, Readiness
from orchestration.telemetry.alerting import AlertOutcome
from orchestration.telemetry.health_board import HealthBoard
from orchestration.telemetry.metrics import CLOSED, CONTENT_TYPE, EVENT_BUS, Metrics
from orchestration.wiring import DeskParts, on_simulated_loop, simulated_desk
from tests.desk import exchange
from tests.doubles import ManualClock

DAY = date(2012, 12, 12)
_EVENTS = 500
"""About so many events has the day."""
_MIDNIGHT = datetime.combine(DAY, time(), UTC)


@contextmanager
def exposed(render: Callable[[], bytes], token: str) -> Iterator[int]:
    """Serve what ``render`` returns under ``/metrics`` to holders of ``token``; the value is the port on loopback."""

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == "/metrics" and self.headers["Authorization"] == f"Bearer {token}"
            body = render() if known else b""
            self.send_response(200 if known else 401)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
            """Say nothing: Prometheus knows how its scrapes went."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, name="metrics")
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def new_metrics(*, enabled: bool = True) -> tuple[Metrics, ManualClock]:
    """Metrics and the clock they read: one that any thread may ask, unlike a simulation's."""
    clock = ManualClock(_MIDNIGHT)
    return Metrics(clock, mode="paper", version="0", enabled=enabled), clock


def tell_day(metrics: Metrics, clock: ManualClock, *, lasts_s: float) -> Mapping[str, Any]:
    """Simulate an FOMC day, telling ``metrics`` what happens, spread over about ``lasts_s`` seconds; return its result.

    The spreading is done by holding up the simulated loop, where that costs nothing: its time stands still meanwhile.
    """
    pause = threading.Event()
    with TemporaryDirectory(prefix="belltower-day-") as home:
        config = TradingConfig(home=Path(home))

        async def main() -> Mapping[str, Any]:
            async with simulated_desk(config, exchange("XNYS"), start=_MIDNIGHT, seed=1, store=None) as desk:
                plan = desk.daily.plan_day(DAY)
                board = HealthBoard(desk.clock)
                metrics.set_day_types(DayType(name) for name in plan.day_types)
                metrics.set_calendar_end(desk.calendar.span[1])
                metrics.set_next_session(desk.calendar.next_session(DAY).opens_at)
                metrics.set_halt(None)
                pace_s = lasts_s / _EVENTS

                async def follow(event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
                    clock.moment = desk.clock.now()
                    metrics(event, data)
                    if event is OrchestrationEvent.STAGE_STARTED:
                        metrics.set_phase(data["stage"])
                    await _look(desk, metrics, board)
                    pause.wait(pace_s)

                await desk.engine.register_event_handler(None, follow)
                await desk.clock.sleep_until(_MIDNIGHT if plan.span is None else plan.span.starts_at)
                result = await desk.daily.run_day(plan, desk.daily.surprises)
                await desk.clock.sleep_until(
                    desk.clock.now() + timedelta(seconds=1)
                )  # the last events reach their handlers
                metrics.set_phase(CLOSED)
                await _look(desk, metrics, board)
                return result

        return on_simulated_loop(main)


async def _look(desk: DeskParts, metrics: Metrics, board: HealthBoard) -> None:
    """Tell what no event tells: what the daemon's loops would look at."""
    now = desk.clock.now()
    session = desk.calendar.session(DAY)
    bells = () if session is None else (session.opens_at, session.closes_at)
    metrics.set_next_bell(min((bell for bell in bells if bell > now), default=now + timedelta(hours=15)))
    metrics.set_equity((await desk.broker.account()).equity)
    metrics.observe_orders(await desk.broker.orders())
    metrics.observe_loop_lag(0.001)
    for name, agent in desk.agents.items():
        metrics.set_agent_health(name, healthy=(await agent.health())["status"] == "healthy")
    board.register("store")
    board.set("store", Health.OK)
    metrics.set_health(board.components(), board.readiness())


async def tell_every_trouble(metrics: Metrics) -> None:
    """Tell ``metrics`` of everything that an alert rule watches for, but what takes a silent Prometheus to notice."""
    failed = {"agent": "economist", "task_type": "macro_assessment", "task": "macro", "status": "failed"}
    metrics(OrchestrationEvent.TASK_FAILED, failed)
    metrics(OrchestrationEvent.WORKFLOW_FAILED, {"status": "failed", "duration_s": 1.0})
    metrics(OrchestrationEvent.SYSTEM_ALERT, {"source": EVENT_BUS, "message": "a handler raised"})
    metrics.count_alert(AlertOutcome.FAILED)
    metrics.set_health((), Readiness(ready=False, reasons=("the store is failed",)))
    metrics.set_agent_health("junior_analyst", healthy=False)
    metrics.set_halt(Halt(level=HaltLevel.CLOSE_ONLY, reason="a try", at=_MIDNIGHT, by="check"))
    metrics.set_calendar_end(DAY + timedelta(days=10))
    metrics.set_next_bell(_MIDNIGHT - timedelta(minutes=1))
    metrics.set_overdue({StageName.INTRADAY: timedelta(minutes=10)})
    for _ in range(100):
        metrics.observe_loop_lag(2.0)
