"""Performance figures of an equity curve, by empyrical-reloaded.

Its first import takes seconds: it happens when figures are first asked for, or in `preload`.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from types import ModuleType

from orchestration.quant.rounding import significant, significant_or_none


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """Figures over the curve's days, rounded; ``None``: too few days (two closes for a return, three for a deviation).

    ``total_return`` and ``max_drawdown`` (zero or negative) are shares; ``volatility`` (std with ddof 1) and ``sharpe``
    (no risk-free rate) are annualised with 252 sessions; ``best_day`` and ``worst_day`` are daily returns;
    ``winning_days`` is the share of days that gained.
    """

    days: int
    total_return: float | None
    volatility: float | None
    sharpe: float | None
    max_drawdown: float | None
    best_day: float | None
    worst_day: float | None
    winning_days: float | None


def preload() -> None:
    """Import what the figures need, ahead of their first use."""
    _empyrical()


def performance(curve: Sequence[tuple[date, float]]) -> Performance:
    """Return the figures of ``curve``: (date, equity at its close) in order of date, equity over 0."""
    if any(equity <= 0 for _, equity in curve):
        raise ValueError("an equity of zero or less has no returns; leave such days out")
    if len(curve) < 2:
        return Performance(
            days=len(curve),
            total_return=None,
            volatility=None,
            sharpe=None,
            max_drawdown=None,
            best_day=None,
            worst_day=None,
            winning_days=None,
        )
    import pandas as pd

    empyrical = _empyrical()
    equity = pd.Series([value for _, value in curve], index=pd.DatetimeIndex([day for day, _ in curve]), dtype=float)
    returns = equity.pct_change().iloc[1:]
    spread = len(returns) > 1
    moved = spread and float(returns.std(ddof=1)) > 0
    return Performance(
        days=len(curve),
        total_return=significant(float(empyrical.cum_returns_final(returns))),
        volatility=significant_or_none(float(empyrical.annual_volatility(returns))) if spread else None,
        sharpe=significant_or_none(float(empyrical.sharpe_ratio(returns))) if moved else None,
        max_drawdown=significant(float(empyrical.max_drawdown(returns))),
        best_day=significant(float(returns.max())),
        worst_day=significant(float(returns.min())),
        winning_days=significant(float((returns > 0).mean())),
    )


def _empyrical() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import tells of optional data sources that are not installed
        import empyrical  # takes seconds the first time
    module: ModuleType = empyrical
    return module
