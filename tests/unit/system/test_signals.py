"""How a process that is told to stop early does so."""

import os
import signal
import subprocess
import sys

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


def test_nobody_stops_who_is_not_asked_to() -> None:
    assert ended() == 3
