"""The rules of drawn paths."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.adapters.markets.paths import draw_path, path_moments
from orchestration.domain.bars import Bar
from orchestration.domain.session import Session
from orchestration.system.randomness import SeededRandomness
from tests.calendars import WeekdayCalendar

DAY = date(2012, 12, 12)
LUNCH = (time(16), time(17))


def a_session(calendar: WeekdayCalendar | None = None) -> Session:
    session = (calendar or WeekdayCalendar()).session(DAY)
    assert session
    return session


@st.composite
def bars(draw: st.DrawFn) -> Bar:
    low, *between, high = sorted(draw(st.lists(st.integers(1, 100_000), min_size=4, max_size=4)))
    open_, close = draw(st.permutations(between))
    cents = [Decimal(level).scaleb(-2) for level in (open_, high, low, close)]
    volume = draw(st.integers(0, 10**10))
    return Bar(symbol="X", date=DAY, open=cents[0], high=cents[1], low=cents[2], close=cents[3], volume=volume)


sessions = st.sampled_from(
    [
        a_session(),
        a_session(WeekdayCalendar(pause=LUNCH)),
        a_session(WeekdayCalendar(opens=time(14, 30), closes=time(14, 32, 30))),
        a_session(WeekdayCalendar(opens=time(0), closes=time(23, 59))),
    ]
)


@given(bar=bars(), session=sessions, seed=st.integers(0, 1000))
def test_a_path_keeps_to_its_bar_and_its_session(bar: Bar, session: Session, seed: int) -> None:
    path = draw_path(bar, session, SeededRandomness(seed).stream("path"))
    prices = [tick.price for tick in path]
    assert (prices[0], max(prices), min(prices), prices[-1]) == (bar.open, bar.high, bar.low, bar.close)
    assert all(price == price.quantize(Decimal("0.01")) for price in prices)
    assert sum(tick.volume for tick in path) == bar.volume
    assert all(tick.volume >= 0 for tick in path)
    moments = [tick.at for tick in path]
    assert moments == sorted(set(moments))
    assert all(session.is_open(moment) for moment in moments)


class OneSidedDraws:
    """Draws that are low for a long time and then high: the widest walk there can be."""

    def __init__(self) -> None:
        self.count = 0

    def random(self) -> float:
        self.count += 1
        return 0.1 if self.count < 170 else 0.999


@given(bar=bars())
def test_even_the_widest_walk_stays_inside_the_day(bar: Bar) -> None:
    prices = [tick.price for tick in draw_path(bar, a_session(), OneSidedDraws())]
    assert bar.low <= min(prices) <= max(prices) <= bar.high


@given(bar=bars(), seed=st.integers(0, 1000))
def test_the_same_stream_draws_the_same_path(bar: Bar, seed: int) -> None:
    first, second = (draw_path(bar, a_session(), SeededRandomness(seed).stream("path")) for _ in range(2))
    assert first == second


def test_there_is_a_tick_each_minute_and_one_a_second_before_the_close() -> None:
    session = a_session()
    moments = path_moments(session)
    assert moments[:2] == (session.opens_at, session.opens_at + timedelta(minutes=1))
    assert moments[-1] == session.closes_at - timedelta(seconds=1)
    assert len(moments) == 391


def test_a_break_has_no_ticks() -> None:
    moments = path_moments(a_session(WeekdayCalendar(pause=LUNCH)))
    start, end = (datetime.combine(DAY, moment, UTC) for moment in LUNCH)
    assert not [moment for moment in moments if start <= moment < end]
    assert end in moments


def test_volumes_are_larger_at_both_ends_of_the_day() -> None:
    bar = Bar(
        symbol="X",
        date=DAY,
        open=Decimal(10),
        high=Decimal(11),
        low=Decimal(9),
        close=Decimal(10),
        volume=1_000_000,
    )
    volumes = [tick.volume for tick in draw_path(bar, a_session(), SeededRandomness(1).stream("path"))]
    first, middle, last = (sum(part) for part in (volumes[:60], volumes[165:225], volumes[-60:]))
    assert min(first, last) > 1.5 * middle


@pytest.mark.parametrize("tick", ["0.01", "0.00001", "5"])
def test_prices_are_multiples_of_the_tick(tick: str) -> None:
    step = Decimal(tick)
    bar = Bar(symbol="X", date=DAY, open=10 * step, high=40 * step, low=9 * step, close=30 * step, volume=5)
    path = draw_path(bar, a_session(), SeededRandomness(1).stream("path"), step)
    assert all(tick.price % step == 0 for tick in path)
    assert len({tick.price for tick in path}) > 10
