"""Target weights: equal, inverse volatility, risk parity, under a cap a name and a gross limit."""

import math

import numpy as np

from orchestration.domain.desk import Weighting
from orchestration.quant.volatility import Floats

VOLATILITY_FLOOR = 0.01
"""Annualised: a name that hardly moves is weighed as if it moved this much, so that none takes everything."""
SHRINKAGE = 0.05
_SWEEPS = 2000


def raw_weights(weighting: Weighting, returns: Floats) -> Floats:
    """Return positive weights that sum to 1 for the columns of ``returns`` (daily log returns, sessions x names)."""
    names = returns.shape[1]
    if names == 0:
        return np.empty(0)
    match weighting:
        case Weighting.EQUAL:
            return np.full(names, 1.0 / names)
        case Weighting.INVERSE_VOLATILITY:
            return inverse_volatility(_deviations(returns))
        case Weighting.RISK_PARITY:
            return risk_parity(shrunk_covariance(returns))


def inverse_volatility(volatilities: Floats) -> Floats:
    """Return weights proportional to 1 / volatility (positive, in one unit), summing to 1."""
    inverse = 1.0 / volatilities
    result: Floats = inverse / inverse.sum()
    return result


def shrunk_covariance(returns: Floats) -> Floats:
    """Return the sample covariance with 5 % of its correlations taken away, which keeps it invertible.

    A shrinkage towards the diagonal in the spirit of Ledoit and Wolf (2004), with a fixed share in place of the
    estimated one; standard deviations are kept (but for the floor).
    """
    deviations = _deviations(returns)
    if returns.shape[0] < 2:
        return np.diag(deviations**2)
    centred = returns - returns.mean(axis=0)
    covariance = centred.T @ centred / (returns.shape[0] - 1)
    result: Floats = (1 - SHRINKAGE) * covariance
    np.fill_diagonal(result, deviations**2)
    return result


def risk_parity(covariance: Floats, tolerance: float = 1e-12) -> Floats:
    """Return the weights, summing to 1, with which every name contributes the same risk w_i * (C w)_i.

    Minimises x'Cx / 2 - sum(ln x) / n by cyclical coordinate descent, each step solving one name's quadratic exactly
    (Griveaux-Billion, Richard and Roncalli, "A fast algorithm for computing high-dimensional risk parity portfolios",
    2013); convex, so it converges for every positive definite ``covariance``. Raises `ValueError` for one that is not.
    """
    names = covariance.shape[0]
    deviations = np.sqrt(np.diag(covariance))
    if names == 0 or not np.all(deviations > 0) or np.linalg.eigvalsh(covariance)[0] <= 0:
        raise ValueError("risk parity needs a positive definite covariance; shrink it first")
    correlation = covariance / np.outer(deviations, deviations)
    budget = 1.0 / names
    x = np.full(names, 1.0 / math.sqrt(names))
    for _ in range(_SWEEPS):
        before = x.copy()
        for i in range(names):
            others = float(correlation[i] @ x - x[i])
            x[i] = (-others + math.sqrt(others * others + 4.0 * budget)) / 2.0
        if float(np.max(np.abs(x - before))) <= tolerance * float(np.max(x)):
            break
    scaled = x / deviations
    result: Floats = scaled / scaled.sum()
    return result


def capped(weights: Floats, *, gross: float, cap: float) -> Floats:
    """Return ``weights`` scaled to sum to ``gross`` with none above ``cap``; what finds no room stays cash.

    Water-filling: what a capped name gives up goes to the others in proportion, until none is above. Weights are not
    negative, and what comes out is rounded down to nine decimals, so that no limit is passed by a rounding.
    """
    if gross < 0 or cap < 0 or (weights.size and float(weights.min()) < 0):
        raise ValueError(f"gross {gross}, cap {cap} and every weight are 0 or more")
    result = np.zeros(weights.size)
    free = weights > 0
    left = gross
    while free.any() and left > 0:
        share = left * weights / weights[free].sum()
        full = free & (share > cap)
        if not full.any():
            result[free] = share[free]
            break
        result[full] = cap
        left = max(0.0, left - cap * int(full.sum()))
        free &= ~full
    down: Floats = np.minimum(np.floor(np.minimum(result, cap) * 1e9) / 1e9, cap)
    return down


def _deviations(returns: Floats) -> Floats:
    floor = VOLATILITY_FLOOR / math.sqrt(252)
    if returns.shape[0] < 2:
        return np.full(returns.shape[1], floor)
    result: Floats = np.maximum(np.std(returns, axis=0, ddof=1), floor)
    return result
