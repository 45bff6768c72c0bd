"""The sample's bars are adjusted in all columns."""

from datetime import date
from decimal import Decimal
from itertools import pairwise

import pytest
from bokeh_sampledata.stocks import AAPL

from orchestration.adapters.markets.sample_prices import SYMBOLS, SamplePrices


def test_the_close_is_the_sources_adjusted_close() -> None:
    bars = SamplePrices().bars("AAPL")
    assert [float(bar.close) for bar in bars] == pytest.approx(AAPL["adj_close"], abs=0.005001)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_every_bar_encloses_its_open_and_close_in_whole_cents(symbol: str) -> None:
    for bar in SamplePrices().bars(symbol):
        assert 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert bar.volume > 0
        assert {price.as_tuple().exponent for price in (bar.open, bar.high, bar.low, bar.close)} == {-2}


def test_a_split_is_no_crash() -> None:
    """AAPL split two for one on 2005-02-28."""
    bars = [bar for bar in SamplePrices().bars("AAPL") if date(2005, 2, 24) <= bar.date <= date(2005, 3, 2)]
    assert len(bars) == 5
    for before, after in pairwise(bars):
        assert after.open / before.close == pytest.approx(Decimal(1), abs=Decimal("0.05"))
        assert Decimal("0.3") < Decimal(after.volume) / before.volume < 3


def test_money_traded_is_what_it_was() -> None:
    """Price times volume survives the adjustment: what one gains the other loses."""
    bar = next(bar for bar in SamplePrices().bars("AAPL") if bar.date == date(2012, 12, 12))
    index = AAPL["date"].index("2012-12-12")
    assert float(bar.close) * bar.volume == pytest.approx(AAPL["close"][index] * AAPL["volume"][index], rel=1e-3)
