"""What Prometheus is told is complete, well named, bounded, and true to the events."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from orchestration.config import TradingConfig
from orchestration.days.day_types import DayType
from orchestration.domain.errors import DefinitionError
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.halts import Halt, HaltLevel
from orchestration.domain.health import Health
from orchestration.domain.orders import Order, OrderState, OrderStatus, Side
from orchestration.telemetry.alerting import AlertOutcome
from orchestration.telemetry.health_board import HealthBoard
from orchestration.telemetry.metrics import CONTENT_TYPE, MOST_VALUES, PHASES, Metrics
from orchestration.wiring import on_simulated_loop, simulated_desk
from tests.desk import exchange
from tests.doubles import ManualClock

EVENT = OrchestrationEvent
DAY = date(2012, 12, 12)
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"


def metrics_at(clock: ManualClock | None = None, *, enabled: bool = True) -> Metrics:
    return Metrics(clock or ManualClock(), mode="paper", version="1.2.3", enabled=enabled)


def families(metrics: Metrics) -> dict[str, Metric]:
    """What a scraper reads, by the name in the text."""
    text = metrics.render().decode()
    parsed = list(text_string_to_metric_families(text))
    assert len({one.name for one in parsed}) == len(parsed)
    return {one.name + ("_total" if one.type == "counter" else ""): one for one in parsed}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def feed(metrics: Metrics, event: OrchestrationEvent, **data: Any) -> None:
    metrics(event, data)


def task(status: str = "running", **more: Any) -> dict[str, Any]:
    return {"agent": "economist", "task_type": "macro", "task": "macro@15:35Z", "status": status, **more}


def order(number: int, status: OrderStatus, at: datetime, side: Side = Side.BUY) -> OrderState:
    sent = Order(client_order_id=f"o{number}", symbol="IBM", side=side, quantity=Decimal(1))
    return OrderState(order=sent, status=status, submitted_at=at, updated_at=at)


@cache
def after_a_day() -> tuple[Metrics, dict[str, Any]]:
    """The metrics after one simulated day, with the parts that the daemon adds set once, and the day's result."""

    async def main(home: Path) -> tuple[Metrics, dict[str, Any]]:
        config = TradingConfig(home=home)
        start = datetime.combine(DAY, datetime.min.time(), UTC)
        async with simulated_desk(config, exchange("XNYS"), start=start, seed=1, store=None) as desk:
            metrics = Metrics(desk.clock, mode=config.mode, version="1.2.3")
            board = HealthBoard(desk.clock)
            await desk.engine.register_event_handler(None, metrics)
            plan = desk.daily.plan_day(DAY)
            assert plan.span is not None
            assert plan.session is not None
            await desk.clock.sleep_until(plan.span.starts_at)
            result = await desk.daily.run_day(plan)
            await desk.clock.sleep_until(
                desk.clock.now() + timedelta(seconds=1)
            )  # the last events reach their handlers
            metrics.observe_orders(await desk.broker.orders())
            metrics.set_equity((await desk.broker.account()).equity)
            metrics.set_day_types(DayType(name) for name in plan.day_types)
            metrics.set_phase("post_market")
            metrics.set_next_bell(desk.clock.now() + timedelta(hours=14))
            metrics.set_next_session(desk.calendar.next_session(DAY).opens_at)
            metrics.set_calendar_end(desk.calendar.span[1])
            metrics.set_halt(None)
            metrics.observe_loop_lag(0.002)
            for agent in desk.agents:
                metrics.set_agent_health(agent, healthy=True)
            board.register("store")
            board.set("store", Health.OK)
            metrics.set_health(board.components(), board.readiness())
            metrics.render()  # while the clock runs: afterwards simulated time stands nowhere
            stopped = ManualClock(desk.clock.now())
            metrics._clock = stopped
            return metrics, result

    with TemporaryDirectory() as home:
        return on_simulated_loop(lambda: main(Path(home)))


# -- names


def test_after_one_day_every_metric_has_help_a_type_and_data() -> None:
    metrics, _ = after_a_day()
    found = families(metrics)
    assert len(found) > 25
    for name, one in found.items():
        assert one.documentation, name
        assert one.type in {"counter", "gauge", "histogram"}, name
        assert one.samples != [], name
        assert not any(math.isnan(sample.value) for sample in one.samples), name


UNITS = {"seconds", "bytes", "ratio", "total", "info"}
NO_BASE_UNITS = re.compile(
    r"_(ms|us|ns|milliseconds|microseconds|minutes|hours|days|weeks|kb|mb|kilobytes|percent|sec|s)(_|$)"
)


def test_names_keep_the_conventions() -> None:
    """The rules of `promtool check metrics`: prefix, base units, suffixes by type, no type in a name."""
    metrics, _ = after_a_day()
    for name, one in families(metrics).items():
        assert re.fullmatch(r"(belltower|process|python)_[a-z][a-z_]*", name), name
        assert name.endswith("_total") == (one.type == "counter"), name
        assert not NO_BASE_UNITS.search(name), name
        assert not re.search(r"gauge|counter|histogram|summary|_(count|sum|bucket)$", name), name
        assert one.documentation.endswith(".") or not name.startswith("belltower_"), name
        for sample in one.samples:
            assert all(re.fullmatch(r"[a-z][a-z_]*", label) for label in sample.labels), name
        if one.type == "histogram":
            assert name.endswith("_seconds"), name


def test_the_page_lists_every_metric_with_its_labels_and_no_other() -> None:
    metrics, _ = after_a_day()
    rows = dict(re.findall(r"^\| `(belltower_\w+)`(?: by ([^|]+))? \|", PAGE.read_text(), re.MULTILINE))
    expected = {
        name: sorted({label for sample in one.samples for label in sample.labels} - {"le"})
        for name, one in families(metrics).items()
        if name.startswith("belltower_")
    }
    assert {name: sorted(re.findall(r"`(\w+)`", labels)) for name, labels in rows.items()} == expected


def test_no_series_tells_when_the_library_made_a_counter() -> None:
    metrics, _ = after_a_day()
    assert "_created" not in metrics.render().decode()
    assert CONTENT_TYPE.startswith("text/plain; version=")


# -- what events tell


def test_a_day_is_counted_as_its_result_says() -> None:
    metrics, result = after_a_day()
    ended = [one["status"] for one in result["tasks"].values()]
    found = families(metrics)
    for outcome in ("completed", "failed", "timeout", "skipped", "cancelled", "expired"):
        samples = [s for s in found["belltower_tasks_total"].samples if s.labels["outcome"] == outcome]
        assert sum(sample.value for sample in samples) == ended.count(outcome)
    assert value(metrics, "belltower_runs_total", outcome="completed") == 1
    assert value(metrics, "belltower_run_duration_seconds_sum") == result["duration_s"]
    for name, stage in result["stages"].items():
        assert value(metrics, "belltower_stages_total", stage=name, outcome=stage["status"]) == 1
    started = value(metrics, "belltower_task_queue_wait_seconds_count")
    assert started is not None
    assert started >= ended.count("completed")


def test_recurring_tasks_are_counted_by_type_and_never_by_name() -> None:
    metrics, _ = after_a_day()
    assert "@" not in metrics.render().decode()


def test_a_new_task_starts_all_its_counters_at_zero() -> None:
    metrics = metrics_at()
    feed(metrics, EVENT.TASK_STARTED, **task())
    assert value(metrics, "belltower_tasks_total", agent="economist", task_type="macro", outcome="failed") == 0
    assert value(metrics, "belltower_task_retries_total", agent="economist", task_type="macro") == 0
    assert value(metrics, "belltower_agent_errors_total", agent="economist") == 0


@pytest.mark.parametrize(
    ("event", "status", "outcome"),
    [
        (EVENT.TASK_COMPLETED, "completed", "completed"),
        (EVENT.TASK_FAILED, "failed", "failed"),
        (EVENT.TASK_FAILED, "timeout", "timeout"),
        (EVENT.TASK_SKIPPED, "skipped", "skipped"),
        (EVENT.TASK_EXPIRED, "expired", "expired"),
        (EVENT.TASK_CANCELLED, "cancelled", "cancelled"),
    ],
)
def test_each_end_of_a_task_is_an_outcome(event: OrchestrationEvent, status: str, outcome: str) -> None:
    metrics = metrics_at()
    feed(metrics, event, **task(status, duration_s=2.5))
    assert value(metrics, "belltower_tasks_total", agent="economist", task_type="macro", outcome=outcome) == 1
    assert value(metrics, "belltower_task_duration_seconds_sum", agent="economist", task_type="macro") == 2.5


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        (EVENT.WORKFLOW_COMPLETED, "completed"),
        (EVENT.WORKFLOW_FAILED, "failed"),
        (EVENT.WORKFLOW_CANCELLED, "cancelled"),
    ],
)
def test_each_end_of_a_run_is_an_outcome(event: OrchestrationEvent, outcome: str) -> None:
    metrics = metrics_at()
    feed(metrics, event, duration_s=None)
    assert value(metrics, "belltower_runs_total", outcome=outcome) == 1
    assert value(metrics, "belltower_run_duration_seconds_count") == 0


def test_retries_agent_errors_queue_waits_and_stages_are_counted() -> None:
    metrics = metrics_at()
    feed(metrics, EVENT.TASK_STARTED, **task(queue_wait_s=0.2))
    feed(metrics, EVENT.TASK_RETRYING, **task("retrying"))
    feed(metrics, EVENT.AGENT_ERROR, **task())
    feed(metrics, EVENT.STAGE_COMPLETED, stage="close", status="failed")
    feed(metrics, EVENT.STAGE_COMPLETED, stage="close", status="strange")
    feed(metrics, EVENT.MARKET_EVENT, kind="open")
    assert value(metrics, "belltower_task_queue_wait_seconds_sum") == 0.2
    assert value(metrics, "belltower_task_retries_total", agent="economist", task_type="macro") == 1
    assert value(metrics, "belltower_agent_errors_total", agent="economist") == 1
    assert value(metrics, "belltower_stages_total", stage="close", outcome="failed") == 1
    assert value(metrics, "belltower_stages_total", stage="close", outcome="other") == 1


def test_system_alerts_are_counted_by_source_and_those_of_the_bus_are_failing_handlers() -> None:
    metrics = metrics_at()
    feed(metrics, EVENT.SYSTEM_ALERT, source="event_bus", message="handler x raised")
    feed(metrics, EVENT.SYSTEM_ALERT, source="health checks", message="late")
    assert value(metrics, "belltower_system_alerts_total", source="event_bus") == 1
    assert value(metrics, "belltower_system_alerts_total", source="health checks") == 1
    assert value(metrics, "belltower_event_handler_failures_total") == 1


def test_an_event_that_says_nothing_harms_nothing() -> None:
    metrics = metrics_at()
    for event in EVENT:
        feed(metrics, event)
    assert value(metrics, "belltower_tasks_total", agent="none", task_type="none", outcome="completed") == 1


@pytest.mark.parametrize("label", ["agent", "task_type"])
def test_past_a_hundred_values_a_label_says_other(label: str) -> None:
    metrics = metrics_at()
    for number in range(MOST_VALUES + 30):
        feed(metrics, EVENT.TASK_COMPLETED, **{**task(), label: f"x{number}"})
    feed(metrics, EVENT.TASK_COMPLETED, **{**task(), label: "x5"})
    samples = families(metrics)["belltower_tasks_total"].samples
    counts = {s.labels[label]: s.value for s in samples if s.labels["outcome"] == "completed"}
    assert len(counts) == MOST_VALUES + 1
    assert (counts["other"], counts["x5"], counts[f"x{MOST_VALUES - 1}"]) == (30, 2, 1)


def test_text_that_is_no_text_spoils_no_scrape() -> None:
    metrics = metrics_at()
    feed(metrics, EVENT.TASK_COMPLETED, agent='a"b\\c\n', task_type="\ud800")
    assert families(metrics)["belltower_tasks_total"].samples[0].labels["agent"] == 'a"b\\c\n'


# -- what the parts tell


def test_exactly_one_phase_holds() -> None:
    metrics = metrics_at()
    assert value(metrics, "belltower_session_phase", phase="closed") == 1
    for phase in PHASES:
        metrics.set_phase(phase)
        held = {s.labels["phase"]: s.value for s in families(metrics)["belltower_session_phase"].samples}
        assert held == {name: float(name == phase) for name in PHASES}
    with pytest.raises(DefinitionError, match="the phase is 'lunch'"):
        metrics.set_phase("lunch")


def test_a_stage_is_overdue_until_it_is_not_and_names_that_are_none_are_left_out() -> None:
    metrics = metrics_at()
    overdue = "belltower_stage_overdue_seconds"
    assert {s.labels["stage"] for s in families(metrics)[overdue].samples} == set(PHASES) - {"closed"}
    metrics.set_overdue({"intraday": timedelta(minutes=2), "earlier": timedelta(minutes=3)})
    assert value(metrics, overdue, stage="intraday") == 120
    assert sum(s.value for s in families(metrics)[overdue].samples) == 120
    metrics.set_overdue({})
    assert value(metrics, overdue, stage="intraday") == 0


def test_the_time_to_the_bell_runs_down_between_scrapes_and_stops_at_zero() -> None:
    clock = ManualClock()
    metrics = metrics_at(clock)
    bell = "belltower_next_bell_seconds"
    assert math.isnan(value(metrics, bell) or 0)
    metrics.set_next_bell(clock.moment + timedelta(seconds=90))
    assert value(metrics, bell) == 90
    clock.moment += timedelta(seconds=60)
    assert value(metrics, bell) == 30
    clock.moment += timedelta(seconds=60)
    assert value(metrics, bell) == 0


def test_the_next_session_and_the_end_of_the_calendar_are_told() -> None:
    clock = ManualClock(datetime(2012, 12, 12, 12, tzinfo=UTC))
    metrics = metrics_at(clock)
    assert math.isnan(value(metrics, "belltower_calendar_remaining_seconds") or 0)
    metrics.set_calendar_end(date(2012, 12, 22))
    metrics.set_next_session(clock.moment)
    assert value(metrics, "belltower_calendar_remaining_seconds") == 9.5 * 86400
    assert value(metrics, "belltower_next_session_timestamp_seconds") == clock.moment.timestamp()
    metrics.set_next_session(None)
    assert math.isnan(value(metrics, "belltower_next_session_timestamp_seconds") or 0)


def test_kinds_of_day_combine() -> None:
    metrics = metrics_at()
    metrics.set_day_types([DayType.FOMC, DayType.EARNINGS])
    metrics.set_day_types([DayType.FOMC, DayType.EARLY_CLOSE])
    samples = families(metrics)["belltower_day_type"].samples
    assert {s.labels["day_type"] for s in samples if s.value} == {"fomc", "early_close"}
    assert len(samples) == len(DayType)


def test_an_order_is_counted_once_when_it_ended_in_this_process() -> None:
    clock = ManualClock()
    metrics = metrics_at(clock)
    now = clock.moment
    old = order(1, OrderStatus.FILLED, now - timedelta(days=1))
    metrics.observe_orders([old, order(2, OrderStatus.ACCEPTED, now), order(3, OrderStatus.REJECTED, now, Side.SELL)])
    metrics.observe_orders([old, order(2, OrderStatus.FILLED, now), order(3, OrderStatus.REJECTED, now, Side.SELL)])
    metrics.observe_orders([order(2, OrderStatus.FILLED, now), order(4, OrderStatus.FILLED, now)])
    assert value(metrics, "belltower_orders_total", side="buy", outcome="filled") == 2
    assert value(metrics, "belltower_orders_total", side="sell", outcome="rejected") == 1


def test_the_level_of_a_halt_is_told() -> None:
    metrics = metrics_at()
    assert value(metrics, "belltower_halt_level", level="none") == 1
    metrics.set_halt(Halt(level=HaltLevel.CLOSE_ONLY, reason="news", at=ManualClock().moment, by="cli"))
    assert value(metrics, "belltower_halt_level", level="close_only") == 1
    assert value(metrics, "belltower_halt_level", level="none") == 0
    metrics.set_halt(None)
    assert value(metrics, "belltower_halt_level", level="none") == 1


def test_components_are_in_one_state_each() -> None:
    metrics = metrics_at()
    board = HealthBoard(ManualClock())
    board.register("store")
    metrics.set_health(board.components(), board.readiness())
    assert value(metrics, "belltower_ready") == 0
    board.set("store", Health.OK)
    metrics.set_health(board.components(), board.readiness())
    assert value(metrics, "belltower_ready") == 1
    assert value(metrics, "belltower_component_state", component="store", state="ok") == 1
    assert value(metrics, "belltower_component_state", component="store", state="starting") == 0


def test_equity_agents_lags_and_alerts_are_told() -> None:
    metrics = metrics_at()
    assert math.isnan(value(metrics, "belltower_equity") or 0)
    metrics.set_equity(Decimal("1000000.25"))
    metrics.set_agent_health("economist", healthy=True)
    metrics.set_agent_health("economist", healthy=False)
    metrics.observe_loop_lag(0.3)
    metrics.count_alert(AlertOutcome.DROPPED)
    assert value(metrics, "belltower_equity") == 1000000.25
    assert value(metrics, "belltower_agent_health", agent="economist") == 0
    assert value(metrics, "belltower_loop_lag_latest_seconds") == 0.3
    assert value(metrics, "belltower_loop_lag_seconds_count") == 1
    assert value(metrics, "belltower_alerts_total", outcome="dropped") == 1


def test_the_mode_and_the_version_are_told() -> None:
    assert value(metrics_at(), "belltower_info", mode="paper", version="1.2.3") == 1


def test_switched_off_nothing_is_collected() -> None:
    metrics = metrics_at(enabled=False)
    data: Mapping[str, Any] = task("completed", duration_s=1)
    for event in EVENT:
        feed(metrics, event, **data)
    metrics.set_equity(Decimal(1))
    metrics.set_phase("close")
    assert metrics.render() == b""
