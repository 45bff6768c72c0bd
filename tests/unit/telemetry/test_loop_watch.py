"""A blocked event loop is seen from a thread, with the guilty stack, and told when it turns again.

These tests block a real loop, for as long as the thread needs to see it: what is tested is the real thread.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from orchestration.system.loop_watch import LoopProbe, Stall
from orchestration.telemetry.loop_watch import LoopWatch, words

LOGGER = logging.getLogger("orchestration.system.loop_watch")
LONG_S = 20.0
"""What comes within moments, also on a busy machine."""
Told = list[tuple[str, str]]


class Seen(logging.Handler):
    """Sets ``event`` when the thread logs what it has found."""

    def __init__(self) -> None:
        super().__init__()
        self.event = threading.Event()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "guilty_function" in record.getMessage():
            self.records.append(record)
            self.event.set()


@pytest.fixture
def seen() -> Iterator[Seen]:
    handler = Seen()
    LOGGER.addHandler(handler)
    yield handler
    LOGGER.removeHandler(handler)


def guilty_function(seen: Seen) -> None:
    time.sleep(0.3)
    assert seen.event.wait(LONG_S)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(LONG_S):
        while not condition():  # noqa: ASYNC110 (what it waits for happens in a thread that knows no loop)
            await asyncio.sleep(0.01)


async def test_a_blocked_loop_is_told_once_with_the_stack_that_blocks_it(seen: Seen) -> None:
    told: Told = []
    lags: list[float] = []

    def guilty() -> Told:
        return [one for one in told if "guilty_function" in one[1]]

    async def report(source: str, message: str) -> None:
        told.append((source, message))

    async with LoopWatch(report, limit_s=0.1, on_lag=lags.append):
        await until(lambda: lags)
        guilty_function(seen)
        await until(guilty)
        await asyncio.sleep(0.05)
    ((source, message),) = guilty()
    first, _, stack = message.partition("\n")
    assert source == "event_loop"
    assert first.startswith("the event loop was blocked for ")
    assert float(first.split()[-2]) > 0.2
    assert "guilty_function" in stack
    assert max(lags) > 0.2
    assert {record.threadName for record in seen.records} == {"loop-watch"}


async def test_a_loop_that_turns_is_left_in_peace() -> None:
    told: Told = []
    lags: list[float] = []

    async def report(source: str, message: str) -> None:
        told.append((source, message))

    async with LoopWatch(report, limit_s=3, on_lag=lags.append) as watching:
        await until(lambda: lags)
    assert told == []
    assert watching.lag_s == lags[-1]
    assert "loop-watch" not in {thread.name for thread in threading.enumerate()}


async def test_a_report_that_fails_is_logged(seen: Seen, caplog: pytest.LogCaptureFixture) -> None:
    async def no_report(source: str, message: str) -> None:
        raise RuntimeError(source)

    async with LoopWatch(no_report, limit_s=0.05) as watching:
        await until(lambda: watching.lag_s)
        guilty_function(seen)
        await until(lambda: "a blocked event loop could not be reported" in caplog.text)


@pytest.mark.parametrize("closed", [False, True])
def test_the_thread_waits_for_no_answer_when_nobody_will_give_one(*, closed: bool) -> None:
    loop = asyncio.new_event_loop()
    stalls: list[Stall] = []
    probe = LoopProbe(limit_s=0.05, on_lag=lambda _: None, on_stall=stalls.append)

    async def start() -> None:
        probe.start()

    loop.run_until_complete(start())
    time.sleep(0.05)  # the loop does not run: what the thread asks stays unanswered
    if not closed:
        probe._stopping.set()
    else:
        loop.close()
    probe._thread.join(LONG_S)
    assert not probe._thread.is_alive()
    assert stalls == []
    loop.close()


def test_the_thread_ends_with_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    loop = asyncio.new_event_loop()
    probe = LoopProbe(limit_s=5, on_lag=lambda _: None, on_stall=lambda _: None)

    async def start() -> None:
        probe.start()

    loop.run_until_complete(start())
    loop.close()
    probe._thread.join(LONG_S)
    assert not probe._thread.is_alive()
    assert "the watched loop is closed" in caplog.text


async def test_a_thread_that_was_held_up_itself_blames_nobody() -> None:
    stalls: list[Stall] = []
    probe = LoopProbe(limit_s=0.1, on_lag=lambda _: None, on_stall=stalls.append)

    class Late(threading.Event):
        """As if the process had been stopped in the first nap."""

        naps = 0

        def wait(self, timeout: float | None = None) -> bool:
            self.naps += 1
            if self.naps == 1:
                time.sleep(0.3)
            return super().wait(timeout)

    probe._stopping = Late()
    probe.start()
    await until(lambda: stalls)
    await probe.stop()
    assert stalls[0].stack is None
    assert stalls[0].lag_s > 0.2


def test_a_process_that_stood_still_has_no_guilty_stack() -> None:
    assert words(Stall(lag_s=60, stack=None)).startswith("the process stood still for 60 s")


def test_secrets_on_the_stack_are_masked() -> None:
    assert "hunter2" not in words(Stall(lag_s=2, stack='  connect(password="hunter2")'))
