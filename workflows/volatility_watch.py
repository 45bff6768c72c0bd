"""Judge during the session whether a day has become volatile."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from orchestration.domain.session import Session
from orchestration.ports.market_data import MarketData
from orchestration.quant.volatility import WINDOW, basket_volatility

EVERY = timedelta(minutes=30)
"""How long after the open the first look comes, and how far apart the looks are."""


def next_look(session: Session, now: datetime) -> datetime | None:
    """Return the next moment after ``now`` to judge ``session`` at, on a grid from its open that leaves breaks out.

    ``None`` when the session has none left.
    """
    at = session.opens_at + EVERY
    while at < session.closes_at:
        if at > now and session.is_open(at):
            return at
        at += EVERY
    return None


def volatility_so_far(
    closes: Mapping[str, Mapping[date, float]], today: date, prices: Mapping[str, float]
) -> float | None:
    """Return the annualised volatility of the basket over the last 19 daily returns and today's move so far.

    ``closes`` are those before ``today``, ``prices`` those of now. Today's move, from the previous close, counts as a
    whole day's return, however early it is: it may still grow, so early in the day the figure errs on the calm side.
    Symbols without a price of today are left out. ``None`` where too few closes are known.
    """
    known = {s: {**closes[s], today: prices[s]} for s in sorted(closes) if s in prices and closes[s]}
    return basket_volatility(known, WINDOW)


async def judged_now(market: MarketData, symbols: tuple[str, ...], session: Session) -> float | None:
    """Return `volatility_so_far` of ``symbols`` in ``session`` by the prices that ``market`` has now."""
    closes: dict[str, dict[date, float]] = {}
    prices: dict[str, float] = {}
    for symbol in symbols:
        quote = await market.quote(symbol) if market.has_prices(symbol, session.date) else None
        if quote is not None and quote.at >= session.opens_at:
            prices[symbol] = float(quote.price)
            bars = market.daily_history(symbol, before=session.date, count=WINDOW)
            closes[symbol] = {bar.date: float(bar.close) for bar in bars}
    return volatility_so_far(closes, session.date, prices)
