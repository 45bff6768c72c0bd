"""Simulated days end with every task accounted for, and with orders, cash and positions that reconcile."""

from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orchestration.config import TradingConfig
from orchestration.domain.orders import OrderStatus
from orchestration.domain.records import RecordKind
from orchestration.simulation import simulate
from tests.desk import Ran, exchange, run_day

ENDS = {"completed", "failed", "timeout", "skipped", "cancelled", "expired"}


@pytest.fixture(scope="module", params=["2012-12-12", "2012-11-23", "2012-12-21"])
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return run_day(tmp_path_factory.mktemp("home"), date.fromisoformat(request.param))


def test_every_task_ends_and_says_how(ran: Ran) -> None:
    tasks = ran.result["tasks"]
    assert tasks
    assert {task["status"] for task in tasks.values()} <= ENDS
    silent = [name for name, t in tasks.items() if t["status"] != "completed" and not (t["reason"] or t["error"])]
    assert silent == []


def test_every_result_says_how_it_was_worked_out(ran: Ran) -> None:
    results = {name: task["result"] for name, task in ran.result["tasks"].items() if task["status"] == "completed"}
    assert [name for name, result in results.items() if not result.get("method")] == []


def test_every_order_ends_and_says_why_if_it_was_not_filled(ran: Ran) -> None:
    assert ran.orders
    assert [state for state in ran.orders if state.status.open] == []
    silent = [s for s in ran.orders if s.status is not OrderStatus.FILLED and not s.reason]
    assert silent == []


def test_orders_and_fills_reconcile(ran: Ran) -> None:
    filled: Counter[str] = Counter()
    for fill in ran.fills:
        filled[fill.client_order_id] += int(fill.quantity)
    assert {s.order.client_order_id: int(s.filled_quantity) for s in ran.orders if s.filled_quantity} == filled


def test_cash_and_positions_are_what_the_fills_made_them(ran: Ran) -> None:
    cash, held = Decimal(1_000_000), Counter[str]()
    for fill in ran.fills:
        cash -= fill.side.sign * fill.quantity * fill.price + fill.commission
        held[fill.symbol] += fill.side.sign * int(fill.quantity)
    assert ran.account.cash == cash
    assert {p.symbol: int(p.quantity) for p in ran.account.positions} == {s: q for s, q in held.items() if q}


def test_no_order_task_ran_before_what_it_needs_had_a_result(ran: Ran) -> None:
    seen: set[str] = set()
    for record in ran.records:
        if record.kind is RecordKind.TASK_COMPLETED:
            seen.add(str(record.task))
        if record.kind is RecordKind.TASK_STARTED and record.task == "execute_trades":
            assert "validate_trades" in seen


def test_on_an_fomc_day_nothing_is_opened_in_the_windows(tmp_path: Path) -> None:
    ran = run_day(tmp_path, date(2012, 12, 12))
    windows = [("17:15", "17:45"), ("19:15", "20:15")]
    opening = [s for s in ran.orders if s.order.side == "buy" and s.status is not OrderStatus.REJECTED]
    inside = [s for s in opening for start, end in windows if start <= f"{s.submitted_at:%H:%M}" < end]
    assert inside == []


def test_on_an_fomc_day_exposure_is_cut_before_the_statement(tmp_path: Path) -> None:
    ran = run_day(tmp_path, date(2012, 12, 12))
    sold = [fill for fill in ran.fills if fill.side == "sell" and f"{fill.at:%H:%M}" < "17:30"]
    assert sold


def test_market_events_come_when_they_happen(tmp_path: Path) -> None:
    ran = run_day(tmp_path, date(2012, 12, 12))
    said = [(f"{r.at:%H:%M}", r.data["kind"]) for r in ran.records if r.kind is RecordKind.MARKET_EVENT]
    assert said == [("14:30", "open"), ("17:30", "fomc_statement"), ("21:00", "close")]


def test_a_surprise_of_history_is_announced_when_it_comes_and_makes_no_day_type(tmp_path: Path) -> None:
    ran = run_day(tmp_path, date(2008, 10, 8))
    said = [(f"{r.at:%H:%M}", r.data["kind"]) for r in ran.records if r.kind is RecordKind.MARKET_EVENT]
    assert ("11:00", "fomc_statement") in said
    assert all("fomc" not in name for name in ran.result["tasks"])


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    config = TradingConfig(home=tmp_path_factory.mktemp("month"))
    dates = [date(2012, 12, day) for day in range(3, 32)]
    return simulate(config, exchange("XNYS"), dates, seed=1)


def test_a_month_has_a_row_for_every_date(month: dict[str, Any]) -> None:
    statuses = Counter(day["status"] for day in month["days"])
    assert statuses == {"completed": 20, "market_closed": 9}


def test_the_statuses_of_a_day_add_up_to_its_total(month: dict[str, Any]) -> None:
    for day in month["days"]:
        tasks = dict(day["tasks"])
        assert tasks.pop("total") == sum(tasks.values())


def test_positions_are_carried_over_from_day_to_day(month: dict[str, Any]) -> None:
    sold = {(o["symbol"], d["date"]) for d in month["days"] for o in d["orders"] if o["side"] == "sell"}
    assert sold
    ids = [order["client_order_id"] for day in month["days"] for order in day["orders"]]
    assert len(ids) == len(set(ids))


def test_the_report_of_the_month_is_there(month: dict[str, Any]) -> None:
    report = Path(month["days"][0]["report"])
    assert report.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (report.parent / "trades.csv").exists()
