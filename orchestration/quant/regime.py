"""What kind of market it is: from volatility, trend and breadth to a regime and how much risk it deserves."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np

from orchestration.quant.volatility import WINDOW, Floats, annualised, basket_returns

TREND_SESSIONS = 60
BREADTH_SESSIONS = 50
STRESS_VOLATILITY = 0.40
TARGET_VOLATILITY = 0.20
TREND_THRESHOLD = 0.5
METHOD = (
    f"equal-weight basket: volatility of {WINDOW} daily log returns x sqrt(252); trend: its {TREND_SESSIONS}-session "
    f"return over volatility x sqrt({TREND_SESSIONS}/252); breadth: "
    f"share of names above their {BREADTH_SESSIONS}-day average"
)


class Regime(StrEnum):
    """The kinds of market that the desk tells apart."""

    RISING = "rising"
    FALLING = "falling"
    RANGE = "range"
    STRESSED = "stressed"
    UNKNOWN = "unknown"


MOMENTUM_SHARE = {
    Regime.RISING: 0.8,
    Regime.FALLING: 0.7,
    Regime.RANGE: 0.3,
    Regime.STRESSED: 0.5,
    Regime.UNKNOWN: 0.5,
}
"""How much of the combined score is momentum: trends are followed, ranges are faded."""

_BUDGET = {Regime.RISING: 1.0, Regime.FALLING: 0.5, Regime.RANGE: 0.8, Regime.STRESSED: 0.4, Regime.UNKNOWN: 0.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegimeReading:
    """A regime and the numbers behind it.

    ``volatility`` is annualised, ``trend`` in standard deviations, ``breadth`` a share; ``None``: history too short.
    ``risk_budget`` is the share (0 to 1) of the gross limit to use, ``momentum_share`` the mix of scores.
    """

    regime: Regime
    volatility: float | None
    trend: float | None
    breadth: float | None
    risk_budget: float
    momentum_share: float


def read_regime(
    closes: Mapping[str, Mapping[date, float]], stress_volatility: float = STRESS_VOLATILITY
) -> RegimeReading:
    """Return the regime of an equal-weight basket of ``closes`` (symbol to date to close).

    Stressed from ``stress_volatility`` on; else rising or falling where the trend is beyond half a standard deviation
    and breadth agrees (at least half, at most half); else a range. The budget is the regime's own, scaled down in
    proportion where volatility is above 20 %.
    """
    volatility = annualised(basket_returns(closes, WINDOW))
    trend = _trend(basket_returns(closes, TREND_SESSIONS))
    breadth = _breadth(closes)
    regime = _name(volatility, trend, breadth, stress_volatility)
    scale = min(1.0, TARGET_VOLATILITY / volatility) if volatility else 1.0
    return RegimeReading(
        regime=regime,
        volatility=volatility,
        trend=trend,
        breadth=breadth,
        risk_budget=_BUDGET[regime] * scale,
        momentum_share=MOMENTUM_SHARE[regime],
    )


def _name(volatility: float | None, trend: float | None, breadth: float | None, stress: float) -> Regime:
    if volatility is None:
        return Regime.UNKNOWN
    if volatility >= stress:
        return Regime.STRESSED
    if trend is None or breadth is None:
        return Regime.UNKNOWN
    if trend > TREND_THRESHOLD and breadth >= 0.5:
        return Regime.RISING
    if trend < -TREND_THRESHOLD and breadth <= 0.5:
        return Regime.FALLING
    return Regime.RANGE


def _trend(returns: Floats) -> float | None:
    if returns.size < TREND_SESSIONS:
        return None
    window = returns[-TREND_SESSIONS:]
    deviation = float(np.std(window, ddof=1)) * math.sqrt(TREND_SESSIONS)
    total = float(np.sum(window))
    if deviation < 1e-9:
        return 0.0 if abs(total) < 1e-9 else math.copysign(10.0, total)
    return total / deviation


def _breadth(closes: Mapping[str, Mapping[date, float]]) -> float | None:
    above = []
    for prices in closes.values():
        if len(prices) >= BREADTH_SESSIONS:
            latest = [prices[day] for day in sorted(prices)[-BREADTH_SESSIONS:]]
            above.append(latest[-1] > sum(latest) / BREADTH_SESSIONS)
    return sum(above) / len(above) if above else None
