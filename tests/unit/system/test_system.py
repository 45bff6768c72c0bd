"""The machine's clock, ids and draws."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

import orchestration.system.clock as wall
from orchestration.system.clock import WallClock
from orchestration.system.ids import SystemIds
from orchestration.system.randomness import SeededRandomness

MILLISECOND = timedelta(milliseconds=1)


def test_now_is_the_machines_time_in_utc() -> None:
    now = WallClock().now()
    assert now.tzinfo is UTC
    assert abs(datetime.now(UTC) - now) < timedelta(seconds=5)


def test_monotonic_is_the_machines_and_never_goes_back() -> None:
    clock = WallClock()
    first = clock.monotonic()
    assert first <= clock.monotonic() <= time.monotonic()


async def test_sleeping_until_a_moment_returns_at_it_or_later_and_at_once_when_it_is_past() -> None:
    clock = WallClock()
    until = clock.now() + 5 * MILLISECOND
    await clock.sleep_until(until)
    assert clock.now() >= until
    before = clock.monotonic()
    await clock.sleep_until(until - timedelta(days=1))
    assert clock.monotonic() - before < 1


async def test_long_waits_are_made_of_naps_so_that_a_stepped_clock_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    start = datetime(2012, 12, 12, tzinfo=UTC)
    moments = [start, start + timedelta(seconds=30), start + timedelta(hours=9)]  # suspended in its second nap
    naps: list[float] = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)

    clock = WallClock()
    monkeypatch.setattr(clock, "now", lambda: moments.pop(0), raising=False)
    monkeypatch.setattr(asyncio, "sleep", nap)
    await clock.sleep_until(start + timedelta(hours=8))
    assert naps == [wall.NAP_S, wall.NAP_S]


async def test_waiting_ends_when_woken() -> None:
    clock, wake = WallClock(), asyncio.Event()
    asyncio.get_running_loop().call_soon(wake.set)
    await clock.wait(wake, clock.now() + timedelta(hours=1))
    await clock.wait(wake, None)
    assert wake.is_set()


async def test_waiting_ends_at_the_moment_when_nobody_wakes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wall, "NAP_S", 0.002)
    clock, wake = WallClock(), asyncio.Event()
    until = clock.now() + 5 * MILLISECOND
    await clock.wait(wake, until)
    assert clock.now() >= until
    await clock.wait(wake, until)
    assert not wake.is_set()


async def test_a_limit_is_kept_and_none_is_none() -> None:
    with pytest.raises(TimeoutError):
        async with WallClock().timeout(0.001):
            await asyncio.Event().wait()
    async with WallClock().timeout(None):
        await asyncio.sleep(0)


async def test_live_nobody_knows_whether_it_is_quiet() -> None:
    await WallClock().quiet()


def test_ids_are_32_digits_and_sort_in_the_order_in_which_they_were_made() -> None:
    ids = SystemIds()
    made = [ids.next_id() for _ in range(2000)]
    assert made == sorted(set(made))
    assert all(len(one) == 32 and set(one) <= set("0123456789abcdef") for one in made)


def test_an_id_begins_with_the_milliseconds_of_its_making() -> None:
    made = datetime.fromtimestamp(int(SystemIds().next_id()[:12], 16) / 1000, UTC)
    assert abs(datetime.now(UTC) - made) < timedelta(seconds=5)


def test_the_same_seed_and_name_give_the_same_stream() -> None:
    def draw(seed: int, name: str) -> list[float]:
        stream = SeededRandomness(seed).stream(name)
        return [stream.random() for _ in range(5)]

    assert draw(1, "AAPL") == draw(1, "AAPL")
    assert draw(1, "AAPL") != draw(2, "AAPL")
    assert draw(1, "AAPL") != draw(1, "MSFT")
    assert all(0 <= x < 1 for x in draw(1, "AAPL"))


def test_streams_do_not_depend_on_each_other() -> None:
    randomness = SeededRandomness(7)
    alone = randomness.stream("a").random()
    other = randomness.stream("b")
    other.random()
    assert randomness.stream("a").random() == alone


def test_the_draws_of_a_seed_never_change() -> None:
    assert SeededRandomness(7).stream("paths").random() == 0.8698497439565275
