"""A part that dies is started again, and nothing of that hangs on the wall clock."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from orchestration.adapters.simulated.loop import run_simulated
from orchestration.domain.errors import ClaimLostError
from orchestration.domain.health import Health
from orchestration.telemetry.health_board import HealthBoard
from orchestration.telemetry.upkeep import first_error, keep_up, pause
from tests.unit.simulated.steered_clock import SteeredClock

NOON = datetime(2012, 12, 12, 12, tzinfo=UTC)
STEPS = [timedelta(), timedelta(hours=-1), timedelta(days=-400), timedelta(days=2)]


class Part:
    """Dies of ``error`` each time, after so many seconds of ``lives``, and lives on when they are used up."""

    def __init__(self, *lives: float, error: Exception | None = None) -> None:
        self.lives = list(lives)
        self.error = error or RuntimeError("a nasty surprise")
        self.began: list[float] = []

    async def work(self) -> None:
        self.began.append(asyncio.get_running_loop().time())
        if not self.lives:
            await asyncio.Event().wait()
        await asyncio.sleep(self.lives.pop(0))
        raise self.error


def kept_up(part: Part, seconds: float, set_clock: Callable[[SteeredClock], None] = lambda _: None) -> list[str]:
    """Keep ``part`` up for ``seconds``; return the states on the board and the reports, in order."""

    async def main() -> list[str]:
        clock = SteeredClock(NOON)
        board, said = HealthBoard(clock), list[str]()
        board.register("part")
        stepping: list[asyncio.Task[None]] = []

        async def report(source: str, message: str) -> None:
            state = board.components()[0].state
            assert state is Health.FAILED
            said.append(f"{source}: {message}")
            stepping.append(asyncio.create_task(step_soon()))

        async def step_soon() -> None:
            await asyncio.sleep(0.5)  # while the part is down
            set_clock(clock)

        keeping = asyncio.create_task(keep_up("part", part.work, clock=clock, board=board, report=report))
        await asyncio.sleep(seconds)
        assert board.components()[0].state is Health.OK
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        return said

    return run_simulated(main)


def test_each_death_is_told_and_the_next_life_begins_a_little_later() -> None:
    part = Part(0, 0, 0)
    said = kept_up(part, 100)
    assert part.began == [0, 1, 3, 7]
    assert said[0] == "part: died and starts again in 1 s: RuntimeError('a nasty surprise')"
    assert len(said) == 3


def test_a_long_life_is_not_held_against_a_part() -> None:
    part = Part(0, 0, 400, 0)
    kept_up(part, 1000)
    assert part.began == [0, 1, 3, 404, 406]


def test_of_a_group_of_errors_the_first_one_is_told() -> None:
    group = ExceptionGroup("days", [ExceptionGroup("a day", [ValueError("the cause"), KeyError("more")])])
    assert repr(first_error(group)) == "ValueError('the cause')"
    [said] = kept_up(Part(0, error=group), 10)
    assert said.endswith("ValueError('the cause')")


@pytest.mark.parametrize("step", STEPS)
def test_a_wall_clock_that_is_set_while_a_part_is_down_does_not_change_when_it_starts_again(step: timedelta) -> None:
    def set_clock(clock: SteeredClock) -> None:
        clock.step += step

    part = Part(0, 0)
    kept_up(part, 100, set_clock)
    assert part.began == [0, 1, 3]


@pytest.mark.parametrize("step", STEPS)
def test_a_pause_is_as_long_as_it_was_to_be_whatever_becomes_of_the_wall_clock(step: timedelta) -> None:
    async def main() -> float:
        clock = SteeredClock(NOON)
        waiting = asyncio.create_task(pause(clock, 60))
        await asyncio.sleep(10)
        clock.step = step
        await waiting
        return asyncio.get_running_loop().time()

    assert run_simulated(main) == 60


def test_a_part_whose_process_has_lost_its_runs_is_not_started_again() -> None:
    part = Part(1, error=ExceptionGroup("days", [ClaimLostError("me", "the store")]))

    async def main() -> None:
        clock = SteeredClock(NOON)
        board = HealthBoard(clock)
        board.register("part")

        async def report(source: str, message: str) -> None:
            raise AssertionError(message)

        await keep_up("part", part.work, clock=clock, board=board, report=report)

    with pytest.raises(ExceptionGroup) as error:
        run_simulated(main)
    assert isinstance(first_error(error.value), ClaimLostError)
    assert len(part.began) == 1
