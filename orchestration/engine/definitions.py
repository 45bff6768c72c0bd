"""Check a workflow, whatever form it was written in, and complete it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from orchestration.domain.definition import (
    AgentWork,
    Announcement,
    CachePolicy,
    HandlerWork,
    StageDefinition,
    TaskDefinition,
    TypedWork,
    Work,
    WorkflowDefinition,
)
from orchestration.domain.errors import DefinitionError, nearest
from orchestration.domain.graph import in_order
from orchestration.domain.json_value import JsonValue
from orchestration.domain.recurrence import latest_not_after, occurrence_name, occurrences, parse_period
from orchestration.domain.session import Interval
from orchestration.domain.states import Effects, OnFailure
from orchestration.engine.expressions import parse
from orchestration.engine.forms import Behaviour, CacheForm, ListForm, StagedForm, StageForm, TaskForm, read_form
from orchestration.engine.in_process_executor import import_handler, method_name
from orchestration.engine.task_types import TaskTypes
from orchestration.schema import validate

RESERVED_DATA = ("inputs", "execution")
"""What the engine itself puts into an agent's ``task_data``."""
_BEHAVIOUR = tuple(Behaviour.model_fields)
_GOES_WITH = {"task_type": "agent", "task_data": "agent", "params": "handler", "config": "type"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What a task or a run gets that does not say otherwise."""

    timeout_s: float
    max_retries: int
    run_timeout_s: float


def read_definition(
    definition: object,
    *,
    agents: Mapping[str, object],
    task_types: TaskTypes,
    defaults: Defaults,
    parameters: Mapping[str, JsonValue],
) -> WorkflowDefinition:
    """Return ``definition`` checked and complete, the ``parameters`` that name a task merged into its params.

    Raises `DefinitionError` (`CircularDependencyError` for circles) that names the place and the nearest right name.
    """
    form = read_form(definition, task_types)
    stages = form.stages if isinstance(form, StagedForm) else {"main": _as_stage(form)}
    reader = _Reader(agents, task_types, defaults, parameters, staged=isinstance(form, StagedForm))
    for name, stage in stages.items():
        reader.read_stage(name, stage)
    tasks = [task for stage in reader.stages for task in stage.tasks]
    for name, count in Counter(task.name for task in tasks).items():
        if count > 1:
            raise DefinitionError(f"{count} tasks would be called {name!r}: rename one, or keep `every` within a day")
    in_order({task.name: task.dependencies for task in tasks})
    last = max((end for stage in reader.stages if (end := stage.ends_at or stage.starts_at)), default=None)
    ends_by = None if last is None or form.timeout else last + timedelta(seconds=defaults.run_timeout_s)
    return WorkflowDefinition(
        name=form.name,
        description=form.description,
        stages=tuple(reader.stages),
        timeout_s=form.timeout or (None if ends_by else defaults.run_timeout_s),
        ends_by=ends_by,
        announcements=tuple(
            Announcement(at=a.at, data={"kind": a.kind, "details": a.details}) for a in form.announcements
        ),
        env=tuple(form.env),
        labels=form.labels,
    )


def _as_stage(form: ListForm) -> StageForm:
    """The one stage of a list of tasks: with the mapping of who waits for whom, else in order."""
    names = [_name(task, f"tasks[{i}]") for i, task in enumerate(form.tasks)]
    if form.dependencies is not None:
        for name in form.dependencies:
            if name not in names:
                raise DefinitionError(f"dependencies: there is no task {name!r}{nearest(name, names)}")
        for task, name in zip(form.tasks, names, strict=True):
            task.dependencies = [*(task.dependencies or []), *form.dependencies.get(name, [])]
    elif all(task.dependencies is None for task in form.tasks):
        for task, previous in zip(form.tasks[1:], names, strict=False):
            task.dependencies = [previous]
    return StageForm(tasks=form.tasks, on_failure=OnFailure.FAIL)


def _name(task: TaskForm, where: str) -> str:
    name = task.name or task.task_type or task.type
    if not name:
        raise DefinitionError(f"{where}: a task needs a 'name', or an 'agent' with a 'task_type'")
    return name


class _Reader:
    """Reads stage after stage, so that dependencies only look back."""

    def __init__(
        self,
        agents: Mapping[str, object],
        task_types: TaskTypes,
        defaults: Defaults,
        parameters: Mapping[str, JsonValue],
        *,
        staged: bool,
    ) -> None:
        self._agents = agents
        self._task_types = task_types
        self._defaults = defaults
        self._parameters = parameters
        self._staged = staged
        self.stages: list[StageDefinition] = []
        self._names: set[str] = set()
        self._done_by: set[tuple[str, str]] = set()
        self._recurring: dict[str, tuple[datetime, ...]] = {}

    def read_stage(self, name: str, form: StageForm) -> None:
        """Add the stage ``name``."""
        where = f"stages.{name}" if self._staged else "the workflow"
        self._check_times(form, where)
        places = {}
        for index, task in enumerate(form.tasks):
            place = f"stages.{name}.tasks[{index}]" if self._staged else f"tasks[{index}]"
            task_name = _name(task, place)
            if task_name in self._names:
                raise DefinitionError(f"{place}: the name {task_name!r} is taken; names are unique in a run")
            self._names.add(task_name)
            places[task_name] = place
            if task.every is not None:
                self._recurring[task_name] = _moments(task, form, place)
        tasks: list[TaskDefinition] = []
        for (task_name, place), task in zip(places.items(), form.tasks, strict=True):
            tasks += self._read_task(name, task_name, task, form, place)
        self.stages.append(
            StageDefinition(
                name=name,
                tasks=tuple(tasks),
                starts_at=form.starts_at,
                ends_at=form.ends_at,
                on_failure=form.on_failure,
                timeout_s=form.timeout,
            )
        )

    def _check_times(self, form: StageForm, where: str) -> None:
        if form.ends_at is not None and form.starts_at is not None and form.ends_at <= form.starts_at:
            raise DefinitionError(f"{where}: ends_at {form.ends_at} is not after starts_at {form.starts_at}")

    def _read_task(
        self, stage: str, name: str, form: TaskForm, stage_form: StageForm, where: str
    ) -> Iterable[TaskDefinition]:
        work, behaviour = self._read_work(name, form, where)
        retries = self._defaults.max_retries if self._staged else 0
        effects = form.effects or _effects(work)
        dated = partial(
            TaskDefinition,
            stage=stage,
            work=work,
            priority=form.priority,
            timeout_s=behaviour.timeout or self._defaults.timeout_s,
            max_retries=retries if behaviour.max_retries is None else behaviour.max_retries,
            retry_delays=None if behaviour.retry_delays is None else tuple(behaviour.retry_delays),
            effects=effects,
            when=behaviour.when,
            skip_conditions=tuple(c.model_dump() for c in behaviour.skip_conditions),
            cache=None if behaviour.cache is None else _cache(behaviour.cache, effects, where),
        )
        if behaviour.when is not None:
            _named(f"{where}.when", lambda: parse(str(behaviour.when)))
        if name in self._recurring:
            moments = self._recurring[name]
            for moment, following in zip(moments, [*moments[1:], form.deadline or stage_form.ends_at], strict=True):
                needs = self._needs(form.dependencies or (), moment, where)
                yield dated(
                    name=occurrence_name(name, moment), dependencies=needs, starts_at=moment, deadline=following
                )
        else:
            _check_window(form, stage_form, where)
            needs = self._needs(form.dependencies or (), form.starts_at or stage_form.starts_at, where)
            yield dated(name=name, dependencies=needs, starts_at=form.starts_at, deadline=form.deadline)

    def _needs(self, names: Sequence[str], at: datetime | None, where: str) -> tuple[str, ...]:
        """The dependencies by the names of what will run: of a recurring task, its latest occurrence by ``at``."""
        needs: dict[str, None] = {}
        if len(set(names)) < len(names):
            name, count = Counter(names).most_common(1)[0]
            raise DefinitionError(f"{where}.dependencies: {name!r} stands there {count} times; once is enough")
        for name in names:
            if name not in self._names:
                hint = nearest(name, self._names)
                raise DefinitionError(f"{where}.dependencies: no task here or in an earlier stage is {name!r}{hint}")
            if name not in self._recurring:
                needs[name] = None
            elif (latest := None if at is None else latest_not_after(self._recurring[name], at)) is not None:
                needs[occurrence_name(name, latest)] = None
            else:
                raise DefinitionError(f"{where}.dependencies: {name!r} has no occurrence before this task starts")
        return tuple(needs)

    def _read_work(self, name: str, form: TaskForm, where: str) -> tuple[Work, Behaviour]:
        said = [key for key in ("agent", "handler", "type") if getattr(form, key) is not None]
        if len(said) != 1:
            found = " and ".join(said) or "none of them"
            raise DefinitionError(f"{where}: give one of 'agent', 'handler' and 'type'; found {found}")
        for field, owner in _GOES_WITH.items():
            if field in form.model_fields_set and owner != said[0]:
                raise DefinitionError(f"{where}.{field}: it goes with {owner!r}, and this task has {said[0]!r}")
        own = self._parameters.get(name)
        own = own if isinstance(own, Mapping) else {}
        behaviour: Behaviour = form
        work: Work
        if form.agent is not None:
            work = self._read_agent_work(form, {**form.task_data, **own}, where)
        elif form.handler is not None:
            path = form.handler
            _named(f"{where}.handler", lambda: import_handler(path))
            work = HandlerWork(handler=path, params={**form.params, **own})
        else:
            type_ = str(form.type)
            if type_ not in self._task_types:
                raise DefinitionError(f"{where}.type: {type_!r} is not known{nearest(type_, self._task_types)}")
            config = {**form.config, **own}
            said_there = {key: config.pop(key) for key in _BEHAVIOUR if key in config}
            if said_there:
                said_here = form.model_dump(include=set(_BEHAVIOUR), exclude_unset=True)
                behaviour = _named(where, lambda: validate(Behaviour, said_here | said_there))
            work = TypedWork(type=type_, config=config)
        return work, behaviour

    def _read_agent_work(self, form: TaskForm, data: dict[str, Any], where: str) -> AgentWork:
        agent, task_type = str(form.agent), form.task_type
        if agent not in self._agents:
            raise DefinitionError(f"{where}.agent: {agent!r} is not known{nearest(agent, self._agents)}")
        if task_type is None:
            raise DefinitionError(f"{where}: 'task_type' is missing; it says what {agent} is to do")
        if (agent, task_type) not in self._done_by:
            _named(f"{where}.task_type", lambda: method_name(self._agents[agent], agent, task_type))
            self._done_by.add((agent, task_type))
        for key in RESERVED_DATA:
            if key in data:
                raise DefinitionError(f"{where}.task_data: the engine itself gives {key!r}; choose another name")
        return AgentWork(agent=agent, task_type=task_type, data=data)


def _named(where: str, check: Any) -> Any:
    """Call ``check`` and say ``where`` it failed if it did."""
    try:
        return check()
    except DefinitionError as error:
        raise DefinitionError(f"{where}: {error}") from error


def _effects(work: Work) -> Effects:
    match work:
        case AgentWork():
            return Effects.ORDERS if work.agent == "trade_execution" else Effects.NONE
        case HandlerWork():
            return Effects.EXTERNAL
        case TypedWork():
            return Effects.NONE if work.type in {"log", "wait"} else Effects.EXTERNAL


def _cache(form: CacheForm, effects: Effects, where: str) -> CachePolicy:
    """Refuse what would leave an effect out: a result that is reused is one that was not worked for."""
    if effects is not Effects.NONE:
        raise DefinitionError(
            f"{where}.cache: the task has effects ({effects}), and a result that is reused brings none about: "
            "leave cache out, or say 'effects: none' if it changes nothing"
        )
    return CachePolicy(key=form.key, ttl_s=form.ttl)


def _moments(task: TaskForm, stage: StageForm, where: str) -> tuple[datetime, ...]:
    start, end = task.starts_at or stage.starts_at, task.deadline or stage.ends_at
    if start is None or end is None:
        raise DefinitionError(f"{where}.every: only a stage with starts_at and ends_at can have recurring tasks")
    _check_window(task, stage, where)
    return occurrences(Interval(starts_at=start, ends_at=end), parse_period(str(task.every), f"{where}.every"))


def _check_window(task: TaskForm, stage: StageForm, where: str) -> None:
    """Refuse times that can't be reached."""
    first, last = stage.starts_at, stage.ends_at
    if task.starts_at is not None:
        if first is not None and task.starts_at < first:
            raise DefinitionError(f"{where}.starts_at: {task.starts_at} is before its stage starts, {first}")
        if last is not None and task.starts_at >= last:
            raise DefinitionError(f"{where}.starts_at: {task.starts_at} is not before its stage ends, {last}")
    start = task.starts_at or first
    if task.deadline is not None and start is not None and task.deadline <= start:
        raise DefinitionError(f"{where}.deadline: {task.deadline} is not after {start}, when the task may start")
