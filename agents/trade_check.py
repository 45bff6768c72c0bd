"""The second pair of eyes: whether each planned trade stands by itself and within the limits, one after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from agents.trade_rows import PlannedTrade
from orchestration.domain.desk import Desk, RiskLimits
from orchestration.domain.orders import Account
from orchestration.quant.rounding import whole_lots

PRICE_DRIFT = 0.03
"""The share by which a price may have left the one that a trade was sized at."""
TOLERANCE = Decimal("1.03")
"""Limits are checked at today's price times this: the trade was sized within them at a price a little older."""


@dataclass(kw_only=True)
class TradeCheck:
    """Looks at trades in order; what it approves counts as done for those that follow.

    ``pending`` is what open orders will still add, signed; ``loss`` the share of the day's equity lost so far.
    """

    desk: Desk
    limits: RiskLimits
    account: Account
    prices: Mapping[str, Decimal]
    pending: Mapping[str, Decimal]
    loss: float
    _holds: dict[str, Decimal] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._holds = {p.symbol: p.quantity for p in self.account.positions}
        for symbol, quantity in self.pending.items():
            self._holds[symbol] = self._holds.get(symbol, Decimal(0)) + quantity

    def objection(self, trade: PlannedTrade) -> str | None:
        """Return why ``trade`` should not be made, or ``None``, and then count it as made."""
        have = self._holds.get(trade.symbol, Decimal(0))
        after = have + trade.side.sign * trade.quantity
        reducing = have * trade.side.sign < 0 and trade.quantity <= abs(have)
        checks = (self._price(trade), self._lots(trade), self._short(trade, after))
        found: Sequence[str | None] = checks if reducing else (*checks, self._loss(), *self._sizes(trade, after))
        problem = next((text for text in found if text), None)
        if problem is None:
            self._holds[trade.symbol] = after
        return problem

    def _price(self, trade: PlannedTrade) -> str | None:
        price = self.prices.get(trade.symbol)
        if price is None:
            return "no price is known now"
        drift = abs(float(price / trade.reference_price) - 1.0)
        return (
            f"the price left the reference by {drift:.1%}, more than {PRICE_DRIFT:.0%}" if drift > PRICE_DRIFT else None
        )

    def _lots(self, trade: PlannedTrade) -> str | None:
        lot = self.desk.instrument(trade.symbol).lot_size
        odd = trade.quantity - whole_lots(trade.quantity, lot)
        return f"{trade.quantity} is not a whole number of lots of {lot}" if odd else None

    def _short(self, trade: PlannedTrade, after: Decimal) -> str | None:
        if after < 0 and trade.side.sign < 0 and not self.desk.short:
            return f"{after} would be held, and the desk does not go short"
        return None

    def _loss(self) -> str | None:
        if self.loss > self.limits.daily_loss:
            return f"the day has lost {self.loss:.2%}, more than {self.limits.daily_loss:.2%}: only reductions"
        return None

    def _sizes(self, trade: PlannedTrade, after: Decimal) -> tuple[str | None, ...]:
        if trade.symbol not in self.prices:
            return ()
        order = self._value(trade.symbol, trade.quantity)
        name = self._value(trade.symbol, after)
        gross = sum((self._value(s, q) for s, q in self._holds.items() if s != trade.symbol), name)
        return (
            self._within("the order", order, self.limits.per_order),
            self._within(f"{trade.symbol} afterwards", name, self.limits.per_name),
            self._within("gross exposure afterwards", gross, self.limits.gross),
        )

    def _value(self, symbol: str, quantity: Decimal) -> Decimal:
        held = self.account.position(symbol)
        price = self.prices.get(symbol) or (held.price if held else Decimal(0))
        return abs(quantity) * price * self.desk.instrument(symbol).multiplier

    def _within(self, what: str, value: Decimal, limit: float) -> str | None:
        equity = max(self.account.equity, Decimal(0))
        if value <= equity * Decimal(repr(limit)) * TOLERANCE:
            return None
        share = f"{value / equity:.2%} of equity" if equity else f"{value:.2f} without any equity"
        return f"{what} is {share}, allowed {limit:.2%}"
