"""Try what is promised of the daemon on the real process: signals, clocks that jump, stops, strangers and load.

``make reliability``; ``QUICK=1`` tries less of each. Writes ``build/reliability.json``; exits with 1 when a promise is
broken. Where moments are random, ``SEED`` says which. Arguments name the cases to try, such as ``load``.
"""

import json
import os
import random  # noqa: TID251 (moments, no money)
import signal
import sys
import tempfile
import time  # noqa: TID251 (as in daemon_process)
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from checks.daemon_process import BrokenPromiseError, Case, Daemon
from checks.packages import NotInstalledError, install
from checks.process_clock import clock_steps, five_weeks, stopped_process
from checks.process_load import doors, load
from checks.process_stops import rested, stops

QUICK = os.environ.get("QUICK", "") not in {"", "0"}
SEED = int(os.environ.get("SEED", "1"))
REPORT = Path("build/reliability.json")

Cases = Mapping[str, Callable[[], Case]]


def ready_time(home: Path) -> Case:
    """Measure how long a warm machine takes from the start of the process to ready; `checks.ready` has the limit."""
    took = []
    for number in range(4):
        with Daemon(home / str(number)) as daemon:
            took.append(daemon.wait_ready())
            daemon.stop()
    return {"tried": len(took) - 1, "ready_s": [round(one, 3) for one in took[1:]]}


def cases(homes: Path, rest: Path) -> list[Cases]:
    """What is tried; the cases of one group are tried together."""
    groups: list[Cases] = [{"ready": partial(ready_time, homes / "ready")}]
    for turn in range(1 if QUICK else 5):
        ends: dict[str, Callable[[], Case]] = {}
        for number in (signal.SIGTERM, signal.SIGKILL):
            name = f"{number.name.lower()} {turn + 1}"
            draw = random.Random(f"{SEED} {name}")  # noqa: S311 (moments, no secrets)
            ends[name] = partial(stops, rest, homes / name, number, draw)
        groups.append(ends)
    groups.append(
        {
            "five weeks": partial(five_weeks, homes / "weeks", quick=QUICK),
            "clock steps": partial(clock_steps, homes / "steps"),
            "stopped process": partial(stopped_process, rest, homes / "stopped", 4 if QUICK else 60),
            "doors": partial(doors, homes / "doors"),
        }
    )
    groups.append({"load": partial(load, rest, homes / "load", 10 if QUICK else 120)})
    return groups


def tried(name: str, attempt: Callable[[], Case]) -> Case:
    """Return what came of a case, and print it."""
    began = time.monotonic()
    try:
        case = attempt()
    except BrokenPromiseError as error:
        case = {"broken": str(error)}
    except Exception as error:  # noqa: BLE001 (a case that can't be tried is no reason to hide the others)
        case = {"broken": f"{type(error).__name__}: {error}"}
    case = {**case, "took_s": round(time.monotonic() - began, 1)}
    sys.stdout.write(f"{'BROKEN' if 'broken' in case else 'kept  '}  {name}: {json.dumps(case)}\n")
    sys.stdout.flush()
    return case


def main() -> int:
    """Try every case, write the report, and return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    try:
        install("libfaketime")
    except NotInstalledError as error:
        sys.stderr.write(f"reliability: {error}\n")
        return 2
    wanted = tuple(sys.argv[1:])
    report: dict[str, Case] = {}
    with tempfile.TemporaryDirectory(prefix="belltower-reliability-") as folder:
        rest = Path(folder) / "rest"
        rested(rest)
        for group in cases(Path(folder), rest):
            chosen = {name: attempt for name, attempt in group.items() if not wanted or name.startswith(wanted)}
            with ThreadPoolExecutor(4) as pool:
                report |= dict(zip(chosen, pool.map(tried, chosen.keys(), chosen.values()), strict=True))
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    if not report:
        sys.stderr.write(f"reliability: no case is named {' or '.join(wanted)}\n")
    return int(not report or any("broken" in case for case in report.values()))


if __name__ == "__main__":
    sys.exit(main())
