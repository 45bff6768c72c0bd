"""How a process that is told to stop early does so."""

import asyncio
import os
import signal
import subprocess
import sys

from orchestration.system.signals import STOPS, stop_signals

STARTS = """
import os, signal
from orchestration.system.signals import stopped_early
{before}
stopped_early()
{after}
os._exit(3)
"""


def ended(before: str = "pass", after: str = "pass") -> int:
    """The exit code of a process that starts, with the signal blocked, as in the image."""
    return subprocess.run(
        [sys.executable, "-c", STARTS.format(before=before, after=after)],
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}),
        env=os.environ,
        check=False,
    ).returncode


TERM = "os.kill(os.getpid(), signal.SIGTERM)"


def test_a_sigterm_before_anything_could_hear_it_is_heard_later_and_ends_with_0() -> None:
    assert ended(before=TERM) == 0


def test_a_sigterm_before_the_loop_runs_ends_with_0() -> None:
    assert ended(after=TERM) == 0


def test_a_command_that_is_kept_from_being_done_says_so_and_has_a_code_of_its_own() -> None:
    script = STARTS.format(before="", after=TERM).replace("stopped_early()", "stopped_early(7, 'not today')")
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (said.returncode, said.stdout, said.stderr) == (7, b"", b"not today\n")


async def test_a_loop_hears_a_stop_once_and_then_the_signals_are_as_they_were() -> None:
    before = [signal.getsignal(number) for number in STOPS]
    heard: list[str] = []
    with stop_signals(heard.append):
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(5):
            while not heard:  # noqa: ASYNC110 (the signal comes in its own time)
                await asyncio.sleep(0)
    assert heard == ["SIGTERM"]
    assert [signal.getsignal(number) for number in STOPS] == before


def test_nobody_stops_who_is_not_asked_to() -> None:
    assert ended() == 3
