"""The paper broker: fills orders along the market's prices and keeps its book in a ledger."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal

from orchestration.adapters.brokers import entries
from orchestration.adapters.brokers.acceptance import Standing, objection
from orchestration.adapters.brokers.book import Book
from orchestration.adapters.brokers.costs import estimated_cost
from orchestration.adapters.brokers.entries import Change, EntryKind
from orchestration.adapters.brokers.matching import Working, match
from orchestration.adapters.brokers.settlement import expiry_close, settle
from orchestration.adapters.markets.exchange_calendar import open_calendar
from orchestration.adapters.markets.sessions import next_opening, session_at
from orchestration.adapters.memory.ledger import MemoryLedger
from orchestration.domain.desk import Desk
from orchestration.domain.errors import DefinitionError
from orchestration.domain.orders import Account, Fill, Order, OrderState, Position, Side
from orchestration.ports.clock import Clock
from orchestration.ports.ledger import Ledger, LedgerEntry
from orchestration.ports.market_data import MarketData
from orchestration.ports.trading_calendar import TradingCalendar

CANCELLED = "cancelled by the desk"


class PaperBroker:
    """A `Broker` without an exchange. Made by `PaperBroker.open`; unopened, it opens its account on the first call.

    Every call first brings the book up to the clock's now, as if it had watched every tick: asking often or seldom
    gives the same book. Every change is in the ledger before anybody sees it; when a call is cancelled or fails on the
    way, the next one reads the ledger again. Calls are carried out one after another.
    """

    def __init__(
        self, *, ledger: Ledger, market_data: MarketData, calendar: TradingCalendar, clock: Clock, desk: Desk
    ) -> None:
        self._ledger = ledger
        self._market = market_data
        self._calendar = calendar
        self._clock = clock
        self._desk = desk
        self._lock = asyncio.Lock()
        self._book = Book()
        self._read = False
        self._looked_at: datetime | None = None
        self._workings: dict[str, Working] = {}

    @classmethod
    async def open(
        cls, *, ledger: Ledger, market_data: MarketData, calendar: TradingCalendar, clock: Clock, desk: Desk
    ) -> "PaperBroker":
        """Open the account that ``ledger`` holds; an empty one gets the desk's cash."""
        broker = cls(ledger=ledger, market_data=market_data, calendar=calendar, clock=clock, desk=desk)
        async with broker._lock:
            await broker._reread()
        return broker

    @property
    def name(self) -> str:
        """It says that it is simulated."""
        return "paper (simulated)"

    async def submit(self, order: Order) -> OrderState:
        """Take or reject ``order``; either way its id is used up, and a repeat gets the same answer."""
        async with self._up_to_date() as now:
            known = self._book.orders.get(order.client_order_id)
            if known is None:
                reason = objection(order, await self._standing(order, now))
                change = entries.rejected(order, now, reason) if reason else entries.accepted(order, now)
                await self._keep([change])
            elif known.order != order:
                raise DefinitionError(
                    f"the order id {order.client_order_id!r} belongs to another order "
                    f"({known.order.side} {known.order.quantity} {known.order.symbol}); give this one an id of its own"
                )
            return self._book.orders[order.client_order_id]

    async def cancel(self, client_order_id: str) -> OrderState:
        """Cancel what is not filled by now."""
        async with self._up_to_date() as now:
            if client_order_id not in self._book.orders:
                raise DefinitionError(f"there is no order {client_order_id!r} to cancel")
            if client_order_id in self._book.open:
                await self._keep([entries.ended(EntryKind.ORDER_CANCELLED, client_order_id, now, CANCELLED)])
            return self._book.orders[client_order_id]

    async def order(self, client_order_id: str) -> OrderState | None:
        """What became of an order."""
        async with self._up_to_date():
            return self._book.orders.get(client_order_id)

    async def orders(self, *, open_only: bool = False) -> tuple[OrderState, ...]:
        """All orders, rejected ones included, in the order in which they came."""
        async with self._up_to_date():
            return tuple(self._book.open_states() if open_only else self._book.orders.values())

    async def fills(self) -> tuple[Fill, ...]:
        """All fills by time, within a moment in the order of acceptance."""
        async with self._up_to_date():
            return tuple(self._book.fills)

    async def account(self) -> Account:
        """Cash and positions, marked at the last prices."""
        async with self._up_to_date() as now:
            positions: list[Position] = []
            for symbol, holding in sorted(self._book.holdings.items()):
                last = await self._last(symbol)
                position = Position(
                    symbol=symbol,
                    quantity=holding.quantity,
                    average_price=holding.average_price,
                    price=holding.average_price if last is None else last,
                    multiplier=self._desk.instrument(symbol).multiplier,
                )
                positions.append(position)
            return Account(at=now, cash=self._book.cash, positions=tuple(positions))

    @asynccontextmanager
    async def _up_to_date(self) -> AsyncIterator[datetime]:
        """Hold the book alone, with everything in it that has happened by now."""
        async with self._lock:
            if not self._read:
                await self._reread()
            now = self._clock.now()
            if now != self._looked_at:
                self._read = False  # matching moves the open orders on: if this fails half-way, begin from the ledger
                await self._keep(await self._traded(now))
                await self._keep(await self._settlements(now))
                self._looked_at, self._read = now, True
            yield now

    async def _reread(self) -> None:
        book = Book()
        for entry in await self._ledger.entries():
            book.apply(entry)
        self._book, self._workings, self._looked_at, self._read = book, {}, None, True
        if not book.sequence:
            await self._keep([entries.deposited(self._desk.cash, self._clock.now())])

    async def _keep(self, changes: Sequence[Change]) -> None:
        """Write ``changes`` down, then make them visible."""
        if not changes:
            return
        lines = [
            LedgerEntry(sequence=sequence, at=change.at, kind=change.kind.value, data=change.data)
            for sequence, change in enumerate(changes, start=self._book.sequence + 1)
        ]
        self._read = False  # until both are done, only the ledger knows what is true
        await self._ledger.append(lines)
        for line in lines:
            self._book.apply(line)
        self._read = True

    async def _traded(self, now: datetime) -> list[Change]:
        """The fills and expiries of the open orders since the last look, by time."""
        self._workings = {name: self._working(name) for name in self._book.open}
        by_symbol: defaultdict[str, list[Working]] = defaultdict(list)
        for working in self._workings.values():
            by_symbol[working.order.symbol].append(working)
        found: list[tuple[datetime, int, Change]] = []
        for symbol, workings in by_symbol.items():
            instrument = self._desk.instrument(symbol)
            after = min(working.seen for working in workings)
            until = min(now, max(working.expires_at for working in workings))
            ticks = await self._market.ticks(symbol, after=after, until=until)
            taken = self._book.taken(symbol, after)
            for rank, fill in match(workings, ticks, taken, instrument, self._desk.costs):
                cash = -fill.side.sign * fill.quantity * fill.price * instrument.multiplier - fill.commission
                found.append((fill.at, rank, entries.filled(fill, cash)))
            found.extend(
                (working.expires_at, working.rank, _expiry(working))
                for working in workings
                if working.expires_at <= now and working.filled < working.order.quantity
            )
        return [change for _, _, change in sorted(found, key=lambda item: item[:2])]

    def _working(self, name: str) -> Working:
        """Where an open order stands; after a restart it begins again behind its last fill, or its acceptance."""
        if name in self._workings:
            return self._workings[name]
        state, fills = self._book.orders[name], self._book.fill_count(name)
        session = session_at(self._calendar, state.submitted_at)
        return Working(
            order=state.order,
            rank=self._book.open[name],
            seen=state.updated_at,
            expires_at=session.closes_at if session else state.submitted_at,
            triggered=fills > 0,
            filled=state.filled_quantity,
            fills=fills,
        )

    async def _settlements(self, now: datetime) -> list[Change]:
        changes: list[Change] = []
        for symbol, holding in sorted(self._book.holdings.items()):
            instrument = self._desk.instrument(symbol)
            closed_at = expiry_close(instrument, self._calendar)
            if closed_at and closed_at <= now:
                change = await settle(instrument, holding.quantity, closed_at, self._market)
                changes.extend([change] if change else [])
        return changes

    async def _standing(self, order: Order, now: datetime) -> Standing:
        symbol = order.symbol
        known = symbol in self._market.symbols
        session = session_at(self._calendar, now)
        trades = known and session is not None and self._market.has_prices(symbol, session.date)
        busy = [s for s in self._book.open_states() if s.order.symbol == symbol and s.order.side is Side.SELL]
        return Standing(
            exchange=self._calendar.code,
            session=session,
            opening=None if session else next_opening(self._calendar, now),
            known=known,
            last=await self._last(symbol) if trades else None,
            instrument=self._desk.instrument(symbol),
            held=self._book.held(symbol),
            selling=sum((state.remaining for state in busy), Decimal(0)),
            free_cash=self._book.cash - await self._reserved(),
            short=self._desk.short,
            costs=self._desk.costs,
        )

    async def _reserved(self) -> Decimal:
        """What the open buys are expected to cost still."""
        reserved = Decimal(0)
        for state in self._book.open_states():
            if state.order.side is Side.BUY:
                instrument = self._desk.instrument(state.order.symbol)
                last = await self._last(state.order.symbol) or Decimal(0)
                reserved += estimated_cost(state.order, state.filled_quantity, last, instrument, self._desk.costs)
        return reserved

    async def _last(self, symbol: str) -> Decimal | None:
        if symbol not in self._market.symbols:
            return None
        quote = await self._market.quote(symbol)
        return quote.price if quote else None


def open_broker(
    *,
    market_data: MarketData,
    clock: Clock,
    desk: Desk,
    ledger: Ledger | None = None,
    calendar: TradingCalendar | None = None,
) -> PaperBroker:
    """The plug-in `paper`: without a ledger the account lasts as long as the process, without a calendar it is XNYS."""
    return PaperBroker(
        ledger=ledger or MemoryLedger(),
        market_data=market_data,
        calendar=calendar or open_calendar("XNYS", clock=clock),
        clock=clock,
        desk=desk,
    )


def _expiry(working: Working) -> Change:
    return entries.ended(
        EntryKind.ORDER_EXPIRED,
        working.order.client_order_id,
        working.expires_at,
        f"a day order: {working.order.quantity - working.filled} not filled by the close",
    )
