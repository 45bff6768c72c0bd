"""Momentum and mean-reversion scores of one symbol, each from -1 to 1: above zero speaks for owning it."""

import math

import numpy as np

from orchestration.quant.volatility import Floats, log_returns

HORIZONS = (21, 63, 126, 252)
"""Sessions that momentum looks back: a month, a quarter, half a year, a year."""
REVERSION_WINDOW = 20
MOMENTUM_METHOD = f"momentum: mean of tanh(return / (daily volatility x sqrt(n))) over n = {HORIZONS} sessions"
REVERSION_METHOD = f"mean reversion: mean of (50 - RSI) / 50 and -z({REVERSION_WINDOW}) / 2, each within -1 and 1"


def momentum_score(closes: Floats) -> float | None:
    """Return mean over the horizons n of tanh(r_n / (s * sqrt(n))), in [-1, 1].

    r_n is the log return over the last n sessions, s the standard deviation (ddof 1) of the last year's daily log
    returns, so that a move counts by how unusual it is. Horizons longer than the history are left out; ``None`` where
    even the shortest is. A price that never moved scores 0. The idea is that of time-series momentum (Moskowitz, Ooi
    and Pedersen, "Time series momentum", Journal of Financial Economics 104, 2012); tanh bounds it.
    """
    returns = log_returns(closes)[-HORIZONS[-1] :]
    known = [n for n in HORIZONS if n <= returns.size]
    if not known:
        return None
    deviation = float(np.std(returns, ddof=1))
    if deviation < 1e-12:  # a constant growth without noise has no scale: only its direction counts
        total = float(np.sum(returns))
        return 0.0 if abs(total) < 1e-9 else math.copysign(1.0, total)
    parts = [math.tanh(float(np.sum(returns[-n:])) / (deviation * math.sqrt(n))) for n in known]
    return sum(parts) / len(parts)


def reversion_score(closes: Floats, rsi: float | None) -> float | None:
    """Return the mean of (50 - RSI) / 50 and -z / 2, each kept within [-1, 1]: high after a fall, low after a rise.

    z is the distance of the last close from the mean of the last 20 in their population standard deviations (the
    coordinate of Bollinger's bands, so that a touch of the lower band gives 1); ``rsi`` is Wilder's, 0 to 100. ``None``
    where either needs more history. That short-term moves tend to reverse is due to Lehmann ("Fads, martingales, and
    market efficiency", 1990) and Jegadeesh ("Evidence of predictable behavior of security returns", 1990).
    """
    if rsi is None or closes.size < REVERSION_WINDOW:
        return None
    window = closes[-REVERSION_WINDOW:]
    deviation = float(np.std(window))
    mean = float(np.mean(window))
    z = (float(window[-1]) - mean) / deviation if deviation > 1e-12 * mean else 0.0
    return (_bounded((50.0 - rsi) / 50.0) + _bounded(-z / 2.0)) / 2.0


def combined_score(momentum: float, reversion: float, momentum_share: float) -> float:
    """Return the two scores mixed: ``momentum_share`` (0 to 1) of the first and the rest of the second."""
    if not 0 <= momentum_share <= 1:
        raise ValueError(f"momentum_share is {momentum_share}; it is a share from 0 to 1")
    return _bounded(momentum_share * momentum + (1 - momentum_share) * reversion)


def _bounded(value: float) -> float:
    return min(1.0, max(-1.0, value))
