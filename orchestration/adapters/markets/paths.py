"""Draw a day's intraday path inside its real open, high, low, close and volume."""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import accumulate, pairwise

from orchestration.adapters.markets.sessions import trading_spans
from orchestration.domain.bars import Bar, Tick
from orchestration.domain.session import Session
from orchestration.ports.randomness import Draws

STEP = timedelta(minutes=1)
CLOSING = timedelta(seconds=1)
"""How long before the close the last price is made."""
_FEWEST = 4
"""Open, high, low and close need a moment each; sessions too short for that many minutes get shorter steps."""
_WOBBLE = 1.2
"""The walk's usual reach in ranges of the day: large enough that the way between two anchors looks like a market's."""
_LOW_FIRST = 0.7
"""How often a day that rises makes its low before its high, and one that falls its high before its low."""


def draw_path(bar: Bar, session: Session, draws: Draws, tick_size: Decimal = Decimal("0.01")) -> tuple[Tick, ...]:
    """Return one tick a minute of ``session``, breaks left out, and a last one a second before the close.

    The first is the bar's open, the last its close; high and low are touched exactly and never passed; the volumes
    are larger at both ends of the day and sum to the bar's. The bar's prices must be multiples of ``tick_size``; so are
    the path's.
    """
    moments = path_moments(session)
    open_, high, low, close = (int(price / tick_size) for price in (bar.open, bar.high, bar.low, bar.close))
    levels = _levels(open_, high, low, close, len(moments), draws)
    prices = {level: level * tick_size for level in set(levels)}
    return tuple(
        Tick(at=at, price=prices[level], volume=volume)
        for at, level, volume in zip(moments, levels, _volumes(bar.volume, len(moments), draws), strict=True)
    )


@lru_cache(maxsize=8)
def path_moments(session: Session) -> tuple[datetime, ...]:
    """The moments of the ticks: at least five, rising, within the session and outside its breaks."""
    spans = trading_spans(session)
    step = min(STEP, sum((span.length for span in spans), timedelta()) / _FEWEST)
    moments = [span.starts_at + index * step for span in spans for index in range(-(-span.length // step))]
    last = spans[-1].ends_at - min(CLOSING, step / 2)
    return (*(moment for moment in moments if moment < last), last)


def _levels(open_: int, high: int, low: int, close: int, count: int, draws: Draws) -> list[int]:
    """Bridges between the open, both extremes at drawn moments, and the close, folded back into [low, high]."""
    one = 1 + int(draws.random() * (count - 2))
    other = 1 + int(draws.random() * (count - 3))
    other += other >= one
    low_first = draws.random() < (_LOW_FIRST if close >= open_ else 1 - _LOW_FIRST)
    extremes = (low, high) if low_first else (high, low)
    anchors = [(0, open_), (min(one, other), extremes[0]), (max(one, other), extremes[1]), (count - 1, close)]
    reach = 2 * _WOBBLE * (high - low) / math.sqrt(count)
    levels = [open_]
    for (start, level), (end, target) in pairwise(anchors):
        for value in _bridge(level, target, end - start, reach, draws):
            if value < low:
                value = 2 * low - value
            elif value > high:
                value = 2 * high - value
            levels.append(round(min(max(value, low), high)))
        levels.append(target)
    return levels


def _bridge(level: int, target: int, steps: int, reach: float, draws: Draws) -> Iterator[float]:
    """The points strictly between two anchors: a straight line plus a random walk that ends where it began."""
    walk = list(accumulate((draws.random() - 0.5) * reach for _ in range(steps)))
    drift = (target - level - walk[-1]) / steps
    return (level + drift * index + wander for index, wander in enumerate(walk[:-1], start=1))


@lru_cache(maxsize=8)
def _day_shape(count: int) -> tuple[float, ...]:
    """Weights from 1 in the middle of the day to 4 at its ends."""
    return tuple(1 + 3 * (2 * index / (count - 1) - 1) ** 2 for index in range(count))


def _volumes(volume: int, count: int, draws: Draws) -> Sequence[int]:
    """Whole volumes that sum to ``volume``: the day's shape, each minute between half and one and a half times it."""
    sums = list(accumulate(weight * (0.5 + draws.random()) for weight in _day_shape(count)))
    scale = volume / sums[-1]
    ends = [min(int(reached * scale), volume) for reached in sums[:-1]] + [volume]
    return [ends[0], *(end - start for start, end in pairwise(ends))]
