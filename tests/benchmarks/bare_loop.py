"""The limit that the engine is measured against: a bare loop over the smallest honest journal.

A task counts as done, and frees what needs it, only when its result is committed to SQLite (WAL,
``synchronous=FULL``) by one writer thread that commits whatever has gathered. No priorities, retries,
timeouts, validation, events or metrics: what an engine adds on top is its price. Standard library only.

Run it for a table, or import ``WORKLOADS`` and ``run`` and measure the engine beside it in the same process.
"""

import asyncio
import json
import queue
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Hashable, Mapping, Sequence

Graph = Mapping[Hashable, Sequence[Hashable]]  # task -> the tasks that it needs

INSERT = "insert into event(run, task, kind, at, body) values (?, ?, ?, ?, ?)"


def fan_out(n: int = 1000) -> Graph:
    """W1: n independent tasks."""
    return {i: [] for i in range(n)}


def chain(n: int = 200) -> Graph:
    """W2: n tasks, each needing the one before."""
    return {i: ([i - 1] if i else []) for i in range(n)}


def layered(layers: int = 10, width: int = 100, fan: int = 3) -> Graph:
    """W3: each task needs ``fan`` tasks of the layer before."""
    return {
        (a, i): [(a - 1, (i + 37 * k) % width) for k in range(fan)] if a else []
        for a in range(layers)
        for i in range(width)
    }


class Journal:
    """A writer thread with natural group commit; ``put`` may carry a future that is set after the commit."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=full")
        self._db.execute(
            "create table event(id integer primary key, run text, task text, kind text, at real, body text)"
        )
        self._queue: queue.SimpleQueue = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def put(self, run: str, task: str, kind: str, body: str = "{}", done: asyncio.Future | None = None) -> None:
        self._queue.put(((run, task, kind, time.time(), body), done))

    async def put_durably(self, run: str, task: str, kind: str, body: str = "{}") -> None:
        done = self._loop.create_future()
        self.put(run, task, kind, body, done)
        await done

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()
        self._db.close()

    def _write(self) -> None:
        stopping = False
        while not stopping:
            batch = [self._queue.get()]
            while len(batch) < 1000:
                try:
                    batch.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            if batch[-1] is None:
                stopping = True
                batch.pop()
            if not batch:
                return
            self._db.execute("begin immediate")
            self._db.executemany(INSERT, [row for row, _ in batch])
            self._db.execute("commit")
            waiting = [done for _, done in batch if done is not None]
            if waiting:
                self._loop.call_soon_threadsafe(self._acknowledge, waiting)

    @staticmethod
    def _acknowledge(waiting: list[asyncio.Future]) -> None:
        for done in waiting:
            if not done.done():
                done.set_result(None)


async def no_op(n: int) -> dict:
    return {"n": n, "ok": True}


async def run_graph(journal: Journal, graph: Graph, *, concurrency: int = 50, run: str = "run") -> None:
    """Run one graph to its end."""
    loop = asyncio.get_running_loop()
    await journal.put_durably(run, "", "submitted")
    missing = {task: len(needs) for task, needs in graph.items()}
    frees: dict[Hashable, list[Hashable]] = {task: [] for task in graph}
    for task, needs in graph.items():
        for need in needs:
            frees[need].append(task)
    ready = [task for task, count in missing.items() if not count]
    ready.reverse()
    ended = loop.create_future()
    running, left, tasks = 0, len(graph), set()

    def pump() -> None:
        nonlocal running
        while ready and running < concurrency:
            running += 1
            handle = loop.create_task(one(ready.pop()))
            tasks.add(handle)
            handle.add_done_callback(tasks.discard)

    async def one(task: Hashable) -> None:
        nonlocal running, left
        journal.put(run, str(task), "started")
        result = await no_op(1)
        await journal.put_durably(run, str(task), "completed", json.dumps(result))
        running -= 1
        left -= 1
        for freed in frees[task]:
            missing[freed] -= 1
            if not missing[freed]:
                ready.append(freed)
        pump()
        if not left:
            ended.set_result(None)

    pump()
    await ended
    await journal.put_durably(run, "", "completed")


async def w4(journal: Journal, runs: int = 500, length: int = 5) -> None:
    """W4: many small runs at once."""
    await asyncio.gather(*(run_graph(journal, chain(length), run=f"run-{i}") for i in range(runs)))


async def w5(journal: Journal, times: int = 200) -> list[float]:
    """W5: seconds from a submission on an idle loop to the start of its body."""
    loop, out = asyncio.get_running_loop(), []
    for i in range(times):
        began = time.perf_counter()
        await journal.put_durably(f"run-{i}", "", "submitted")
        started = loop.create_future()

        async def body(started: asyncio.Future = started) -> None:
            started.set_result(time.perf_counter())

        task = loop.create_task(body())
        out.append(await started - began)
        await task
        await asyncio.sleep(0.002)
    return out


WORKLOADS = {
    "W1": lambda journal: run_graph(journal, fan_out()),
    "W2": lambda journal: run_graph(journal, chain()),
    "W3": lambda journal: run_graph(journal, layered()),
    "W4": w4,
}


def run(name: str, *, folder: str | None = None) -> float:
    """Wall seconds of one workload on a fresh journal in ``folder`` (the engine's disk, please)."""

    async def go() -> float:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            journal = Journal(f"{place}/bare.db")
            began = time.perf_counter()
            await WORKLOADS[name](journal)
            wall = time.perf_counter() - began
            journal.close()
            return wall

    return asyncio.run(go())


def start_latencies(*, folder: str | None = None) -> list[float]:
    """W5's sample, in seconds."""

    async def go() -> list[float]:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            journal = Journal(f"{place}/bare.db")
            out = await w5(journal)
            journal.close()
            return out

    return asyncio.run(go())


if __name__ == "__main__":
    for name, unit, scale in (
        ("W1", "tasks/s", 1000),
        ("W2", "ms a hop", 200),
        ("W3", "tasks/s", 1000),
        ("W4", "runs/s", 500),
    ):
        wall = statistics.median(run(name) for _ in range(5))
        print(f"{name}  {wall / scale * 1e3 if 'ms' in unit else scale / wall:10.2f} {unit}")
    sample = sorted(start_latencies())
    print(f"W5  {sample[100] * 1e3:10.2f} ms p50, {sample[197] * 1e3:.2f} ms p99")
