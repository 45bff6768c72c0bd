"""The form of a stage file: what a kind of day adds to the desk's day, changes in it and takes away."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from orchestration.days.day_types import DayType
from orchestration.days.stage_times import StageName
from orchestration.domain.errors import DefinitionError, nearest
from orchestration.domain.json_value import to_json_value
from orchestration.domain.states import Effects, TaskPriority
from workflows.desk_files.checked_file import checked, read_yaml
from workflows.trading_day.moments import Moment, parse_length, parse_moment


def _moment(value: object) -> object:
    return _said(lambda: parse_moment(value)) if isinstance(value, str) else value


def _length(value: object) -> object:
    if isinstance(value, timedelta) or value is None:
        return value
    return _said(lambda: parse_length(str(value)))


def _priority(value: object) -> object:
    return _said(lambda: TaskPriority.parse(value))


def _data(value: object) -> object:
    return _said(lambda: to_json_value(value, "task_data"))


def _said(parse: Any) -> object:
    """Return what ``parse`` returns; its `DefinitionError` becomes one that pydantic reports with its place."""
    try:
        return parse()
    except DefinitionError as error:
        raise ValueError(str(error)) from None


MomentText = Annotated[Moment, BeforeValidator(_moment)]
Length = Annotated[timedelta, BeforeValidator(_length)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
Priority = Annotated[TaskPriority, BeforeValidator(_priority)]
Data = Annotated[dict[str, Any], BeforeValidator(_data)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class TaskChange(_Strict):
    """Fields of a task; in ``change`` only those that are to be different. ``task_data`` is merged key by key.

    ``starts``, ``deadline`` and ``not_after`` are moments, ``every`` a length, ``timeout`` seconds. ``reports`` limits
    a task to days on which a name reports before the open or after the close; its ``task_data`` gets the ``symbols``.
    """

    agent: str | None = None
    task_type: str | None = None
    task_data: Data = {}
    priority: Priority = TaskPriority.MEDIUM
    dependencies: list[str] = []
    timeout: Annotated[float, Field(gt=0)] | None = None
    max_retries: Annotated[int, Field(ge=0)] | None = None
    effects: Effects | None = None
    starts: MomentText | None = None
    deadline: MomentText | None = None
    not_after: MomentText | None = None
    every: Length | None = None
    opens_positions: bool = False
    on_closed_days: bool = False
    reports: Literal["before", "after"] | None = None


class TaskRow(TaskChange):
    """A task as a file adds it; without a ``name`` it is called by its task type."""

    name: Name | None = None
    agent: str
    task_type: str

    @property
    def called(self) -> str:
        """The task's name."""
        return self.name or self.task_type


class StageRow(_Strict):
    """The tasks that a file adds to a stage."""

    tasks: list[TaskRow] = []


class LengthsRow(_Strict):
    """How long stages last; `intraday` gets what is left."""

    pre_market: Length | None = None
    market_open: Length | None = None
    close: Length | None = None
    post_market: Length | None = None


class StageFile(_Strict):
    """One file. ``tasks`` are those that belong to whichever stage holds the moment at which they start."""

    day_type: DayType | None = None
    description: str = ""
    lengths: LengthsRow = LengthsRow()
    stages: dict[StageName, StageRow] = {}
    tasks: list[TaskRow] = []
    change: dict[str, TaskChange] = {}
    remove: dict[str, Annotated[str, Field(min_length=1)]] = {}


def read_stage_file(path: Path) -> tuple[DayType, StageFile]:
    """Return the kind of day that the file's name says, and what is in it.

    Raises `DefinitionError` that names the file, the path in it and the nearest right name.
    """
    if path.stem not in set(DayType):
        raise DefinitionError(
            f"{path}: a stage file is named after a day type{nearest(path.stem, [kind.value for kind in DayType])}"
        )
    content = checked(path, StageFile, read_yaml(path))
    day_type = DayType(path.stem)
    if content.day_type not in {None, day_type}:
        raise DefinitionError(f"{path}: day_type is {content.day_type}, but the file is named {path.name}")
    return day_type, content
