"""Indicators: the definitions, and what a short history means."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.quant.indicators import atr, bollinger, ema, indicator_set, macd, rsi, sma


def test_a_short_history_has_no_indicators() -> None:
    closes = np.array([100.0, 101.0])
    assert set(indicator_set(highs=closes, lows=closes, closes=closes).rounded().values()) == {None}


def test_each_indicator_begins_with_its_own_length() -> None:
    closes = np.linspace(100.0, 120.0, 34)
    found = indicator_set(highs=closes + 1, lows=closes - 1, closes=closes)
    assert found.macd is not None
    assert (found.rsi, found.sma_50, found.sma_200) == (100.0, None, None)


@pytest.mark.parametrize(("length", "known"), [(14, False), (15, True)])
def test_rsi_needs_one_close_more_than_its_period(length: int, known: bool) -> None:
    assert (rsi(np.arange(1.0, length + 1)) is not None) is known


def test_a_price_that_never_moved_is_neither_strong_nor_weak() -> None:
    assert rsi(np.full(40, 7.0)) == 50.0


def test_rsi_is_wilders() -> None:
    closes = np.array([100.0, 101, 100, 102, 101, 103, 102, 104, 103, 105, 104, 106, 105, 107, 106, 108])
    changes = np.diff(closes)
    gain, loss = changes[:14].clip(0).mean(), (-changes[:14]).clip(0).mean()
    gain, loss = (gain * 13 + max(changes[14], 0)) / 14, (loss * 13 + max(-changes[14], 0)) / 14
    assert rsi(closes) == pytest.approx(100 - 100 / (1 + gain / loss))


def test_bollinger_bands_are_two_population_deviations_wide() -> None:
    closes = np.arange(1.0, 21.0)
    upper, middle, lower = bollinger(closes)
    assert middle == pytest.approx(closes.mean())
    assert upper == pytest.approx(closes.mean() + 2 * closes.std())
    assert lower == pytest.approx(closes.mean() - 2 * closes.std())


def test_averages_follow_their_definitions() -> None:
    closes = np.arange(1.0, 26.0)
    average = closes[:20].mean()
    for close in closes[20:]:
        average += 2 / 21 * (close - average)
    assert sma(closes, 20) == pytest.approx(closes[-20:].mean())
    assert ema(closes, 20) == pytest.approx(average)


def test_average_true_range_of_equal_bars_is_their_range() -> None:
    closes = np.full(30, 50.0)
    assert atr(closes + 2, closes - 1, closes) == pytest.approx(3.0)


def test_the_histogram_is_the_line_less_its_signal() -> None:
    line, signal, histogram = macd(np.cumsum(np.sin(np.arange(60.0))) + 100)
    assert line is not None
    assert signal is not None
    assert histogram == pytest.approx(line - signal)


def test_arrays_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="one of each a session"):
        indicator_set(highs=np.ones(3), lows=np.ones(2), closes=np.ones(3))


@given(st.lists(st.floats(1.0, 1000.0), min_size=15, max_size=80))
def test_rsi_stays_between_0_and_100(closes: list[float]) -> None:
    value = rsi(np.array(closes))
    assert value is not None
    assert -1e-9 <= value <= 100 + 1e-9
