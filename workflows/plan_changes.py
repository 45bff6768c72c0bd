"""What changes about a plan: how two of them differ, and what is left of a day that an earlier run began."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from orchestration.domain.folding import FoldedTask, fold
from orchestration.domain.json_value import JsonValue
from orchestration.domain.records import Record, RecordKind
from orchestration.domain.session import Session
from orchestration.domain.states import Effects, RunStatus, TaskStatus
from orchestration.engine.run_state import RunState, rebuild
from orchestration.engine.stored_definition import from_json
from workflows.trading_day.day_plan import DayPlan, SkippedTask, iso

EARLIER = "earlier"
"""The stage of a continued day that holds the results of the runs before, and the mark of their tasks' names."""
CALLER_CANCELLED = "the caller was cancelled"
"""Why the engine says that a run ended when the desk was stopped in order: the day goes on when it starts again."""

_FOR_GOOD = {
    TaskStatus.FAILED: "failed",
    TaskStatus.TIMEOUT: "timed out",
    TaskStatus.SKIPPED: "was skipped",
    TaskStatus.EXPIRED: "expired",
}


def difference(old: DayPlan, new: DayPlan) -> tuple[str, ...]:
    """Return what is another way in ``new``, one readable line each; nothing when they are equal."""
    if old == new:
        return ()
    if old.date != new.date:
        return (f"the next day is {new.date} ({', '.join(new.day_types)}) instead of {old.date}",)
    lines = [
        *_changed("open", _hour(old.session, "opens_at"), _hour(new.session, "opens_at")),
        *_changed("close", _hour(old.session, "closes_at"), _hour(new.session, "closes_at")),
        *_changed("day types", ", ".join(old.day_types), ", ".join(new.day_types)),
        *_by_name("stage", _stages(old), _stages(new)),
        *_tasks(old, new),
        *_by_name("left out:", _left_out(old), _left_out(new)),
        *_listed("restriction", map(str, _restrictions(old)), map(str, _restrictions(new))),
        *_listed("warning", old.warnings, new.warnings),
    ]
    return tuple(lines) or ("only what is announced or given as a reason is different",)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRun:
    """How far a run of the same day came before it broke off.

    ``results`` are those of the tasks that are done; ``ended`` says of the others that ended what became of them, and
    ``unknown`` names those that were started, did not end, and may have changed something in the world.
    """

    execution_id: str
    results: Mapping[str, JsonValue]
    ended: Mapping[str, str]
    unknown: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """What is left of a day: its ``plan``, and the results that its tasks need from the runs ``executions``.

    ``carried`` is keyed by the name under which a task of ``plan`` depends on it.
    """

    plan: DayPlan
    executions: tuple[str, ...] = ()
    carried: Mapping[str, JsonValue] = field(default_factory=dict)

    def to_definition(self, definition: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``definition``, made of ``plan``, with a stage before all others that gives the carried results."""
        if not self.carried:
            return dict(definition)
        tasks = [
            {"name": name, "handler": f"{__name__}.carried_result", "params": {"result": result}, "effects": "none"}
            for name, result in self.carried.items()
        ]
        return {**definition, "stages": {EARLIER: {"tasks": tasks}, **definition["stages"]}}


def carried_result(result: JsonValue) -> JsonValue:
    """Return what a task of an earlier run returned: the handler of the tasks in the stage `EARLIER`."""
    return result


def goes_on(status: RunStatus, records: Sequence[Record]) -> bool:
    """Whether the day of a run that has ended may be continued.

    It may when its process was stopped in order, or died and left what today's code can't go on with; not when it came
    to its end or somebody cancelled it.
    """
    if status is RunStatus.CANCELLED:
        return any(r.kind is RecordKind.RUN_CANCELLED and r.data.get("reason") == CALLER_CANCELLED for r in records)
    return status is RunStatus.INTERRUPTED


def earlier_run(records: Sequence[Record]) -> EarlierRun:
    """Return how far the run came that ``records`` (all of them, in sequence) tell of."""
    definition: Any = records[0].data["definition"]
    state: RunState = rebuild(from_json(definition), records)
    results: dict[str, JsonValue] = {}
    ended: dict[str, str] = {}
    unknown: set[str] = set()
    for name, task in state.tasks.items():
        if task.satisfied:
            results[name] = task.result
        elif task.status in _FOR_GOOD:
            because = task.reason or task.error
            ended[name] = f"it {_FOR_GOOD[task.status]} in execution {state.run_id}" + (
                f": {because}" if because else ""
            )
        elif task.attempts and task.definition.effects is not Effects.NONE:
            unknown.add(name)
    return EarlierRun(execution_id=state.run_id, results=results, ended=ended, unknown=frozenset(unknown))


def continued(plan: DayPlan, earlier: Sequence[EarlierRun]) -> Continuation:
    """Return what is left of ``plan`` after the runs ``earlier``, the oldest first.

    What is done is not done again; what ended in another way, or has an unknown outcome, is left out together with
    everything that needs it. Tasks without effects that broke off are begun anew.
    """
    results = {name: result for run in earlier for name, result in run.results.items()}
    reasons: dict[str, str] = {}
    for run in earlier:
        reasons |= dict(run.ended)
        reasons |= dict.fromkeys(run.unknown, f"its outcome is unknown: see execution {run.execution_id}")
    reasons |= {name: f"done in execution {run.execution_id}" for run in earlier for name in run.results}
    lost = {name for name in reasons if name not in results}
    waiting = [task for task in plan.tasks if task.name not in reasons]
    while failing := [task for task in waiting if lost.intersection(task.dependencies)]:
        for task in failing:
            needed = next(name for name in task.dependencies if name in lost)
            reasons[task.name] = f"it needs {needed}, which is left out ({reasons[needed]})"
        lost |= {task.name for task in failing}
        waiting = [task for task in waiting if task.name not in lost]
    carried = {_carried(name): results[name] for task in waiting for name in task.dependencies if name in results}
    stages = tuple(
        replace(
            stage,
            tasks=tuple(
                replace(task, dependencies=tuple(_carried(n) if n in results else n for n in task.dependencies))
                for task in stage.tasks
                if task.name not in reasons
            ),
        )
        for stage in plan.stages
    )
    skipped = tuple(SkippedTask(name=t.name, reason=reasons[t.name]) for t in plan.tasks if t.name in reasons)
    return Continuation(
        plan=replace(plan, stages=stages, skipped=(*plan.skipped, *skipped)),
        executions=tuple(run.execution_id for run in earlier),
        carried=carried,
    )


def _carried(name: str) -> str:
    return f"{name}@{EARLIER}"


def _hour(session: Session | None, name: str) -> str:
    if session is None:
        return "none: the exchange is closed"
    moment: datetime = getattr(session, name)
    return iso(moment)


def _changed(what: str, before: str, after: str) -> Iterator[str]:
    if before != after:
        yield f"{what}: {after} instead of {before}"


def _by_name(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for name in before:
        if name not in after:
            yield f"{what} {name}: gone"
    for name, text in after.items():
        if name not in before:
            yield f"{what} {name}: new, {text}"
        elif before[name] != text:
            yield f"{what} {name}: {text} instead of {before[name]}"


def _listed(what: str, before: Iterable[str], after: Iterable[str]) -> Iterator[str]:
    old, new = list(before), list(after)
    yield from (f"{what} gone: {text}" for text in old if text not in new)
    yield from (f"{what}: {text}" for text in new if text not in old)


def _stages(plan: DayPlan) -> dict[str, str]:
    return {stage.name: f"{iso(stage.starts_at)} to {iso(stage.ends_at)}" for stage in plan.stages}


def _tasks(old: DayPlan, new: DayPlan) -> Iterator[str]:
    before, after = _described(old), _described(new)
    yield from _by_name("task", before, after)
    was = {task.name: task for task in old.tasks}
    for group in _folded(new):
        names = [str(occurrence["name"]) for occurrence in group.occurrences]
        now = {task.name: task for task in new.tasks if task.name in names}
        if before.get(group.name) == after[group.name] and any(was.get(name) != task for name, task in now.items()):
            yield f"task {group.name}: its details are different"


def _described(plan: DayPlan) -> dict[str, str]:
    found = {}
    for group in _folded(plan):
        first, last = group.occurrences[0], group.occurrences[-1]
        begins = first["starts_at"] or "the start of its stage"
        rhythm = f"{group.rhythm}, " if group.rhythm else ""
        found[group.name] = f"{rhythm}from {begins} to {last['deadline']} at the latest"
    return found


def _folded(plan: DayPlan) -> tuple[FoldedTask, ...]:
    return fold(task.to_json() for task in plan.tasks)


def _left_out(plan: DayPlan) -> dict[str, str]:
    return {skipped.name: skipped.reason for skipped in plan.skipped}


def _restrictions(plan: DayPlan) -> Iterator[str]:
    for r in plan.restrictions:
        concerned = "" if r.symbols is None else f" for {', '.join(sorted(r.symbols))}"
        yield f"{r.level} from {iso(r.starts_at)} to {iso(r.ends_at)}{concerned}: {r.reason}"
