"""The lines of the paper broker's book: their kinds, and how orders and fills are written in JSON.

Decimals are written as strings. Kinds and keys are stored: they are never renamed.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from orchestration.domain.errors import DefinitionError
from orchestration.domain.json_value import JsonObject, JsonValue
from orchestration.domain.orders import Fill, Order, OrderType, Side

VERSION = 1
"""The form of the entries; an entry of another one is refused rather than misread."""


class EntryKind(StrEnum):
    """What happened."""

    CASH_DEPOSITED = "cash_deposited"
    ORDER_ACCEPTED = "order_accepted"
    ORDER_REJECTED = "order_rejected"
    ORDER_FILLED = "order_filled"
    ORDER_CANCELLED = "order_cancelled"
    ORDER_EXPIRED = "order_expired"
    POSITION_SETTLED = "position_settled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something to write into the book."""

    kind: EntryKind
    at: datetime
    data: JsonObject


def deposited(cash: Decimal, at: datetime) -> Change:
    """``cash`` was paid in."""
    return _change(EntryKind.CASH_DEPOSITED, at, {"cash": str(cash)})


def accepted(order: Order, at: datetime) -> Change:
    """``order`` was taken."""
    return _change(EntryKind.ORDER_ACCEPTED, at, order_data(order))


def rejected(order: Order, at: datetime, reason: str) -> Change:
    """``order`` was refused."""
    return _change(EntryKind.ORDER_REJECTED, at, {**order_data(order), "reason": reason})


def filled(fill: Fill, cash: Decimal) -> Change:
    """A part of an order was executed; ``cash`` is what came in by it, commission taken off, negative for a buy."""
    return _change(EntryKind.ORDER_FILLED, fill.at, {**fill_data(fill), "cash": str(cash)})


def ended(kind: EntryKind, client_order_id: str, at: datetime, reason: str) -> Change:
    """An open order was cancelled or expired."""
    return _change(kind, at, {"client_order_id": client_order_id, "reason": reason})


def settled(*, symbol: str, quantity: Decimal, price: Decimal, cash: Decimal, at: datetime, reason: str) -> Change:
    """What was held of an expired ``symbol`` was turned into ``cash``, ``price`` a unit."""
    data: JsonObject = {
        "symbol": symbol,
        "quantity": str(quantity),
        "price": str(price),
        "cash": str(cash),
        "reason": reason,
    }
    return _change(EntryKind.POSITION_SETTLED, at, data)


def text(data: JsonObject, key: str) -> str:
    """The text under ``key``."""
    value = data[key]
    if not isinstance(value, str):
        raise DefinitionError(f"the book's entry has {value!r} under {key}, where text belongs: it is damaged")
    return value


def number(data: JsonObject, key: str) -> Decimal:
    """The decimal under ``key``."""
    return Decimal(text(data, key))


def read_order(data: JsonObject) -> Order:
    """The order of an accepted or rejected entry."""
    return Order(
        client_order_id=text(data, "client_order_id"),
        symbol=text(data, "symbol"),
        side=Side(text(data, "side")),
        quantity=number(data, "quantity"),
        type=OrderType(text(data, "type")),
        limit_price=optional(data, "limit_price"),
        stop_price=optional(data, "stop_price"),
    )


def read_fill(data: JsonObject, at: datetime) -> Fill:
    """The fill of an entry."""
    return Fill(
        fill_id=text(data, "fill_id"),
        client_order_id=text(data, "client_order_id"),
        symbol=text(data, "symbol"),
        side=Side(text(data, "side")),
        quantity=number(data, "quantity"),
        price=number(data, "price"),
        commission=number(data, "commission"),
        at=at,
    )


def order_data(order: Order) -> dict[str, JsonValue]:
    """What `read_order` reads."""
    return {
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "quantity": str(order.quantity),
        "type": order.type.value,
        "limit_price": None if order.limit_price is None else str(order.limit_price),
        "stop_price": None if order.stop_price is None else str(order.stop_price),
    }


def fill_data(fill: Fill) -> dict[str, JsonValue]:
    """What `read_fill` reads; the moment is the entry's own."""
    return {
        "fill_id": fill.fill_id,
        "client_order_id": fill.client_order_id,
        "symbol": fill.symbol,
        "side": fill.side.value,
        "quantity": str(fill.quantity),
        "price": str(fill.price),
        "commission": str(fill.commission),
    }


def optional(data: JsonObject, key: str) -> Decimal | None:
    """The decimal under ``key``, or ``None``."""
    return None if data[key] is None else number(data, key)


def _change(kind: EntryKind, at: datetime, data: JsonObject) -> Change:
    return Change(kind=kind, at=at, data={"version": VERSION, **data})
