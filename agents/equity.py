"""The account's past, worked out from its fills and the daily closes: equity day by day, and who earned what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, tzinfo
from decimal import Decimal

from orchestration.domain.desk import Desk
from orchestration.domain.orders import Account, Fill
from orchestration.quant.rounding import money

Closes = Mapping[str, Mapping[date, Decimal]]


@dataclass(slots=True)
class Holding:
    """One symbol's book: what is held at which average price, and what has been earned and paid.

    ``trades`` counts the fills that closed something, ``wins`` those of them that earned.
    """

    multiplier: Decimal
    quantity: Decimal = Decimal(0)
    average: Decimal = Decimal(0)
    realised: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)
    trades: int = 0
    wins: int = 0

    def take(self, fill: Fill) -> None:
        """Book ``fill`` at average cost."""
        self.commission += fill.commission
        signed = fill.side.sign * fill.quantity
        if self.quantity * signed >= 0:
            total = self.quantity + signed
            self.average = (self.average * self.quantity + fill.price * signed) / total
            self.quantity = total
            return
        closed = min(abs(self.quantity), fill.quantity)
        direction = 1 if self.quantity > 0 else -1
        earned = (fill.price - self.average) * closed * direction * self.multiplier
        self.realised += earned
        self.trades += 1
        self.wins += earned > fill.commission
        self.quantity += signed
        if self.quantity * direction < 0:  # the fill went through zero: the rest is a new position
            self.average = fill.price

    def profit(self, price: Decimal | None) -> Decimal:
        """All that was earned, what is held marked at ``price`` (``None``: at its average), less commissions."""
        open_profit = Decimal(0) if price is None else (price - self.average) * self.quantity * self.multiplier
        return self.realised + open_profit - self.commission


@dataclass(slots=True)
class Past:
    """``curve`` is (date, equity at its close), from the session before the first fill; ``traded``: value of fills.

    ``waiting`` counts the fills after the last close, which are in none of the figures yet.
    """

    curve: list[tuple[date, Decimal]] = field(default_factory=list)
    holdings: dict[str, Holding] = field(default_factory=dict)
    traded: Decimal = Decimal(0)
    waiting: int = 0


def past_of(account: Account, fills: Sequence[Fill], closes: Closes, desk: Desk, zone: tzinfo) -> Past:
    """Return the account's past on every date that ``closes`` has, from the session before the first fill.

    A position is marked at the last close known by then, else at its average price. Fills after the last close
    belong to no day yet and are left for the next one. Cash is worked back from the account, so that money paid in or
    out looks as if it had always been there.
    """
    past = Past()
    cash = account.cash - sum((_cash_flow(fill, desk) for fill in fills), Decimal(0))
    days = sorted({day for one in closes.values() for day in one})
    first = fills[0].at.astimezone(zone).date() if fills else None
    before = [day for day in days if first is None or day < first][-1:]
    index = 0
    last: dict[str, Decimal] = {}
    for day in [*before, *(day for day in days if first is not None and day >= first)]:
        last.update({symbol: one[day] for symbol, one in closes.items() if day in one})
        while index < len(fills) and fills[index].at.astimezone(zone).date() <= day:
            fill = fills[index]
            multiplier = desk.instrument(fill.symbol).multiplier
            past.holdings.setdefault(fill.symbol, Holding(multiplier=multiplier)).take(fill)
            past.traded += fill.quantity * fill.price * multiplier
            cash += _cash_flow(fill, desk)
            index += 1
        value = sum((h.quantity * last.get(s, h.average) * h.multiplier for s, h in past.holdings.items()), Decimal(0))
        past.curve.append((day, money(cash + value)))
    past.waiting = len(fills) - index
    return past


def _cash_flow(fill: Fill, desk: Desk) -> Decimal:
    value = fill.quantity * fill.price * desk.instrument(fill.symbol).multiplier
    return -fill.side.sign * value - fill.commission
