"""Take the store away from thousands of small runs, every few seconds and in every way, and compare every result."""

import asyncio
import json
import random  # noqa: TID251 (instants, no money)
import sqlite3
import time  # noqa: TID251 (faults come by the machine's clock)
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from checks.crash_audit import Found, read_marks
from checks.crash_desk import Place, created
from checks.crash_lives import BrokenPromiseError, Case, Life, new_place
from checks.crash_work import Marks
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.migration import upgrade
from orchestration.adapters.sql.run_store import SqlRunStore
from orchestration.engine.engine import WorkflowEngine

STEPS = ("double", "add", "square")
AT_ONCE = 60
LIMIT_S = 900.0
MANY = 5000
"""Fewer runs have the store for a shorter time in between, so that it is taken away from them as often."""


class Reckoner:
    """Does sums, and marks each one that it does."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks

    async def analyze(self, data: Mapping[str, Any]) -> Any:
        """Do the step of that name with what the one before it gave, or with the ticket."""
        execution = data["execution"]
        self._marks.about("sum", data)
        before = next(iter(data["inputs"].values()), {"value": data["value"]})["value"]
        return {"value": _step(execution["task"], before)}


async def reckon(place: Place, *, born: float, runs: int) -> None:
    """Carry out ``runs`` runs of three steps, and go on with what is left; mark every result."""
    marks = Marks(place.marks)
    config = SimpleNamespace(max_concurrent_tasks=50, max_retries=10_000)
    async with Database(place.url) as database:
        await upgrade(database)
        async with WorkflowEngine({"reckoner": Reckoner(marks)}, config, run_store=SqlRunStore(database)) as engine:
            for one in await engine.recover():
                result = await engine.execute_workflow(one.run_id)
                marks.add("late", one.run_id, result["status"])
            marks.add("up", round(time.monotonic() - born, 4))
            room = asyncio.Semaphore(AT_ONCE)

            async def one_run(ticket: int) -> None:
                async with room:
                    run_id = await created(engine, _definition(ticket), str(ticket))
                    result = await engine.execute_workflow(run_id)
                    last = result["tasks"][STEPS[-1]]["result"]
                    marks.add("result", run_id, ticket, result["status"], last and last["value"])

            async with asyncio.TaskGroup() as group:
                for ticket in range(runs):
                    group.create_task(one_run(ticket))


def store_away(runs: int, *, seed: str) -> Case:
    """Take the store away again and again until all ``runs`` are done; count what is not as it should be."""
    draw = random.Random(seed)  # noqa: S311 (instants, no secrets)
    ways: list[Callable[[Path], Any]] = [renamed, folder_renamed, locked, exclusive]
    times: Counter[str] = Counter()
    with new_place() as (place, _):
        file, began = place.home / "belltower.db", time.monotonic()
        life = Life(place, work=reckon, runs=runs)
        try:
            while not any(words[0] == "up" for words in read_marks(place.marks)):
                time.sleep(0.01)
                _check(life)
            while life.poll() is None and time.monotonic() < began + LIMIT_S:
                way = ways[sum(times.values()) % len(ways)]
                with way(file):
                    times[way.__name__] += 1
                    time.sleep(draw.choice([0.1, 0.5, 1.5, 6.0]))  # SQLite itself waits five seconds for a lock
                until = time.monotonic() + draw.uniform(0.5, 2.5) * min(1.0, runs / MANY)
                while life.poll() is None and time.monotonic() < until:
                    time.sleep(0.01)
            life.end_well(30)
        finally:
            life.gone()
        took = time.monotonic() - began
        after = Life(place, work=reckon, runs=0)
        try:
            after.end_well(120)
        finally:
            after.gone()
        found = _compared(place, runs)
    return {"tried": runs, "taken_away": sum(times.values()), **times, **found.to_json(), "runs_took_s": round(took, 1)}


@contextmanager
def renamed(file: Path) -> Iterator[None]:
    """The file has another name."""
    away = file.with_name("away.db")
    file.rename(away)
    try:
        yield
    finally:
        away.rename(file)


@contextmanager
def folder_renamed(file: Path) -> Iterator[None]:
    """Its folder has another name, as when a disk is not mounted."""
    away = file.parent.with_name("away")
    file.parent.rename(away)
    try:
        yield
    finally:
        away.rename(file.parent)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another connection is about to write."""
    with closing(sqlite3.connect(file, isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def exclusive(file: Path) -> Iterator[None]:
    """Another connection keeps everybody out."""
    with closing(sqlite3.connect(file, isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def _compared(place: Place, runs: int) -> Found:
    """Compare what was told, what is stored and what was done with what should be."""
    found, marks = Found(), read_marks(place.marks)
    told = {int(ticket): (run, status, value) for verb, run, ticket, status, value in _only(marks, "result")}
    sums = Counter((run, task) for _, run, task, *_ in _only(marks, "sum"))
    late = [run for _, run, _ in _only(marks, "late")]
    by_ticket: dict[int, list[tuple[str, str]]] = {ticket: [] for ticket in range(runs)}
    values: dict[tuple[str, str], list[int]] = {}
    with closing(sqlite3.connect(f"file:{place.home / 'belltower.db'}?mode=ro", uri=True)) as store:
        for run, status, text in store.execute(
            "SELECT x.id, x.status, e.data FROM executions x "
            "JOIN execution_events e ON e.execution_id = x.id AND e.sequence = 1"
        ):
            by_ticket[int(json.loads(text)["definition"]["labels"]["ticket"])].append((run, status))
        for run, task, text in store.execute(
            "SELECT execution_id, task, data FROM execution_events WHERE kind = 'task_completed'"
        ):
            values.setdefault((run, task), []).append(json.loads(text)["result"]["value"])
        runs_in_store = "SELECT COUNT(*) AS n, MAX(sequence) AS m FROM execution_events GROUP BY execution_id"
        gaps = f"SELECT COUNT(*) FROM ({runs_in_store}) WHERE n != m"  # noqa: S608 (our own words)
        found.counts["gaps"] = store.execute(gaps).fetchone()[0]
    for ticket, its in by_ticket.items():
        carried_out = [run for run, status in its if status != "cancelled"]
        found.counts["unended"] += sum(status not in {"completed", "cancelled"} for _, status in its)
        found.counts["lost"] += not carried_out
        found.counts["doubled"] += max(0, len(carried_out) - 1)
        found.counts["withdrawn"] += len(its) - len(carried_out)
        if len(carried_out) != 1:
            found.wrong.append(f"ticket {ticket} has the runs {its}")
        value = ticket
        for step in STEPS:
            value = _step(step, value)
            for run in carried_out:
                found.counts["finished_twice"] += len(values.get((run, step), [])) > 1
                if values.get((run, step)) != [value]:
                    found.wrong.append(f"ticket {ticket}, {step}: {values.get((run, step))} instead of {value}")
        if told.get(ticket, ("", "", ""))[1:] != ("completed", str(value)):
            found.counts["lost"] += 1
            found.wrong.append(f"ticket {ticket} was told {told.get(ticket)} instead of {value}")
    twice = [key for key, times in sums.items() if times > 1]
    found.counts["doubled"] += len(twice)
    found.wrong += [f"run {run}, {task} was carried out {sums[run, task]} times" for run, task in twice]
    found.counts["carried_out_late"] = len(late)
    found.counts["exact"] = (
        sum(told.get(t, ("", "", ""))[1] == "completed" for t in by_ticket) if not found.wrong else 0
    )
    return found


def _only(marks: list[list[str]], verb: str) -> list[list[str]]:
    return [words for words in marks if words[0] == verb]


def _check(life: Life) -> None:
    if life.poll() is not None:
        raise BrokenPromiseError(f"it ended by itself with {life.poll()}: {life.tail()}")


def _definition(ticket: int) -> dict[str, Any]:
    tasks = [
        {
            "name": step, "agent": "reckoner", "task_type": step, "task_data": {"value": ticket},
            "dependencies": [STEPS[number - 1]] if number else [],
        }
        for number, step in enumerate(STEPS)
    ]  # fmt: skip
    return {"name": "sums", "stages": {"only": {"tasks": tasks}}}


def _step(name: str, value: int) -> int:
    match name:
        case "double":
            return 2 * value
        case "add":
            return value + 7
        case _:
            return value * value
