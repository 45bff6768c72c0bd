"""What a desk knows of its own orders, as the entries of its record make it: nothing changes here but by an entry."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import assert_never

from orchestration.adapters.brokers.entries import number, read_order, text
from orchestration.adapters.brokers.order_entries import (
    OrderEntryKind,
    Origin,
    kind_of,
    origin_of,
    read_noted_fill,
    read_state,
)
from orchestration.domain.json_reading import as_object, as_texts
from orchestration.domain.orders import Fill, Order, OrderState
from orchestration.ports.order_log import OrderEntry


@dataclass(slots=True, kw_only=True)
class KnownOrder:
    """One order: ``state`` is what the broker last said of it, ``None`` as long as it has said nothing.

    ``sends`` counts the intents, ``sent_at`` is when the last of them was kept. ``absent``: the broker never got that
    one. ``given_up``: somebody accepted that its outcome stays unknown. ``ours``: a part of this desk meant to send it.
    """

    order: Order
    origin: Origin
    sent_at: datetime
    sends: int = 1
    state: OrderState | None = None
    unknown: str | None = None
    absent: bool = False
    given_up: bool = False
    ours: bool = True
    filled: Decimal = Decimal(0)
    """What the fills seen so far add up to."""

    @property
    def unresolved(self) -> bool:
        """Whether it was to be sent and nobody knows yet what came of it."""
        return self.state is None and not self.absent and not self.given_up

    @property
    def open(self) -> bool:
        """Whether the broker last called it open."""
        return self.state is not None and self.state.status.open and not self.given_up


class OrderRecord:
    """Orders, fills and positions after all entries so far; an entry that came already changes nothing."""

    def __init__(self, entries: Iterable[OrderEntry] = ()) -> None:
        self.orders: dict[str, KnownOrder] = {}
        self.fills: dict[str, Fill] = {}
        self.positions: dict[str, Decimal] = {}
        """Signed quantities, never zero."""
        self.accepted_at: datetime | None = None
        """When the broker's state was last taken as the truth."""
        self.acceptances = 0
        self._seen: set[tuple[str, str]] = set()
        for entry in entries:
            self.apply(entry)

    @property
    def empty(self) -> bool:
        """Whether nothing was ever noted."""
        return not self._seen

    def knows(self, entry: OrderEntry) -> bool:
        """Whether one of that kind and key was taken in."""
        return (entry.kind, entry.key) in self._seen

    def apply(self, entry: OrderEntry) -> None:
        """Take ``entry`` in. Raises `DefinitionError` for one of an unknown form."""
        kind = kind_of(entry)
        if self.knows(entry):
            return
        self._seen.add((entry.kind, entry.key))
        data = entry.data
        match kind:
            case OrderEntryKind.ORDER_INTENDED:
                self._intend(read_order(data), entry)
            case OrderEntryKind.ORDER_NOTED:
                known = self.orders[text(data, "client_order_id")]
                _advance(known, read_state(data, known.order))
            case OrderEntryKind.ORDER_UNKNOWN:
                known = self.orders[text(data, "client_order_id")]
                if known.sends == data["send"]:
                    known.unknown = text(data, "reason")
            case OrderEntryKind.ORDER_ABSENT:
                known = self.orders[text(data, "client_order_id")]
                if known.sends == data["send"] and known.state is None:
                    known.absent, known.unknown = True, None
            case OrderEntryKind.ORDER_ADOPTED:
                self._adopt(read_order(data), entry)
            case OrderEntryKind.FILL_NOTED:
                self._fill(read_noted_fill(data))
            case OrderEntryKind.STATE_ACCEPTED:
                self._accept(entry)
            case _:
                assert_never(kind)

    def unresolved(self) -> list[KnownOrder]:
        """The orders of which nobody knows whether the broker has them, in the order in which they were meant."""
        return [known for known in self.orders.values() if known.unresolved]

    def open(self) -> list[KnownOrder]:
        """The orders that the broker last called open."""
        return [known for known in self.orders.values() if known.open]

    def missing(self, held: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """What has to be added to the record's positions, by symbol, to make them those ``held``.

        What the broker said of an order counts before it has told the fills that made it so.
        """
        ours = dict(self.positions)
        for known in self.orders.values():
            untold = known.state.filled_quantity - known.filled if known.state else Decimal(0)
            if untold > 0:
                symbol = known.order.symbol
                ours[symbol] = ours.get(symbol, Decimal(0)) + known.order.side.sign * untold
        found = {symbol: held.get(symbol, Decimal(0)) - ours.get(symbol, Decimal(0)) for symbol in {*held, *ours}}
        return {symbol: quantity for symbol, quantity in sorted(found.items()) if quantity}

    def _intend(self, order: Order, entry: OrderEntry) -> None:
        known = self.orders.get(order.client_order_id)
        if known is None:
            self.orders[order.client_order_id] = KnownOrder(order=order, origin=origin_of(order), sent_at=entry.at)
            return
        known.order, known.sent_at = order, entry.at
        known.sends, known.absent, known.unknown = known.sends + 1, False, None

    def _adopt(self, order: Order, entry: OrderEntry) -> None:
        if order.client_order_id not in self.orders:
            self.orders[order.client_order_id] = KnownOrder(
                order=order,
                origin=origin_of(order),
                sent_at=entry.at,
                state=read_state(entry.data, order),
                ours=False,
                filled=sum((f.quantity for f in self.fills.values() if _belongs(f, order)), Decimal(0)),
            )

    def _fill(self, fill: Fill) -> None:
        self.fills[fill.fill_id] = fill
        self._hold(fill.symbol, fill.side.sign * fill.quantity)
        known = self.orders.get(fill.client_order_id)
        if known is not None:
            known.filled += fill.quantity

    def _accept(self, entry: OrderEntry) -> None:
        self.accepted_at = entry.at
        self.acceptances += 1
        added = as_object(entry.data["positions"])
        for symbol in added:
            self._hold(symbol, number(added, symbol))
        for name in as_texts(entry.data["orders"]):
            self.orders[name].given_up = True

    def _hold(self, symbol: str, quantity: Decimal) -> None:
        self.positions[symbol] = self.positions.get(symbol, Decimal(0)) + quantity
        if not self.positions[symbol]:
            del self.positions[symbol]


def _advance(known: KnownOrder, state: OrderState) -> None:
    """Take a later word of the broker; an earlier one, noted late by another process, changes nothing."""
    last = known.state
    if last is not None and (not last.status.open, last.filled_quantity) > (
        not state.status.open,
        state.filled_quantity,
    ):
        return
    known.state, known.unknown, known.absent = replace(state, order=known.order), None, False


def _belongs(fill: Fill, order: Order) -> bool:
    return fill.client_order_id == order.client_order_id


def describe(order: Order) -> str:
    """An order in words."""
    return f"{order.client_order_id} ({order.side} {order.quantity} {order.symbol})"
