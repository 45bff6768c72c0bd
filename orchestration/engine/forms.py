"""The forms in which a workflow can be written, as they are read: fields, types and what may be left out.

Three forms share their fields: the staged one (``stages`` with tasks of agents), the flat one (``tasks`` with handlers
and a mapping of ``dependencies``) and the sequential one (``tasks`` with a ``type`` and a ``config``).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from orchestration.domain.definition import Workflow
from orchestration.domain.errors import DefinitionError
from orchestration.domain.json_value import to_json_value
from orchestration.domain.states import Effects, OnFailure, TaskPriority
from orchestration.engine.references import malformed
from orchestration.engine.task_types import TaskTypes
from orchestration.schema import validate


def _refused_as_value(check: Callable[[Any], object]) -> BeforeValidator:
    """A validator whose `DefinitionError` pydantic reports with the path, as it does a `ValueError`."""

    def validate_before(value: Any) -> object:
        try:
            return check(value)
        except DefinitionError as error:
            raise ValueError(str(error)) from error

    return BeforeValidator(validate_before)


JsonDict = Annotated[dict[str, Any], _refused_as_value(lambda value: to_json_value(value, "it"))]
Priority = Annotated[TaskPriority, _refused_as_value(lambda value: TaskPriority.parse(value, "it"))]
Retries = Annotated[int, Field(ge=0)]
LONGEST_S = 10 * 366 * 86_400.0
"""The longest timeout and the longest delay, in seconds: ten years."""
Timeout = Annotated[float, Field(gt=0, le=LONGEST_S)]
Delay = Annotated[float, Field(ge=0, le=LONGEST_S)]


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{moment} is out of range") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=False, allow_inf_nan=False)


class SkipCondition(_Form):
    """Skip the task when the variable ``context_key`` has ``value``."""

    context_key: str
    value: Any


def _checked_key(key: str) -> str:
    if not key.strip():
        raise ValueError("it is empty; write what the result hangs on, such as 'prices ${day}'")
    if (wrong := malformed(key)) is not None:
        raise ValueError(f"{wrong!r} is no reference; write ${{name}}, ${{name.key[0]}} or ${{env:NAME}}")
    return key


class CacheForm(_Form):
    """For how long, in seconds, a result may be given again to whoever asks by the same ``key``."""

    key: Annotated[str, AfterValidator(_checked_key)]
    ttl: Annotated[float, Field(gt=0, le=LONGEST_S)]


class Behaviour(_Form):
    """What any task may say about how it is carried out."""

    when: str | None = None
    skip_conditions: tuple[SkipCondition, ...] = ()
    timeout: Timeout | None = None
    max_retries: Retries | None = None
    retry_delays: list[Delay] | None = None
    cache: CacheForm | None = None


class TaskForm(Behaviour):
    """One task of any form; just one of ``agent``, ``handler`` and ``type`` says who does it."""

    name: str | None = None
    agent: str | None = None
    task_type: str | None = None
    task_data: JsonDict = Field(default_factory=dict)
    handler: str | None = None
    params: JsonDict = Field(default_factory=dict)
    type: str | None = None
    config: JsonDict = Field(default_factory=dict)
    priority: Priority = TaskPriority.MEDIUM
    dependencies: list[str] | None = None
    starts_at: Moment | None = None
    deadline: Moment | None = None
    every: str | None = None
    effects: Effects | None = None


class StageForm(_Form):
    """One stage."""

    tasks: list[TaskForm]
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    on_failure: OnFailure = OnFailure.CONTINUE
    timeout: Timeout | None = None


class AnnouncementForm(_Form):
    """One announcement: the payload of a `MARKET_EVENT`."""

    at: Moment
    kind: str
    details: JsonDict = Field(default_factory=dict)


class _WorkflowForm(_Form):
    name: Annotated[str, Field(min_length=1)] = "workflow"
    description: str = ""
    timeout: Timeout | None = None
    env: list[str] = []
    labels: JsonDict = Field(default_factory=dict)
    announcements: list[AnnouncementForm] = []


class StagedForm(_WorkflowForm):
    """A workflow in stages."""

    stages: dict[str, StageForm]


class ListForm(_WorkflowForm):
    """A workflow as a list of tasks, flat or sequential."""

    tasks: list[TaskForm]
    dependencies: dict[str, list[str]] | None = None


def read_form(definition: object, task_types: TaskTypes) -> StagedForm | ListForm:
    """Read a definition in any form. Raises `DefinitionError` with the path of the first thing that is wrong."""
    if isinstance(definition, Workflow):
        definition = _from_workflow(definition, task_types)
    if not isinstance(definition, Mapping):
        kind = type(definition).__name__
        raise DefinitionError(f"a workflow is a mapping with 'stages' or 'tasks', or a Workflow, not a {kind}")
    if ("stages" in definition) == ("tasks" in definition):
        raise DefinitionError("a workflow has either 'stages' or 'tasks': give one of the two")
    if "stages" in definition:
        return validate(StagedForm, definition)
    return validate(ListForm, definition)


def _from_workflow(workflow: Workflow, task_types: TaskTypes) -> dict[str, Any]:
    """A `Workflow` object as the mapping that it stands for."""
    form: dict[str, Any] = {
        "name": workflow.name,
        "description": workflow.description,
        "env": list(workflow.env),
        "tasks": [_from_task(task, task_types) for task in workflow.tasks],
    }
    if workflow.timeout is not None:
        form["timeout"] = workflow.timeout
    if workflow.dependencies is not None:
        form["dependencies"] = {name: list(needs) for name, needs in workflow.dependencies.items()}
    return form


def _from_task(task: object, task_types: TaskTypes) -> object:
    if isinstance(task, Mapping):
        return task
    name = getattr(task, "name", None)
    handler = getattr(task, "handler", None)
    if handler is not None:
        form = {"name": name, "handler": handler, "params": getattr(task, "params", {}) or {}}
        config = getattr(task, "config", None)
        return {**form, "config": config} if config else form
    return {"name": name, "type": task_types.name_of(task), "config": getattr(task, "config", {})}
