"""Knock at the daemon's doors: often, while a session opens; and at every one of them, without the token."""

import asyncio
import json
import shutil
import statistics
import threading
import time  # noqa: TID251 (as in daemon_process)
from datetime import timedelta
from pathlib import Path

from checks.daemon_process import LIMIT_S, BrokenPromiseError, Case, Daemon
from checks.home_audit import counts, doubled, stage_starts
from checks.process_stops import OPEN

RATE = 200
CONNECTIONS = 8
BEHIND_S = 5.0
"""The last answer may come so long after its time: later, and the load was not the one that is spoken of."""
OPEN_LATE_S = 5.0
"""Whoever asks must not hold the session up. A free machine needs a tenth of a second."""
FLAT_MB = 5.0
"""Between the first quarter of the load, when all is imported and the day under way, and its end: in two minutes that
is less than 300 bytes a request, so a request that leaves anything behind is noticed. Seen: half a megabyte."""
OPEN_TO_ALL = {"/health/live", "/health/ready"}


def load(rest: Path, home: Path, seconds: float) -> Case:
    """Ask `RATE` times a second while the session opens. In ``rest`` the pre-market stage is done."""
    shutil.copytree(rest, home)
    with Daemon(home, OPEN - timedelta(seconds=25), settable=False) as daemon:
        daemon.wait_ready()
        asyncio.run(ask_often(daemon, 3.0))  # warm
        left_s = (OPEN - daemon.now()).total_seconds() - 3
        if left_s < 0:
            raise BrokenPromiseError("load: it was not ready before the open")
        time.sleep(left_s)
        memory: list[float] = []
        over = threading.Event()

        def watch() -> None:
            while not over.wait(seconds / 40):
                memory.append(daemon.rss_mb())

        watcher = threading.Thread(target=watch, name="memory")
        watcher.start()
        began = time.monotonic()
        try:
            taken = asyncio.run(ask_often(daemon, seconds))
        finally:
            over.set()
            watcher.join()
        spent_s = time.monotonic() - began
        daemon.wait_until(
            lambda: any(stage == "market_open" for _, stage, _ in stage_starts(home)), LIMIT_S, "it opens"
        )
        opens = [at for _, stage, at in stage_starts(home) if stage == "market_open"]
        daemon.stop()
    late = (opens[0] - OPEN).total_seconds()
    refused = sum(status != 200 for status, _ in taken)
    times = sorted(took for _, took in taken)
    settled, last = (statistics.median(part) for part in (memory[8:13], memory[-5:]))
    case: Case = {
        "tried": int(RATE * seconds),
        "lost": int(RATE * seconds) - len(taken) + refused,
        "doubled": len(doubled(home)) + len(opens) - 1,
        "per_second": round(len(taken) / spent_s, 1),
        "behind_s": round(spent_s - seconds, 3),
        "median_ms": round(1000 * statistics.median(times), 2),
        "p99_ms": round(1000 * times[int(len(times) * 0.99)], 2),
        "rss_first_mb": round(memory[0], 1),
        "rss_settled_mb": round(settled, 1),
        "rss_last_mb": round(last, 1),
        "open_late_s": round(late, 3),
        **counts(home),
    }
    kept = late <= OPEN_LATE_S and spent_s - seconds <= BEHIND_S and last - settled <= FLAT_MB
    if case["lost"] or case["doubled"] or not kept:
        raise BrokenPromiseError(f"load: {json.dumps(case)}")
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


def doors(home: Path) -> Case:
    """Walk over every route of the document, without a token and with a wrong one."""
    with Daemon(home) as daemon:
        daemon.wait_ready()
        status, document = daemon.ask("GET", "/openapi.json", daemon.port_and_token()[1])
        if status != 200:
            raise BrokenPromiseError(f"doors: the document of the routes answers {status}")
        routes = [
            (method.upper(), path) for path, methods in json.loads(document)["paths"].items() for method in methods
        ]
        routes += [("GET", path) for path in ("/openapi.json", "/docs", "/redoc", "/nothing")]
        opened = set()
        for method, path in routes:
            for token in (None, "x" * 43):
                status, _ = daemon.ask(method, path, token)
                if status != 401:
                    opened.add(f"{method} {path}: {status}")
        daemon.stop()
    expected = {f"GET {path}: 200" for path in OPEN_TO_ALL}
    if opened != expected:
        raise BrokenPromiseError(f"doors: open to strangers: {sorted(opened - expected)}, shut: {expected - opened}")
    return {"tried": 2 * len(routes), "routes": len(routes), "open": len(opened)}
