"""Try what is promised of the daemon on the real process: signals, clocks that jump, stops and load.

``make reliability``; ``QUICK=1`` takes about two minutes. Writes ``build/reliability.json``; exits with 1 when a
promise is broken. Where moments are random, ``SEED`` says which. Arguments name the cases to try, such as ``load``.
"""

import asyncio
import json
import os
import random  # noqa: TID251 (moments, no money)
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time  # noqa: TID251 (as in daemon_process)
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from checks.daemon_process import GRACE_S, BrokenPromiseError, Daemon, find_libfaketime
from checks.home_audit import committed, completed_tasks, discrepancies, doubled, stage_starts, unfinished

QUICK = bool(os.environ.get("QUICK"))
SEED = int(os.environ.get("SEED", "1"))
REPORT = Path("build/reliability.json")

PRE_MARKET = datetime(2012, 12, 12, 11, tzinfo=UTC)
OPEN = datetime(2012, 12, 12, 14, 30, tzinfo=UTC)
NEXT_PRE_MARKET = datetime(2012, 12, 13, 11, tzinfo=UTC)
AT_THE_STAGE = {"data_collection", "market_analysis", "risk_assessment"}
NOTICED_S = 35.0
"""A clock that was set is noticed within a nap of the wall clock, which is 30 s, and a little."""
RATE = 200
CONNECTIONS = 8
FLAT_MB = 25.0

Case = dict[str, Any]


def stops(rest: Path, home: Path, number: signal.Signals, draw: random.Random) -> Case:
    """End the daemon at one moment of each kind, start it again, and look for what is lost or doubled.

    ``rest`` is a home in which the pre-market stage is done.
    """

    def early(daemon: Daemon) -> None:
        daemon.wait_until(daemon.hears_sigterm, 10, "it hears signals")
        time.sleep(draw.uniform(0.0, 2.5))  # while it imports and opens its parts

    def before_the_open(daemon: Daemon) -> None:
        daemon.wait_ready()
        time.sleep(draw.uniform(0.0, 2.0))

    def during_orders(daemon: Daemon) -> None:
        lines = len(committed(daemon.home).entries)
        daemon.wait_until(lambda: len(committed(daemon.home).entries) > lines, 60, "it sends orders")
        time.sleep(draw.uniform(0.0, 1.0))

    def in_a_commit(daemon: Daemon) -> None:
        daemon.wait_ready()
        log = daemon.home / "belltower.db-wal"
        for _ in range(draw.randint(1, 12)):
            daemon.wait_until(partial(_written_since, log, log.stat().st_mtime_ns), 60, "it commits")

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
        left = unfinished(place) if number is signal.SIGTERM else []
        with Daemon(place, max(clock, OPEN - timedelta(seconds=1))) as daemon:
            daemon.wait_ready()
            daemon.wait_until(lambda: len(unfinished(place)) <= 1, 10, "broken runs are marked")
            time.sleep(3)
            again = daemon.stop()
        twice = doubled(place)
        wrong = [f"a run was left unfinished: {run}" for run in (*left, *unfinished(place))]
        for line in (*wrong, *twice, *discrepancies(place), *([f"{lost} durable lines are gone"] if lost else [])):
            raise BrokenPromiseError(f"{number.name} {name}: {line}")
        return {"lost": lost, "doubled": len(twice), "stop_s": max(took, again)}

    with ThreadPoolExecutor(len(moments)) as pool:
        cases = list(pool.map(lambda moment: one(*moment), moments))
    slowest = max(case["stop_s"] for case in cases)
    if slowest > GRACE_S:
        raise BrokenPromiseError(f"{number.name}: a stop took {slowest:.1f} s")
    return {
        "tried": len(cases),
        "lost": sum(case["lost"] for case in cases),
        "doubled": sum(case["doubled"] for case in cases),
        "slowest_stop_s": round(slowest, 3),
    }


def _written_since(path: Path, moment_ns: int) -> bool:
    return path.stat().st_mtime_ns != moment_ns


def rested(home: Path) -> None:
    """Make ``home`` one in which the pre-market stage of the day is done."""
    with Daemon(home, PRE_MARKET - timedelta(seconds=4)) as daemon:
        daemon.wait_ready()
        daemon.wait_until(lambda: completed_tasks(home) >= AT_THE_STAGE, 90, "the pre-market stage is done")
        daemon.stop()


def clock_steps(home: Path) -> Case:
    """Set the clock by an hour both ways while the daemon waits, and let it sleep through a night."""
    began: list[float] = []

    def began_in_time(day: str, stage: str, due: datetime) -> None:
        [at] = [at for name, one, at in stage_starts(home) if name == f"XNYS {day}" and one == stage]
        late = (at - due).total_seconds()
        began.append(round(late, 3))
        if late < 0 or (late > NOTICED_S and not daemon.said(f"{day} began at")):
            raise BrokenPromiseError(f"{stage} of {day} began {late:.1f} s after its time, and nothing says why")

    def days() -> set[str]:
        return {name for name, _, _ in stage_starts(home)}

    with Daemon(home, PRE_MARKET - timedelta(seconds=15)) as daemon:
        daemon.wait_ready()
        daemon.set_clock(daemon.now() - timedelta(hours=1))  # back: nothing may start at the old moment
        time.sleep(20)
        if days():
            raise BrokenPromiseError("a stage began an hour before its time, after the clock was set back")
        daemon.set_clock(daemon.now() + timedelta(hours=1))  # forward again: it is late by a few seconds
        daemon.wait_until(lambda: bool(days()), NOTICED_S, "the clock was set forward, and the day begins")
        began_in_time("2012-12-12", "pre_market", PRE_MARKET)
        daemon.set_clock(daemon.now() - timedelta(hours=1))  # back while the day runs: nothing of it runs again
        time.sleep(3)
        daemon.set_clock(NEXT_PRE_MARKET - timedelta(hours=1))
        daemon.send(signal.SIGSTOP)  # the lid is closed, and opened shortly before the next day
        daemon.set_clock(NEXT_PRE_MARKET - timedelta(seconds=12))
        time.sleep(2)
        daemon.send(signal.SIGCONT)
        daemon.wait_until(lambda: "XNYS 2012-12-13" in days(), 12 + NOTICED_S, "the next day begins")
        began_in_time("2012-12-13", "pre_market", NEXT_PRE_MARKET)
        daemon.wait_until(daemon.ready, 10, "it is ready again")
        daemon.stop()
    for line in (*doubled(home), *discrepancies(home)):
        raise BrokenPromiseError(f"clock steps: {line}")
    return {"tried": 4, "late_s": began}


def stopped_process(home: Path, seconds: float) -> Case:
    """Stop the process for a while: it says so, and goes on."""
    with alert_receiver() as (address, heard), Daemon(home, OPEN - timedelta(hours=8), alerts=address) as daemon:
        daemon.wait_ready()
        daemon.send(signal.SIGSTOP)
        time.sleep(seconds)
        daemon.send(signal.SIGCONT)
        took = daemon.wait_until(
            lambda: any("stood still" in text for text in heard), 30, "it tells that it stood still"
        )
        daemon.wait_until(daemon.ready, 10, "it is ready again")
        daemon.stop()
    return {"tried": 1, "stopped_s": seconds, "alert_after_s": round(took, 3)}


def ready_time(home: Path) -> Case:
    """Measure how long a warm machine takes from the start of the process to ready."""
    took = []
    for number in range(4):
        with Daemon(home / str(number)) as daemon:
            took.append(daemon.wait_ready())
            daemon.stop()
    return {"tried": len(took) - 1, "ready_s": [round(one, 3) for one in took[1:]]}


def load(rest: Path, home: Path, seconds: float) -> Case:
    """Ask ``RATE`` times a second while the session opens."""
    shutil.copytree(rest, home)
    with Daemon(home, OPEN - timedelta(seconds=8), settable=False) as daemon:
        daemon.wait_ready()
        asyncio.run(ask_often(daemon, 3.0))  # warm
        before = daemon.rss_mb()
        began = time.monotonic()
        taken = asyncio.run(ask_often(daemon, seconds))
        pace = len(taken) / (time.monotonic() - began)
        after = daemon.rss_mb()
        daemon.wait_until(lambda: any(stage == "market_open" for _, stage, _ in stage_starts(home)), 20, "it opens")
        [at] = [at for _, stage, at in stage_starts(home) if stage == "market_open"]
        daemon.stop()
    late = (at - OPEN).total_seconds()
    refused = sum(status != 200 for status, _ in taken)
    times = sorted(spent for _, spent in taken)
    case: Case = {
        "tried": len(taken),
        "lost": refused,
        "doubled": len(doubled(home)),
        "per_second": round(pace, 1),
        "median_ms": round(1000 * statistics.median(times), 2),
        "p99_ms": round(1000 * times[int(len(times) * 0.99)], 2),
        "rss_before_mb": round(before, 1),
        "rss_after_mb": round(after, 1),
        "open_late_s": round(late, 3),
    }
    if refused or late > 2 or pace < 0.95 * RATE or after - before > FLAT_MB:
        raise BrokenPromiseError(f"load: {case}")
    return case


async def ask_often(daemon: Daemon, seconds: float) -> list[tuple[int, float]]:
    """Ask at an even pace over a few connections; return status and duration of each."""
    port, token = daemon.port_and_token()
    loop = asyncio.get_running_loop()
    began, total = loop.time(), int(RATE * seconds)
    numbers = iter(range(total))
    taken: list[tuple[int, float]] = []

    async def caller() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            await asyncio.sleep(began + number / RATE - loop.time())  # noqa: TID251 (real load at a real pace)
            path = "/health/ready" if number % 2 else "/api/agentic/system/status"
            sent = loop.time()
            head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
            writer.write(head.encode())
            answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(answer.partition("content-length: ")[2].split("\r\n")[0]))
            taken.append((int(answer.split()[1]), loop.time() - sent))
        writer.close()
        await writer.wait_closed()

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(caller())
    return taken


@contextmanager
def alert_receiver() -> Iterator[tuple[str, list[str]]]:
    """Stand in for the chat that gets alerts: its address, and what it has heard."""
    heard: list[str] = []

    class Chat(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Chat)
    thread = threading.Thread(target=server.serve_forever, name="chat")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main() -> int:
    """Try every case, write the report, and return the exit code."""
    if find_libfaketime() is None:
        sys.stderr.write("reliability: libfaketime is missing: install the package faketime (Debian, Ubuntu)\n")
        return 2
    report: dict[str, Case] = {}
    with tempfile.TemporaryDirectory(prefix="belltower-reliability-") as folder:
        homes = Path(folder)
        rest = homes / "rest"
        cases: dict[str, Callable[[], Case]] = {"ready": lambda: ready_time(homes / "ready")}
        for number in (signal.SIGTERM, signal.SIGKILL):
            for turn in range(1 if QUICK else 5):
                name = f"{number.name.lower()} {turn + 1}"
                draw = random.Random(f"{SEED} {name}")  # noqa: S311 (moments, no secrets)
                cases[name] = lambda number=number, name=name, draw=draw: stops(rest, homes / name, number, draw)  # type: ignore[misc]  # the defaults bind this turn
        cases["clock steps"] = lambda: clock_steps(homes / "steps")
        cases["stopped process"] = lambda: stopped_process(homes / "stopped", 4 if QUICK else 60)
        cases["load"] = lambda: load(rest, homes / "load", 10 if QUICK else 120)
        rested(rest)
        wanted = sys.argv[1:]
        for name, attempt in cases.items():
            if wanted and not any(name.startswith(one) for one in wanted):
                continue
            began = time.monotonic()
            try:
                case = attempt()
            except BrokenPromiseError as error:
                case = {"broken": str(error)}
            report[name] = {**case, "took_s": round(time.monotonic() - began, 1)}
            sys.stdout.write(f"{'BROKEN' if 'broken' in case else 'kept  '}  {name}: {json.dumps(report[name])}\n")
            sys.stdout.flush()
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    return int(any("broken" in case for case in report.values()))


if __name__ == "__main__":
    sys.exit(main())
