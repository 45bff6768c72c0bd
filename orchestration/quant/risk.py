"""Exposures, the day's loss, breaches of the limits, and the trades that end them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from orchestration.domain.bars import Instrument
from orchestration.domain.desk import RiskLimits
from orchestration.domain.orders import Account, Fill, Position, Side
from orchestration.quant.sizing import Trade, sells_first, split_order

TRIM_TO = Decimal("0.95")
"""What is trimmed goes to this share of its limit: to the limit itself, the next tick would breach it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Exposures as shares of equity; weights are signed, by symbol. All are 0 where equity is not positive."""

    gross: float
    net: float
    weights: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A limit that is passed: ``value`` against ``allowed``, both shares of equity; ``symbol`` for one name's."""

    limit: str
    symbol: str | None
    value: float
    allowed: float

    def __str__(self) -> str:
        name = f" of {self.symbol}" if self.symbol else ""
        return f"{self.limit}{name} is {self.value:.2%}, allowed {self.allowed:.2%}"


def exposure(account: Account) -> Exposure:
    """Return how much of the account's equity is at work."""
    equity = account.equity
    if equity <= 0:
        return Exposure(gross=0.0, net=0.0, weights={p.symbol: 0.0 for p in account.positions})
    weights = {p.symbol: float(p.value / equity) for p in account.positions}
    net = sum((p.value for p in account.positions), Decimal(0)) / equity
    return Exposure(gross=float(account.gross / equity), net=float(net), weights=weights)


def scaled(limits: RiskLimits, scale: float) -> RiskLimits:
    """Return the limits of a day on which only ``scale`` (over 0, up to 1) of the usual risk may be taken."""
    if not 0 < scale <= 1:
        raise ValueError(f"limit_scale is {scale}; it is a share over 0 and up to 1")
    return RiskLimits(
        gross=limits.gross * scale,
        per_name=limits.per_name * scale,
        per_order=limits.per_order * scale,
        daily_loss=limits.daily_loss * scale,
    )


def start_of_day(
    account: Account,
    fills_today: Sequence[Fill],
    closes: Mapping[str, Decimal],
    instrument: Callable[[str], Instrument],
) -> Decimal:
    """Return the equity that the day began with: before today's fills, marked at the previous closes.

    A symbol without a previous close is marked at its average price. ``instrument`` tells the multipliers, also of
    what was closed today and is no position any more.
    """
    quantities = {p.symbol: p.quantity for p in account.positions}
    known = {p.symbol: p for p in account.positions}
    cash = account.cash
    for fill in fills_today:
        quantities[fill.symbol] = quantities.get(fill.symbol, Decimal(0)) - fill.side.sign * fill.quantity
        cash += fill.side.sign * fill.quantity * fill.price * instrument(fill.symbol).multiplier + fill.commission
    value = Decimal(0)
    for symbol, quantity in quantities.items():
        if quantity:
            held = known.get(symbol)
            price = closes[symbol] if symbol in closes else held.average_price if held else Decimal(0)
            value += quantity * price * instrument(symbol).multiplier
    return cash + value


def daily_loss(equity: Decimal, start: Decimal) -> float:
    """Return the share of ``start`` that was lost since; negative after a gain, 0 where ``start`` is not positive."""
    return float((start - equity) / start) if start > 0 else 0.0


def breaches(account: Account, limits: RiskLimits, loss: float) -> tuple[Breach, ...]:
    """Return every limit that is passed: the daily loss first, then gross, then names in alphabetical order."""
    now = exposure(account)
    found = []
    if loss > limits.daily_loss:
        found.append(Breach(limit="daily_loss", symbol=None, value=loss, allowed=limits.daily_loss))
    if now.gross > limits.gross:
        found.append(Breach(limit="gross", symbol=None, value=now.gross, allowed=limits.gross))
    for symbol in sorted(now.weights):
        if abs(now.weights[symbol]) > limits.per_name:
            value = abs(now.weights[symbol])
            found.append(Breach(limit="per_name", symbol=symbol, value=value, allowed=limits.per_name))
    return tuple(found)


def reducing_trades(
    account: Account,
    limits: RiskLimits,
    found: Sequence[Breach],
    instrument: Callable[[str], Instrument],
    pending: Mapping[str, Decimal] | None = None,
) -> tuple[Trade, ...]:
    """Return the trades that end the breaches; they only make positions smaller.

    A daily loss closes everything. A name above its limit is trimmed to 95 % of it; if gross is above its limit then,
    all are scaled down alike to 95 % of that. ``pending`` is what open orders will still change (signed); what they
    reduce already is not traded twice.
    """
    if not found:
        return ()
    equity = account.equity
    if equity <= 0 or any(b.limit == "daily_loss" for b in found):
        keep = {p.symbol: Decimal(0) for p in account.positions}
    else:
        keep = _kept(account, limits, found)
    trades: list[Trade] = []
    why = "; ".join(str(b) for b in found)
    for held in account.positions:
        traded = instrument(held.symbol)
        cut = _reduction(held, keep[held.symbol], traded, (pending or {}).get(held.symbol, Decimal(0)))
        if cut > 0:
            side = Side.SELL if held.quantity > 0 else Side.BUY
            trade = Trade(symbol=held.symbol, side=side, quantity=cut, price=held.price, reason=why, reduce_only=True)
            parts, _ = split_order(trade, traded, equity=equity, per_order=limits.per_order, reducing=True)
            trades += parts
    return sells_first(trades)


def _kept(account: Account, limits: RiskLimits, found: Sequence[Breach]) -> dict[str, Decimal]:
    """The share of each position that stays."""
    equity = account.equity
    names = {b.symbol for b in found if b.limit == "per_name"}
    cap = equity * Decimal(repr(limits.per_name)) * TRIM_TO
    keep = {p.symbol: cap / abs(p.value) if p.symbol in names else Decimal(1) for p in account.positions}
    gross = sum((abs(p.value) * keep[p.symbol] for p in account.positions), Decimal(0))
    allowed = equity * Decimal(repr(limits.gross))
    if gross > allowed:
        factor = allowed * TRIM_TO / gross
        keep = {symbol: share * factor for symbol, share in keep.items()}
    return keep


def _reduction(held: Position, keep: Decimal, traded: Instrument, pending: Decimal) -> Decimal:
    size = abs(held.quantity)
    cut = size * (1 - keep)
    lots = min(size, (cut / traded.lot_size).to_integral_value(ROUND_CEILING) * traded.lot_size)
    direction = 1 if held.quantity > 0 else -1
    return lots + min(Decimal(0), pending * direction)
