"""What every `MarketData` keeps to: above all, nothing looks ahead."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from orchestration.adapters.markets.sample_prices import SamplePrices, open_market_data
from orchestration.domain.errors import DefinitionError
from orchestration.ports.market_data import MarketData
from orchestration.system.randomness import SeededRandomness
from tests.calendars import WeekdayCalendar
from tests.doubles import ManualClock

TODAY = date(2012, 12, 12)
OPEN = datetime(2012, 12, 12, 14, 30, tzinfo=UTC)
CLOSE = datetime(2012, 12, 12, 21, tzinfo=UTC)
HEADER = "date,open,high,low,close,volume\n"


def daily_csv() -> str:
    bars = [bar for bar in SamplePrices().bars("AAPL") if bar.date.year == 2012]
    return HEADER + "".join(f"{b.date},{b.open},{b.high},{b.low},{b.close},{b.volume}\n" for b in bars)


def intraday_csv() -> str:
    rows = [
        f"2012-12-{day:02}T{hour:02}:{minute:02},{10 + day},{12 + day},{9 + day},{11 + day},1000\n"
        for day in (10, 11, 12, 13)
        for hour, minute in ((9, 30), (10, 0), (12, 15), (15, 30))
    ]
    return HEADER + "".join(rows)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(OPEN - timedelta(hours=1))


@pytest.fixture(params=["sample", "csv", "intraday csv"])
def market(request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path) -> MarketData:
    texts = {"sample": None, "csv": daily_csv, "intraday csv": intraday_csv}
    write = texts[request.param]
    if write:
        (tmp_path / "AAPL.csv").write_text(write())
    return open_market_data(
        calendar=WeekdayCalendar(),
        clock=clock,
        randomness=SeededRandomness(7),
        data=tmp_path if write else None,
    )


async def all_ticks(market: MarketData) -> list[datetime]:
    ticks = await market.ticks("AAPL", after=OPEN - timedelta(days=1), until=OPEN + timedelta(days=3))
    return [tick.at for tick in ticks]


async def test_before_the_close_the_last_bar_is_yesterdays_and_after_it_todays(
    market: MarketData, clock: ManualClock
) -> None:
    for moment, day in (
        (OPEN - timedelta(hours=1), 11),
        (CLOSE - timedelta(microseconds=1), 11),
        (CLOSE, 12),
    ):
        clock.moment = moment
        (bar,) = await market.daily_bars("AAPL", count=1)
        assert bar.date == date(2012, 12, day)


async def test_bars_are_the_last_ones_oldest_first_and_before_leaves_out_its_own_date(
    market: MarketData, clock: ManualClock
) -> None:
    clock.moment = CLOSE
    bars = await market.daily_bars("AAPL", count=2, before=TODAY)
    assert [bar.date.day for bar in bars] == [10, 11]
    assert await market.daily_bars("AAPL", count=0) == ()
    assert await market.daily_bars("AAPL", count=5, before=date(1999, 1, 1)) == ()


async def test_no_tick_is_later_than_now(market: MarketData, clock: ManualClock) -> None:
    for minutes in (-60, 0, 1, 100, 389, 391, 3000):
        clock.moment = OPEN + timedelta(minutes=minutes)
        assert all(at <= clock.moment for at in await all_ticks(market))


async def test_the_span_of_ticks_is_open_at_its_start_and_closed_at_its_end(
    market: MarketData, clock: ManualClock
) -> None:
    clock.moment = CLOSE
    moments = [at for at in await all_ticks(market) if at.date() == TODAY]
    inner = await market.ticks("AAPL", after=moments[0], until=moments[2])
    assert [tick.at for tick in inner] == moments[1:3]
    assert await market.ticks("AAPL", after=moments[2], until=moments[2]) == ()


async def test_the_ticks_of_a_day_are_what_its_bar_sums_up(market: MarketData, clock: ManualClock) -> None:
    clock.moment = CLOSE
    (bar,) = await market.daily_bars("AAPL", count=1)
    ticks = await market.ticks("AAPL", after=OPEN - timedelta(microseconds=1), until=CLOSE)
    prices = [tick.price for tick in ticks]
    assert (prices[0], max(prices), min(prices), prices[-1]) == (bar.open, bar.high, bar.low, bar.close)
    assert sum(tick.volume for tick in ticks) == bar.volume


async def test_ticks_seen_early_are_the_same_ticks_later(market: MarketData, clock: ManualClock) -> None:
    clock.moment = OPEN + timedelta(hours=2)
    early = await market.ticks("AAPL", after=OPEN, until=clock.moment)
    clock.moment = CLOSE + timedelta(days=30)
    assert await market.ticks("AAPL", after=OPEN, until=OPEN + timedelta(hours=2)) == early


async def test_the_quote_is_the_previous_close_before_the_open_then_the_latest_tick_then_the_close(
    market: MarketData, clock: ManualClock
) -> None:
    (yesterday,) = await market.daily_bars("AAPL", count=1)
    quote = await market.quote("AAPL")
    assert quote
    assert (quote.price, quote.synthetic) == (yesterday.close, False)
    clock.moment = OPEN + timedelta(hours=3)
    ticks = await market.ticks("AAPL", after=OPEN - timedelta(seconds=1), until=clock.moment)
    quote = await market.quote("AAPL")
    assert quote
    assert (quote.price, quote.at) == (ticks[-1].price, ticks[-1].at)
    clock.moment = CLOSE
    (today,) = await market.daily_bars("AAPL", count=1)
    quote = await market.quote("AAPL")
    assert quote
    assert (quote.price, quote.at) == (today.close, CLOSE)


async def test_before_its_first_price_a_symbol_has_no_quote(market: MarketData, clock: ManualClock) -> None:
    clock.moment = datetime(2000, 1, 1, tzinfo=UTC)
    assert await market.quote("AAPL") is None
    assert await market.daily_bars("AAPL", count=5) == ()


async def test_has_prices_wants_a_session_with_a_bar(market: MarketData) -> None:
    first, last = market.span("AAPL")
    assert market.has_prices("AAPL", TODAY)
    assert first < TODAY <= last
    assert not market.has_prices("AAPL", date(2012, 12, 15))
    assert not market.has_prices("AAPL", last + timedelta(days=1))
    assert not market.has_prices("NONE", TODAY)


async def test_an_unknown_symbol_is_refused_with_the_nearest_known(market: MarketData) -> None:
    with pytest.raises(DefinitionError, match="did you mean 'AAPL'"):
        await market.quote("AAPLE")
    with pytest.raises(DefinitionError):
        market.span("AAPLE")


def test_symbols_are_sorted_and_the_source_is_said(market: MarketData) -> None:
    assert list(market.symbols) == sorted(market.symbols)
    assert "AAPL" in market.symbols
    assert market.source
