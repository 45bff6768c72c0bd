"""Decide which of an account's open orders fill at which ticks: no I/O, no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal

from orchestration.adapters.brokers.costs import against, commission, slipped
from orchestration.domain.bars import Instrument, Tick
from orchestration.domain.desk import Costs
from orchestration.domain.orders import Fill, Order, OrderType, Side


@dataclass(slots=True, kw_only=True)
class Working:
    """An open order on its way along the ticks.

    ``rank`` is its place in the order of acceptance; ticks up to ``seen`` are behind it; ``expires_at`` ends it;
    ``triggered``: its stop was reached; ``filled`` and ``fills`` count what it got so far.
    """

    order: Order
    rank: int
    seen: datetime
    expires_at: datetime
    triggered: bool
    filled: Decimal
    fills: int


def match(
    workings: Sequence[Working],
    ticks: Sequence[Tick],
    taken: Mapping[datetime, Decimal],
    instrument: Instrument,
    costs: Costs,
) -> list[tuple[int, Fill]]:
    """Fill ``workings`` (of one symbol, by rank) along ``ticks``, moving them on; return the fills with their ranks.

    All orders of a symbol share a tick's volume: ``costs.participation`` of it, rounded down to lots, at least one lot
    of a tick that has volume. ``taken`` is what earlier fills took of each tick.
    """
    found: list[tuple[int, Fill]] = []
    for tick in ticks:
        left = _allowance(tick, instrument, costs) - taken.get(tick.at, Decimal(0))
        for working in workings:
            if not working.seen < tick.at < working.expires_at:
                continue
            price = _price(working, tick, instrument, costs)
            quantity = min(left, working.order.quantity - working.filled)
            if price is None or quantity <= 0:
                continue
            left -= quantity
            found.append((working.rank, _fill(working, quantity, price, tick.at, costs)))
    if ticks:
        for working in workings:
            working.seen = max(working.seen, ticks[-1].at)
    return found


def _allowance(tick: Tick, instrument: Instrument, costs: Costs) -> Decimal:
    if tick.volume <= 0:
        return Decimal(0)
    share = Decimal(str(costs.participation)) * tick.volume / instrument.lot_size
    return max(share.to_integral_value(ROUND_FLOOR), Decimal(1)) * instrument.lot_size


def _price(working: Working, tick: Tick, instrument: Instrument, costs: Costs) -> Decimal | None:
    """What the order fills at, or ``None`` when this tick does not reach it; a stop that is reached stays so."""
    order, buys = working.order, working.order.side is Side.BUY
    if order.type is OrderType.LIMIT and order.limit_price is not None:
        limit = order.limit_price
        if not (tick.price <= limit if buys else tick.price >= limit):
            return None
        price = against(tick.price, order.side, instrument.tick_size)
        return min(price, limit) if buys else max(price, limit)
    if order.type is OrderType.STOP and order.stop_price is not None and not working.triggered:
        working.triggered = tick.price >= order.stop_price if buys else tick.price <= order.stop_price
        if not working.triggered:
            return None
    return slipped(tick.price, order.side, instrument.tick_size, costs)


def _fill(working: Working, quantity: Decimal, price: Decimal, at: datetime, costs: Costs) -> Fill:
    order = working.order
    before = commission(working.filled, costs) if working.fills else Decimal(0)
    working.filled += quantity
    working.fills += 1
    return Fill(
        fill_id=f"{order.client_order_id}-{working.fills}",
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=quantity,
        price=price,
        commission=commission(working.filled, costs) - before,
        at=at,
    )
