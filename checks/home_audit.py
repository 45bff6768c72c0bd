"""Look into the store that a daemon left, and say what is lost, doubled or does not add up."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

EARLIER = "earlier"
"""The stage of a continued day that only carries results over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """What was durable at a moment: the keys of every journal record and every line of the book."""

    events: frozenset[tuple[str, int]]
    entries: frozenset[int]

    def lost_in(self, later: "Committed") -> int:
        """How much of it is not there any more."""
        return len(self.events - later.events) + len(self.entries - later.entries)


def committed(home: Path) -> Committed:
    """Read what is durable now, beside the daemon."""
    with closing(_open(home)) as store:
        events = store.execute("SELECT execution_id, sequence FROM execution_events").fetchall()
        entries = store.execute("SELECT sequence FROM ledger_entries").fetchall()
    return Committed(events=frozenset(events), entries=frozenset(number for (number,) in entries))


def completed_tasks(home: Path) -> set[str]:
    """The tasks that were carried out to their end, in any run."""
    with closing(_open(home)) as store:
        rows = store.execute(
            "SELECT task FROM execution_events WHERE kind = 'task_completed' AND stage != ?", [EARLIER]
        )
        return {task for (task,) in rows}


def counts(home: Path) -> dict[str, int]:
    """How much there is: tasks that were completed in their own run, orders and fills in the book."""
    tasks = "SELECT COUNT(*) FROM execution_events WHERE kind = 'task_completed' AND stage != ?"
    lines = "SELECT COUNT(*) FROM ledger_entries WHERE kind = ?"
    asked = {"tasks": (tasks, EARLIER), "orders": (lines, "order_accepted"), "fills": (lines, "order_filled")}
    with closing(_open(home)) as store:
        return {name: store.execute(query, [value]).fetchone()[0] for name, (query, value) in asked.items()}


def stage_starts(home: Path) -> list[tuple[str, str, datetime]]:
    """Run, stage and moment of every stage that began, in order."""
    query = (
        "SELECT x.name, e.stage, e.at FROM execution_events e JOIN executions x ON x.id = e.execution_id "
        "WHERE e.kind = 'stage_started' AND e.stage != ? ORDER BY e.at"
    )
    with closing(_open(home)) as store:
        return [(name, stage, _moment(at)) for name, stage, at in store.execute(query, [EARLIER])]


def unfinished(home: Path) -> list[str]:
    """The runs that were begun and are not marked as ended.

    One that a stop met between its first record and its beginning stays ``pending``: nothing of it was done, and the
    next start begins it.
    """
    with closing(_open(home)) as store:
        rows = store.execute("SELECT name, id FROM executions WHERE status = 'running'")
        return [f"{name}, {run}" for name, run in rows]


def resumptions(home: Path) -> int:
    """How often a process went on with a run of one that was gone."""
    with closing(_open(home)) as store:
        count: int = store.execute("SELECT COUNT(*) FROM execution_events WHERE kind = 'run_resumed'").fetchone()[0]
        return count


def doubled(home: Path) -> list[str]:
    """Return a line for everything that happened twice and must not."""
    with closing(_open(home)) as store:
        return [*_tasks_twice(store), *_orders_twice(store)]


def discrepancies(home: Path) -> list[str]:
    """Return a line for everything that does not add up: damage, gaps, fills without orders, cash."""
    with closing(_open(home)) as store:
        return [*_damage(store), *_gaps(store), *_fills(store)]


def _open(home: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{home / 'belltower.db'}?mode=ro", uri=True, timeout=10)


def _moment(stored: str) -> datetime:
    return datetime.fromisoformat(stored).replace(tzinfo=UTC)


def _tasks_twice(store: sqlite3.Connection) -> Iterator[str]:
    """A task that ended well is never run again that day; one that may have changed the world is not even begun."""
    effects: dict[tuple[str, str], str] = {}
    for run, text in store.execute("SELECT execution_id, data FROM execution_events WHERE kind = 'run_created'"):
        for stage in json.loads(text)["definition"]["stages"]:
            effects |= {(run, task["name"]): task["effects"] for task in stage["tasks"]}
    query = (
        "SELECT x.name, e.execution_id, e.task, e.kind FROM execution_events e JOIN executions x ON x.id = "
        "e.execution_id WHERE e.kind IN ('task_started', 'task_completed') AND e.stage != ?"
    )
    ended: Counter[tuple[str, str]] = Counter()
    begun: dict[tuple[str, str], set[str]] = {}
    for day, run, task, kind in store.execute(query, [EARLIER]):
        if kind == "task_completed":
            ended[day, task] += 1
        elif effects[run, task] != "none":
            begun.setdefault((day, task), set()).add(run)
    yield from (f"{task} of {day} was completed {times} times" for (day, task), times in ended.items() if times > 1)
    yield from (
        f"{task} of {day} was begun in {len(runs)} runs" for (day, task), runs in begun.items() if len(runs) > 1
    )


def _orders_twice(store: sqlite3.Connection) -> Iterator[str]:
    for kind, key in (("order_accepted", "client_order_id"), ("order_filled", "fill_id")):
        rows = store.execute("SELECT data FROM ledger_entries WHERE kind = ?", [kind])
        for name, times in Counter(json.loads(text)[key] for (text,) in rows).items():
            if times > 1:
                yield f"{kind} {name} stands in the book {times} times"


def _damage(store: sqlite3.Connection) -> Iterator[str]:
    yield from (f"damaged: {row}" for (row,) in store.execute("PRAGMA integrity_check") if row != "ok")
    yield from (f"damaged: a row of {row[0]}" for row in store.execute("PRAGMA foreign_key_check"))


def _gaps(store: sqlite3.Connection) -> Iterator[str]:
    query = "SELECT execution_id, COUNT(*), MAX(sequence) FROM execution_events GROUP BY execution_id"
    yield from (
        f"run {run} has {count} records up to {last}" for run, count, last in store.execute(query) if count != last
    )
    count, last = store.execute("SELECT COUNT(*), COALESCE(MAX(sequence), 0) FROM ledger_entries").fetchone()
    if count != last:
        yield f"the book has {count} lines up to {last}"


def _fills(store: sqlite3.Connection) -> Iterator[str]:
    """Every fill belongs to an order, is no more than was left of it, and brought the cash that it says."""
    left: dict[str, Decimal] = {}
    for kind, text in store.execute("SELECT kind, data FROM ledger_entries ORDER BY sequence"):
        line = json.loads(text)
        if kind == "order_accepted":
            left[line["client_order_id"]] = Decimal(line["quantity"])
        elif kind == "order_filled":
            order, quantity = line["client_order_id"], Decimal(line["quantity"])
            left[order] = left.get(order, Decimal()) - quantity
            if left[order] < 0:
                yield f"{order} has more fills than it asked for"
            sign = -1 if line["side"] == "buy" else 1
            due = sign * quantity * Decimal(line["price"]) - Decimal(line["commission"])
            if abs(due - Decimal(line["cash"])) > Decimal("0.01"):
                yield f"{order}: a fill for {due} is booked with {line['cash']}"
