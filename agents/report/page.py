"""Write the page: one HTML text with its style and script inside, and nothing loaded from anywhere."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from agents.report import wording
from agents.report.charts import draw_equity, drawdowns
from agents.report.contents import Report
from agents.report.day_view import DayView, view_day
from agents.report.tasks import count_statuses

_TEMPLATES = Path(__file__).with_name("templates")
_MOST_DETAILED_DAYS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A range of days in figures; the chart is ``""`` for a single day."""

    first: DayView
    last: DayView
    sessions: int
    tasks: tuple[tuple[str, int], ...]
    total_tasks: int
    orders: int
    fills: int
    refused: int
    start_equity: Decimal
    equity: Decimal
    pnl: Decimal
    pnl_share: Decimal
    deepest: Decimal
    best: DayView
    worst: DayView
    chart: str


def render(report: Report) -> str:
    """Return the whole page; the same report gives the same text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    detailed = len(report.days) <= _MOST_DETAILED_DAYS
    days = tuple(view_day(report, index, detailed=detailed) for index in range(len(report.days)))
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= _filters(report.timezone)
    script = (_TEMPLATES / "script.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        report=report,
        days=days,
        overview=_overview(report, days),
        style=(_TEMPLATES / "style.css").read_text(encoding="utf-8"),
        script=script,
        script_digest=digest,
    )  # fmt: skip


def _overview(report: Report, days: tuple[DayView, ...]) -> Overview:
    curve = report.equity
    start = report.account_start.equity
    pnl = days[-1].equity - start
    return Overview(
        first=days[0],
        last=days[-1],
        sessions=sum(1 for day in days if day.is_session),
        tasks=count_statuses(status for day in days for status, number in day.counts for _ in range(number)),
        total_tasks=sum(day.total for day in days),
        orders=sum(len(day.orders) for day in days),
        fills=sum(day.fills for day in days),
        refused=sum(day.refused for day in days),
        start_equity=start,
        equity=days[-1].equity,
        pnl=pnl,
        pnl_share=pnl / start if start > 0 else Decimal(0),
        deepest=min(drawdowns([value for _, value in curve])),
        best=max(days, key=lambda day: day.pnl),
        worst=min(days, key=lambda day: day.pnl),
        chart=draw_equity(curve, report.timezone, "range-equity", daily=True)
        if len(days) > 1 and len(curve) > 1
        else "",
    )


def _filters(zone: ZoneInfo) -> dict[str, object]:
    def local(moment: datetime) -> str:
        return wording.local_time(moment, zone)

    return {
        "local": local,
        "utc": wording.utc_time,
        "instant": wording.instant,
        "long_date": wording.long_date,
        "short_date": wording.short_date,
        "money": wording.money,
        "change": wording.change,
        "percent": wording.percent,
        "percent_change": wording.percent_change,
        "quantity": wording.quantity,
        "spoken": wording.spoken,
    }
