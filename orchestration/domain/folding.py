"""Fold the occurrences of recurring tasks in a plan, as plain values, into one line each."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from orchestration.domain.json_reading import as_moment, as_text
from orchestration.domain.json_value import JsonObject

_OCCURRENCE = re.compile(r"(?P<base>.+)@\d\d:\d\d(:\d\d)?Z")


def base_name(name: str) -> str:
    """Return the task that ``name@15:35Z`` is an occurrence of; any other name as it is."""
    match = _OCCURRENCE.fullmatch(name)
    return match["base"] if match else name


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedTask:
    """One task of a plan with all its occurrences, in the plan's order; a plain task has one."""

    name: str
    occurrences: tuple[JsonObject, ...]

    @property
    def recurring(self) -> bool:
        """Whether it is a recurring task, even one with a single occurrence."""
        return as_text(self.occurrences[0].get("name")) != self.name

    @property
    def rhythm(self) -> str:
        """``every 5 min, 54 times`` for a recurring task, else ``""``; the period is the shortest distance."""
        if not self.recurring:
            return ""
        times = f"{len(self.occurrences)} times" if len(self.occurrences) > 1 else "once"
        moments = [m for m in (as_moment(o.get("starts_at")) for o in self.occurrences) if m is not None]
        gaps = [later - earlier for earlier, later in pairwise(moments) if later > earlier]
        return f"every {_period(min(gaps))}, {times}" if gaps else times


def fold(tasks: Iterable[JsonObject]) -> tuple[FoldedTask, ...]:
    """Return the tasks in the order in which each appears first."""
    groups: dict[str, list[JsonObject]] = {}
    for task in tasks:
        groups.setdefault(base_name(as_text(task.get("name"))), []).append(task)
    return tuple(FoldedTask(name=name, occurrences=tuple(group)) for name, group in groups.items())


def _period(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
