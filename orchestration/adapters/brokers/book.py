"""What the paper broker knows, as its ledger's entries make it: nothing changes here but by an entry."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import assert_never

from orchestration.adapters.brokers.entries import VERSION, EntryKind, number, read_fill, read_order, text
from orchestration.domain.errors import DefinitionError
from orchestration.domain.orders import Fill, Order, OrderState, OrderStatus, Side
from orchestration.ports.ledger import LedgerEntry

_AVERAGE = Decimal("0.000001")


@dataclass(slots=True, kw_only=True)
class Holding:
    """A signed quantity and the average price at which it was opened."""

    quantity: Decimal
    average_price: Decimal


@dataclass(slots=True, kw_only=True)
class _Executed:
    """What an order got so far: how many fills, and the sum of quantity times price."""

    fills: int = 0
    notional: Decimal = Decimal(0)


class Book:
    """Cash, holdings, orders and fills after all entries so far."""

    def __init__(self) -> None:
        self.sequence = 0
        self.cash = Decimal(0)
        self.orders: dict[str, OrderState] = {}
        self.open: dict[str, int] = {}
        """The open orders by id, in the order of acceptance, each with its rank."""
        self.fills: list[Fill] = []
        self.holdings: dict[str, Holding] = {}
        self._executed: dict[str, _Executed] = {}

    def apply(self, entry: LedgerEntry) -> None:
        """Take ``entry`` in. Raises `DefinitionError` for one of an unknown form, kind or sequence."""
        if entry.sequence != self.sequence + 1:
            raise DefinitionError(f"the book has entry {entry.sequence} after {self.sequence}: it is damaged")
        if entry.data.get("version") != VERSION or entry.kind not in set(EntryKind):
            raise DefinitionError(
                f"entry {entry.sequence} of the book ({entry.kind}) is of an unknown form: "
                "another version of Belltower wrote it; use that one"
            )
        self.sequence = entry.sequence
        match EntryKind(entry.kind):
            case EntryKind.CASH_DEPOSITED:
                self.cash += number(entry.data, "cash")
            case EntryKind.ORDER_ACCEPTED:
                self._add(entry, OrderStatus.ACCEPTED, None)
                self.open[text(entry.data, "client_order_id")] = len(self.orders)
            case EntryKind.ORDER_REJECTED:
                self._add(entry, OrderStatus.REJECTED, text(entry.data, "reason"))
            case EntryKind.ORDER_FILLED:
                self.cash += number(entry.data, "cash")
                self._fill(read_fill(entry.data, entry.at))
            case EntryKind.ORDER_CANCELLED:
                self._end(entry, OrderStatus.CANCELLED)
            case EntryKind.ORDER_EXPIRED:
                self._end(entry, OrderStatus.EXPIRED)
            case EntryKind.POSITION_SETTLED:
                self.cash += number(entry.data, "cash")
                self._settle(entry)
            case kind:
                assert_never(kind)

    def held(self, symbol: str) -> Decimal:
        """The signed quantity held of ``symbol``."""
        holding = self.holdings.get(symbol)
        return holding.quantity if holding else Decimal(0)

    def open_states(self) -> list[OrderState]:
        """The open orders in the order of acceptance."""
        return [self.orders[name] for name in self.open]

    def fill_count(self, client_order_id: str) -> int:
        """How many fills an order has."""
        executed = self._executed.get(client_order_id)
        return executed.fills if executed else 0

    def taken(self, symbol: str, after: datetime) -> dict[datetime, Decimal]:
        """What the fills of ``symbol`` later than ``after`` took of each moment's volume."""
        taken: dict[datetime, Decimal] = {}
        for fill in reversed(self.fills):
            if fill.at <= after:
                break
            if fill.symbol == symbol:
                taken[fill.at] = taken.get(fill.at, Decimal(0)) + fill.quantity
        return taken

    def _add(self, entry: LedgerEntry, status: OrderStatus, reason: str | None) -> None:
        order = read_order(entry.data)
        self.orders[order.client_order_id] = OrderState(
            order=order, status=status, submitted_at=entry.at, updated_at=entry.at, reason=reason
        )

    def _end(self, entry: LedgerEntry, status: OrderStatus) -> None:
        name = text(entry.data, "client_order_id")
        reason = text(entry.data, "reason")
        self.orders[name] = replace(self.orders[name], status=status, updated_at=entry.at, reason=reason)
        del self.open[name]

    def _fill(self, fill: Fill) -> None:
        self.fills.append(fill)
        name = fill.client_order_id
        executed = self._executed.setdefault(name, _Executed())
        executed.fills += 1
        executed.notional += fill.quantity * fill.price
        state = self.orders[name]
        filled = state.filled_quantity + fill.quantity
        complete = filled >= state.order.quantity
        self.orders[name] = replace(
            state,
            status=OrderStatus.FILLED if complete else OrderStatus.PARTIALLY_FILLED,
            updated_at=fill.at,
            filled_quantity=filled,
            average_price=(executed.notional / filled).quantize(_AVERAGE),
        )
        if complete:
            del self.open[name]
        self._hold(fill)

    def _settle(self, entry: LedgerEntry) -> None:
        """An expiry closes the position as an order of the exchange's would, so that the fills still explain the book.

        Its id begins with ``expiry:``; it costs no commission, and its price may be zero.
        """
        symbol, quantity = text(entry.data, "symbol"), number(entry.data, "quantity")
        price = number(entry.data, "price")
        order = Order(
            client_order_id=f"expiry:{symbol}:{entry.sequence}",
            symbol=symbol,
            side=Side.SELL if quantity > 0 else Side.BUY,
            quantity=abs(quantity),
        )
        self.orders[order.client_order_id] = OrderState(
            order=order,
            status=OrderStatus.FILLED,
            submitted_at=entry.at,
            updated_at=entry.at,
            filled_quantity=order.quantity,
            average_price=price,
            reason=text(entry.data, "reason"),
        )
        fill = Fill(
            fill_id=f"{order.client_order_id}-1",
            client_order_id=order.client_order_id,
            symbol=symbol,
            side=order.side,
            quantity=order.quantity,
            price=price,
            commission=Decimal(0),
            at=entry.at,
        )
        self.fills.append(fill)
        self._hold(fill)

    def _hold(self, fill: Fill) -> None:
        holding = self.holdings.setdefault(fill.symbol, Holding(quantity=Decimal(0), average_price=fill.price))
        signed = fill.side.sign * fill.quantity
        quantity = holding.quantity + signed
        if holding.quantity * signed >= 0:
            cost = holding.quantity * holding.average_price + signed * fill.price
            holding.average_price = (cost / quantity).quantize(_AVERAGE)
        elif holding.quantity * quantity < 0:  # through zero: what is left was opened by this fill
            holding.average_price = fill.price
        holding.quantity = quantity
        if not quantity:
            del self.holdings[fill.symbol]
