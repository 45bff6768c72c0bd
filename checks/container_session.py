"""Run a session of the desk in a container: ``python -m checks.container_session IMAGE OUTCOME``.

The image is the one that is shipped. Only its clock is set, by a libfaketime that is mounted into the container. What
is counted in the store of its home is written to OUTCOME. ``QUICK=1``: a stop and a start, no kill, no close.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time  # noqa: TID251 (another process's clock is set by the machine's)
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from checks.daemon_process import LIMIT_S, SEEN_S, BrokenPromiseError, Case
from checks.home_audit import (
    Committed,
    committed,
    completed_tasks,
    counts,
    discrepancies,
    doubled,
    stage_starts,
    unfinished,
)
from checks.packages import find_libfaketime
from checks.process_stops import AT_THE_STAGE, OPEN, PRE_MARKET
from orchestration.system.clock import NAP_S

CLOSE = datetime(2012, 12, 12, 21, tzinfo=UTC)
AHEAD = timedelta(seconds=SEEN_S + NAP_S + 2)
NAME = "session"
STOP_S = 60
HARDENED = (
    "--network=none", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges:true",
    "--memory=512m", "--memory-swap=512m", "--pids-limit=200",
)  # fmt: skip
FAKETIME = {
    "LD_PRELOAD": "/faketime/libfaketimeMT.so.1",
    "FAKETIME_TIMESTAMP_FILE": "/faketime/clock",
    "FAKETIME_CACHE_DURATION": str(SEEN_S),
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
}


def docker(*words: str) -> str:
    """Run Docker and return what it says; raises `BrokenPromiseError` with that when it fails."""
    done = subprocess.run(  # noqa: S603 (our own words)
        [os.environ.get("DOCKER", "docker"), *words], check=False, capture_output=True, text=True, timeout=STOP_S + 60
    )
    if done.returncode:
        raise BrokenPromiseError(f"docker {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.strip()


class Container:
    """The daemon in its container, over a volume; ``place`` is a folder of ours that it sees."""

    def __init__(self, image: str, place: Path, start: datetime) -> None:
        library = find_libfaketime()
        if library is None:
            raise BrokenPromiseError("libfaketime is missing: install the package libfaketime (Debian, Ubuntu)")
        shutil.copy(library, place)
        place.chmod(0o755)
        self._clock_file = place / "clock"
        self.set_clock(start)
        clock = [f"--env={name}={value}" for name, value in FAKETIME.items()]
        health = ["--health-interval=1s", "--health-timeout=10s", "--health-start-period=60s"]
        mounts = [f"--volume={place}:/faketime:ro", f"--volume={NAME}:/var/lib/belltower"]
        docker("run", "--detach", f"--name={NAME}", *HARDENED, *health, *clock, *mounts, image)
        self.home = Path(docker("volume", "inspect", "--format={{.Mountpoint}}", NAME))
        self.peak_mb = 0.0

    def set_clock(self, now: datetime) -> None:
        """Set its wall clock."""
        part = self._clock_file.with_suffix(".part")
        part.write_text(f"{now.timestamp() - time.time():+.6f}\n")
        part.replace(self._clock_file)

    def state(self) -> Case:
        """What the engine knows of it."""
        state: Case = json.loads(docker("inspect", "--format={{json .State}}", NAME))
        return state

    def wait_until(self, fact: Callable[[], bool], what: str) -> None:
        """Look again and again until ``fact`` holds."""
        began = time.monotonic()
        while not fact():
            if not (state := self.state())["Running"]:
                raise BrokenPromiseError(f"{what}: the container exited with {state['ExitCode']}: {self.tail()}")
            if time.monotonic() - began > LIMIT_S:
                raise BrokenPromiseError(f"{what}: not within {LIMIT_S:g} s: {self.tail()}")
            time.sleep(0.2)

    def healthy(self) -> bool:
        """Whether the engine's health check has found it ready."""
        return bool(self.state()["Health"]["Status"] == "healthy")

    def start(self) -> None:
        """Start it again and wait until it is healthy."""
        docker("start", NAME)
        self.wait_until(self.healthy, "it gets healthy again")

    def stop(self) -> float:
        """``docker stop``; return how long it took to exit with 0, which it must by itself."""
        self._see_memory()
        began = time.monotonic()
        docker("stop", f"--time={STOP_S}", NAME)
        took, state = time.monotonic() - began, self.state()
        if state["ExitCode"] or state["OOMKilled"]:
            raise BrokenPromiseError(f"docker stop: it exited with {state['ExitCode']}: {self.tail()}")
        return took

    def kill(self) -> None:
        """End it without a word."""
        self._see_memory()
        docker("kill", NAME)

    def tail(self) -> str:
        """The end of what it says, in one line."""
        said = subprocess.run(  # noqa: S603 (our own words)
            [os.environ.get("DOCKER", "docker"), "logs", "--tail=4", NAME],
            check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
        )  # fmt: skip
        return " | ".join(said.stdout.splitlines())[-800:]

    def stopped_home(self, place: Path) -> Path:
        """A copy of its home, to look into while nobody writes there."""
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.home, place)
        return place

    def _see_memory(self) -> None:
        status = Path(f"/proc/{self.state()['Pid']}/status").read_text()
        self.peak_mb = max(self.peak_mb, int(status.partition("VmHWM:")[2].split()[0]) / 1000)


def session(image: str, folder: Path, *, quick: bool) -> Case:
    """Run 2012-12-12 with a stop in mid-session, and a kill; return what was counted."""
    place = folder / "faketime"
    place.mkdir()
    one = Container(image, place, PRE_MARKET - AHEAD - timedelta(minutes=10))
    stops: list[float] = []
    lost = kills = 0

    def lines() -> int:
        return len(committed(one.home).entries)

    def begun(stage: str) -> bool:
        return any(name == stage for _, name, _ in stage_starts(one.home))

    def broken_off(before: Committed, *, left: int) -> int:
        """How much of ``before`` is gone; what is there must add up, with so many runs not marked as ended."""
        home = one.stopped_home(folder / "home")
        wrong = [*doubled(home), *discrepancies(home)]
        wrong += [f"a run was left unfinished: {run}" for run in unfinished(home)[left:]]
        if wrong:
            raise BrokenPromiseError("; ".join(wrong))
        return before.lost_in(committed(home))

    one.wait_until(one.healthy, "it gets healthy")
    one.set_clock(PRE_MARKET - AHEAD)
    one.wait_until(lambda: completed_tasks(one.home) >= AT_THE_STAGE, "the pre-market stage is done")
    one.set_clock(OPEN - AHEAD)
    one.wait_until(lambda: begun("market_open"), "the exchange opens")
    one.wait_until(lambda: lines() > 0, "it sends orders")
    before = committed(one.home)
    stops.append(one.stop())
    lost += broken_off(before, left=0)

    done = completed_tasks(folder / "home")
    one.start()
    one.set_clock(OPEN + timedelta(hours=1) - AHEAD)  # the next tasks that are due
    one.wait_until(lambda: len(completed_tasks(one.home)) > len(done), "it goes on with the day")
    if not quick:
        before = committed(one.home)
        one.kill()
        kills += 1
        lost += broken_off(before, left=1)
        one.start()
        one.set_clock(CLOSE - AHEAD)
        one.wait_until(lambda: begun("post_market"), "the exchange closes")
    before = committed(one.home)
    stops.append(one.stop())
    lost += broken_off(before, left=0)
    home = folder / "home"
    if lost:
        raise BrokenPromiseError(f"{lost} durable lines are gone")
    return {
        "tried": len(stops) + kills,
        "lost": lost,
        "doubled": len(doubled(home)),
        **counts(home),
        "stages": len(stage_starts(home)),
        "slowest_stop_s": round(max(stops), 2),
        "peak_memory_mb": round(one.peak_mb),
    }


def main() -> int:
    """Write what was counted; 1 with a line that says why when the desk did not do what it should."""
    image, outcome = sys.argv[1:]
    try:
        with tempfile.TemporaryDirectory(prefix="belltower-session-") as folder:
            case = session(image, Path(folder), quick=os.environ.get("QUICK", "") not in {"", "0"})
    except (BrokenPromiseError, subprocess.TimeoutExpired, sqlite3.Error) as error:
        sys.stderr.write(f"containers: session: {error}\n")
        return 1
    Path(outcome).write_text(json.dumps(case))
    return 0


if __name__ == "__main__":
    sys.exit(main())
