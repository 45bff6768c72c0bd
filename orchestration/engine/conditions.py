"""Whether a task's own conditions let it run."""

from collections.abc import Mapping

from orchestration.domain.definition import TaskDefinition
from orchestration.domain.json_value import JsonValue
from orchestration.engine.expressions import Scope, parse


def skip_reason(task: TaskDefinition, scope: Scope) -> str | None:
    """Return why ``task`` skips itself, or ``None``. Raises `DefinitionError` when a condition can't be worked out."""
    if task.when is not None and not parse(task.when).evaluate(scope):
        return f"its condition does not hold: {task.when}"
    for condition in task.skip_conditions:
        key = str(condition["context_key"])
        found = _dotted(scope, key)
        if found == condition["value"]:
            return f"{key} is {found!r}"
    return None


def _dotted(scope: Scope, key: str) -> JsonValue:
    """The value of ``key``, which may itself be dotted; null when there is none: then nothing is skipped for it."""
    name, *path = key.split(".")
    value: JsonValue = scope.get(name)
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
