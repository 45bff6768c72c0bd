"""The registry of task types: a name in a definition to what makes the task."""

from collections.abc import Callable, Iterator, MutableMapping
from importlib.metadata import entry_points
from typing import cast

from orchestration.domain.errors import DefinitionError, nearest
from orchestration.domain.json_value import JsonObject
from orchestration.ports.task_type import TaskType

GROUP = "belltower.task_types"

TaskMaker = Callable[[str, JsonObject], TaskType]


class TaskTypes(MutableMapping[str, TaskMaker]):
    """Task types by name: those of the installed packages, loaded on first use, and those added by hand."""

    def __init__(self) -> None:
        self._added: dict[str, TaskMaker] = {}

    def __getitem__(self, name: str) -> TaskMaker:
        if name not in self._added:
            found = entry_points(group=GROUP, name=name)
            if not found:
                raise KeyError(name)
            self._added[name] = cast("TaskMaker", next(iter(found)).load())
        return self._added[name]

    def __setitem__(self, name: str, maker: TaskMaker) -> None:
        self._added[name] = maker

    def __delitem__(self, name: str) -> None:
        del self._added[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._added, *(point.name for point in entry_points(group=GROUP))}))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def make(self, type_: str, name: str, config: JsonObject) -> TaskType:
        """Return the task ``name`` of ``type_``. Raises `DefinitionError` for an unknown type."""
        if type_ not in self:
            raise DefinitionError(f"task type {type_!r} is not known{nearest(type_, self)}")
        return self[type_](name, config)

    def name_of(self, task: object) -> str:
        """Return the name under which the class of ``task`` is registered. Raises `DefinitionError` when it is not."""
        for name in self:
            if self[name] is type(task):
                return name
        kind = type(task).__name__
        raise DefinitionError(f"{kind} is no registered task type; add it: TASK_TYPES[{kind.lower()!r}] = {kind}")


TASK_TYPES = TaskTypes()
