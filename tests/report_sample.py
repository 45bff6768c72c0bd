"""A made-up desk's days as the report gets them: nothing here comes from an agent or a broker."""

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from math import sin
from zoneinfo import ZoneInfo

from agents.report.contents import Report, ReportDay
from orchestration.domain.bars import Tick
from orchestration.domain.json_value import JsonObject, JsonValue
from orchestration.domain.orders import Account, Fill, Order, OrderState, OrderStatus, OrderType, Position, Side
from orchestration.domain.recurrence import occurrence_name

NEW_YORK = ZoneInfo("America/New_York")
FOMC_DAY = date(2012, 12, 12)
PRICES = {"AAPL": 547.0, "GOOG": 697.0, "IBM": 194.0, "MSFT": 27.3}
_CENT = Decimal("0.01")
_STAGES = (
    ("pre_market", "06:00", "09:30"),
    ("market_open", "09:30", "10:30"),
    ("intraday", "10:30", "15:00"),
    ("close", "15:00", "16:00"),
    ("post_market", "16:00", "18:00"),
)
# name, agent, stage, start, dependencies, what it concluded
_TASKS = (
    ("market_data_collection", "junior_analyst", "pre_market", "06:00", "", "Four names have prices up to 2012-12-11."),
    ("technical_analysis", "junior_analyst", "pre_market", "06:00", "market_data_collection",
     "Momentum is strongest in GOOG (+0.61) and weakest in AAPL (-0.84); MSFT is near its lower band."),
    ("macro_assessment", "economist", "pre_market", "06:00", "", "Calm: 20-day volatility 21.4 %, breadth 3 of 4."),
    ("fomc_preview", "economist", "pre_market", "06:30", "macro_assessment",
     "Statement at 12:30 New York, press conference at 14:15; no new orders around both."),
    ("opportunity_ranking", "senior_analyst", "pre_market", "06:30", "technical_analysis macro_assessment",
     "IBM, GOOG and MSFT qualify; AAPL is left out while its trend points down."),
    ("generate_trades", "portfolio_manager", "market_open", "09:30", "opportunity_ranking",
     "Buy IBM, GOOG and MSFT to 75 % gross by inverse volatility."),
    ("execute_trades", "trade_execution", "market_open", "09:30", "generate_trades", "Three of four orders filled."),
    ("pre_announcement_exposure_cut", "portfolio_manager", "intraday", "12:00", "generate_trades",
     "Gross cut from 75 % to 60 % before the statement."),
    ("statement_analysis", "economist", "intraday", "13:00", "", "Prices moved less than half of the usual day."),
    ("closing_check", "trade_execution", "close", "15:30", "", "No order is left open."),
    ("performance_report", "analytics_reporting", "post_market", "16:00", "", "Most of the day came from GOOG."),
)  # fmt: skip
_RECURRING = (
    ("market_monitoring", "junior_analyst", "intraday", 5, "Quiet."),
    ("risk_check", "portfolio_manager", "intraday", 15, "All limits hold."),
)


def at(day: date, clock: str) -> datetime:
    """The instant of a New York wall-clock time."""
    return datetime.combine(day, time.fromisoformat(clock), NEW_YORK).astimezone(UTC)


def iso(moment: datetime) -> str:
    """An instant as results write it."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def sample_report(symbol: str = "IBM") -> Report:
    """The FOMC day of 2012-12-12; ``symbol`` takes IBM's place."""
    return _report((sample_day(FOMC_DAY, opening_account(FOMC_DAY), symbol=symbol),))


def sample_range(days: int) -> Report:
    """So many days from 2012-12-03 on, positions carried over."""
    made: list[ReportDay] = []
    account = opening_account(date(2012, 12, 3))
    for offset in range(days):
        made.append(sample_day(date(2012, 12, 3) + timedelta(days=offset), account))
        account = made[-1].account
    return _report(tuple(made), start=opening_account(date(2012, 12, 3)))


def closed_report() -> Report:
    """A day without a session."""
    day = date(2012, 10, 29)
    plan: JsonObject = {
        "date": "2012-10-29", "is_session": False, "open": None, "close": None, "breaks": [], "early_close": False,
        "day_types": ["market_closed"], "reason": "Hurricane Sandy", "previous_session": "2012-10-26",
        "next_session": "2012-10-31", "stages": [], "skipped": [], "warnings": [],
    }  # fmt: skip
    result: JsonObject = {"status": "market_closed", "reason": "Hurricane Sandy", "next_session": "2012-10-31"}
    return _report((ReportDay(plan=plan, result=result, account=opening_account(day)),), start=opening_account(day))


def quiet_report() -> Report:
    """A session on which no order was sent."""
    day = sample_day(FOMC_DAY, opening_account(FOMC_DAY))
    return _report((ReportDay(plan=day.plan, result=day.result, account=opening_account(FOMC_DAY), ticks=day.ticks),))


def opening_account(day: date) -> Account:
    """A million in cash on that morning."""
    return Account(at=at(day, "06:00"), cash=Decimal("1000000.00"), positions=())


def sample_day(day: date, opening: Account, symbol: str = "IBM") -> ReportDay:
    """One full day that starts from ``opening``."""
    prices = {(symbol if name == "IBM" else name): price for name, price in PRICES.items()}
    ticks = {name: _path(day, price) for name, price in prices.items()}
    orders, fills = _trades(day, ticks, symbol)
    account = _account(at(day, "18:00"), opening, fills, ticks)
    marks = (at(day, "09:30") + timedelta(minutes=5 * i) for i in range(79))
    equity = tuple((m, _account(m, opening, tuple(f for f in fills if f.at <= m), ticks).equity) for m in marks)
    return ReportDay(
        plan=_plan(day),
        result=_result(day, symbol),
        account=account,
        records=({"sequence": 1, "kind": "run_started", "at": iso(at(day, "06:00")), "data": {}},
                 {"sequence": 2, "kind": "agent_error", "at": iso(at(day, "10:45")), "task": "market_monitoring@15:45Z",
                  "data": {"error": "TransientError: no price of MSFT yet"}}),
        orders=orders,
        fills=fills,
        ticks=ticks,
        equity=equity,
        event_log_sha256="4f2c9b1e" * 8,
    )  # fmt: skip


def sample_plan(day: date = FOMC_DAY) -> JsonObject:
    """The day as ``plan --json`` has it, in its list."""
    return {"calendar": "XNYS", "timezone": "America/New_York", "days": [_plan(day)]}


def sample_summary() -> JsonObject:
    """What ``simulate --json`` prints."""
    tasks = {"total": 83, "completed": 81, "failed": 1, "timeout": 0, "skipped": 1, "cancelled": 0, "expired": 0}
    day: JsonObject = {
        "date": "2012-12-12", "day_types": ["fomc"], "status": "failed", "tasks": tasks,
        "stages": {"pre_market": {"status": "completed"}, "intraday": {"status": "failed"}},
        "orders": [{"status": "filled"}, {"status": "filled"}, {"status": "rejected"}], "equity": "1000830.12",
        "report": "/home/desk/reports/2012-12-12/report.html", "event_log_sha256": "4f2c9b1e" * 8,
    }  # fmt: skip
    return {"days": [day], "wall_s": 1.43}


def _report(days: tuple[ReportDay, ...], start: Account | None = None) -> Report:
    return Report(
        title="A trading day, bell to bell",
        calendar="XNYS",
        timezone=NEW_YORK,
        seed=7,
        source="bokeh_sampledata, adjusted daily bars; intraday paths are synthetic",
        days=days,
        account_start=start or opening_account(FOMC_DAY),
        generated_note="Simulated with belltower 0.1.0.",
    )


def _path(day: date, price: float) -> tuple[Tick, ...]:
    wobble = sum(map(int, day.isoformat().replace("-", "")))
    return tuple(
        Tick(
            at=at(day, "09:30") + timedelta(minutes=i),
            price=Decimal(str(price * (1 + _drift(i / 390, wobble + price)))).quantize(_CENT),
            volume=1000,
        )
        for i in range(391)
    )


def _drift(share: float, phase: float) -> float:
    """A path that looks like one: the same wave at ever shorter lengths and smaller heights."""
    waves = (sin(6.283 * share * octave * 0.83 + phase * octave * octave) / octave**1.15 for octave in range(1, 90))
    return 0.006 * math.fsum(waves)


def _trades(
    day: date, ticks: dict[str, tuple[Tick, ...]], symbol: str
) -> tuple[tuple[OrderState, ...], tuple[Fill, ...]]:
    wanted = (
        (symbol, Side.BUY, 900, 3),
        ("GOOG", Side.BUY, 300, 6),
        ("MSFT", Side.BUY, 8000, 12),
        (symbol, Side.SELL, 200, 151),
    )
    orders: list[OrderState] = []
    fills: list[Fill] = []
    for number, (name, side, size, minute) in enumerate(wanted):
        tick = ticks[name][minute]
        limit = tick.price if number == 2 else None
        kind = OrderType.LIMIT if limit else OrderType.MARKET
        key = f"{day}-{number}"
        order = Order(client_order_id=key, symbol=name, side=side, quantity=Decimal(size), type=kind, limit_price=limit)
        fills += [
            Fill(
                fill_id=f"{key}-{part}",
                client_order_id=key,
                symbol=name,
                side=side,
                quantity=Decimal(size // 2),
                price=ticks[name][minute + part].price,
                commission=Decimal("2.25"),
                at=ticks[name][minute + part].at,
            )
            for part in range(2)
        ]
        average = (fills[-1].price + fills[-2].price) / 2
        orders.append(
            OrderState(
                order=order,
                status=OrderStatus.FILLED,
                submitted_at=tick.at,
                updated_at=fills[-1].at,
                filled_quantity=Decimal(size),
                average_price=average,
            )
        )
    late = Order(client_order_id=f"{day}-9", symbol="AAPL", side=Side.BUY, quantity=Decimal(150))
    orders.append(
        OrderState(
            order=late,
            status=OrderStatus.REJECTED,
            submitted_at=at(day, "12:20"),
            updated_at=at(day, "12:20"),
            reason="no_new_orders until 2012-12-12T17:45:00Z: FOMC statement at 12:30",
        )
    )
    return tuple(orders), tuple(fills)


def _account(
    moment: datetime, opening: Account, fills: tuple[Fill, ...], ticks: dict[str, tuple[Tick, ...]]
) -> Account:
    held = {p.symbol: (p.quantity, p.average_price) for p in opening.positions}
    cash = opening.cash
    for fill in fills:
        quantity, average = held.get(fill.symbol, (Decimal(0), fill.price))
        held[fill.symbol] = (quantity + fill.side.sign * fill.quantity, average)
        cash -= fill.side.sign * fill.quantity * fill.price + fill.commission
    last = {name: [t.price for t in path if t.at <= moment] or [path[0].price] for name, path in ticks.items()}
    positions = tuple(
        Position(symbol=name, quantity=quantity, average_price=average, price=last[name][-1])
        for name, (quantity, average) in sorted(held.items())
        if quantity
    )
    return Account(at=moment, cash=cash, positions=positions)


def _planned(day: date) -> Iterator[tuple[str, str, str, datetime, str, str]]:
    for name, agent, stage, start, needs, said in _TASKS:
        yield name, agent, stage, at(day, start), needs, said
    for name, agent, stage, minutes, said in _RECURRING:
        for index in range(270 // minutes):
            moment = at(day, "10:30") + timedelta(minutes=minutes * index)
            busy = "GOOG moved 1.2 % in an hour." if index in {7, 31} else said
            yield occurrence_name(name, moment), agent, stage, moment, "", busy


def _plan(day: date) -> JsonObject:
    def tasks(stage: str) -> list[JsonObject]:
        return [
            {
                "name": name, "agent": agent, "task_type": name.partition("@")[0], "dependencies": needs.split(),
                "priority": "high" if agent == "trade_execution" else "medium", "starts_at": iso(moment),
                "deadline": iso(moment + timedelta(minutes=30)), "day_type": "fomc" if "fomc" in name else "standard",
            }
            for name, agent, own, moment, needs, _ in _planned(day)
            if own == stage
        ]  # fmt: skip

    windows = (("12:15", "12:45", "FOMC statement at 12:30"), ("14:15", "15:15", "press conference at 14:15"))
    return {
        "date": day.isoformat(), "is_session": True, "open": iso(at(day, "09:30")), "close": iso(at(day, "16:00")),
        "breaks": [], "early_close": False, "day_types": ["fomc"],
        "reason": "FOMC statement at 12:30 New York and press conference at 14:15",
        "previous_session": "2012-12-11", "next_session": "2012-12-13",
        "stages": [
            {"name": name, "starts_at": iso(at(day, a)), "ends_at": iso(at(day, b)), "tasks": tasks(name)}
            for name, a, b in _STAGES
        ],
        "skipped": [{"name": "earnings_review", "reason": "no name of the desk reports on this day"}],
        "warnings": ["earnings.csv is not there: no earnings are known"],
        "restrictions": [
            {"level": "no_new_orders", "starts_at": iso(at(day, a)), "ends_at": iso(at(day, b)), "reason": why}
            for a, b, why in windows
        ],
        "announcements": [
            {"at": iso(at(day, clock)), "kind": kind, "details": {}}
            for kind, clock in (("open", "09:30"), ("fomc_statement", "12:30"), ("close", "16:00"))
        ],
    }  # fmt: skip


def _result(day: date, symbol: str) -> JsonObject:
    tasks: dict[str, JsonValue] = {}
    for name, agent, _, moment, _, said in _planned(day):
        result: dict[str, JsonValue] = {"conclusion": said, "method": f"{agent}'s usual method", "samples": 20}
        if name == "generate_trades":
            result |= {
                "targets": {symbol: 0.18, "GOOG": 0.2, "MSFT": 0.22},
                "dropped": [{"symbol": "AAPL", "side": "sell", "quantity": "12", "reason": "smaller than one lot"}],
            }
        tasks[name] = {
            "status": "completed", "result": result, "error": None, "attempts": 1, "started_at": iso(moment),
            "completed_at": iso(moment + timedelta(seconds=90)), "reason": None,
        }  # fmt: skip
    tasks["statement_analysis"] = {
        "status": "failed", "result": None, "error": "FinalError: no text of the statement", "attempts": 3,
        "started_at": iso(at(day, "13:00")), "completed_at": iso(at(day, "13:02")), "reason": None,
    }  # fmt: skip
    tasks["closing_check"] = {
        "status": "skipped", "result": None, "error": None, "attempts": 0, "started_at": None, "completed_at": None,
        "reason": "statement_analysis failed",
    }  # fmt: skip
    return {"execution_id": "r1", "name": "fomc", "status": "failed", "stages": {}, "tasks": tasks}
