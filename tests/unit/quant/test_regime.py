"""Regimes: which market is called what, and how much risk it is given."""

from datetime import date, timedelta

import numpy as np
import pytest

from orchestration.quant.regime import MOMENTUM_SHARE, Regime, read_regime


def market(drift: float, noise: float, length: int = 120) -> dict[str, dict[date, float]]:
    days = [date(2012, 1, 1) + timedelta(days=n) for n in range(length)]
    made = {}
    for index, symbol in enumerate("AB"):
        closes = 100 * np.exp(np.arange(length) * drift + noise * np.sin(np.arange(length) * 2.1 + index))
        made[symbol] = dict(zip(days, closes.tolist(), strict=True))
    return made


@pytest.mark.parametrize(
    ("drift", "noise", "regime"),
    [
        (0.002, 0.004, Regime.RISING),
        (-0.002, 0.004, Regime.FALLING),
        (0.0, 0.004, Regime.RANGE),
        (0.002, 0.1, Regime.STRESSED),
    ],
)
def test_a_market_is_called_by_its_trend_and_volatility(drift: float, noise: float, regime: Regime) -> None:
    reading = read_regime(market(drift, noise))
    assert reading.regime is regime
    assert reading.momentum_share == MOMENTUM_SHARE[regime]
    assert 0 < reading.risk_budget <= 1


def test_the_budget_shrinks_with_volatility() -> None:
    calm, lively = read_regime(market(0.002, 0.004)), read_regime(market(0.004, 0.018))
    assert lively.regime is calm.regime is Regime.RISING
    assert lively.volatility is not None
    assert lively.volatility > 0.20
    assert lively.risk_budget == pytest.approx(0.20 / lively.volatility)
    assert calm.risk_budget == 1.0


@pytest.mark.parametrize("length", [5, 40])
def test_too_short_a_history_is_no_regime(length: int) -> None:
    reading = read_regime(market(0.001, 0.01, length))
    assert reading.regime is Regime.UNKNOWN
    assert reading.trend is None


@pytest.mark.parametrize(("drift", "trend"), [(0.0, 0.0), (0.01, 10.0), (-0.01, -10.0)])
def test_a_market_without_noise_has_a_trend(drift: float, trend: float) -> None:
    days = [date(2012, 1, 1) + timedelta(days=n) for n in range(100)]
    closes = {day: 2.0 ** (n * drift) for n, day in enumerate(days)}
    assert read_regime({"A": closes}).trend == trend


def test_no_symbol_at_all_is_no_regime() -> None:
    assert read_regime({}).regime is Regime.UNKNOWN


def test_a_newcomer_leaves_the_regime_of_the_others_known() -> None:
    known = market(0.002, 0.004)
    days = sorted(known["A"])[-5:]
    assert read_regime({**known, "NEW": dict.fromkeys(days, 10.0)}).regime is Regime.RISING
