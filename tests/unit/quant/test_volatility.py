"""Realised volatility of a symbol and of a basket."""

import math
from datetime import date, timedelta

import numpy as np
import pytest

from orchestration.quant.volatility import basket_returns, basket_volatility, log_returns, realised_volatility

DAYS = [date(2012, 1, 1) + timedelta(days=n) for n in range(30)]


def test_it_is_the_sample_deviation_of_log_returns_over_a_year_of_252_sessions() -> None:
    closes = np.array([100.0, 102.0, 101.0, 103.0])
    returns = [math.log(102 / 100), math.log(101 / 102), math.log(103 / 101)]
    mean = sum(returns) / 3
    expected = math.sqrt(sum((r - mean) ** 2 for r in returns) / 2) * math.sqrt(252)
    assert realised_volatility(closes, 3) == pytest.approx(expected)


@pytest.mark.parametrize(("length", "known"), [(20, False), (21, True)])
def test_twenty_returns_need_twenty_one_closes(length: int, known: bool) -> None:
    assert (realised_volatility(np.linspace(10, 20, length)) is not None) is known


def test_only_the_window_counts() -> None:
    wild = np.array([1.0, 100.0, 1.0, 100.0])
    calm = np.linspace(100, 101, 25)
    assert realised_volatility(np.append(wild, calm)) == pytest.approx(realised_volatility(calm))


def test_two_names_that_move_against_each_other_make_a_calm_basket() -> None:
    swing = [math.exp(0.02 * (-1) ** n) for n in range(30)]
    up = dict(zip(DAYS, (100 * s for s in swing), strict=True))
    down = dict(zip(DAYS, (100 / s for s in swing), strict=True))
    assert basket_volatility({"A": up}) == pytest.approx(realised_volatility(np.array(list(up.values()))))
    assert basket_volatility({"A": up, "B": down}) == pytest.approx(0, abs=1e-12)


def test_a_basket_looks_at_common_dates_only() -> None:
    first = dict.fromkeys([*DAYS[:10], DAYS[20]], 100.0)
    second = {DAYS[0]: 100.0, DAYS[5]: 110.0, DAYS[20]: 110.0}
    assert basket_returns({"A": first, "B": second}, 2).tolist() == pytest.approx([math.log(1.1) / 2, 0])


@pytest.mark.parametrize("other", [DAYS[-3:], DAYS[:-1]], ids=["too new", "dead"])
def test_a_new_or_dead_name_does_not_hide_what_the_others_do(other: list[date]) -> None:
    """FB's first sessions of May 2012 made the volatility of the whole desk unknown."""
    moving = {day: 100.0 * 1.02 ** (n % 2) for n, day in enumerate(DAYS)}
    alone = basket_volatility({"A": moving})
    assert alone is not None
    assert basket_volatility({"A": moving, "B": dict.fromkeys(other, 5.0)}) == alone


@pytest.mark.parametrize("closes", [{}, {"A": {}}, {"A": {DAYS[0]: 1.0}, "B": {DAYS[1]: 1.0}}])
def test_a_basket_without_common_dates_has_no_volatility(closes: dict[str, dict[date, float]]) -> None:
    assert basket_volatility(closes) is None


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        log_returns(np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="2 or more"):
        realised_volatility(np.ones(30), 1)
