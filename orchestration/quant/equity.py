"""What an account was worth along a day, from its fills and the prices of the day."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from orchestration.domain.bars import Tick
from orchestration.domain.desk import Desk
from orchestration.domain.orders import Account, Fill


def equity_path(
    start: Account,
    fills: Sequence[Fill],
    ticks: Mapping[str, Sequence[Tick]],
    desk: Desk,
    *,
    every: timedelta = timedelta(minutes=5),
) -> tuple[tuple[datetime, Decimal], ...]:
    """Return (moment, equity) at the first tick, one ``every`` later and so on, and at the last tick.

    ``start`` is the account before the day, ``fills`` are the day's, oldest first, ``ticks`` its prices by symbol,
    oldest first. A position without a tick yet is worth its price in ``start``. Empty without ticks.
    """
    moments = _moments([tick.at for path in ticks.values() for tick in path], every)
    cash = start.cash
    held = {position.symbol: position.quantity for position in start.positions}
    prices = {position.symbol: position.price for position in start.positions}
    waiting_fills, waiting_ticks = list(reversed(fills)), {name: list(reversed(path)) for name, path in ticks.items()}
    points = []
    for moment in moments:
        while waiting_fills and waiting_fills[-1].at <= moment:
            fill = waiting_fills.pop()
            signed = fill.quantity * fill.side.sign
            cash -= signed * fill.price * desk.instrument(fill.symbol).multiplier + fill.commission
            held[fill.symbol] = held.get(fill.symbol, Decimal(0)) + signed
            prices.setdefault(fill.symbol, fill.price)
        for symbol, path in waiting_ticks.items():
            while path and path[-1].at <= moment:
                prices[symbol] = path.pop().price
        value = sum((q * prices[s] * desk.instrument(s).multiplier for s, q in held.items() if q), Decimal(0))
        points.append((moment, cash + value))
    return tuple(points)


def _moments(all_moments: Iterable[datetime], every: timedelta) -> list[datetime]:
    known = sorted(set(all_moments))
    if not known:
        return []
    count = (known[-1] - known[0]) // every
    moments = [known[0] + index * every for index in range(count + 1)]
    return moments if moments[-1] == known[-1] else [*moments, known[-1]]
