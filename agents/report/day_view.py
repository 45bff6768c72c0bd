"""Everything that the page says about one day, ready to be written."""

import json
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby

from agents.report.charts import draw_equity, draw_prices
from agents.report.contents import Report, ReportDay
from agents.report.money_view import (
    CashSum,
    OrderLine,
    Unsent,
    WeightLine,
    cash_sum,
    order_lines,
    unsent_trades,
    weight_lines,
)
from agents.report.tasks import Occurrence, TaskLine, count_statuses, latest_targets, task_lines
from agents.report.timeline import draw_timeline
from agents.report.wording import local_time, spoken, utc_time
from orchestration.domain.folding import base_name
from orchestration.domain.json_reading import as_moment, as_object, as_objects, as_text, as_texts
from orchestration.domain.json_value import JsonValue

_RAW_CHARACTERS = 1200
_ALERTS = {"agent_error": "agent error", "system_alert": "alert", "task_retrying": "retry"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that did not happen, or not as planned, and why."""

    name: str
    status: str
    count: int
    when: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    """One agent's tasks of the day in the plan's order, with their numbers by status."""

    name: str
    lines: tuple[TaskLine, ...]

    @property
    def counts(self) -> tuple[tuple[str, int], ...]:
        """How many tasks ended in which status."""
        return count_statuses(o.status for line in self.lines for o in line.occurrences)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A span in which the desk may not open or add."""

    level: str
    starts_at: datetime
    ends_at: datetime
    reason: str
    symbols: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DayView:
    """One day; drawings are ``""`` where there is nothing to draw or the range is too long for them."""

    key: str
    date: date
    is_session: bool
    opens_at: datetime | None
    closes_at: datetime | None
    early_close: bool
    day_types: tuple[str, ...]
    reason: str
    next_session: str
    status: str
    warnings: tuple[str, ...]
    events: int
    sha256: str
    agents: tuple[AgentView, ...]
    anchors: dict[str, str]
    counts: tuple[tuple[str, int], ...]
    total: int
    troubles: tuple[Trouble, ...]
    windows: tuple[Window, ...]
    orders: tuple[OrderLine, ...]
    fills: int
    unsent: tuple[Unsent, ...]
    refused: int
    equity: Decimal
    pnl: Decimal
    pnl_share: Decimal
    cash: CashSum
    weights: tuple[WeightLine, ...]
    has_targets: bool
    timeline: str
    prices: tuple[tuple[str, str], ...]
    equity_chart: str
    detailed: bool

    @property
    def shown(self) -> bool:
        """Whether it has more to tell than that the exchange was closed."""
        return self.is_session or self.total > 0 or bool(self.orders)

    @property
    def unfinished(self) -> int:
        """How many tasks came to another end than completion."""
        return self.total - dict(self.counts).get("completed", 0)

    def raw(self, line: TaskLine) -> str:
        """The figures of a task's result, shortened; ``""`` for recurring tasks and in long ranges."""
        return "" if line.rhythm or not self.detailed else raw_figures(line.last.result)


def view_day(report: Report, index: int, *, detailed: bool) -> DayView:
    """Return day number ``index`` of ``report``; only a ``detailed`` one is drawn."""
    day, opening = report.days[index], report.opening(index)
    plan = day.plan
    on = date.fromisoformat(as_text(plan.get("date")))
    key = f"d{on:%Y%m%d}"
    lines = task_lines(plan, day.result)
    targets = latest_targets(lines)
    occurrences = [occurrence for line in lines for occurrence in line.occurrences]
    pnl = day.account.equity - opening.equity
    return DayView(
        key=key,
        date=on,
        is_session=plan.get("is_session") is not False and as_text(day.result.get("status")) != "market_closed",
        opens_at=as_moment(plan.get("open")),
        closes_at=as_moment(plan.get("close")),
        early_close=plan.get("early_close") is True,
        day_types=as_texts(plan.get("day_types")),
        reason=as_text(plan.get("reason")) or as_text(day.result.get("reason")),
        next_session=as_text(plan.get("next_session")) or as_text(day.result.get("next_session")),
        status=as_text(day.result.get("status")) or "unknown",
        warnings=as_texts(plan.get("warnings")),
        events=len(day.records),
        sha256=day.event_log_sha256,
        agents=_agents(lines),
        anchors={line.name: f"{key}-t{number}" for number, line in enumerate(lines)},
        counts=count_statuses(o.status for o in occurrences),
        total=len(occurrences),
        troubles=(*_never_planned(day), *_troubles(report, lines), *_alerts(report, day)),
        windows=_windows(day),
        orders=order_lines(report, day.orders, day.fills),
        fills=len(day.fills),
        unsent=unsent_trades(lines),
        refused=sum(1 for state in day.orders if state.status == "rejected"),
        equity=day.account.equity,
        pnl=pnl,
        pnl_share=pnl / opening.equity if opening.equity > 0 else Decimal(0),
        cash=cash_sum(report, opening, day.account, day.fills),
        weights=weight_lines(day.account, targets),
        has_targets=bool(targets),
        timeline=draw_timeline(plan, lines, report.timezone, f"{key}-timeline") if detailed else "",
        prices=_prices(report, day, key) if detailed else (),
        equity_chart=(
            draw_equity(day.equity, report.timezone, f"{key}-equity", daily=False)
            if detailed and len(day.equity) > 1
            else ""
        ),
        detailed=detailed,
    )


def raw_figures(result: JsonValue) -> str:
    """Return what a result holds beside its words as JSON, cut after about a screen."""
    figures = {k: v for k, v in as_object(result).items() if k not in {"conclusion", "method", "status", "task_type"}}
    if not figures:
        return ""
    text = json.dumps(figures, indent=1, ensure_ascii=False, default=str)
    return text if len(text) <= _RAW_CHARACTERS else f"{text[:_RAW_CHARACTERS]}\n\u2026 {len(text):,} characters in all"


def _agents(lines: tuple[TaskLine, ...]) -> tuple[AgentView, ...]:
    names = dict.fromkeys(line.agent for line in lines)
    return tuple(AgentView(name=n, lines=tuple(line for line in lines if line.agent == n)) for n in names)


def _never_planned(day: ReportDay) -> list[Trouble]:
    return [
        Trouble(name=as_text(s.get("name")), status="left out", count=1, when="", reason=as_text(s.get("reason")))
        for s in as_objects(day.plan.get("skipped"))
    ]


def _troubles(report: Report, lines: tuple[TaskLine, ...]) -> list[Trouble]:
    found: list[Trouble] = []
    for line in lines:
        unusual = [o for o in line.occurrences if o.status != "completed"]
        alike = groupby(sorted(unusual, key=_kind_of_trouble), key=_kind_of_trouble)
        for (status, why), group in alike:
            moments = [o.shown_at for o in group]
            known = sorted(m for m in moments if m is not None)
            edges = dict.fromkeys(f"{local_time(m, report.timezone)} ({utc_time(m)})" for m in known[:1] + known[-1:])
            found.append(
                Trouble(
                    name=line.name,
                    status=status,
                    count=len(moments),
                    when=" to ".join(edges),
                    reason=why or "no reason was given",
                )
            )
    return found


def _kind_of_trouble(occurrence: Occurrence) -> tuple[str, str]:
    return occurrence.status, occurrence.explanation


def _alerts(report: Report, day: ReportDay) -> list[Trouble]:
    found: list[Trouble] = []
    for record in day.records:
        kind = _ALERTS.get(as_text(record.get("kind")))
        at = as_moment(record.get("at"))
        if kind is None:
            continue
        data = as_object(record.get("data"))
        words = (as_text(data.get(key)) for key in ("source", "message", "error", "reason"))
        found.append(
            Trouble(
                name=base_name(as_text(record.get("task"))) or as_text(record.get("stage")) or "the service",
                status=kind,
                count=1,
                when=f"{local_time(at, report.timezone)} ({utc_time(at)})" if at else "",
                reason=": ".join(filter(None, words)) or "no reason was given",
            )
        )
    return found


def _windows(day: ReportDay) -> tuple[Window, ...]:
    return tuple(
        Window(
            level=spoken(as_text(window.get("level"))),
            starts_at=starts,
            ends_at=ends,
            reason=as_text(window.get("reason")),
            symbols=", ".join(as_texts(window.get("symbols"))) or "all symbols",
        )
        for window in as_objects(day.plan.get("restrictions"))
        if (starts := as_moment(window.get("starts_at"))) and (ends := as_moment(window.get("ends_at")))
    )


def _prices(report: Report, day: ReportDay, key: str) -> tuple[tuple[str, str], ...]:
    drawings: list[tuple[str, str]] = []
    for number, (symbol, ticks) in enumerate(sorted(day.ticks.items())):
        if ticks:
            fills = [fill for fill in day.fills if fill.symbol == symbol]
            drawings.append(
                (symbol, draw_prices(symbol, ticks, fills, day.plan, report.timezone, f"{key}-price{number}"))
            )
    return tuple(drawings)
