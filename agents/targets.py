"""Target weights of the names that were chosen, under the limits that hold."""

from collections.abc import Mapping

import numpy as np

from agents.histories import History
from agents.task_data import TaskData, input_of, mapping, number, number_or_none
from orchestration.domain.desk import RiskLimits, Weighting
from orchestration.domain.json_value import JsonObject
from orchestration.quant.risk import scaled
from orchestration.quant.rounding import significant
from orchestration.quant.volatility import SESSIONS_A_YEAR, log_returns
from orchestration.quant.weights import capped, raw_weights

HEADROOM = 0.95
"""Targets stay at this share of a limit, so that the first tick after a fill is no breach."""
DEFAULT_BUDGET = 0.5
"""The share of the gross limit that is used while nobody has said how risky the market is."""


def target_weights(
    chosen: list[str], found: Mapping[str, History], *, weighting: Weighting, limits: RiskLimits, budget: float
) -> dict[str, float]:
    """Return the share of equity for each of ``chosen`` (all of them have a history), none above its limit.

    Weights are made from the last year of daily log returns on dates that all of them have; together they make
    ``budget`` (0 to 1) of the gross limit where the limit of one name allows it, and the rest stays cash.
    """
    names = sorted(chosen)
    if not names:
        return {}
    common = sorted(set(found[names[0]].dates).intersection(*(found[name].dates for name in names[1:])))
    by_date = [found[name].by_date for name in names]
    closes = [np.array([one[day] for day in common]) for one in by_date]
    returns = np.array([log_returns(one)[-SESSIONS_A_YEAR:] for one in closes]).T
    raw = raw_weights(weighting, returns)
    final = capped(raw, gross=limits.gross * budget * HEADROOM, cap=limits.per_name * HEADROOM)
    return {name: float(weight) for name, weight in zip(names, final.tolist(), strict=True)}


def limits_of(task_data: TaskData, desk: RiskLimits) -> RiskLimits:
    """Return the limits that hold for a task: those of `risk_assessment`, else the desk's times ``limit_scale``."""
    scale = number(task_data, "limit_scale", 1.0, low=0.01, high=1.0)
    return limits_from(input_of(task_data, "risk_assessment"), desk if scale == 1 else scaled(desk, scale))


def limits_row(limits: RiskLimits) -> JsonObject:
    """The limits as a result shows them: shares of equity."""
    return {
        "gross": significant(limits.gross),
        "per_name": significant(limits.per_name),
        "per_order": significant(limits.per_order),
        "daily_loss": significant(limits.daily_loss),
    }


def limits_from(result: JsonObject | None, otherwise: RiskLimits) -> RiskLimits:
    """Return the limits that a `risk_assessment` result holds, one by one ``otherwise`` where it does not say."""
    given = mapping(result, "limits") if result is not None else {}

    def one(key: str, default: float) -> float:
        value = number_or_none(given, key)
        return default if value is None else value

    return RiskLimits(
        gross=one("gross", otherwise.gross),
        per_name=one("per_name", otherwise.per_name),
        per_order=one("per_order", otherwise.per_order),
        daily_loss=one("daily_loss", otherwise.daily_loss),
    )
