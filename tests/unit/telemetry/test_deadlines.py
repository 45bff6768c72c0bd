"""A loop that does not come round in time is reported once, and stands as failed until it does."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.adapters.simulated.loop import run_simulated
from orchestration.domain.errors import DefinitionError
from orchestration.domain.health import Health
from orchestration.telemetry.deadlines import Deadlines
from orchestration.telemetry.health_board import HealthBoard

START = datetime(2012, 12, 12, 11, tzinfo=UTC)


class Watched:
    """Deadlines on the simulated clock, and what they reported, with the second of it."""

    def __init__(self) -> None:
        self.clock = SimulatedClock(START)
        self.board = HealthBoard(self.clock)
        self.deadlines = Deadlines(self.clock, self.board, self.report)
        self.reports: list[tuple[float, str, str]] = []

    async def report(self, source: str, message: str) -> None:
        self.reports.append((self.clock.monotonic(), source, message))

    def state(self, name: str) -> Health:
        return next(one.state for one in self.board.components() if one.name == name)

    async def beats(self, name: str, *moments: float) -> None:
        for moment in moments:
            await self.clock.sleep_until(START + timedelta(seconds=moment))
            self.deadlines.beat(name)


def watched(main: Callable[[Watched], Awaitable[None]]) -> Watched:
    """Run ``main`` beside the watcher."""

    async def whole() -> Watched:
        world = Watched()
        watcher = asyncio.get_running_loop().create_task(world.deadlines.run())
        await main(world)
        watcher.cancel()
        await asyncio.wait([watcher])
        assert watcher.cancelled()
        return world

    return run_simulated(whole)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def test_a_loop_that_comes_round_in_time_is_fit_and_nobody_hears_of_it() -> None:
    async def main(world: Watched) -> None:
        world.deadlines.promise("checks", seconds(10))
        assert world.state("checks") is Health.STARTING
        await world.beats("checks", 5, 14, 23, 32)
        assert world.board.readiness().ready

    assert watched(main).reports == []


def test_a_missed_deadline_is_reported_once_and_fails_readiness_until_the_next_beat() -> None:
    async def main(world: Watched) -> None:
        world.deadlines.promise("checks", seconds(10))
        await world.beats("checks", 5)
        await world.clock.sleep_until(START + seconds(100))
        assert world.board.readiness().reasons == ("checks is failed: has not come round within 10 s",)
        world.deadlines.beat("checks")
        assert world.board.readiness().ready

    message = "the loop checks has not come round within its promised period"
    assert watched(main).reports == [(15, "checks", message)]


def test_each_miss_is_reported() -> None:
    async def main(world: Watched) -> None:
        world.deadlines.promise("checks", seconds(10))
        await world.beats("checks", 30, 60)
        await world.clock.sleep_until(START + seconds(100))

    assert [at for at, _, _ in watched(main).reports] == [10, 40, 70]


def test_one_loop_does_not_excuse_another() -> None:
    async def main(world: Watched) -> None:
        world.deadlines.promise("slow", seconds(60))
        await world.clock.sleep_until(START + seconds(1))
        world.deadlines.promise("fast", seconds(2), required=False)
        await world.beats("slow", 50)
        assert (world.state("slow"), world.state("fast")) == (Health.OK, Health.FAILED)
        assert world.board.readiness().ready

    assert [(at, name) for at, name, _ in watched(main).reports] == [(3, "fast")]


def test_a_loop_that_never_began_is_missed_too() -> None:
    async def main(world: Watched) -> None:
        world.deadlines.promise("checks", seconds(10))
        await world.clock.sleep_until(START + seconds(11))
        assert world.state("checks") is Health.FAILED

    assert len(watched(main).reports) == 1


def test_nothing_is_expected_of_a_loop_that_ended_on_purpose() -> None:
    async def main(world: Watched) -> None:
        world.deadlines.promise("checks", seconds(10))
        world.deadlines.release("checks", "the service stops")
        world.deadlines.release("checks")
        await world.clock.sleep_until(START + seconds(100))
        assert world.board.readiness().reasons == ("checks is stopped: the service stops",)

    assert watched(main).reports == []


def test_a_process_that_stood_still_blames_nobody() -> None:
    async def main(world: Watched) -> None:
        world.deadlines.promise("checks", seconds(10))
        await world.beats("checks", 5)
        loop = asyncio.get_running_loop()
        loop.microseconds += 60_000_000  # type: ignore[attr-defined]  # time passes, and nothing runs in it
        await world.clock.sleep_until(START + seconds(66))
        assert world.state("checks") is Health.OK
        assert world.reports == []
        await world.clock.sleep_until(START + seconds(80))

    assert [at for at, _, _ in watched(main).reports] == [75]


def test_a_report_that_fails_stops_no_watching(caplog: pytest.LogCaptureFixture) -> None:
    async def main(world: Watched) -> None:
        async def no_report(source: str, message: str) -> None:
            raise RuntimeError(source)

        world.deadlines = Deadlines(world.clock, world.board, no_report)
        watcher = asyncio.get_running_loop().create_task(world.deadlines.run())
        world.deadlines.promise("a", seconds(1))
        world.deadlines.promise("b", seconds(2))
        await world.clock.sleep_until(START + seconds(3))
        watcher.cancel()
        assert (world.state("a"), world.state("b")) == (Health.FAILED, Health.FAILED)

    watched(main)
    assert caplog.text.count("a missed deadline could not be reported") == 2


def test_a_beat_without_a_promise_and_a_promise_without_time_are_refused() -> None:
    async def main(world: Watched) -> None:
        world.deadlines.promise("checks", seconds(10))
        with pytest.raises(DefinitionError, match="'chekcs' promised nothing; did you mean 'checks'"):
            world.deadlines.beat("chekcs")
        with pytest.raises(DefinitionError, match="within 0 s"):
            world.deadlines.promise("other", seconds(0))

    watched(main)
