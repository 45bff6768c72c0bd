"""Lay the plan and the run side by side: one line a task, the occurrences of a recurring one together."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from orchestration.domain.folding import base_name, fold
from orchestration.domain.json_reading import as_moment, as_number, as_object, as_objects, as_text, as_texts
from orchestration.domain.json_value import JsonObject, JsonValue

# What a reader looks for first: when several statuses meet in one line, the first of these colours it.
STATUSES = (
    "failed",
    "timeout",
    "expired",
    "cancelled",
    "skipped",
    "running",
    "retrying",
    "queued",
    "pending",
    "completed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One task of the run; the planned moments may be missing, and the real ones are where it never ran."""

    name: str
    status: str
    starts_at: datetime | None
    deadline: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    attempts: int
    reason: str
    error: str
    result: JsonValue

    @property
    def conclusion(self) -> str:
        """What the agent concluded, in its words; ``""`` where it says nothing."""
        return as_text(as_object(self.result).get("conclusion"))

    @property
    def method(self) -> str:
        """How the agent says that it got there."""
        return as_text(as_object(self.result).get("method"))

    @property
    def explanation(self) -> str:
        """Why it did not go to plan: its reason and its error, whatever there is."""
        return "; ".join(dict.fromkeys(filter(None, (self.reason, self.error))))

    @property
    def shown_at(self) -> datetime | None:
        """Where it belongs on a time axis: when it started, else when it should have."""
        return self.started_at or self.starts_at


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLine:
    """A task of the day with everything that became of it."""

    name: str
    agent: str
    task_type: str
    stage: str
    priority: str
    day_type: str
    dependencies: tuple[str, ...]
    rhythm: str
    occurrences: tuple[Occurrence, ...]

    @property
    def counts(self) -> tuple[tuple[str, int], ...]:
        """How many occurrences ended in which status, what needs attention first."""
        return count_statuses(o.status for o in self.occurrences)

    @property
    def status(self) -> str:
        """The status that needs attention most."""
        return self.counts[0][0]

    @property
    def last(self) -> Occurrence:
        """The latest occurrence that came to a result, else the latest of all."""
        ended = [o for o in self.occurrences if o.result is not None]
        return (ended or list(self.occurrences))[-1]

    @property
    def attempts(self) -> int:
        """How many attempts were made in all."""
        return sum(o.attempts for o in self.occurrences)

    @property
    def turns(self) -> tuple[Occurrence, ...]:
        """The occurrences whose conclusion differs from the one before."""
        spoken = [o for o in self.occurrences if o.conclusion]
        return tuple(o for i, o in enumerate(spoken) if i == 0 or spoken[i - 1].conclusion != o.conclusion)


def count_statuses(statuses: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Return each status with its number, in the order of `STATUSES`."""
    return tuple(sorted(Counter(statuses).items(), key=lambda item: _rank(item[0])))


def task_lines(plan: JsonObject, result: JsonObject) -> tuple[TaskLine, ...]:
    """Return the plan's tasks in its order, then those that only the run knows."""
    outcomes = as_object(result.get("tasks"))
    lines = [
        _line(task.name, as_text(stage.get("name")), task.occurrences, task.rhythm, outcomes)
        for stage in as_objects(plan.get("stages"))
        for task in fold(as_objects(stage.get("tasks")))
    ]
    planned = {occurrence.name for line in lines for occurrence in line.occurrences}
    strangers = [{"name": name} for name in outcomes if name not in planned]
    lines += [_line(task.name, "", task.occurrences, task.rhythm, outcomes) for task in fold(strangers)]
    return tuple(lines)


def latest_targets(lines: tuple[TaskLine, ...]) -> Mapping[str, float]:
    """Return the last target weights by symbol (0.25 is a quarter) that a task's result holds.

    They are under ``target_weights`` or ``targets``.
    """
    found: list[tuple[datetime, Mapping[str, float]]] = []
    for line in lines:
        for occurrence in line.occurrences:
            result = as_object(occurrence.result)
            weights = _weights(result.get("target_weights", result.get("targets")))
            if weights and occurrence.completed_at:
                found.append((occurrence.completed_at, weights))
    return max(found, key=lambda item: item[0])[1] if found else {}


def _rank(status: str) -> int:
    return STATUSES.index(status) if status in STATUSES else len(STATUSES)


def _line(name: str, stage: str, occurrences: tuple[JsonObject, ...], rhythm: str, outcomes: JsonObject) -> TaskLine:
    first = occurrences[0]
    dependencies = (base_name(d) for o in occurrences for d in as_texts(o.get("dependencies")))
    return TaskLine(
        name=name,
        agent=as_text(first.get("agent")) or "no agent",
        task_type=as_text(first.get("task_type")),
        stage=stage,
        priority=as_text(first.get("priority")).lower(),
        day_type=as_text(first.get("day_type")),
        dependencies=tuple(dict.fromkeys(dependencies)),
        rhythm=rhythm,
        occurrences=tuple(_occurrence(o, as_object(outcomes.get(as_text(o.get("name"))))) for o in occurrences),
    )


def _occurrence(planned: JsonObject, outcome: JsonObject) -> Occurrence:
    return Occurrence(
        name=as_text(planned.get("name")),
        status=as_text(outcome.get("status")) or "pending",
        starts_at=as_moment(planned.get("starts_at")),
        deadline=as_moment(planned.get("deadline")),
        started_at=as_moment(outcome.get("started_at")),
        completed_at=as_moment(outcome.get("completed_at")),
        attempts=int(as_number(outcome.get("attempts")) or 0),
        reason=as_text(outcome.get("reason")),
        error=_error(outcome.get("error")),
        result=outcome.get("result"),
    )


def _error(error: JsonValue) -> str:
    described = as_object(error)
    parts = (as_text(described.get("type")), as_text(described.get("message")))
    return ": ".join(filter(None, parts)) if described else as_text(error)


def _weights(targets: JsonValue) -> dict[str, float]:
    """Read ``{symbol: weight}``, ``{symbol: {"weight": w}}`` or ``[{"symbol": s, "weight": w}]``."""
    pairs = [(s, t) for s, t in as_object(targets).items()] or [
        (as_text(t.get("symbol")), t) for t in as_objects(targets)
    ]
    weights: dict[str, float] = {}
    for symbol, target in pairs:
        weight = as_object(target).get("weight", as_object(target).get("target_weight"))
        value = weight if isinstance(target, Mapping) else target
        if isinstance(value, int | float) and not isinstance(value, bool):
            weights[symbol] = float(value)
    return weights
