"""What expressions and references of a run may read: its variables, and the results so far."""

from collections.abc import Iterator, Mapping

from orchestration.domain.json_value import JsonValue
from orchestration.engine.run_state import RunState

_SUFFIX = "_result"


class RunContext(Mapping[str, JsonValue]):
    """A live view: the run's parameters that are no task's, and ``<task>_result`` of every task that completed."""

    def __init__(self, state: RunState) -> None:
        self._state = state

    def __getitem__(self, key: str) -> JsonValue:
        if key in self._state.parameters and not self._belongs_to_a_task(key):
            return self._state.parameters[key]
        task = self._state.tasks.get(key.removesuffix(_SUFFIX)) if key.endswith(_SUFFIX) else None
        if task is None or not task.satisfied:
            raise KeyError(key)
        return task.result

    def __iter__(self) -> Iterator[str]:
        yield from (key for key in self._state.parameters if not self._belongs_to_a_task(key))
        yield from (f"{name}{_SUFFIX}" for name, task in self._state.tasks.items() if task.satisfied)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _belongs_to_a_task(self, key: str) -> bool:
        return key in self._state.tasks and isinstance(self._state.parameters[key], Mapping)
