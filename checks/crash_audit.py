"""Look at what a light desk left: its store, its marks, and what the exchange has seen; say what is lost or doubled."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from checks.crash_desk import Place

ENDS = {"task_completed", "task_failed", "task_skipped", "task_expired", "task_cancelled"}
FILED = {"filed", "filed_again", "guess"}
"""The tasks whose effect is a mark."""
RUN_ENDS = {"run_completed": "completed", "run_failed": "failed", "run_cancelled": "cancelled"}


@dataclass(slots=True)
class Found:
    """What was counted; ``wrong`` has a line for all that must not be."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def lost(self, what: str) -> None:
        """Something that was acknowledged is not there."""
        self.counts["lost"] += 1
        self.wrong.append(what)

    def doubled(self, what: str) -> None:
        """Something happened twice."""
        self.counts["doubled"] += 1
        self.wrong.append(what)

    def add(self, other: "Found") -> None:
        """Count ``other`` in."""
        self.counts += other.counts
        self.wrong += other.wrong

    def to_json(self) -> dict[str, Any]:
        """Everything, with a zero for what was looked for and not found."""
        kept = {name: self.counts[name] for name in (*ZEROES, *sorted(self.counts.keys() - ZEROES.keys()))}
        return {**kept, **({"broken": self.wrong[:10]} if self.wrong else {})}


ZEROES = dict.fromkeys(("lost", "doubled", "finished_twice", "unended", "gaps"), 0)


def audit(place: Place, seen: Mapping[str, Any]) -> Found:
    """Audit one home; ``seen`` is what the exchange has seen of this home only."""
    found = Found()
    marks = read_marks(place.marks)
    with closing(sqlite3.connect(f"file:{place.home / 'belltower.db'}?mode=ro", uri=True)) as store:
        if (sound := store.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            found.wrong.append(f"the store is damaged: {sound}")
        runs = {run: _Run(run, status) for run, status in store.execute("SELECT id, status FROM executions")}
        rows = store.execute("SELECT execution_id, sequence, kind, task, data FROM execution_events ORDER BY 1, 2")
        for run, sequence, kind, task, data in rows:
            runs[run].apply(sequence, kind, task, json.loads(data))
        halts = [reason for (reason,) in store.execute("SELECT reason FROM halts")]
    found.wrong += [f"the desk halted: {reason}" for reason in halts]
    for run in runs.values():
        found.counts += run.counts()
        found.wrong += run.wrong
    _acknowledged(found, runs, marks)
    _effects(found, runs, marks)
    _failures(found, runs)
    _orders(found, runs, seen)
    found.counts["runs"] = len(runs)
    return found


class _Run:
    """One run, as its records tell it."""

    def __init__(self, run_id: str, status: str) -> None:
        self.run_id = run_id
        self.status = status
        self.ticket = ""
        self.tasks: dict[str, dict[str, Any]] = {}
        self.ends: dict[str, tuple[str, dict[str, Any]]] = {}
        self.retries: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._counted: Counter[str] = Counter()
        self._last = 0
        self._ended = ""

    def apply(self, sequence: int, kind: str, task: str | None, data: dict[str, Any]) -> None:
        """Take in the next record."""
        if sequence != self._last + 1:
            self._counted["gaps"] += 1
            self.wrong.append(f"run {self.run_id}: record {sequence} follows {self._last}")
        self._last = sequence
        if self._ended:
            self.wrong.append(f"run {self.run_id}: {kind} after its end")
        if kind == "run_created":
            self.ticket = str(data["definition"]["labels"]["ticket"])
            self.tasks = {t["name"]: t for stage in data["definition"]["stages"] for t in stage["tasks"]}
        elif kind in RUN_ENDS:
            self._ended = RUN_ENDS[kind]
        elif task is not None:
            self._apply_to_task(kind, task, data)

    def end_of(self, task: str) -> str | None:
        """The kind of the record that ended the task."""
        return self.ends[task][0] if task in self.ends else None

    def counts(self) -> Counter[str]:
        """What there is to count, once all records are in."""
        if self.status == "cancelled" and self._last == len(("run_created", "run_cancelled")):
            return Counter(withdrawn=1)  # its creator was told that it was not made
        if self.status not in RUN_ENDS.values() or self.status != self._ended:
            self._counted["unended"] += 1
            self.wrong.append(f"run {self.run_id} is {self.status}, by its records {self._ended or 'unended'}")
        left = sorted(self.tasks.keys() - self.ends.keys())
        if left:
            self.wrong.append(f"run {self.run_id}: tasks without an end: {left}")
        self._counted["tasks"] = len(self.ends)
        return self._counted

    def _apply_to_task(self, kind: str, task: str, data: dict[str, Any]) -> None:
        if task in self.ends and kind in {*ENDS, "task_started", "task_queued", "task_retrying", "task_interrupted"}:
            self._counted["finished_twice"] += kind in ENDS
            self.wrong.append(f"run {self.run_id}, {task}: {kind} after {self.ends[task][0]}")
        if kind == "task_interrupted":
            self._counted["attempts_lost"] += 1
        elif kind == "task_retrying":
            self.retries[task] += 1
        elif kind in ENDS:
            self.ends[task] = (kind, data)


def _acknowledged(found: Found, runs: Mapping[str, _Run], marks: list[list[str]]) -> None:
    """What somebody was told is there, and only once where it was asked for once."""
    tickets: defaultdict[str, list[str]] = defaultdict(list)
    for one in runs.values():
        if one.status != "cancelled":
            tickets[one.ticket].append(one.run_id)
    for ticket, its in tickets.items():
        if len(its) > 1:
            found.doubled(f"ticket {ticket} has the runs {its}")
    taken = Counter((run, rest[0]) for verb, run, *rest in marks if verb == "taken")
    for (run, token), times in taken.items():
        if times > 1:
            found.doubled(f"run {run} was taken over {times} times with the token {token}")
    found.counts["taken_over"] = len(taken)
    for verb, run, *rest in marks:
        if verb == "created" and run not in runs:
            found.lost(f"run {run} was acknowledged and is gone")
        elif verb == "ended" and (run not in runs or runs[run].status != rest[0]):
            found.lost(f"run {run} was told to be {rest[0]}")
        elif verb == "told" and (run not in runs or runs[run].end_of(rest[0]) != "task_completed"):
            found.lost(f"run {run}: {rest[0]} was told to be completed")
    found.counts["lives"] = sum(verb == "up" for verb, *_ in marks)


def _effects(found: Found, runs: Mapping[str, _Run], marks: list[list[str]]) -> None:
    """What changes the world did it once, and was asked about before it was tried again."""
    executed: Counter[tuple[str, str]] = Counter()
    effects: Counter[tuple[str, str]] = Counter()
    cleared: Counter[tuple[str, str]] = Counter()
    for verb, run, task, *rest in (mark for mark in marks if mark[0] in {"execute", "effect", "reconcile"}):
        key = run, task
        if verb == "execute":
            executed[key] += 1
            failed = runs[run].retries[task] if run in runs else 0
            if executed[key] > 1 + cleared[key] + failed:
                found.doubled(f"run {run}, {task}: tried again without being asked about")
        elif verb == "effect":
            effects[key] += 1
        else:
            found.counts["reconciled"] += 1
            cleared[key] += rest[-1] == "not_done"
    for (run, task), times in effects.items():
        if times > 1:
            found.doubled(f"run {run}, {task}: its effect is there {times} times")
    for one in runs.values():
        for name in FILED & one.ends.keys():
            if one.end_of(name) == "task_completed":
                found.counts["effects"] += 1
                if effects[one.run_id, name] != 1:
                    found.lost(f"run {one.run_id}, {name} is completed, and its effect is not there")


def _failures(found: Found, runs: Mapping[str, _Run]) -> None:
    """Nothing fails but what nobody can be asked about."""
    for run in runs.values():
        for name, (kind, data) in run.ends.items():
            if kind != "task_failed":
                continue
            if "outcome is unknown" in str(data.get("error")):
                found.counts["unknown" if name == "guess" else "unknown_after_asking"] += 1
            else:
                found.wrong.append(f"run {run.run_id}, {name} failed: {data.get('error')}")


def _orders(found: Found, runs: Mapping[str, _Run], seen: Mapping[str, Any]) -> None:
    """Each leg of a completed order task arrived exactly once, and nothing else did."""
    wanted: dict[str, tuple[str, str, Decimal]] = {}
    for run in runs.values():
        for name, task in run.tasks.items():
            legs = {f"{run.run_id}:{name}:{number}": leg for number, leg in enumerate(_legs(task), 1)}
            wanted |= legs
            if run.end_of(name) == "task_completed":
                for gone in legs.keys() - seen["orders"].keys():
                    found.lost(f"{gone} never arrived, and its task is completed")
    held: defaultdict[str, Decimal] = defaultdict(Decimal)
    for name, state in seen["orders"].items():
        order = state["order"]
        if wanted.get(name) != (order["symbol"], order["side"], Decimal(order["quantity"])):
            found.doubled(f"{name} is an order of nobody")
        if state["status"] != "filled":
            found.wrong.append(f"{name} is {state['status']}")
        held[order["symbol"]] += (1 if order["side"] == "buy" else -1) * Decimal(state["filled_quantity"])
    if held != {symbol: Decimal(quantity) for symbol, quantity in seen["positions"].items()}:
        found.wrong.append("the positions are not what the orders add up to")
    for name, times in seen["arrivals"].items():
        if times > 1:
            found.doubled(f"{name} arrived {times} times")
    found.wrong += [f"{name} came with other contents" for name in seen["conflicts"]]
    found.counts["orders"] = len(seen["orders"])
    found.counts["lost_replies"] = seen["lost_replies"]


def _legs(task: Mapping[str, Any]) -> Iterator[tuple[str, str, Decimal]]:
    data = task["work"].get("data", {})
    for leg in data.get("legs", ()):
        yield leg["symbol"], leg["side"], Decimal(leg["quantity"])


def read_marks(path: Path) -> list[list[str]]:
    """The marks, each split into words."""
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []
