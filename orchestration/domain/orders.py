"""Orders, fills, positions and the account: what a desk and a broker speak about."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Side(StrEnum):
    """Which way an order goes."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """How an order may fill."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"


class OrderStatus(StrEnum):
    """Where an order is; the last four are for good."""

    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"

    @property
    def open(self) -> bool:
        """Whether the order can still fill."""
        return self in {OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is sent to a broker: a day order, identified by the client's own id.

    ``quantity`` is positive, in units of the instrument. A limit order has a ``limit_price``, a stop order a
    ``stop_price``, in the account's currency; a market order has neither.
    """

    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None

    def __post_init__(self) -> None:
        if not self.client_order_id:
            raise ValueError("an order needs a client order id: it is what makes a repeat harmless")
        if self.quantity <= 0:
            raise ValueError(f"quantity is {self.quantity}; it is positive, and the side says the direction")
        if (self.limit_price is not None) != (self.type is OrderType.LIMIT):
            raise ValueError(
                f"a {self.type} order with limit_price {self.limit_price}: limit orders have one, others none"
            )
        if (self.stop_price is not None) != (self.type is OrderType.STOP):
            raise ValueError(
                f"a {self.type} order with stop_price {self.stop_price}: stop orders have one, others none"
            )
        for name, price in (("limit_price", self.limit_price), ("stop_price", self.stop_price)):
            if price is not None and price <= 0:
                raise ValueError(f"{name} is {price}; prices are positive")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderState:
    """What the broker knows of an order; ``reason`` says why it was rejected, cancelled or expired."""

    order: Order
    status: OrderStatus
    submitted_at: datetime
    updated_at: datetime
    filled_quantity: Decimal = Decimal(0)
    average_price: Decimal | None = None
    reason: str | None = None

    @property
    def remaining(self) -> Decimal:
        """What is not filled yet."""
        return self.order.quantity - self.filled_quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution of (a part of) an order; ``commission`` is positive money paid."""

    fill_id: str
    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    commission: Decimal
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What is held of a symbol: ``quantity`` is negative when short; ``average_price`` is what it was opened at.

    ``price`` is the last known one (the opening price where none is known), ``multiplier`` the instrument's.
    """

    symbol: str
    quantity: Decimal
    average_price: Decimal
    price: Decimal
    multiplier: Decimal = Decimal(1)

    @property
    def value(self) -> Decimal:
        """Signed market value, in the account's currency."""
        return self.quantity * self.price * self.multiplier


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Cash and positions at one moment; positions are sorted by symbol and never zero."""

    at: datetime
    cash: Decimal
    positions: tuple[Position, ...]

    @property
    def equity(self) -> Decimal:
        """Cash plus the signed value of all positions."""
        return self.cash + sum((p.value for p in self.positions), Decimal(0))

    @property
    def gross(self) -> Decimal:
        """The sum of the absolute values of all positions."""
        return sum((abs(p.value) for p in self.positions), Decimal(0))

    def position(self, symbol: str) -> Position | None:
        """What is held of ``symbol``, or ``None``."""
        return next((p for p in self.positions if p.symbol == symbol), None)
