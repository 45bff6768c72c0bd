"""Scores: their bounds and their direction."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.quant.indicators import rsi
from orchestration.quant.scores import combined_score, momentum_score, reversion_score

prices = st.lists(st.floats(0.01, 10_000.0), min_size=1, max_size=300)
shares = st.floats(0.0, 1.0)
scores = st.floats(-1.0, 1.0)


@given(prices)
def test_scores_stay_within_minus_one_and_one(closes: list[float]) -> None:
    array = np.array(closes)
    for score in (momentum_score(array), reversion_score(array, rsi(array))):
        assert score is None or -1 <= score <= 1


@given(scores, scores, shares)
def test_a_mix_lies_between_its_parts(momentum: float, reversion: float, share: float) -> None:
    mixed = combined_score(momentum, reversion, share)
    assert min(momentum, reversion) - 1e-12 <= mixed <= max(momentum, reversion) + 1e-12


def test_momentum_is_up_after_a_rise_and_down_after_a_fall() -> None:
    noise = np.sin(np.arange(260.0))
    rise = momentum_score(100 + np.arange(260.0) * 0.3 + noise)
    fall = momentum_score(200 - np.arange(260.0) * 0.3 + noise)
    assert rise is not None
    assert fall is not None
    assert rise > 0.3
    assert fall < -0.3


def test_momentum_mirrored_is_momentum_negated() -> None:
    closes = np.exp(np.cumsum(np.sin(np.arange(200.0)) * 0.01 + 0.001))
    assert momentum_score(1 / closes) == pytest.approx(-(momentum_score(closes) or 0))


@pytest.mark.parametrize(("step", "score"), [(1.0, 0.0), (1.01, 1.0), (0.99, -1.0)])
def test_growth_without_noise_counts_by_its_direction(step: float, score: float) -> None:
    assert momentum_score(100 * step ** np.arange(100.0)) == pytest.approx(score, abs=1e-6)


def test_reversion_is_high_after_a_fall_and_low_after_a_rise() -> None:
    calm = 100 + np.sin(np.arange(40.0))
    assert (reversion_score(np.append(calm, 90.0), 20.0) or 0) > 0.5
    assert (reversion_score(np.append(calm, 110.0), 80.0) or 0) < -0.5


def test_scores_need_history() -> None:
    assert momentum_score(np.full(21, 5.0)) is None
    assert momentum_score(np.full(22, 5.0)) == 0
    assert reversion_score(np.full(19, 5.0), 50.0) is None
    assert reversion_score(np.full(20, 5.0), None) is None
    assert reversion_score(np.full(20, 5.0), 50.0) == 0


def test_a_share_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        combined_score(0.1, 0.1, 1.1)
