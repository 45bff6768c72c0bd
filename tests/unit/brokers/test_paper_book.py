"""The account: what is held, what it is worth, what expires, and what survives."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from agents.reconciliation import differences
from orchestration.adapters.memory.ledger import MemoryLedger
from orchestration.domain.bars import Instrument, Right
from orchestration.domain.errors import DefinitionError, StoreUnavailableError
from orchestration.domain.orders import OrderStatus, Side
from orchestration.ports.ledger import LedgerEntry
from tests.unit.brokers.scripted_market import CLOSE, OPEN, Room, order, path

DAY = ((0, "10", 1000), (1, "10", 1000), (2, "13", 1000), (3, "15", 1000))


class FailingLedger(MemoryLedger):
    """Fails, before or after it has kept the entries, while ``mode`` says so."""

    mode = "well"

    async def append(self, entries: Sequence[LedgerEntry]) -> None:
        if self.mode == "before":
            raise StoreUnavailableError("the disk is full")
        await super().append(entries)
        if self.mode == "after":
            raise asyncio.CancelledError


async def test_a_new_account_holds_the_desks_cash_and_an_old_one_what_it_had() -> None:
    room = Room(*DAY)
    assert (await (await room.broker()).account()).cash == 10_000
    room.desk = replace(room.desk, cash=Decimal(5))
    assert (await (await room.broker()).account()).cash == 10_000


async def test_the_average_price_is_what_the_position_was_opened_at() -> None:
    room = Room(*DAY)
    room.desk = replace(room.desk, short=True)
    broker = await room.broker()
    averages = []
    for minute, side, quantity in ((0, Side.BUY, 10), (1, Side.BUY, 20), (2, Side.SELL, 60)):
        room.at(minute)
        await broker.submit(order(f"o{minute}", side, quantity))
        room.at(minute + 1)
        (position,) = (await broker.account()).positions
        averages.append([int(position.quantity), int(position.average_price), int(position.price)])
    assert averages == [[10, 10, 10], [30, 12, 13], [-30, 15, 15]]


async def test_a_closed_position_is_gone_and_its_result_is_in_the_cash() -> None:
    room = Room(*DAY)
    broker = await room.broker()
    await broker.submit(order("buy"))
    room.at(2)
    await broker.submit(order("sell", Side.SELL))
    room.at(3)
    account = await broker.account()
    assert account.cash == 10_050
    assert account.positions == ()


async def test_the_multiplier_counts_in_cash_and_in_value() -> None:
    room = Room(*DAY)
    room.desk = replace(room.desk, instruments={"AAPL": Instrument(symbol="AAPL", multiplier=Decimal(100))})
    broker = await room.broker()
    await broker.submit(order("a", quantity=2))
    room.at(2)
    account = await broker.account()
    assert account.cash == 8_000
    assert account.equity == 8_000 + 2 * 13 * 100


def option(right: Right, strike: int, underlying: str | None = "AAPL") -> Instrument:
    return Instrument(
        symbol="OPT",
        expires_on=date(2012, 12, 15),
        strike=Decimal(strike),
        right=right,
        underlying=underlying,
        multiplier=Decimal(100),
    )


@pytest.mark.parametrize(
    ("instrument", "worth", "said"),
    [
        (option(Right.CALL, 12), 2, "at intrinsic value 2: call 12, AAPL closed at 14 on 2012-12-14"),
        (option(Right.CALL, 15), 0, "at intrinsic value 0: call 15, AAPL closed at 14 on 2012-12-14"),
        (option(Right.PUT, 15), 1, "at intrinsic value 1: put 15, AAPL closed at 14 on 2012-12-14"),
        (
            Instrument(symbol="OPT", expires_on=date(2012, 12, 15), multiplier=Decimal(100)),
            3,
            "at the last close, 3 on 2012-12-14",
        ),
    ],
)
async def test_what_expires_is_settled_in_cash_at_the_last_close_before_it(
    instrument: Instrument, worth: int, said: str
) -> None:
    """2012-12-15 is a Saturday: the last session is Friday's."""
    closes = {"AAPL": {date(2012, 12, 14): "14", date(2012, 12, 17): "99"}, "OPT": {date(2012, 12, 14): "3"}}
    room = Room(*DAY, others={"OPT": path((0, "2", 100), (1, "2", 100))}, closes=closes)
    room.desk = replace(room.desk, instruments={"OPT": instrument})
    broker = await room.broker()
    await broker.submit(order("a", quantity=2, symbol="OPT"))
    friday_close = CLOSE + timedelta(days=2)
    room.clock.moment = friday_close - timedelta(microseconds=1)
    assert (await broker.account()).position("OPT")
    room.clock.moment += timedelta(days=30)
    account = await broker.account()
    assert account.cash == 10_000 - 400 + 2 * worth * 100
    assert account.positions == ()
    entry = (await room.ledger.entries())[-1]
    assert (entry.kind, entry.at) == ("position_settled", friday_close)
    assert entry.data["reason"] == f"expired on 2012-12-15, settled in cash {said}"
    assert (await (await room.broker()).account()).cash == account.cash


@pytest.mark.parametrize(("side", "closing"), [(Side.BUY, Side.SELL), (Side.SELL, Side.BUY)])
async def test_an_expiry_is_an_order_and_a_fill_so_that_the_fills_explain_the_book(side: Side, closing: Side) -> None:
    closes = {"AAPL": {date(2012, 12, 14): "14"}, "OPT": {date(2012, 12, 14): "3"}}
    room = Room(*DAY, others={"OPT": path((0, "2", 100), (1, "2", 100))}, closes=closes)
    room.desk = replace(room.desk, short=True, instruments={"OPT": option(Right.CALL, 12)})
    broker = await room.broker()
    await broker.submit(order("a", side, quantity=2, symbol="OPT"))
    room.clock.moment += timedelta(days=30)
    for again in (False, True):
        reading = await room.broker() if again else broker
        *_, last = await reading.orders()
        *_, fill = await reading.fills()
        assert (last.order.side, last.status, last.average_price) == (closing, OrderStatus.FILLED, Decimal(2))
        assert (fill.client_order_id, fill.at) == (last.order.client_order_id, CLOSE + timedelta(days=2))
        assert str(last.reason).startswith("expired on 2012-12-15")
        found = differences(room.desk, await reading.account(), await reading.fills(), await reading.orders())
        assert found == []


@pytest.mark.parametrize("underlying", ["AAPL", "GONE"])
async def test_what_expires_without_a_known_close_stays(underlying: str) -> None:
    room = Room(*DAY, others={"OPT": path((0, "2", 100), (1, "2", 100))})
    room.desk = replace(room.desk, instruments={"OPT": option(Right.CALL, 12, underlying)})
    broker = await room.broker()
    await broker.submit(order("a", symbol="OPT", quantity=1))
    room.clock.moment += timedelta(days=30)
    assert (await broker.account()).position("OPT")


async def test_an_expiry_beyond_the_calendar_is_left_alone() -> None:
    room = Room(*DAY)
    room.desk = replace(room.desk, instruments={"AAPL": Instrument(symbol="AAPL", expires_on=date(2040, 1, 1))})
    broker = await room.broker()
    await broker.submit(order("a"))
    room.at(5)
    assert (await broker.account()).position("AAPL")


async def test_what_has_no_price_any_more_is_worth_what_was_paid() -> None:
    room = Room(*DAY)
    broker = await room.broker()
    await broker.submit(order("a"))
    room.at(3)
    await broker.account()
    room.market = Room().market
    later = await (await Room.broker(room)).account()
    assert later.equity == 10_000


@pytest.mark.parametrize("mode", ["before", "after"])
async def test_a_ledger_that_fails_costs_nothing_and_doubles_nothing(mode: str) -> None:
    room = Room(*DAY)
    room.ledger = ledger = FailingLedger()
    broker = await room.broker()
    await broker.submit(order("a"))
    room.at(2)
    ledger.mode = mode
    with pytest.raises((StoreUnavailableError, asyncio.CancelledError)):
        await broker.fills()
    ledger.mode = "well"
    assert [fill.fill_id for fill in await broker.fills()] == ["a-1"]
    assert (await broker.account()).cash == 9_900


async def test_an_order_whose_entry_could_not_be_kept_was_never_taken() -> None:
    room = Room(*DAY)
    room.ledger = ledger = FailingLedger()
    broker = await room.broker()
    ledger.mode = "before"
    with pytest.raises(StoreUnavailableError):
        await broker.submit(order("a"))
    ledger.mode = "well"
    assert await broker.order("a") is None


async def test_a_market_that_fails_half_way_costs_no_fill() -> None:
    room = Room(*DAY, others={"IBM": path((0, "5", 100), (1, "5", 100))})
    broker = await room.broker()
    await broker.submit(order("a"))
    await broker.submit(order("i", symbol="IBM"))
    room.at(1)
    room.market.failing = "IBM"
    with pytest.raises(ConnectionError):
        await broker.account()
    room.market.failing = ""
    assert [fill.fill_id for fill in await broker.fills()] == ["a-1", "i-1"]


async def test_a_second_writer_is_noticed_and_its_entries_are_read() -> None:
    room = Room(*DAY)
    one, other = await room.broker(), await room.broker()
    await one.submit(order("a"))
    with pytest.raises(DefinitionError, match="is taken"):
        await other.submit(order("b"))
    assert [state.order.client_order_id for state in await other.orders()] == ["a"]


async def test_calls_at_one_moment_are_carried_out_one_after_another() -> None:
    broker = await Room(*DAY).broker()
    states = await asyncio.gather(*(broker.submit(order(f"o{n}", quantity=400)) for n in range(4)))
    accepted = [state.status is OrderStatus.ACCEPTED for state in states]
    assert accepted == [True, True, False, False]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (LedgerEntry(sequence=1, at=OPEN, kind="cash_found", data={"version": 1}), "of an unknown form"),
        (LedgerEntry(sequence=1, at=OPEN, kind="cash_deposited", data={"version": 2}), "of an unknown form"),
        (LedgerEntry(sequence=1, at=OPEN, kind="cash_deposited", data={"version": 1, "cash": 5}), "it is damaged"),
    ],
)
async def test_a_book_that_cannot_be_read_is_refused(entry: LedgerEntry, message: str) -> None:
    room = Room(*DAY)
    await room.ledger.append([entry])
    with pytest.raises(DefinitionError, match=message):
        await room.broker()


async def test_a_book_with_a_gap_is_refused() -> None:
    class Gapped(MemoryLedger):
        async def entries(self) -> Sequence[LedgerEntry]:
            return [LedgerEntry(sequence=2, at=OPEN, kind="cash_deposited", data={})]

    room = Room(*DAY)
    room.ledger = Gapped()
    with pytest.raises(DefinitionError, match="entry 2 after 0"):
        await room.broker()
