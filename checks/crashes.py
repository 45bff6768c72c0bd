"""Kill desks at random instants and break what they stand on; then count what is lost, doubled or left behind.

``python -m checks.crashes``, as root, tries every case; ``QUICK=1`` two minutes' worth of them; ``--only CASE`` those
whose name begins so; ``SEED`` says which instants. Writes ``build/crashes.json`` and exits with 1 when a promise is
broken. A case runs in a process of its own, which forks the desks that it kills.
"""

import json
import os
import random  # noqa: TID251 (instants, no money)
import shutil
import signal
import subprocess
import sys
import tempfile
import time  # noqa: TID251 (as in daemon_process)
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from checks import crash_faults
from checks.crash_lives import Attempt, Case, cold_start, kills, start_time
from checks.crash_store_away import store_away
from checks.packages import NotInstalledError, install
from checks.process_stops import rested, stops
from checks.simulated_exchange import Manners

QUICK = os.environ.get("QUICK", "") not in {"", "0"}
SEED = os.environ.get("SEED", "1")
REPORT = Path("build/crashes.json")
AT_ONCE = 3
"""Most cases wait more than they work."""
CASE_LIMIT_S = 1800.0

LOSING = Manners(lose_replies=0.3)
LATE = Manners(fill_after_s=0.4, tell_fills_after_s=0.5, repeat_fills=True)
SLOW = Manners(answer_after_s=0.05, take_after_s=0.3)
SLOW_KNOWN_AFTER_S = 0.5
"""That the slow exchange does not know an order proves something only so long after it was sent."""


def cases() -> Mapping[str, Attempt]:
    """What is tried, the longest first."""

    def many(quick: int, full: int) -> int:
        return quick if QUICK else full

    return {
        "full desk": partial(full_desk, many(1, 5)),
        "frozen": partial(crash_faults.frozen, many(2, 4), seconds=10 if QUICK else 60, seed=SEED),
        "store away": partial(store_away, many(300, 5000), seed=SEED),
        "kills 1": partial(kills, many(25, 150), seed=f"{SEED} 1"),
        "kills 2": partial(kills, many(25, 150), seed=f"{SEED} 2"),
        "clock steps": partial(crash_faults.clock_steps, many(2, 8), seed=SEED),
        "lost replies": partial(kills, many(8, 60), seed=SEED, span_s=1.5, manners=LOSING),
        "late and double fills": partial(kills, many(5, 40), seed=SEED, span_s=3.0, manners=LATE),
        "slow exchange": partial(
            kills, many(5, 40), seed=SEED, span_s=2.0, manners=SLOW, authoritative_after_s=SLOW_KNOWN_AFTER_S
        ),
        "exchange away": partial(kills, many(6, 60), seed=SEED, span_s=2.0, away=True),
        "two desks": partial(crash_faults.two_desks, many(8, 60), seed=SEED),
        "full disk": partial(crash_faults.full_disk, many(4, 30), seed=SEED),
        "failing fsync": partial(crash_faults.failing_fsync, many(2, 12), seed=SEED),
        "a task that kills": crash_faults.deadly_task,
        "cold start": partial(cold_start, many(3, 9)),
        "start": partial(start_time, many(10, 30)),
    }


def full_desk(turns: int) -> Case:
    """Kill the real daemon over the paper account while it starts, before the open, in a commit and during orders."""
    total: Case = {}
    with tempfile.TemporaryDirectory(prefix="belltower-crash-full-") as name:
        folder = Path(name)
        rested(folder / "rest")
        for turn in range(turns):
            draw = random.Random(f"{SEED} full desk {turn}")  # noqa: S311 (instants, no secrets)
            case = stops(folder / "rest", folder / str(turn), signal.SIGKILL, draw)
            for key in ("tried", "lost", "doubled", "tasks", "orders", "fills"):
                total[key] = total.get(key, 0) + case[key]
            shutil.rmtree(folder / str(turn))
    return total


def tried(name: str) -> Case:
    """Have a process of its own try a case; return what came of it, and print it."""
    began = time.monotonic()
    words = [sys.executable, "-m", "checks.crashes", "--alone", name]
    try:
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=CASE_LIMIT_S)  # noqa: S603 (our own program)
        case: Case = json.loads(done.stdout) if done.stdout else {"broken": done.stderr.strip()[-1500:]}
    except subprocess.TimeoutExpired:
        case = {"broken": f"it was not over within {CASE_LIMIT_S:g} s"}
    case["took_s"] = round(time.monotonic() - began, 1)
    sys.stdout.write(f"{'BROKEN' if 'broken' in case else 'kept  '}  {name}: {json.dumps(case)}\n")
    sys.stdout.flush()
    return case


def alone(name: str) -> int:
    """Try a case in this process, and print what came of it as JSON."""
    try:
        case = cases()[name]()
    except Exception as error:  # noqa: BLE001 (whatever it is, the others are tried all the same)
        case = {"broken": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(case))
    return 0


def main(words: Sequence[str]) -> int:
    """Try what is asked for, write the report, and return the exit code."""
    if words[:1] == ["--alone"]:
        return alone(words[1])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    wanted = tuple(word for word in words if word != "--only")
    chosen = [name for name in cases() if not wanted or name.startswith(wanted)]
    if not chosen:
        sys.stderr.write(f"crashes: no case is named {' or '.join(wanted)}; there are {', '.join(cases())}\n")
        return 2
    try:
        install("libfaketime", "strace")
    except NotInstalledError as error:
        sys.stderr.write(f"crashes: {error}\n")
        return 2
    with ThreadPoolExecutor(AT_ONCE) as pool:
        report = dict(zip(chosen, pool.map(tried, chosen), strict=True))
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    return int(any("broken" in case for case in report.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
