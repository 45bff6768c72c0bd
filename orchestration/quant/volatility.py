"""Realised volatility, of one symbol and of an equal-weight basket: the judge of `high_volatility`."""

import math
from collections.abc import Mapping
from datetime import date

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SESSIONS_A_YEAR = 252
WINDOW = 20
"""Daily returns that a realised volatility looks at by default."""


def log_returns(closes: Floats) -> Floats:
    """Return ln(close / close of the session before): one fewer than ``closes``, all of which are positive."""
    if closes.size and not closes.min() > 0:
        raise ValueError(f"a close is {closes.min()}; prices are positive")
    return np.diff(np.log(closes))


def annualised(returns: Floats, window: int = WINDOW) -> float | None:
    """Return std (ddof 1) of the last ``window`` returns times sqrt(252); ``None`` where fewer are known."""
    if window < 2:
        raise ValueError(f"a window of {window} returns has no standard deviation; take 2 or more")
    if returns.size < window:
        return None
    return float(np.std(returns[-window:], ddof=1)) * math.sqrt(SESSIONS_A_YEAR)


def realised_volatility(closes: Floats, window: int = WINDOW) -> float | None:
    """Return the annualised volatility (0.4 is 40 %) over the last ``window`` returns of one symbol's daily closes.

    ``None`` where fewer than ``window`` + 1 closes are known.
    """
    return annualised(log_returns(closes), window)


def basket_returns(closes: Mapping[str, Mapping[date, float]], window: int = WINDOW) -> Floats:
    """Return the daily log returns of an equal-weight basket: the mean over the symbols, on dates that all have.

    Between two common dates a symbol's return spans whatever sessions lie between. Left out are symbols whose last
    close is older than another's and those too new for ``window`` returns (unless none has as many): else a new or a
    dead name would hide what the others do. With no symbol at all there are no returns.
    """
    known = [closes[symbol] for symbol in sorted(closes) if closes[symbol]]
    if not known:
        return np.empty(0)
    newest = max(max(one) for one in known)
    current = [one for one in known if newest in one]
    needed = min(window + 1, max(len(one) for one in current))
    series = [one for one in current if len(one) >= needed]
    common = sorted(set(series[0]).intersection(*series[1:]))
    if len(common) < 2:
        return np.empty(0)
    table = np.array([[one[day] for day in common] for one in series], dtype=np.float64)
    returns: Floats = np.mean([log_returns(row) for row in table], axis=0)
    return returns


def basket_volatility(closes: Mapping[str, Mapping[date, float]], window: int = WINDOW) -> float | None:
    """Return the annualised volatility of the equal-weight basket, ``None`` where too few common dates are known."""
    return annualised(basket_returns(closes, window), window)
