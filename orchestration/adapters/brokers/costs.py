"""What the paper broker charges: slippage, commission, and what an order may come to cost."""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

from orchestration.domain.bars import Instrument
from orchestration.domain.desk import Costs
from orchestration.domain.orders import Order, OrderType, Side

CENT = Decimal("0.01")
_BASIS_POINTS = Decimal(10_000)


def against(price: Decimal, side: Side, tick: Decimal) -> Decimal:
    """``price`` on the next tick that is worse for ``side``, never below one tick; a price on a tick stays."""
    rounding = ROUND_CEILING if side is Side.BUY else ROUND_FLOOR
    return max((price / tick).to_integral_value(rounding) * tick, tick).quantize(tick)


def slipped(price: Decimal, side: Side, tick: Decimal, costs: Costs) -> Decimal:
    """``price`` with the slippage, rounded to the tick against the order."""
    return against(price * (1 + side.sign * costs.slippage_bps / _BASIS_POINTS), side, tick)


def commission(quantity: Decimal, costs: Costs) -> Decimal:
    """What an order owes in all once ``quantity`` of it is filled, to the cent: the minimum falls due at once."""
    owed = max(costs.commission_minimum, quantity * costs.commission_per_unit)
    return owed.quantize(CENT, ROUND_HALF_UP)


def estimated_cost(order: Order, filled: Decimal, last: Decimal, instrument: Instrument, costs: Costs) -> Decimal:
    """What the rest of a buy is expected to cost, commission included.

    A limit order is taken at its limit, a market order at ``last`` and a stop order at the higher of ``last`` and its
    stop, both with slippage.
    """
    if order.type is OrderType.LIMIT and order.limit_price is not None:
        price = order.limit_price
    else:
        price = slipped(max(last, order.stop_price or last), order.side, instrument.tick_size, costs)
    owed = commission(order.quantity, costs) - (commission(filled, costs) if filled else 0)
    return (order.quantity - filled) * price * instrument.multiplier + owed
