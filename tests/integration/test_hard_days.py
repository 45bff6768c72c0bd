"""Days on which money goes wrong first: thin markets, FOMC windows, expiring options, a listing, scaled limits."""

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orchestration.config import TradingConfig
from orchestration.domain.orders import OrderState
from orchestration.wiring import on_simulated_loop, simulated_desk
from tests.desk import exchange, run_day

STATEMENT = (datetime(2011, 6, 22, 16, 15, tzinfo=UTC), datetime(2011, 6, 22, 16, 45, tzinfo=UTC))
OPTION = """
limits: {gross: 2.0, per_name: 0.5, per_order: 0.3, daily_loss: 0.5}
instruments:
  UPCALL: {underlying: UP, expires_on: 2012-12-%s, strike: 100, right: call, multiplier: 100}
"""


def desk(folder: Path, text: str) -> Path:
    (folder / "desk.yaml").write_text(text, encoding="utf-8")
    return folder


def prices(folder: Path, paths: Mapping[str, float]) -> Path:
    """Rising daily bars of each symbol from a start, three hundred sessions up to 2012-12-31."""
    folder.mkdir()
    calendar = exchange("XNYS")
    days = [calendar.next_session(date(2012, 12, 30)).date]
    while len(days) < 300:
        days.append(calendar.previous_session(days[-1]).date)
    for symbol, start in paths.items():
        rows = ["date,open,high,low,close,volume"]
        for n, day in enumerate(reversed(days)):
            close = start * 1.001**n * (1 + 0.004 * math.sin(n * 1.7))
            rows.append(f"{day},{close:.2f},{close * 1.01:.2f},{close * 0.99:.2f},{close:.2f},1000000")
        (folder / f"{symbol}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def run_days(home: Path, data: Path, days: list[date]) -> tuple[list[dict[str, Any]], tuple[OrderState, ...]]:
    """Simulate ``days`` one after the other on one account; return their results and all orders."""
    config = TradingConfig(home=home, data=str(data))
    start = datetime.combine(days[0] - timedelta(days=1), time(), UTC)

    async def main() -> tuple[list[dict[str, Any]], tuple[OrderState, ...]]:
        async with simulated_desk(config, exchange("XNYS"), start=start, seed=1, store=None) as parts:
            results = []
            for on in days:
                plan = parts.daily.plan_day(on)
                assert plan.span is not None
                await parts.clock.sleep_until(plan.span.starts_at)
                results.append(await parts.daily.run_day(plan))
            return results, await parts.broker.orders()

    return on_simulated_loop(main)


def test_in_a_thin_market_no_order_task_times_out_and_nothing_stays_open(tmp_path: Path) -> None:
    ran = run_day(desk(tmp_path, "costs: {participation: 0.0002}"), date(2011, 6, 22), seed=3)
    late = [name for name, task in ran.result["tasks"].items() if task["status"] in {"failed", "timeout"}]
    assert late == []
    assert [s for s in ran.orders if s.status.open] == []
    assert len(ran.fills) > 2 * len(ran.orders)


def test_in_a_thin_market_nothing_is_bought_in_the_window_of_a_statement(tmp_path: Path) -> None:
    """An order that was sent before the window may not go on filling in it."""
    ran = run_day(desk(tmp_path, "costs: {participation: 0.0002}"), date(2011, 6, 22), seed=3)
    start, end = STATEMENT
    assert any(fill.side == "buy" and fill.at < start for fill in ran.fills)
    assert [fill for fill in ran.fills if fill.side == "buy" and start <= fill.at < end] == []


@pytest.mark.parametrize("day", [21, 22], ids=["a Friday", "the Saturday after"])
def test_an_option_is_closed_on_the_last_day_it_trades(tmp_path: Path, day: int) -> None:
    home = desk(tmp_path, OPTION % day)
    data = prices(tmp_path / "prices", {"UP": 80, "UPCALL": 4})
    results, orders = run_days(home, data, [date(2012, 12, d) for d in (20, 21, 24)])
    assert "Close UPCALL" in results[1]["tasks"]["close_expiring_positions"]["result"]["conclusion"]
    of_option = [s for s in orders if s.order.symbol == "UPCALL" and s.submitted_at.day >= 21]
    assert of_option
    assert all("close_expiring_execution" in s.order.client_order_id for s in of_option)


def test_the_day_after_an_option_was_settled_the_book_reconciles_and_profits_add_up(tmp_path: Path) -> None:
    """2012-12-13 is no monthly expiration: nobody closes the position, so the broker settles it."""
    home = desk(tmp_path, OPTION % 13)
    data = prices(tmp_path / "prices", {"UP": 80, "UPCALL": 4})
    results, orders = run_days(home, data, [date(2012, 12, d) for d in (12, 13, 14)])
    assert any(s.order.client_order_id.startswith("expiry:UPCALL") for s in orders)
    tasks = results[2]["tasks"]
    assert tasks["reconcile_positions"]["result"]["reconciled"]
    figures = tasks["performance_analysis"]["result"]
    earned = sum(Decimal(row["profit"]) for row in figures["attribution"])
    assert abs(Decimal(figures["equity_curve"][-1]["equity"]) - 1_000_000 - earned) < Decimal("0.05")


def test_a_listing_does_not_make_the_market_unknown(tmp_path: Path) -> None:
    ran = run_day(tmp_path, date(2012, 5, 25))
    assert ran.result["tasks"]["macro_assessment"]["result"]["regime"] != "unknown"


def test_the_desk_says_by_how_much_limits_shrink(tmp_path: Path) -> None:
    ran = run_day(desk(tmp_path, "days: {high_volatility: {limit_scale: 0.1}}"), date(2000, 4, 14))
    limits = ran.result["tasks"]["risk_assessment"]["result"]["limits"]
    assert limits == {"gross": 0.1, "per_name": 0.03, "per_order": 0.01, "daily_loss": 0.002}
