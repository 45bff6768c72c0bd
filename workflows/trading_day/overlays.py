"""Stage files laid over each other: ours first, then the user's, the standard day before what makes a day special."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from orchestration.days.day_types import DayType
from orchestration.days.earnings import When
from orchestration.days.stage_times import StageLengths, StageName
from orchestration.domain.errors import DefinitionError, nearest
from orchestration.domain.json_value import JsonObject
from orchestration.domain.states import Effects, TaskPriority
from workflows.trading_day.moments import OF_A_STAGE, Moment, parse_moment
from workflows.trading_day.stage_file import StageFile, TaskChange, TaskRow, read_stage_file

OUR_STAGES = Path(__file__).parent / "stages"
"""The stage files that the package ships, one a day type."""

"""The FOMC meetings that the package ships."""

TaskTypes = Mapping[str, frozenset[str]]
"""What each agent can do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """A task of a kind of day, before it has a date. ``stage`` is ``None`` for one placed by its moment."""

    name: str
    stage: StageName | None
    day_type: DayType
    agent: str
    task_type: str
    task_data: JsonObject = field(default_factory=dict)
    priority: TaskPriority = TaskPriority.MEDIUM
    dependencies: tuple[str, ...] = ()
    timeout_s: float | None = None
    max_retries: int | None = None
    effects: Effects | None = None
    starts: Moment | None = None
    deadline: Moment | None = None
    not_after: Moment | None = None
    every: timedelta | None = None
    opens_positions: bool = False
    on_closed_days: bool = False
    reports: When | None = None

    @property
    def sends_orders(self) -> bool:
        """Whether orders are sent, or decided on, so that it makes no sense without an open exchange."""
        return self.effects is Effects.ORDERS or self.opens_positions


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A task that a file took away, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedDay:
    """What a kind of day consists of."""

    tasks: tuple[TaskSpec, ...]
    removals: tuple[Removal, ...]
    lengths: StageLengths


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One stage file; ``added`` are the tasks that it brings."""

    path: Path
    day_type: DayType
    content: StageFile
    added: tuple[TaskSpec, ...]


@dataclass(frozen=True, slots=True)
class Overlays:
    """All stage files, in the order in which they are laid over each other."""

    layers: tuple[Layer, ...]

    def merged(self, types: Iterable[DayType]) -> MergedDay:
        """Return the day of these kinds: the standard one and what each of them adds, changes and takes away.

        What a file says of a task that the day does not have means nothing. On a closed day only those tasks are left
        that are marked to run then, and those of the closed day itself.
        """
        kinds = {DayType.STANDARD, *types}
        tasks: dict[str, TaskSpec] = {}
        removals: dict[str, Removal] = {}
        lengths = StageLengths()
        for layer in (layer for layer in self.layers if layer.day_type in kinds):
            lengths = replace(lengths, **layer.content.lengths.model_dump(exclude_none=True))
            tasks |= {spec.name: spec for spec in layer.added}
            for name, change in layer.content.change.items():
                if name in tasks:
                    tasks[name] = changed(tasks[name], change, f"{layer.path}: change.{name}")
            for name, reason in layer.content.remove.items():
                if tasks.pop(name, None):
                    removals[name] = Removal(name=name, reason=f"taken away by {layer.path.name}: {reason}")
        kept = tuple(tasks.values())
        if DayType.MARKET_CLOSED in kinds:
            kept = tuple(t for t in kept if t.on_closed_days or t.day_type is DayType.MARKET_CLOSED)
            removals.clear()
        return MergedDay(tasks=kept, removals=tuple(removals.values()), lengths=lengths)


def load_overlays(user_folder: Path | None = None, task_types: TaskTypes | None = None) -> Overlays:
    """Read our stage files and the user's (``*.yaml`` in ``user_folder``, which need not exist) and check them.

    With ``task_types`` an agent or a task type that is not among them is refused. Raises `DefinitionError`.
    """
    folders = [OUR_STAGES, *([user_folder] if user_folder and user_folder.is_dir() else [])]
    layers: list[Layer] = []
    for folder in folders:
        read = [(path, *read_stage_file(path)) for path in sorted(_files(folder))]
        read.sort(key=lambda item: (item[1] is not DayType.STANDARD, item[1]))
        layers += [Layer(path=p, day_type=kind, content=c, added=tuple(_added(p, kind, c))) for p, kind, c in read]
    _check(layers, task_types)
    return Overlays(tuple(layers))


def changed(spec: TaskSpec, change: TaskChange, where: str) -> TaskSpec:
    """Return ``spec`` with the fields that ``change`` names."""
    given = {name: getattr(change, name) for name in change.model_fields_set}
    for name, value in given.items():
        if value is None and name in {"agent", "task_type"}:
            raise DefinitionError(f"{where}.{name}: it is empty; every task has one")
    if "task_data" in given:
        given["task_data"] = {**spec.task_data, **given["task_data"]}
    if "dependencies" in given:
        given["dependencies"] = tuple(given["dependencies"])
    if "timeout" in given:
        given["timeout_s"] = given.pop("timeout")
    if "reports" in given:
        given["reports"] = When(given["reports"]) if given["reports"] else None
    after = replace(spec, **given)
    _check_moments(after, where)
    return after


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.suffix == ".yaml":
            yield path
        elif path.suffix == ".yml":
            raise DefinitionError(f"{path} is not read: rename it to {path.stem}.yaml")


def _added(path: Path, day_type: DayType, content: StageFile) -> Iterator[TaskSpec]:
    for stage, row in content.stages.items():
        for index, task in enumerate(row.tasks):
            yield _spec(task, stage, day_type, f"{path}: stages.{stage}.tasks[{index}]")
    for index, task in enumerate(content.tasks):
        yield _spec(task, None, day_type, f"{path}: tasks[{index}]")


def _spec(row: TaskRow, stage: StageName | None, day_type: DayType, where: str) -> TaskSpec:
    effects = row.effects or (Effects.ORDERS if row.agent == "trade_execution" else None)
    spec = TaskSpec(
        name=row.called,
        stage=stage,
        day_type=day_type,
        agent=row.agent,
        task_type=row.task_type,
        task_data=row.task_data,
        priority=row.priority,
        dependencies=tuple(row.dependencies),
        timeout_s=row.timeout,
        max_retries=row.max_retries,
        effects=effects,
        starts=row.starts,
        deadline=row.deadline,
        not_after=row.not_after,
        every=row.every,
        opens_positions=row.opens_positions,
        on_closed_days=row.on_closed_days,
        reports=When(row.reports) if row.reports else None,
    )
    _check_moments(spec, where)
    return spec


def _check_moments(spec: TaskSpec, where: str) -> None:
    for key, value in spec.task_data.items():
        if isinstance(value, str) and value.startswith("@"):
            _check_reference(value, f"{where}.task_data.{key}")
    if spec.stage is not None:
        return
    if spec.starts is None:
        raise DefinitionError(f"{where}: {spec.name} needs starts, since no stage says when it runs")
    for field_name in ("starts", "deadline", "not_after"):
        moment: Moment | None = getattr(spec, field_name)
        if moment is not None and moment.anchor in OF_A_STAGE:
            raise DefinitionError(
                f"{where}.{field_name}: {moment.anchor} is a stage's, and {spec.name} is in none; use open or close"
            )


def _check_reference(text: str, where: str) -> None:
    try:
        moment = parse_moment(text[1:])
    except DefinitionError as error:
        raise DefinitionError(f"{where}: {error}") from error
    if moment.anchor in OF_A_STAGE:
        raise DefinitionError(f"{where}: {text} is a stage's; use a moment of the whole day, such as @close-30m")


def _check(layers: list[Layer], task_types: TaskTypes | None) -> None:
    """Refuse names that are given twice or that nothing has, and work that no agent does."""
    specs: dict[str, TaskSpec] = {}
    for layer in layers:
        for spec in layer.added:
            if spec.name in specs:
                raise DefinitionError(f"{layer.path}: there is a task {spec.name!r} already; change it under change")
            specs[spec.name] = spec
            _check_work(layer.path, spec, task_types)
    for layer in layers:
        for spec in layer.added:
            _check_known(f"{layer.path}: {spec.name}.dependencies", spec.dependencies, specs)
        _check_known(f"{layer.path}: remove", layer.content.remove, specs)
        _check_known(f"{layer.path}: change", layer.content.change, specs)
        for name, change in layer.content.change.items():
            _check_known(f"{layer.path}: change.{name}.dependencies", change.dependencies, specs)
            _check_work(layer.path, changed(specs[name], change, f"{layer.path}: change.{name}"), task_types)


def _check_known(where: str, names: Iterable[str], specs: Mapping[str, TaskSpec]) -> None:
    for name in names:
        if name not in specs:
            raise DefinitionError(f"{where}: no task is called {name!r}{nearest(name, specs)}")


def _check_work(path: Path, spec: TaskSpec, task_types: TaskTypes | None) -> None:
    if task_types is None:
        return
    if spec.agent not in task_types:
        raise DefinitionError(
            f"{path}: {spec.name}.agent: {spec.agent!r} is not known{nearest(spec.agent, task_types)}"
        )
    able = task_types[spec.agent]
    if spec.task_type not in able:
        raise DefinitionError(
            f"{path}: {spec.name}.task_type: {spec.agent} cannot do {spec.task_type!r}{nearest(spec.task_type, able)}"
        )
