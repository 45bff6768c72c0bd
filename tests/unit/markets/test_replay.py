"""The sample's last year served as today's."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.adapters.markets.historical_market import HistoricalMarketData
from orchestration.adapters.markets.replay import FIRST, LAST, ReplayedMarket, replayed_date
from orchestration.adapters.markets.sample_prices import SamplePrices
from orchestration.domain.errors import DefinitionError
from orchestration.domain.session import Session
from orchestration.ports.trading_calendar import TradingCalendar
from orchestration.system.randomness import SeededRandomness
from tests.calendars import WeekdayCalendar
from tests.doubles import ManualClock

HISTORY = SamplePrices()
RECORDED = [bar.date for bar in HISTORY.bars("AAPL") if FIRST <= bar.date <= LAST]
TODAY = date(2026, 6, 11)  # the second Thursday of June, as was 2012-06-14
OPEN = datetime(2026, 6, 11, 14, 30, tzinfo=UTC)
CLOSE = datetime(2026, 6, 11, 21, tzinfo=UTC)
Days = st.dates(min_value=date(1990, 1, 1), max_value=date(2099, 12, 31))


def market(now: datetime, calendar: TradingCalendar | None = None) -> tuple[ReplayedMarket, ManualClock]:
    clock = ManualClock(now)
    calendar = calendar or WeekdayCalendar()
    return ReplayedMarket(HISTORY, calendar=calendar, clock=clock, randomness=SeededRandomness(7)), clock


def sample_bars(until: date, count: int) -> list[tuple[object, ...]]:
    found = [bar for bar in HISTORY.bars("AAPL") if bar.date <= until][-count:]
    return [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in found]


# -- the date


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        (date(2026, 6, 11), date(2012, 6, 14)),
        (date(2027, 1, 4), date(2013, 1, 7)),
        (date(2026, 10, 26), date(2012, 10, 22)),
        (date(2026, 12, 29), date(2013, 1, 2)),  # a fifth Tuesday: New Year's Day of 2013, so the day after
        (date(2026, 9, 7), date(2012, 9, 4)),  # Labor Day of 2012
        (date(2028, 2, 29), date(2012, 3, 1)),  # behind the last day comes the first
        (date(2012, 10, 29), date(2012, 10, 31)),  # the storm
    ],
)
def test_a_date_shows_the_same_weekday_of_the_same_month_or_the_next_recorded(on: date, expected: date) -> None:
    assert replayed_date(on, RECORDED) == expected


@given(Days)
def test_every_date_has_one_inside_the_year(on: date) -> None:
    assert replayed_date(on, RECORDED) in RECORDED


@given(Days)
def test_the_weekday_month_and_ordinal_are_the_same_wherever_there_is_such_a_date(on: date) -> None:
    def place(day: date) -> tuple[int, int, int]:
        return day.month, day.weekday(), (day.day - 1) // 7

    same = [day for day in RECORDED if place(day) == place(on)]
    if same:
        assert [replayed_date(on, RECORDED)] == same


@given(Days)
def test_a_date_of_the_recorded_year_shows_itself(on: date) -> None:
    shown = replayed_date(on, RECORDED)
    assert replayed_date(shown, RECORDED) == shown


# -- what is shown


def test_the_source_says_which_date_is_replayed() -> None:
    shown, _ = market(OPEN)
    assert "replayed from 2012-06-14" in shown.source
    assert "synthetic (seed 7)" in shown.source


async def test_a_session_shows_the_path_of_the_replayed_day_at_its_own_hours() -> None:
    shown, _ = market(CLOSE)
    clock = ManualClock(datetime(2012, 6, 14, 21, tzinfo=UTC))
    calendar, randomness = WeekdayCalendar(), SeededRandomness(7)
    direct = HistoricalMarketData(HISTORY, calendar=calendar, clock=clock, randomness=randomness)
    shift = OPEN - datetime(2012, 6, 14, 14, 30, tzinfo=UTC)
    ours = await shown.ticks("AAPL", after=OPEN - timedelta(hours=1), until=CLOSE)
    theirs = await direct.ticks("AAPL", after=OPEN - shift - timedelta(hours=1), until=CLOSE - shift)
    assert [(t.at, t.price, t.volume) for t in ours] == [(t.at + shift, t.price, t.volume) for t in theirs]


async def test_on_a_shorter_session_the_whole_day_is_drawn_into_less_time() -> None:
    short = WeekdayCalendar(closes=datetime(2026, 1, 1, 18, tzinfo=UTC).time())
    shown, _ = market(CLOSE, short)
    ticks = await shown.ticks("AAPL", after=OPEN - timedelta(hours=1), until=CLOSE)
    (bar,) = await shown.daily_bars("AAPL", count=1)
    prices = [tick.price for tick in ticks]
    assert ticks[-1].at < datetime(2026, 6, 11, 18, tzinfo=UTC)
    assert (prices[0], max(prices), min(prices), prices[-1]) == (bar.open, bar.high, bar.low, bar.close)
    assert sum(tick.volume for tick in ticks) == bar.volume


async def test_the_history_is_the_samples_one_day_after_the_other_under_the_dates_of_the_sessions_before() -> None:
    shown, clock = market(OPEN - timedelta(hours=3))
    bars = await shown.daily_bars("AAPL", count=30)
    assert [(b.open, b.high, b.low, b.close, b.volume) for b in bars] == sample_bars(date(2012, 6, 13), 30)
    dates = [bar.date for bar in bars]
    assert dates[-3:] == [date(2026, 6, 8), date(2026, 6, 9), date(2026, 6, 10)]
    assert all(day.weekday() < 5 for day in dates)
    clock.moment = CLOSE
    (today,) = await shown.daily_bars("AAPL", count=1)
    assert (today.date, today.close) == (TODAY, sample_bars(date(2012, 6, 14), 1)[0][3])
    (yesterday,) = await shown.daily_bars("AAPL", count=1, before=TODAY)
    assert yesterday == bars[-1]


async def test_nothing_is_shown_before_its_moment() -> None:
    shown, clock = market(OPEN)
    for minutes in (-60, 0, 1, 100, 389, 391, 3000):
        clock.moment = OPEN + timedelta(minutes=minutes)
        ticks = await shown.ticks("AAPL", after=OPEN - timedelta(days=3), until=OPEN + timedelta(days=9))
        assert all(tick.at <= clock.moment for tick in ticks)
        quote = await shown.quote("AAPL")
        assert quote
        assert quote.at <= clock.moment
        (bar,) = await shown.daily_bars("AAPL", count=1)
        closed = bar.date < clock.moment.date() or clock.moment >= CLOSE
        assert closed


async def test_the_quote_is_the_close_before_then_the_latest_tick_then_the_close() -> None:
    shown, clock = market(OPEN - timedelta(hours=1))
    before = await shown.quote("AAPL")
    assert before
    assert (before.price, before.synthetic) == (sample_bars(date(2012, 6, 13), 1)[0][3], False)
    clock.moment = OPEN + timedelta(hours=3)
    ticks = await shown.ticks("AAPL", after=OPEN - timedelta(seconds=1), until=clock.moment)
    quote = await shown.quote("AAPL")
    assert quote
    assert (quote.price, quote.at, quote.synthetic) == (ticks[-1].price, ticks[-1].at, True)
    clock.moment = CLOSE + timedelta(hours=2)
    after = await shown.quote("AAPL")
    assert after
    assert (after.price, after.at) == (sample_bars(date(2012, 6, 14), 1)[0][3], CLOSE)


async def test_a_symbol_that_was_not_there_yet_has_no_price() -> None:
    shown, _ = market(datetime(2026, 3, 10, 16, tzinfo=UTC))
    assert not shown.has_prices("FB", date(2026, 3, 10))
    assert shown.has_prices("AAPL", date(2026, 3, 10))
    assert await shown.quote("FB") is None
    assert await shown.daily_bars("FB", count=5) == ()


async def test_has_prices_wants_a_session_and_a_known_symbol() -> None:
    shown, _ = market(OPEN)
    assert shown.has_prices("AAPL", TODAY)
    assert not shown.has_prices("AAPL", date(2026, 6, 13))
    assert not shown.has_prices("NONE", TODAY)
    with pytest.raises(DefinitionError, match="did you mean 'AAPL'"):
        await shown.quote("AAPLE")


async def test_on_a_weekend_the_last_session_is_what_is_shown() -> None:
    shown, _ = market(datetime(2026, 6, 13, 12, tzinfo=UTC))
    (bar,) = await shown.daily_bars("AAPL", count=1)
    assert bar.date == date(2026, 6, 12)
    assert "replayed from 2012-06-08" in shown.source


async def test_a_session_that_begins_on_the_evening_before_is_the_current_one() -> None:
    class Evening(WeekdayCalendar):
        def session(self, on: date) -> Session | None:
            found = super().session(on)
            return replace(found, opens_at=found.opens_at - timedelta(hours=16)) if found else None

    shown, _ = market(datetime(2026, 6, 10, 23, tzinfo=UTC), Evening())
    assert "replayed from 2012-06-14" in shown.source


def test_the_span_ends_with_the_calendar() -> None:
    shown, _ = market(OPEN)
    first, last = shown.span("AAPL")
    assert last == date(2030, 12, 31)
    assert first.year in {2013, 2014}


def test_a_calendar_that_is_younger_than_the_sample_limits_the_history() -> None:
    calendar = WeekdayCalendar()
    calendar.span = (date(2026, 5, 1), date(2030, 12, 31))
    shown, _ = market(OPEN, calendar)
    bars = shown.daily_history("AAPL", before=TODAY, count=1000)
    assert bars[0].date == date(2026, 5, 1)
    assert shown.span("AAPL")[0] == date(2026, 5, 1)


@pytest.mark.parametrize("count", [0, -1])
def test_no_bars_are_none(count: int) -> None:
    shown, _ = market(OPEN)
    assert shown.daily_history("AAPL", before=TODAY, count=count) == ()


async def test_paths_are_drawn_again_the_same_after_many_others() -> None:
    shown, clock = market(OPEN)
    clock.moment = CLOSE + timedelta(days=60)
    first = await shown.ticks("AAPL", after=OPEN, until=CLOSE)
    await shown.ticks("AAPL", after=OPEN, until=clock.moment)
    assert await shown.ticks("AAPL", after=OPEN, until=CLOSE) == first
