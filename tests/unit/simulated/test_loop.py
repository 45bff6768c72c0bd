"""On the simulated loop waiting takes no time, nothing drifts, and a standstill is seen."""

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta

import pytest

from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.adapters.simulated.ids import SimulatedIds
from orchestration.adapters.simulated.loop import NothingLeftToDoError, SimulatedLoop, run_simulated

START = datetime(2012, 12, 12, 11, tzinfo=UTC)


def test_a_night_takes_no_time() -> None:
    async def main() -> datetime:
        clock = SimulatedClock(START)
        await asyncio.sleep(12 * 3600)
        return clock.now()

    before = time.monotonic()
    assert run_simulated(main) == START + timedelta(hours=12)
    assert time.monotonic() - before < 5


def test_longer_than_a_day_is_one_sleep_all_the_same() -> None:
    async def main() -> datetime:
        clock = SimulatedClock(START)
        await asyncio.sleep(10 * 86_400 + 0.25)
        return clock.now()

    assert run_simulated(main) == START + timedelta(days=10, seconds=0.25)


def test_a_hundred_thousand_irregular_sleeps_end_at_the_exact_microsecond() -> None:
    draws = random.Random(7)
    naps = [draws.randrange(1, 3_000_000) for _ in range(100_000)]

    async def main() -> datetime:
        clock = SimulatedClock(START)
        for nap in naps:
            await asyncio.sleep(nap / 1_000_000)
        return clock.now()

    assert run_simulated(main) == START + timedelta(microseconds=sum(naps))


def test_sleeping_until_moments_lands_on_each_of_them() -> None:
    draws = random.Random(8)

    async def main() -> int:
        clock, moment, missed = SimulatedClock(START), START, 0
        for _ in range(5_000):
            moment += timedelta(microseconds=draws.randrange(0, 90_000_000))
            await clock.sleep_until(moment)
            missed += clock.now() != moment
        await clock.sleep_until(START)  # which is past
        return missed + (clock.now() != moment)

    assert run_simulated(main) == 0


def test_sleepers_wake_in_the_order_of_their_moments() -> None:
    async def main() -> list[str]:
        woken: list[str] = []

        async def sleeper(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            woken.append(name)

        async with asyncio.TaskGroup() as group:
            for name, seconds in [("c", 3), ("a", 1), ("b", 2), ("a2", 1)]:
                group.create_task(sleeper(name, seconds))
        return woken

    assert run_simulated(main) == ["a", "a2", "b", "c"]


def test_timeouts_of_asyncio_follow_the_simulated_time() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(100):
                await asyncio.sleep(1000)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 50)
        return asyncio.get_running_loop().time()

    assert run_simulated(main) == 150


def test_a_standstill_is_an_error_and_no_hang() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(NothingLeftToDoError, match="waits for something that nothing will bring about"):
        run_simulated(main)


def test_quiet_comes_after_all_that_can_happen_now_and_before_time_moves() -> None:
    async def main() -> tuple[list[str], float]:
        clock, seen = SimulatedClock(START), []

        async def busy() -> None:
            for step in range(3):
                await asyncio.sleep(0)
                seen.append(f"step {step}")

        async with asyncio.TaskGroup() as group:
            group.create_task(busy())
            group.create_task(asyncio.sleep(5))
            await clock.quiet()
            seen.append("quiet")
            at = clock.monotonic()
        return seen, at

    assert run_simulated(main) == (["step 0", "step 1", "step 2", "quiet"], 0)


def test_those_who_wait_for_quiet_go_on_together_in_order() -> None:
    async def main() -> list[int]:
        clock, seen = SimulatedClock(START), []

        async def waiter(number: int) -> None:
            await clock.quiet()
            seen.append(number)

        await asyncio.gather(*(waiter(number) for number in range(3)))
        return seen

    assert run_simulated(main) == [0, 1, 2]


def test_one_that_was_cancelled_while_it_waited_for_quiet_disturbs_nobody() -> None:
    async def main() -> str:
        clock = SimulatedClock(START)
        waiting = asyncio.create_task(clock.quiet())
        await asyncio.sleep(0)
        waiting.cancel()
        await clock.quiet()
        return "quiet"

    assert run_simulated(main) == "quiet"


def test_threads_are_refused() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="wants a thread, and a simulation has none"):
            await asyncio.to_thread(print)

    run_simulated(main)


def test_what_may_be_woken_waits_for_the_waking_or_for_the_moment() -> None:
    async def main() -> list[float]:
        clock, wake, moments = SimulatedClock(START), asyncio.Event(), []
        await clock.wait(wake, START + timedelta(seconds=9))
        moments.append(clock.monotonic())
        asyncio.get_running_loop().call_later(4, wake.set)
        await clock.wait(wake, START + timedelta(seconds=99))
        moments.append(clock.monotonic())
        await clock.wait(wake, None)
        moments.append(clock.monotonic())
        return moments

    assert run_simulated(main) == [9, 13, 13]


def test_a_limit_of_the_clock_is_a_simulated_one() -> None:
    async def main() -> float:
        clock = SimulatedClock(START)
        with pytest.raises(TimeoutError):
            async with clock.timeout(30):
                await asyncio.sleep(60)
        async with clock.timeout(None):
            await asyncio.sleep(60)
        return clock.monotonic()

    assert run_simulated(main) == 90


async def test_the_clock_refuses_a_loop_that_is_not_simulated() -> None:
    with pytest.raises(TypeError, match="a simulated clock runs on a simulated loop"):
        SimulatedClock(START).now()


def test_ids_are_the_same_in_every_repetition_and_sort_by_time() -> None:
    async def main() -> list[str]:
        ids = SimulatedIds(SimulatedClock(START))
        made = [ids.next_id(), ids.next_id()]
        await asyncio.sleep(1)
        return [*made, ids.next_id()]

    first = run_simulated(main)
    assert first == run_simulated(main) == sorted(set(first))
    assert all(len(made) == 32 for made in first)


def test_the_clock_starts_where_it_was_put_however_late_it_is_made() -> None:
    async def main() -> datetime:
        return SimulatedClock(START).now()

    assert run_simulated(main) == START
    loop = SimulatedLoop()
    assert loop.time() == 0
    loop.close()
