"""From target weights to whole lots and the trades that lead there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal

from orchestration.domain.bars import Instrument
from orchestration.domain.orders import Account, Side
from orchestration.quant.rounding import whole_lots
from orchestration.quant.slicing import split_quantity

SMALLEST_TRADE = 0.002
"""Share of equity below which a trade is not worth its commission."""
WORTH_ITS_COMMISSION = 100
"""The least commission of an order is at most one part in so many of what is traded with it."""
MOST_ORDERS = 20
"""The most orders that one trade is split into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A trade to make: ``quantity`` is positive, ``price`` the one it was sized at.

    ``reduce_only``: it was meant to make a position smaller, never to open one on the other side.
    """

    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    reason: str
    reduce_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A trade that is not made, and why."""

    symbol: str
    side: Side
    quantity: Decimal
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """Target quantities by symbol, the trades in the order to send them (sells first), and what was dropped."""

    targets: Mapping[str, Decimal]
    trades: tuple[Trade, ...]
    dropped: tuple[Dropped, ...]


def size(
    weights: Mapping[str, float],
    *,
    account: Account,
    prices: Mapping[str, Decimal],
    instrument: Callable[[str], Instrument],
    per_order: float,
    pending: Mapping[str, Decimal] | None = None,
    smallest: float = SMALLEST_TRADE,
    least: Decimal = Decimal(0),
) -> Sizing:
    """Return what to hold and to trade so that each symbol of ``weights`` has its share of the account's equity.

    Symbols that ``weights`` does not name are left alone; each that it names has a price. Targets are whole lots,
    towards zero. ``pending`` is what open orders will still add (signed). A trade below ``smallest`` of equity, or
    below ``least`` in money, is dropped unless it closes the position; one above ``per_order`` of equity is split.
    """
    equity = account.equity
    targets: dict[str, Decimal] = {}
    trades: list[Trade] = []
    dropped: list[Dropped] = []
    for symbol in sorted(weights):
        traded = instrument(symbol)
        unit = prices[symbol] * traded.multiplier
        value = max(equity, Decimal(0)) * Decimal(repr(weights[symbol]))
        target = targets[symbol] = whole_lots(value / unit, traded.lot_size)
        held = account.position(symbol)
        have = (held.quantity if held else Decimal(0)) + (pending or {}).get(symbol, Decimal(0))
        change = target - have
        if not change:
            continue
        side = Side.BUY if change > 0 else Side.SELL
        reason = f"{_share(have * unit, equity)} to {_share(target * unit, equity)} of equity"
        floor = max(equity * Decimal(repr(smallest)), least)
        if target and abs(change) * unit < floor:
            text = f"{reason}: under {_share(floor, equity)} of equity, not worth its costs"
            dropped.append(Dropped(symbol=symbol, side=side, quantity=abs(change), reason=text))
            continue
        reducing = have * change < 0 and abs(change) <= abs(have)
        whole = Trade(
            symbol=symbol,
            side=side,
            quantity=abs(change),
            price=prices[symbol],
            reason=reason,
            reduce_only=reducing,
        )
        parts, refused = split_order(whole, traded, equity=equity, per_order=per_order, reducing=reducing)
        trades += parts
        dropped += refused
    return Sizing(targets=targets, trades=sells_first(trades), dropped=tuple(dropped))


def split_order(
    trade: Trade, traded: Instrument, *, equity: Decimal, per_order: float, reducing: bool
) -> tuple[tuple[Trade, ...], tuple[Dropped, ...]]:
    """Return ``trade`` as one or more of at most ``per_order`` of equity each.

    Never more than 20: what is left then is dropped with a reason. A ``reducing`` trade is never dropped: it goes in 20
    equal parts, or in one where not even a lot is allowed, since getting out is never barred.
    """
    most = max(equity, Decimal(0)) * Decimal(repr(per_order))
    lots = whole_lots(most / (trade.price * traded.multiplier), traded.lot_size)
    if lots <= 0 and not reducing:
        text = f"one lot of {traded.lot_size} is above {per_order:.2%} of equity, the limit of one order"
        return (), (_drop(trade, trade.quantity, text),)
    count = int((trade.quantity / lots).to_integral_value(ROUND_CEILING)) if lots > 0 else 1
    quantity = trade.quantity
    dropped: tuple[Dropped, ...] = ()
    if count > MOST_ORDERS and not reducing:
        quantity = MOST_ORDERS * lots
        text = f"more than {MOST_ORDERS} orders of {per_order:.2%} of equity each would be needed"
        dropped = (_drop(trade, trade.quantity - quantity, text),)
    parts = split_quantity(quantity, min(count, MOST_ORDERS), traded.lot_size)
    note = f"; in {len(parts)} orders, for the limit of {per_order:.2%} of equity an order" if len(parts) > 1 else ""
    made = tuple(replace(trade, quantity=part, reason=trade.reason + note) for part in parts)
    return made, dropped


def sells_first(trades: list[Trade]) -> tuple[Trade, ...]:
    """Return the trades with all sells before all buys, so that buys find the cash; else in the order given."""
    return tuple(sorted(trades, key=lambda trade: trade.side is Side.BUY))


def _drop(trade: Trade, quantity: Decimal, reason: str) -> Dropped:
    return Dropped(symbol=trade.symbol, side=trade.side, quantity=quantity, reason=reason)


def _share(value: Decimal, equity: Decimal) -> str:
    return f"{value / equity:.2%}" if equity > 0 else f"{value:.2f}"
