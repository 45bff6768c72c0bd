"""A simulation that is stopped: a real process that hears SIGTERM, also where nobody else would end it."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

PATIENCE_S = 60.0
PROMPTLY_S = 10.0
YEAR = ("--date", "2012-01-03", "--until", "2012-12-31")


@contextmanager
def simulating(home: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """``belltower simulate`` as the image starts it, with SIGTERM blocked until somebody unblocks it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BELLTOWER_")}
    with subprocess.Popen(
        [sys.executable, "-m", "orchestration", "simulate", *YEAR, "--home", str(home), *options],
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}),
        env=environment, cwd=home.parent, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def wait_until(process: subprocess.Popen[bytes], fact: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not fact():
        assert process.poll() is None
        assert time.monotonic() - began < PATIENCE_S
        time.sleep(0.02)


def hears_sigterm(process: subprocess.Popen[bytes]) -> bool:
    """Whether it catches SIGTERM and does not block it: the default action does not end process 1."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught, blocked = (int(status.partition(f"{name}:")[2].split()[0], 16) for name in ("SigCgt", "SigBlk"))
    return bool((caught & ~blocked) >> (signal.SIGTERM - 1) & 1)


def statuses(home: Path) -> list[str]:
    found = list((home / "simulations").glob("*/belltower.db"))
    if not found:
        return []
    try:
        with closing(sqlite3.connect(f"file:{found[0]}?mode=ro", uri=True)) as connection:
            return [row[0] for row in connection.execute("SELECT status FROM executions ORDER BY created_at")]
    except sqlite3.OperationalError:  # it is being made
        return []


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_in_the_middle_of_a_day_it_stops_promptly_and_its_store_says_so(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    home = tmp_path / "home"
    with simulating(home, *options) as process:
        wait_until(process, lambda: len(statuses(home)) > 1)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PROMPTLY_S)
    [store] = (home / "simulations").glob("*/belltower.db")
    said = f"stopped by SIGTERM: what was simulated until then is in {store}, and there is no report"
    assert (process.returncode, err.decode()) == (1, f"belltower: {said}\n")
    assert "--json" not in options or out == b""
    *days, last = statuses(home)
    assert (set(days), last) == ({"completed"}, "cancelled")
    assert not (home / "reports").exists()


def test_before_the_first_day_it_stops_as_well(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with simulating(home) as process:
        wait_until(process, lambda: hears_sigterm(process))
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PROMPTLY_S)
    assert (process.returncode, out, err) == (1, b"", b"belltower: stopped by SIGTERM\n")
    assert not home.exists()
