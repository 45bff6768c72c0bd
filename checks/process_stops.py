"""End the daemon at a bad moment, start it again, and look into its store for what is lost or doubled."""

import random  # noqa: TID251 (moments, no money)
import shutil
import signal
import time  # noqa: TID251 (as in daemon_process)
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from checks.daemon_process import GRACE_S, LIMIT_S, START_LIMIT_S, BrokenPromiseError, Case, Daemon
from checks.home_audit import committed, completed_tasks, counts, discrepancies, doubled, resumptions, unfinished

PRE_MARKET = datetime(2012, 12, 12, 11, tzinfo=UTC)
OPEN = datetime(2012, 12, 12, 14, 30, tzinfo=UTC)
AT_THE_STAGE = {"data_collection", "market_analysis", "risk_assessment"}


def stops(rest: Path, home: Path, number: signal.Signals, draw: random.Random) -> Case:
    """End the daemon at one moment of each kind, start it again, and look for what is lost or doubled.

    ``rest`` is a home in which the pre-market stage is done.
    """

    def early(daemon: Daemon) -> None:
        daemon.wait_until(daemon.hears_sigterm, START_LIMIT_S, "it hears signals")
        time.sleep(draw.uniform(0.0, 2.5))  # while it imports and opens its parts

    def before_the_open(daemon: Daemon) -> None:
        daemon.wait_ready()
        time.sleep(draw.uniform(0.0, 2.0))

    def during_orders(daemon: Daemon) -> None:
        lines = len(committed(daemon.home).entries)
        daemon.wait_until(lambda: len(committed(daemon.home).entries) > lines, LIMIT_S, "it sends orders")
        time.sleep(draw.uniform(0.0, 1.0))

    def in_a_commit(daemon: Daemon) -> None:
        daemon.wait_ready()
        log, until = daemon.home / "belltower.db-wal", time.monotonic() + 10
        for _ in range(draw.randint(1, 6)):
            seen = log.stat().st_mtime_ns
            while log.stat().st_mtime_ns == seen and time.monotonic() < until:
                time.sleep(0.001)

    moments: list[tuple[str, datetime, Callable[[Daemon], None]]] = [
        ("early", OPEN - timedelta(seconds=6), early),
        ("before the open", OPEN - timedelta(seconds=10), before_the_open),
        ("in a commit", OPEN - timedelta(seconds=5), in_a_commit),
        ("during orders", OPEN - timedelta(seconds=5), during_orders),
    ]

    def one(name: str, start: datetime, wait: Callable[[Daemon], None]) -> Case:
        place = home / name.replace(" ", "-")
        shutil.copytree(rest, place)
        with Daemon(place, start) as daemon:
            wait(daemon)
            before = committed(place)
            took = daemon.stop() if number is signal.SIGTERM else daemon.kill()
            clock, lost = daemon.now(), before.lost_in(committed(place))
        broken_off, resumed = unfinished(place), resumptions(place)
        left = broken_off if number is signal.SIGTERM else []
        with Daemon(place, max(clock, OPEN - timedelta(seconds=1))) as daemon:
            daemon.wait_ready()
            due = resumed + len(broken_off)
            daemon.wait_until(lambda: resumptions(place) >= due, LIMIT_S, "it goes on with what broke off")
            time.sleep(3)
            again = daemon.stop()
        twice = doubled(place)
        wrong = [f"a run was left unfinished, by the first stop: {run}" for run in left]
        wrong += [f"a run was left unfinished, by the second stop: {run}" for run in unfinished(place)]
        for line in (*wrong, *twice, *discrepancies(place), *([f"{lost} durable lines are gone"] if lost else [])):
            raise BrokenPromiseError(f"{number.name} {name}: {line}")
        return {"lost": lost, "doubled": len(twice), "stop_s": max(took, again), **counts(place)}

    with ThreadPoolExecutor(len(moments)) as pool:
        cases = list(pool.map(lambda moment: one(*moment), moments))
    slowest = max(case["stop_s"] for case in cases)
    if slowest > GRACE_S:
        raise BrokenPromiseError(f"{number.name}: a stop took {slowest:.1f} s")
    return {
        "tried": len(cases),
        "lost": sum(case["lost"] for case in cases),
        "doubled": sum(case["doubled"] for case in cases),
        **{name: sum(case[name] for case in cases) for name in ("tasks", "orders", "fills")},
        "slowest_stop_s": round(slowest, 3),
    }


def rested(home: Path) -> None:
    """Make ``home`` one in which the pre-market stage of the day is done."""
    with Daemon(home, PRE_MARKET - timedelta(seconds=4)) as daemon:
        daemon.wait_ready()
        daemon.wait_until(lambda: completed_tasks(home) >= AT_THE_STAGE, LIMIT_S, "the pre-market stage is done")
        daemon.stop()
