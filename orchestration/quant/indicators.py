"""Technical indicators over daily prices: the latest values, ``None`` where the history is too short."""

from dataclasses import dataclass, fields

import numpy as np
import talib

from orchestration.quant.rounding import significant_or_none
from orchestration.quant.volatility import Floats

RSI_PERIOD = 14
MACD_FAST, MACD_SLOW, MACD_SIGNAL = 12, 26, 9
BOLLINGER_PERIOD, BOLLINGER_WIDTH = 20, 2.0
ATR_PERIOD = 14
METHOD = (
    f"RSI({RSI_PERIOD}), MACD({MACD_FAST},{MACD_SLOW},{MACD_SIGNAL}), SMA(20,50,200), EMA(20), "
    f"Bollinger({BOLLINGER_PERIOD},{BOLLINGER_WIDTH:g}), ATR({ATR_PERIOD}) by TA-Lib on adjusted daily bars"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndicatorSet:
    """The latest value of each indicator, in price units but for ``rsi`` (0 to 100); ``None``: history too short."""

    rsi: float | None
    macd: float | None
    macd_signal: float | None
    macd_histogram: float | None
    sma_20: float | None
    sma_50: float | None
    sma_200: float | None
    ema_20: float | None
    bollinger_upper: float | None
    bollinger_middle: float | None
    bollinger_lower: float | None
    atr: float | None

    def rounded(self) -> dict[str, float | None]:
        """The values by name, to nine significant digits."""
        return {field.name: significant_or_none(getattr(self, field.name)) for field in fields(self)}


def indicator_set(*, highs: Floats, lows: Floats, closes: Floats) -> IndicatorSet:
    """Return the latest indicators of one symbol; the three arrays are of one length, oldest first."""
    if not highs.size == lows.size == closes.size:
        raise ValueError(f"{highs.size} highs, {lows.size} lows and {closes.size} closes; give one of each a session")
    line, signal, histogram = macd(closes)
    upper, middle, lower = bollinger(closes)
    return IndicatorSet(
        rsi=rsi(closes),
        macd=line,
        macd_signal=signal,
        macd_histogram=histogram,
        sma_20=sma(closes, 20),
        sma_50=sma(closes, 50),
        sma_200=sma(closes, 200),
        ema_20=ema(closes, 20),
        bollinger_upper=upper,
        bollinger_middle=middle,
        bollinger_lower=lower,
        atr=atr(highs, lows, closes),
    )


def rsi(closes: Floats, period: int = RSI_PERIOD) -> float | None:
    """Return Wilder's relative strength index, 0 to 100; 50 where no price ever moved (TA-Lib says 0 there)."""
    if closes.size <= period:
        return None
    if np.ptp(closes) == 0:
        return 50.0
    return _last(talib.RSI(closes, timeperiod=period))


def macd(
    closes: Floats, fast: int = MACD_FAST, slow: int = MACD_SLOW, signal: int = MACD_SIGNAL
) -> tuple[float | None, float | None, float | None]:
    """Return Appel's MACD line, its signal line, and the difference of the two."""
    if closes.size < slow + signal - 1:
        return None, None, None
    line, smoothed, histogram = talib.MACD(closes, fastperiod=fast, slowperiod=slow, signalperiod=signal)
    return _last(line), _last(smoothed), _last(histogram)


def sma(closes: Floats, period: int) -> float | None:
    """Return the simple moving average."""
    return float(np.mean(closes[-period:])) if closes.size >= period else None


def ema(closes: Floats, period: int) -> float | None:
    """Return the exponential moving average, begun with the simple one of the first ``period`` closes."""
    return _last(talib.EMA(closes, timeperiod=period)) if closes.size >= period else None


def bollinger(
    closes: Floats, period: int = BOLLINGER_PERIOD, width: float = BOLLINGER_WIDTH
) -> tuple[float | None, float | None, float | None]:
    """Return the upper, middle and lower band, ``width`` population standard deviations around the average."""
    if closes.size < period:
        return None, None, None
    upper, middle, lower = talib.BBANDS(closes, timeperiod=period, nbdevup=width, nbdevdn=width)
    return _last(upper), _last(middle), _last(lower)


def atr(highs: Floats, lows: Floats, closes: Floats, period: int = ATR_PERIOD) -> float | None:
    """Return Wilder's average true range."""
    return _last(talib.ATR(highs, lows, closes, timeperiod=period)) if closes.size > period else None


def _last(values: Floats) -> float | None:
    return None if np.isnan(values[-1]) else float(values[-1])
