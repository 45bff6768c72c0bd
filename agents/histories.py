"""Prices as the agents use them: daily histories as arrays, quotes, and which symbols have neither."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import numpy as np

from orchestration.domain.json_value import JsonObject
from orchestration.ports.market_data import MarketData
from orchestration.quant.volatility import Floats

YEAR = 260
"""Daily bars that an analysis asks for: a year, and the close before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The daily bars of one symbol as arrays, oldest first; never empty. ``last_close`` is exact."""

    symbol: str
    dates: tuple[date, ...]
    highs: Floats
    lows: Floats
    closes: Floats
    last_close: Decimal

    @property
    def by_date(self) -> dict[date, float]:
        """Closes by date."""
        return dict(zip(self.dates, self.closes.tolist(), strict=True))


async def usable_symbols(market: MarketData, symbols: tuple[str, ...], on: date) -> tuple[list[str], list[JsonObject]]:
    """Return the symbols that can be traded on ``on``, and the others, each with its reason."""
    usable: list[str] = []
    unusable: list[JsonObject] = []
    known = set(market.symbols)
    for symbol in symbols:
        if symbol not in known:
            unusable.append({"symbol": symbol, "reason": f"unknown to the price source ({market.source})"})
        elif not market.has_prices(symbol, on):
            unusable.append({"symbol": symbol, "reason": f"no price on {on}"})
        elif not await market.daily_bars(symbol, count=1):
            unusable.append({"symbol": symbol, "reason": f"no session before {on} has a price"})
        else:
            usable.append(symbol)
    return usable, unusable


async def histories(market: MarketData, symbols: list[str], count: int = YEAR) -> dict[str, History]:
    """Return the daily history of each symbol that has one."""
    found: dict[str, History] = {}
    for symbol in symbols:
        bars = await market.daily_bars(symbol, count=count)
        if bars:
            found[symbol] = History(
                symbol=symbol,
                dates=tuple(bar.date for bar in bars),
                highs=np.array([float(bar.high) for bar in bars]),
                lows=np.array([float(bar.low) for bar in bars]),
                closes=np.array([float(bar.close) for bar in bars]),
                last_close=bars[-1].close,
            )
    return found


async def prices_now(
    market: MarketData, symbols: list[str] | tuple[str, ...], since: datetime | None = None
) -> dict[str, Decimal]:
    """Return the last known price of each symbol that has one, with ``since`` only those made after that moment."""
    known = set(market.symbols)
    found: dict[str, Decimal] = {}
    for symbol in symbols:
        quote = await market.quote(symbol) if symbol in known else None
        if quote is not None and (since is None or quote.at > since):
            found[symbol] = quote.price
    return found


async def previous_closes(market: MarketData, symbols: list[str] | tuple[str, ...], on: date) -> dict[str, Decimal]:
    """Return the close of the last session before ``on`` of each symbol that has one."""
    known = set(market.symbols)
    found: dict[str, Decimal] = {}
    for symbol in symbols:
        bars = await market.daily_bars(symbol, count=1, before=on) if symbol in known else ()
        if bars:
            found[symbol] = bars[-1].close
    return found
