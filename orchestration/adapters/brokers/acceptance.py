"""Decide whether the paper broker takes an order: no I/O, no clock."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from orchestration.adapters.brokers.costs import CENT, estimated_cost
from orchestration.domain.bars import Instrument
from orchestration.domain.desk import Costs
from orchestration.domain.orders import Order, Side
from orchestration.domain.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an order is judged by.

    ``session`` is the one under way, ``opening`` the next one; ``last`` the last price of a symbol that trades in this
    session, else ``None``; ``selling`` what open orders sell of it already; ``free_cash`` what open buys leave.
    """

    exchange: str
    session: Session | None
    opening: Session | None
    known: bool
    last: Decimal | None
    instrument: Instrument
    held: Decimal
    selling: Decimal
    free_cash: Decimal
    short: bool
    costs: Costs


def objection(order: Order, standing: Standing) -> str | None:
    """Return why ``order`` is rejected, or ``None`` when it is taken."""
    if not standing.known:
        return f"no prices are known for {order.symbol}"
    if standing.session is None:
        return _closed(standing.opening, standing.exchange)
    expires_on, today = standing.instrument.expires_on, standing.session.date
    if expires_on and expires_on < today:
        return f"{order.symbol} expired on {expires_on}"
    if standing.last is None:
        return f"{order.symbol} has no usable price on {today}"
    return _odd_numbers(order, standing.instrument) or _uncovered(order, standing, standing.last)


def _closed(opening: Session | None, exchange: str) -> str:
    if opening is None:
        return f"{exchange} is closed, and its calendar knows no later session"
    return f"{exchange} is closed; the next session, {opening.date}, opens at {_written(opening.opens_at)}"


def _odd_numbers(order: Order, instrument: Instrument) -> str | None:
    if order.quantity % instrument.lot_size:
        return f"quantity {order.quantity} is no multiple of the lot size {instrument.lot_size}"
    for name, price in (("limit price", order.limit_price), ("stop price", order.stop_price)):
        if price is not None and price % instrument.tick_size:
            return f"{name} {price} is no multiple of the tick size {instrument.tick_size}"
    return None


def _uncovered(order: Order, standing: Standing, last: Decimal) -> str | None:
    if order.side is Side.SELL:
        if standing.short or standing.held - standing.selling >= order.quantity:
            return None
        busy = f", {standing.selling} of it in open orders" if standing.selling else ""
        return f"selling {order.quantity} {order.symbol} is more than is held ({standing.held}{busy}): no short selling"
    cost = estimated_cost(order, Decimal(0), last, standing.instrument, standing.costs)
    if cost <= standing.free_cash:
        return None
    need, free = cost.quantize(CENT), standing.free_cash.quantize(CENT)
    return f"not enough cash: {order.quantity} {order.symbol} would cost about {need}, and {free} is free"


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
