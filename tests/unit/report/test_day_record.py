"""What belongs to a day that has ended, and what the account was before it; and that its report is in nobody's way."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agents.report import day_reporter
from agents.report.contents import Report
from agents.report.day_record import EndedDay, account_before, record_day
from agents.report.day_reporter import DayReporter
from orchestration.domain.bars import Tick
from orchestration.domain.desk import Desk
from orchestration.domain.errors import FinalError
from orchestration.domain.orders import Order, Side
from orchestration.domain.session import Session
from tests.doubles import ManualClock
from tests.fakes_market import TODAY, FakeBroker, FixedMarket, bars
from tests.report_sample import sample_plan

NEW_YORK = ZoneInfo("America/New_York")
SIX = datetime(2012, 12, 12, 11, tzinfo=UTC)
OPEN, CLOSE = datetime(2012, 12, 12, 14, 30, tzinfo=UTC), datetime(2012, 12, 12, 21, tzinfo=UTC)
DESK = Desk(symbols=("IBM", "MSFT"))
DAY = EndedDay(
    plan=sample_plan(),
    result={"status": "completed"},
    date=TODAY,
    session=Session(calendar="XNYS", timezone=NEW_YORK, date=TODAY, opens_at=OPEN, closes_at=CLOSE),
    since=SIX,
    runs=("run-1", "run-2"),
)


@pytest.fixture
def market() -> FixedMarket:
    market = FixedMarket({"IBM": bars("IBM", [190, 200]), "MSFT": bars("MSFT", [25, 26])})
    market.ticks_of["IBM"] = (
        Tick(at=OPEN, price=Decimal(201), volume=100),
        Tick(at=CLOSE, price=Decimal(210), volume=100),
    )
    return market


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(SIX - timedelta(days=1))


@pytest.fixture
def broker(market: FixedMarket, clock: ManualClock) -> FakeBroker:
    return FakeBroker(market, clock)


async def trade(broker: FakeBroker, name: str, symbol: str, quantity: int, price: int) -> None:
    broker.market.prices[symbol] = Decimal(price)
    side = Side.BUY if quantity > 0 else Side.SELL
    await broker.submit(Order(client_order_id=name, symbol=symbol, side=side, quantity=Decimal(abs(quantity))))


@pytest.mark.parametrize(
    ("name", "at", "ours"),
    [
        ("run-1:execute_trades:IBM", SIX - timedelta(hours=1), True),
        ("run-2:execute_trades:IBM", OPEN, True),
        ("run-0:execute_trades:IBM", OPEN, False),
        ("expiry:IBM:2012-12-12", OPEN, True),
        ("expiry:IBM:2012-12-11", SIX - timedelta(hours=1), False),
        ("halt-2012-12-12T14:31:00Z:IBM", OPEN, True),
        ("halt-2012-12-11T14:31:00Z:IBM", SIX - timedelta(hours=1), False),
        ("by-hand", OPEN, True),
        ("by-hand", SIX - timedelta(hours=1), False),
    ],
)
def test_a_day_has_the_orders_of_its_runs_and_what_else_happened_since_it_began(
    name: str, at: datetime, ours: bool
) -> None:
    assert DAY.has(name, at) is ours


async def test_the_account_before_is_what_all_later_fills_started_from(
    market: FixedMarket, clock: ManualClock, broker: FakeBroker
) -> None:
    await trade(broker, "run-0:a:IBM", "IBM", 100, 195)
    await trade(broker, "run-0:a:MSFT", "MSFT", 10, 25)
    before = await broker.account()
    clock.moment = OPEN
    await trade(broker, "run-1:a:IBM", "IBM", -150, 201)  # turns it over
    await trade(broker, "run-2:a:MSFT", "MSFT", -10, 27)  # closes it
    await trade(broker, "halt-x:IBM", "IBM", 50, 202)
    found = await account_before(DAY, broker=broker, market=market, desk=DESK)
    assert (found.at, found.cash) == (SIX, before.cash)
    assert [(p.symbol, p.quantity) for p in found.positions] == [("IBM", Decimal(100)), ("MSFT", Decimal(10))]
    assert [p.price for p in found.positions] == [200, 26]  # the closes before the day
    assert found.equity == before.cash + 100 * 200 + 10 * 26


async def test_a_position_without_a_close_before_is_worth_what_it_was_bought_at(
    market: FixedMarket, clock: ManualClock, broker: FakeBroker
) -> None:
    await trade(broker, "run-0:a:IBM", "IBM", 100, 195)
    market.history["IBM"] = ()
    found = await account_before(DAY, broker=broker, market=market, desk=DESK)
    assert [p.price for p in found.positions] == [195]


async def test_a_day_is_recorded_with_its_own_orders_and_the_way_of_the_account(
    market: FixedMarket, clock: ManualClock, broker: FakeBroker
) -> None:
    await trade(broker, "run-0:a:IBM", "IBM", 100, 195)
    clock.moment = OPEN
    await trade(broker, "run-1:a:IBM", "IBM", 100, 201)
    before = await account_before(DAY, broker=broker, market=market, desk=DESK)
    clock.moment = CLOSE
    recorded = await record_day(DAY, before=before, broker=broker, market=market, desk=DESK)
    assert [state.order.client_order_id for state in recorded.orders] == ["run-1:a:IBM"]
    assert [fill.client_order_id for fill in recorded.fills] == ["run-1:a:IBM"]
    assert set(recorded.ticks) == {"IBM"}
    assert recorded.equity[0] == (OPEN, before.cash - 100 * 201 - 1 + 200 * 201)
    short = await record_day(DAY, before=before, broker=broker, market=market, desk=DESK, detailed=False)
    assert (short.ticks, short.equity) == ({}, ())
    closed = await record_day(replace(DAY, session=None), before=before, broker=broker, market=market, desk=DESK)
    assert closed.ticks == {}


def reporter(folder: Path, market: FixedMarket, broker: FakeBroker) -> DayReporter:
    return DayReporter(
        reports=folder,
        calendar="24/7",
        timezone=NEW_YORK,
        mode="paper",
        seed=1,
        broker=broker,
        market=market,
        desk=DESK,
    )


async def test_the_report_is_drawn_and_written_outside_of_the_loops_thread(
    tmp_path: Path, market: FixedMarket, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn_by: list[tuple[int, str, str]] = []

    def write(report: Report, folder: Path) -> Path:
        drawn_by.append((threading.get_ident(), report.mode, report.source))
        return folder / "report.html"

    monkeypatch.setattr(day_reporter, "_write", write)
    writer = reporter(tmp_path, market, broker)
    page = await writer.write(DAY)
    assert page == writer.last == tmp_path / "2012-12-12_24-7_paper" / "report.html"
    [(thread, mode, source)] = drawn_by
    assert thread != threading.get_ident()
    assert (mode, source) == ("paper", market.source)


async def test_a_report_that_cant_be_written_says_where_and_leaves_the_last_one(
    tmp_path: Path, market: FixedMarket, broker: FakeBroker
) -> None:
    (tmp_path / "reports").write_text("")
    writer = reporter(tmp_path / "reports", market, broker)
    with pytest.raises(FinalError, match=r"the report of 2012-12-12 could not be written to .*2012-12-12_24-7_paper: "):
        await writer.write(DAY)
    assert writer.last is None
