"""Weights: their limits, and equal risk where that is asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.domain.desk import Weighting
from orchestration.quant.volatility import Floats
from orchestration.quant.weights import capped, inverse_volatility, raw_weights, risk_parity, shrunk_covariance

positive = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=8)


@st.composite
def return_tables(draw: st.DrawFn) -> Floats:
    names = draw(st.integers(1, 5))
    rows = draw(st.lists(st.lists(st.floats(-0.1, 0.1), min_size=names, max_size=names), min_size=0, max_size=30))
    return np.array(rows, dtype=np.float64).reshape(len(rows), names)


@given(positive, st.floats(0, 2), st.floats(0, 1))
def test_capped_weights_keep_gross_and_cap(raw: list[float], gross: float, cap: float) -> None:
    weights = capped(np.array(raw), gross=gross, cap=cap)
    assert (weights >= 0).all()
    assert (weights <= cap).all()
    assert weights.sum() <= gross + 1e-12


@given(positive, st.floats(0.01, 2), st.floats(0.01, 1))
def test_capping_leaves_cash_only_where_every_name_is_full(raw: list[float], gross: float, cap: float) -> None:
    weights = capped(np.array(raw), gross=gross, cap=cap)
    assert weights.sum() == pytest.approx(min(gross, cap * len(raw)), abs=1e-7)


@given(positive)
def test_capping_keeps_proportions_among_the_uncapped(raw: list[float]) -> None:
    weights = capped(np.array(raw), gross=1.0, cap=0.5)
    free = weights < 0.5
    if free.any() and weights[free].min() > 1e-3:
        ratios = weights[free] / np.array(raw)[free]
        assert ratios == pytest.approx(np.full(ratios.size, ratios[0]), rel=1e-4)


@given(return_tables(), st.sampled_from(list(Weighting)))
def test_raw_weights_are_positive_and_sum_to_one(returns: Floats, weighting: Weighting) -> None:
    weights = raw_weights(weighting, returns)
    assert (weights > 0).all()
    assert weights.sum() == pytest.approx(1.0)


@given(return_tables())
def test_risk_parity_gives_every_name_the_same_risk(returns: Floats) -> None:
    covariance = shrunk_covariance(returns)
    weights = risk_parity(covariance)
    contributions = weights * (covariance @ weights)
    assert contributions == pytest.approx(np.full(weights.size, contributions.mean()), rel=1e-6)


def test_risk_parity_of_uncorrelated_names_is_inverse_volatility() -> None:
    volatilities = np.array([0.1, 0.2, 0.4])
    assert risk_parity(np.diag(volatilities**2)) == pytest.approx(inverse_volatility(volatilities))


def test_a_name_that_never_moves_does_not_take_everything() -> None:
    returns = np.column_stack([np.zeros(30), np.sin(np.arange(30.0)) * 0.01])
    weights = raw_weights(Weighting.INVERSE_VOLATILITY, returns)
    assert weights[0] < 0.95


def test_what_one_name_gives_up_goes_to_the_others() -> None:
    assert capped(np.array([8.0, 1.0, 1.0]), gross=1.0, cap=0.5).tolist() == pytest.approx([0.5, 0.25, 0.25])


def test_no_name_has_no_weights() -> None:
    assert raw_weights(Weighting.EQUAL, np.empty((0, 0))).size == 0


@pytest.mark.parametrize("covariance", [np.empty((0, 0)), np.zeros((2, 2)), np.array([[1.0, 2.0], [2.0, 1.0]])])
def test_risk_parity_refuses_what_is_not_positive_definite(covariance: Floats) -> None:
    with pytest.raises(ValueError, match="positive definite"):
        risk_parity(covariance)


def test_negative_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        capped(np.ones(2), gross=-1.0, cap=0.5)
