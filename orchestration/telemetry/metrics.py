"""What Prometheus is told: counted from events, set by the parts that know, and rendered when asked."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from orchestration.days.day_types import DayType
from orchestration.days.stage_times import StageName
from orchestration.domain.errors import DefinitionError, nearest
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.halts import Halt, HaltLevel
from orchestration.domain.health import ComponentHealth, Health, Readiness
from orchestration.domain.json_value import storable
from orchestration.domain.orders import OrderState, OrderStatus, Side
from orchestration.domain.states import RunStatus, StageStatus, TaskStatus
from orchestration.ports.clock import Clock
from orchestration.telemetry.alerting import AlertOutcome

CONTENT_TYPE = CONTENT_TYPE_LATEST
CLOSED = "closed"
PHASES = (*(name.value for name in StageName), CLOSED)
"""Where the desk stands: in a stage of the day, or in none."""
NO_HALT = "none"
MOST_VALUES = 100
OTHER = "other"
"""What a label says for all values past the first `MOST_VALUES`."""
EVENT_BUS = "event_bus"
"""The source of the alerts that tell of failing handlers."""

_RUN_OUTCOMES = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED)
_STAGE_OUTCOMES = (StageStatus.COMPLETED, StageStatus.FAILED, StageStatus.SKIPPED, StageStatus.CANCELLED)
_TASK_OUTCOMES = tuple(status for status in TaskStatus if status.ended)
_ORDER_OUTCOMES = tuple(status for status in OrderStatus if not status.open)
_ALERT_SOURCES = (EVENT_BUS, "event_loop")

_RUN_ENDINGS = {
    OrchestrationEvent.WORKFLOW_COMPLETED: RunStatus.COMPLETED,
    OrchestrationEvent.WORKFLOW_FAILED: RunStatus.FAILED,
    OrchestrationEvent.WORKFLOW_CANCELLED: RunStatus.CANCELLED,
}
_TASK_ENDINGS = {
    OrchestrationEvent.TASK_COMPLETED: TaskStatus.COMPLETED,
    OrchestrationEvent.TASK_FAILED: TaskStatus.FAILED,
    OrchestrationEvent.TASK_SKIPPED: TaskStatus.SKIPPED,
    OrchestrationEvent.TASK_EXPIRED: TaskStatus.EXPIRED,
    OrchestrationEvent.TASK_CANCELLED: TaskStatus.CANCELLED,
}

_LAG_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_TASK_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600)
_RUN_BUCKETS = (1, 10, 60, 300, 900, 3600, 4 * 3600, 8 * 3600, 12 * 3600, 16 * 3600, 24 * 3600)

P = ParamSpec("P")


def _if_enabled(method: Callable[Concatenate["Metrics", P], None]) -> Callable[Concatenate["Metrics", P], None]:
    @wraps(method)
    def collect(metrics: "Metrics", /, *args: P.args, **kwargs: P.kwargs) -> None:
        if metrics.enabled:
            method(metrics, *args, **kwargs)

    return collect


class Metrics:
    """An event handler, to be registered for all events, with setters for what no event tells.

    What counts starts at zero with the process. With ``enabled`` false nothing is collected, and `render` is empty.
    """

    def __init__(self, clock: Clock, *, mode: str, version: str, enabled: bool = True) -> None:
        self.enabled = enabled
        self.registry = CollectorRegistry()
        self._clock = clock
        self._agents = _Bounded()
        self._task_types = _Bounded()
        self._stages = _Bounded(PHASES)
        self._sources = _Bounded(_ALERT_SOURCES)
        self._components = _Bounded()
        self._series: dict[tuple[object, object], _TaskSeries] = {}
        self._next_bell: datetime | None = None
        self._calendar_end: date | None = None
        self._counted_orders: frozenset[str] = frozenset()
        if enabled:
            self._began = clock.now()
            self._make_work()
            self._make_desk()
            self._make_service(mode, version)

    # -- the collectors

    def _make_work(self) -> None:
        name, registry = "belltower_{}".format, self.registry
        by_task = ("agent", "task_type")
        self._runs = Counter(name("runs_total"), "Runs that ended.", ("outcome",), registry=registry)
        _zero(self._runs, ((outcome,) for outcome in _RUN_OUTCOMES))
        self._run_durations = Histogram(
            name("run_duration_seconds"), "From the start to the end of a run.", buckets=_RUN_BUCKETS, registry=registry
        )
        self._stages_ended = Counter(
            name("stages_total"), "Stages that ended.", ("stage", "outcome"), registry=registry
        )
        _zero(self._stages_ended, ((stage, outcome) for stage in StageName for outcome in _STAGE_OUTCOMES))
        self._tasks = Counter(name("tasks_total"), "Tasks that ended.", (*by_task, "outcome"), registry=registry)
        self._task_durations = Histogram(
            name("task_duration_seconds"),
            "From the start of a task's first attempt to its end.",
            by_task,
            buckets=_TASK_BUCKETS,
            registry=registry,
        )
        self._queue_waits = Histogram(
            name("task_queue_wait_seconds"),
            "From when a task was ready to the start of its attempt.",
            buckets=_TASK_BUCKETS,
            registry=registry,
        )
        self._retries = Counter(
            name("task_retries_total"), "Attempts that failed and are tried again.", by_task, registry=registry
        )
        self._agent_errors = Counter(
            name("agent_errors_total"), "Attempts in which an agent raised.", ("agent",), registry=registry
        )
        self._agent_health = Gauge(
            name("agent_health"), "1 for a healthy agent, 0 for another.", ("agent",), registry=registry
        )

    def _make_desk(self) -> None:
        name, registry = "belltower_{}".format, self.registry
        self._phase = Gauge(
            name("session_phase"), "1 for the stage in which the desk is.", ("phase",), registry=registry
        )
        self._day_types = Gauge(
            name("day_type"), "1 for each kind that the day is of.", ("day_type",), registry=registry
        )
        self._overdue = Gauge(
            name("stage_overdue_seconds"),
            "How long ago a stage ended that still has unfinished tasks; 0 for the others.",
            ("stage",),
            registry=registry,
        )
        bell = Gauge(
            name("next_bell_seconds"), "Time left to the next open or close of the exchange.", registry=registry
        )
        bell.set_function(self._to_next_bell)
        self._next_session = Gauge(
            name("next_session_timestamp_seconds"), "When the next session opens, since the epoch.", registry=registry
        )
        calendar = Gauge(
            name("calendar_remaining_seconds"), "Time left to the last date that the calendar knows.", registry=registry
        )
        calendar.set_function(self._to_calendar_end)
        self._orders = Counter(
            name("orders_total"), "Orders that ended while this process ran.", ("side", "outcome"), registry=registry
        )
        _zero(self._orders, ((side, outcome) for side in Side for outcome in _ORDER_OUTCOMES))
        self._equity = Gauge(name("equity"), "The account's equity, in its currency.", registry=registry)
        self._halt = Gauge(name("halt_level"), "1 for the level of halt that holds.", ("level",), registry=registry)
        for unknown in (self._next_session, self._equity):
            unknown.set(math.nan)
        self.set_overdue({})
        _mark(self._phase, PHASES, {CLOSED})
        _mark(self._day_types, DayType, ())
        _mark(self._halt, (NO_HALT, *HaltLevel), {NO_HALT})

    def _make_service(self, mode: str, version: str) -> None:
        name, registry = "belltower_{}".format, self.registry
        Info("belltower", "What runs here.", registry=registry).info({"mode": mode, "version": version})
        self._ready = Gauge(name("ready"), "1 when the service can do its work.", registry=registry)
        self._component_states = Gauge(
            name("component_state"), "1 for the state of each component.", ("component", "state"), registry=registry
        )
        self._handler_failures = Counter(
            name("event_handler_failures_total"),
            "Event handlers that raised or hung; each is counted the first time.",
            registry=registry,
        )
        self._system_alerts = Counter(
            name("system_alerts_total"), "Alerts that a part of the service raised.", ("source",), registry=registry
        )
        _zero(self._system_alerts, ((source,) for source in _ALERT_SOURCES))
        self._alerts = Counter(
            name("alerts_total"), "What became of alerts to people.", ("outcome",), registry=registry
        )
        _zero(self._alerts, ((outcome,) for outcome in AlertOutcome))
        self._lag = Gauge(
            name("loop_lag_latest_seconds"), "How late the event loop answered when last asked.", registry=registry
        )
        self._lags = Histogram(
            name("loop_lag_seconds"), "How late the event loop answered.", buckets=_LAG_BUCKETS, registry=registry
        )
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

    # -- what events tell

    def __call__(self, event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
        """Count ``event``."""
        if not self.enabled:
            return
        if event in _RUN_ENDINGS:
            self._runs.labels(_RUN_ENDINGS[event]).inc()
            _observe(self._run_durations, data.get("duration_s"))
        elif event in _TASK_ENDINGS:
            timed_out = data.get("status") == TaskStatus.TIMEOUT
            series = self._task(data)
            series.ended[TaskStatus.TIMEOUT if timed_out else _TASK_ENDINGS[event]].inc()
            _observe(series.durations, data.get("duration_s"))
        elif event is OrchestrationEvent.TASK_STARTED:
            self._task(data)
            _observe(self._queue_waits, data.get("queue_wait_s"))
        elif event is OrchestrationEvent.TASK_RETRYING:
            self._task(data).retries.inc()
        elif event is OrchestrationEvent.AGENT_ERROR:
            self._task(data).errors.inc()
        elif event is OrchestrationEvent.STAGE_COMPLETED:
            status = str(data.get("status"))
            outcome = status if status in _STAGE_OUTCOMES else OTHER
            self._stages_ended.labels(self._stages(data.get("stage")), outcome).inc()
        elif event is OrchestrationEvent.SYSTEM_ALERT:
            source = self._sources(data.get("source"))
            self._system_alerts.labels(source).inc()
            if source == EVENT_BUS:
                self._handler_failures.inc()

    def _task(self, data: Mapping[str, Any]) -> "_TaskSeries":
        """The series of a kind of task; a new one starts all its counters at zero, so that the first step up is seen.

        They are looked up once: the library's own look-up costs more than the counting.
        """
        said = data.get("agent"), data.get("task_type")
        series = self._series.get(said)
        if series is None:
            labels = self._agents(said[0]), self._task_types(said[1])
            series = _TaskSeries(
                ended={outcome: self._tasks.labels(*labels, outcome) for outcome in _TASK_OUTCOMES},
                durations=self._task_durations.labels(*labels),
                retries=self._retries.labels(*labels),
                errors=self._agent_errors.labels(labels[0]),
            )
            if len(self._series) < MOST_VALUES * MOST_VALUES:
                self._series[said] = series
        return series

    # -- what the parts tell

    @_if_enabled
    def observe_loop_lag(self, seconds: float) -> None:
        """The event loop answered so late."""
        self._lag.set(seconds)
        self._lags.observe(seconds)

    @_if_enabled
    def observe_orders(self, states: Iterable[OrderState]) -> None:
        """Count each order that ended since this object was made, once; give all orders, or all of a day, each time."""
        ended = [one for one in states if not one.status.open and one.updated_at >= self._began]
        for one in ended:
            if one.order.client_order_id not in self._counted_orders:
                self._orders.labels(one.order.side, one.status).inc()
        self._counted_orders = frozenset(one.order.client_order_id for one in ended)

    @_if_enabled
    def count_alert(self, outcome: AlertOutcome) -> None:
        """What became of one alert; the ``on_outcome`` of `AlertRelay`."""
        self._alerts.labels(outcome).inc()

    @_if_enabled
    def set_agent_health(self, agent: str, *, healthy: bool) -> None:
        """How an agent is."""
        self._agent_health.labels(self._agents(agent)).set(healthy)

    @_if_enabled
    def set_health(self, components: Iterable[ComponentHealth], readiness: Readiness) -> None:
        """What the health board says."""
        for one in components:
            component = self._components(one.name)
            for state in Health:
                self._component_states.labels(component, state).set(state is one.state)
        self._ready.set(readiness.ready)

    @_if_enabled
    def set_phase(self, phase: str) -> None:
        """In which of `PHASES` the desk is. Raises `DefinitionError` for another."""
        if phase not in PHASES:
            raise DefinitionError(f"the phase is {phase!r}{nearest(phase, PHASES)}")
        _mark(self._phase, PHASES, {phase})

    @_if_enabled
    def set_overdue(self, overdue: Mapping[str, timedelta]) -> None:
        """How long ago each stage ended that is not finished, by name; a name that is no stage's is left out."""
        for stage in StageName:
            self._overdue.labels(stage).set(overdue.get(stage, timedelta()).total_seconds())

    @_if_enabled
    def set_day_types(self, day_types: Iterable[DayType]) -> None:
        """What kinds of day it is."""
        _mark(self._day_types, DayType, set(day_types))

    @_if_enabled
    def set_next_bell(self, at: datetime | None) -> None:
        """The next open or close (aware); ``None``: none is known. The time left is worked out at each scrape."""
        self._next_bell = at

    @_if_enabled
    def set_next_session(self, opens_at: datetime | None) -> None:
        """When the next session opens (aware); ``None``: none is known."""
        self._next_session.set(math.nan if opens_at is None else opens_at.timestamp())

    @_if_enabled
    def set_calendar_end(self, last: date) -> None:
        """The last date that the calendar knows."""
        self._calendar_end = last

    @_if_enabled
    def set_equity(self, equity: Decimal) -> None:
        """What the account is worth."""
        self._equity.set(float(equity))

    @_if_enabled
    def set_halt(self, halt: Halt | None) -> None:
        """The halt that holds; ``None``: none does."""
        _mark(self._halt, (NO_HALT, *HaltLevel), {NO_HALT if halt is None else halt.level.value})

    def render(self) -> bytes:
        """Return everything in the text format, to be sent as `CONTENT_TYPE`."""
        return generate_latest(_WithoutCreated(self.registry))

    def _to_next_bell(self) -> float:
        return math.nan if self._next_bell is None else self._left(self._next_bell)

    def _to_calendar_end(self) -> float:
        if self._calendar_end is None:
            return math.nan
        return self._left(datetime.combine(self._calendar_end, time(), UTC))

    def _left(self, until: datetime) -> float:
        return max(0.0, (until - self._clock.now()).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class _TaskSeries:
    """What is counted of one agent's tasks of one type."""

    ended: Mapping[TaskStatus, Counter]
    durations: Histogram
    retries: Counter
    errors: Counter


class _Bounded:
    """Turns what a label would say into one of at most `MOST_VALUES` values, or `OTHER`."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = set(known)

    def __call__(self, value: object) -> str:
        text = "none" if value is None else storable(str(value))
        if text not in self._known and len(self._known) < MOST_VALUES:
            self._known.add(text)
        return text if text in self._known else OTHER


class _WithoutCreated(Collector):
    """A registry without the series in which the library tells, by the wall clock, when it made each counter."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        for metric in self._registry.collect():
            metric.samples = [one for one in metric.samples if not one.name.endswith("_created")]
            yield metric


def _zero(counter: Counter, labels: Iterable[tuple[str, ...]]) -> None:
    for values in labels:
        counter.labels(*values)


def _mark(gauge: Gauge, values: Iterable[str], holding: Iterable[str]) -> None:
    held = set(holding)
    for value in values:
        gauge.labels(value).set(value in held)


def _observe(histogram: Histogram, seconds: object) -> None:
    if isinstance(seconds, int | float):
        histogram.observe(seconds)
