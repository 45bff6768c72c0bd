"""Write a report's files so that a reader never meets half of one."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from agents.report.charts import drawdowns
from agents.report.contents import EquityPoint, Report
from agents.report.page import render
from agents.report.wording import instant

_TRADES = (
    "date", "at", "symbol", "side", "quantity", "price", "value", "commission", "client_order_id", "fill_id",
)  # fmt: skip


def write_report(report: Report, folder: Path) -> Path:
    """Write ``report.html``, ``trades.csv`` and ``equity.csv`` into ``folder`` and return the page's path.

    The folder is made if need be; each file replaces an older one in one step, the page last. Raises `OSError` when
    the folder cannot be written.
    """
    texts = {"trades.csv": trades_csv(report), "equity.csv": equity_csv(report), "report.html": render(report)}
    folder.mkdir(parents=True, exist_ok=True)
    parts = {name: folder / f".{name}.part" for name in texts}
    try:
        for name, text in texts.items():
            parts[name].write_text(text, encoding="utf-8", newline="")
        for name, part in parts.items():
            part.replace(folder / name)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    return folder / "report.html"


def trades_csv(report: Report) -> str:
    """Return one line a fill, oldest first: money and prices unrounded, ``at`` in UTC, ``date`` the session's."""
    rows = (
        (
            str(day.plan.get("date", "")), instant(fill.at), fill.symbol, str(fill.side), f"{fill.quantity:f}",
            f"{fill.price:f}", f"{report.value(fill):f}", f"{fill.commission:f}", fill.client_order_id, fill.fill_id,
        )
        for day in report.days
        for fill in day.fills
    )  # fmt: skip
    return _csv(_TRADES, rows)


def equity_csv(report: Report) -> str:
    """Return the account's worth before the first day and at every point since; a drawdown of -0.01 is 1 %."""
    points: list[EquityPoint] = [(report.account_start.at, report.account_start.equity)]
    for day in report.days:
        points += [point for point in (*day.equity, (day.account.at, day.account.equity)) if point[0] > points[-1][0]]
    falls = drawdowns([value for _, value in points])
    rows = (
        (instant(at), f"{at.astimezone(report.timezone):%Y-%m-%d}", f"{value:.2f}", f"{fall:.9f}")
        for (at, value), fall in zip(points, falls, strict=True)
    )
    return _csv(("at", "date", "equity", "drawdown"), rows)


def _csv(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return buffer.getvalue()
