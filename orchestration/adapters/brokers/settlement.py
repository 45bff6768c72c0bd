"""What is left of a position in something that has expired: its value in cash."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from orchestration.adapters.brokers.entries import Change, settled
from orchestration.adapters.markets.sessions import DAY
from orchestration.domain.bars import Instrument, Right
from orchestration.ports.market_data import MarketData
from orchestration.ports.trading_calendar import TradingCalendar


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settlement:
    price: Decimal
    reason: str


def expiry_close(instrument: Instrument, calendar: TradingCalendar) -> datetime | None:
    """When trading in ``instrument`` ends: the close of ``expires_on`` or, where that is no session, of the one before.

    ``None`` for what does not expire within the calendar's span.
    """
    expires_on = instrument.expires_on
    if expires_on is None or not calendar.span[0] < expires_on <= calendar.span[1]:
        return None
    session = calendar.session(expires_on) or calendar.previous_session(expires_on)
    return session.closes_at


async def settle(
    instrument: Instrument, quantity: Decimal, closed_at: datetime, market_data: MarketData
) -> Change | None:
    """The change that turns ``quantity`` of the expired ``instrument`` into cash, as of ``closed_at``.

    An option is worth what exercising it at the underlying's last close brings, never less than nothing; anything else
    its own last close. ``None`` where no such close is known: the position stays.
    """
    if instrument.expires_on is None:
        return None
    settlement = await _worth(instrument, instrument.expires_on, market_data)
    if settlement is None:
        return None
    return settled(
        symbol=instrument.symbol,
        quantity=quantity,
        price=settlement.price,
        cash=quantity * settlement.price * instrument.multiplier,
        at=closed_at,
        reason=settlement.reason,
    )


async def _worth(instrument: Instrument, expires_on: date, market_data: MarketData) -> _Settlement | None:
    option = instrument.strike is not None and instrument.right is not None and instrument.underlying
    symbol = option or instrument.symbol
    if symbol not in market_data.symbols:
        return None
    bars = await market_data.daily_bars(symbol, count=1, before=expires_on + DAY)
    if not bars:
        return None
    close, expired = bars[-1].close, f"expired on {expires_on}, settled in cash"
    if instrument.strike is None or instrument.right is None or not option:
        return _Settlement(price=close, reason=f"{expired} at the last close, {close} on {bars[-1].date}")
    gain = close - instrument.strike if instrument.right is Right.CALL else instrument.strike - close
    worth = max(gain, Decimal(0))
    how = f"{instrument.right} {instrument.strike}, {symbol} closed at {close} on {bars[-1].date}"
    return _Settlement(price=worth, reason=f"{expired} at intrinsic value {worth}: {how}")
