"""What the market shows of its history, and what it costs."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

from orchestration.adapters.markets.historical_market import PATHS_KEPT, HistoricalMarketData
from orchestration.adapters.markets.sample_prices import SamplePrices, open_market_data
from orchestration.system.randomness import SeededRandomness
from tests.calendars import WeekdayCalendar
from tests.doubles import ManualClock

HEADER = "date,open,high,low,close,volume\n"


def sample(clock: ManualClock, calendar: WeekdayCalendar | None = None) -> HistoricalMarketData:
    return HistoricalMarketData(
        SamplePrices(), calendar=calendar or WeekdayCalendar(), clock=clock, randomness=SeededRandomness(7)
    )


def test_the_source_says_what_is_real_and_what_is_drawn() -> None:
    assert sample(ManualClock()).source == "bokeh_sampledata daily bars, adjusted; intraday paths synthetic (seed 7)"


def test_the_source_of_a_mixed_folder_names_the_symbols_with_drawn_paths(tmp_path: Path) -> None:
    (tmp_path / "AAPL.csv").write_text(HEADER + "2012-12-12T09:30,1,1,1,1,1\n2012-12-12T09:31,1,1,1,1,1\n")
    calendar, clock, randomness = WeekdayCalendar(), ManualClock(), SeededRandomness(7)
    market = open_market_data(calendar=calendar, clock=clock, randomness=randomness, data=tmp_path)
    assert market.source == f"prices from {tmp_path}; intraday prices as recorded"
    (tmp_path / "IBM.csv").write_text(HEADER + "2012-12-12,1,1,1,1,1\n")
    market = open_market_data(calendar=calendar, clock=clock, randomness=randomness, data=tmp_path)
    assert market.source == f"prices from {tmp_path}; intraday paths of IBM synthetic (seed 7)"


async def test_recorded_ticks_make_quotes_that_are_not_synthetic(tmp_path: Path) -> None:
    (tmp_path / "AAPL.csv").write_text(HEADER + "2012-12-12T09:31,1,1,1,1,1\n2012-12-12T09:32,2,2,2,2,1\n")
    clock = ManualClock(datetime(2012, 12, 12, 14, 32, 30, tzinfo=UTC))
    market = open_market_data(calendar=WeekdayCalendar(), clock=clock, randomness=SeededRandomness(7), data=tmp_path)
    quote = await market.quote("AAPL")
    assert quote
    assert (quote.price, quote.synthetic) == (Decimal(2), False)
    clock.moment = datetime(2012, 12, 12, 14, 30, 30, tzinfo=UTC)
    assert await market.quote("AAPL") is None


async def test_bars_on_dates_without_a_session_are_not_used() -> None:
    closed = date(2012, 12, 11)
    clock = ManualClock()
    market = sample(clock, WeekdayCalendar(closed={closed}))
    (bar,) = await market.daily_bars("AAPL", count=1)
    assert bar.date == date(2012, 12, 10)
    assert not market.has_prices("AAPL", closed)
    assert market.has_prices("AAPL", date(2012, 12, 10))


async def test_ticks_over_several_days_leave_out_what_no_session_has() -> None:
    market = sample(ManualClock(datetime(2012, 12, 17, 21, tzinfo=UTC)))
    ticks = await market.ticks(
        "IBM", after=datetime(2012, 12, 13, 20, 59, tzinfo=UTC), until=datetime(2012, 12, 17, 14, 30, tzinfo=UTC)
    )
    assert [tick.at.date().day for tick in ticks] == [13, *[14] * 391, 17]


async def test_memory_stays_flat_over_the_days_and_a_day_is_drawn_the_same_again() -> None:
    clock = ManualClock(datetime(2012, 6, 1, 16, tzinfo=UTC))
    market = sample(clock)
    first = await market.quote("AAPL")
    for _ in range(2 * PATHS_KEPT):
        clock.moment += timedelta(days=1)
        await market.quote("AAPL")
    assert len(market._paths) == PATHS_KEPT
    clock.moment = datetime(2012, 6, 1, 16, tzinfo=UTC)
    assert await market.quote("AAPL") == first


async def test_a_break_shows_the_last_price_before_it() -> None:
    clock = ManualClock(datetime(2012, 12, 12, 16, 30, tzinfo=UTC))
    quote = await sample(clock, WeekdayCalendar(pause=(time(16), time(17)))).quote("AAPL")
    assert quote
    assert quote.at == datetime(2012, 12, 12, 15, 59, tzinfo=UTC)


async def test_another_seed_draws_another_path_inside_the_same_day() -> None:
    clock = ManualClock(datetime(2012, 12, 12, 21, tzinfo=UTC))
    span = (datetime(2012, 12, 12, tzinfo=UTC), clock.moment)
    paths = [
        await HistoricalMarketData(
            SamplePrices(), calendar=WeekdayCalendar(), clock=clock, randomness=SeededRandomness(seed)
        ).ticks("AAPL", after=span[0], until=span[1])
        for seed in (1, 2)
    ]
    assert paths[0] != paths[1]
    assert paths[0][-1].price == paths[1][-1].price == Decimal("69.90")
