"""Definitions that were checked before: a desk asks for the same ones again and again."""

import marshal
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestration.domain.definition import Workflow, WorkflowDefinition
from orchestration.domain.json_value import JsonObject
from orchestration.engine.definitions import Defaults, read_definition
from orchestration.engine.stored_definition import to_json
from orchestration.engine.task_types import TaskTypes

KEPT, LARGEST = 64, 100
"""How many are kept, and how many tasks one may have that is: a day's has more, and never comes again."""
_WITHOUT_REFERENCES = 2
"""The version of marshal's form in which equal values give equal bytes."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A definition, and what the journal keeps of it."""

    definition: WorkflowDefinition
    stored: JsonObject


class CheckedDefinitions:
    """`read_definition`, which is spared for what is equal to the last byte to one of the last `KEPT`."""

    def __init__(self, agents: Mapping[str, object], task_types: TaskTypes, defaults: Defaults) -> None:
        self._agents = agents
        self._task_types = task_types
        self._defaults = defaults
        self._kept: OrderedDict[bytes, Checked] = OrderedDict()

    def read(self, definition: Mapping[str, Any] | Workflow, parameters: JsonObject) -> Checked:
        """Return ``definition`` checked and complete. Raises as `read_definition` does."""
        key = self._key(definition, parameters)
        if key is not None and key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        read = read_definition(
            definition,
            agents=self._agents,
            task_types=self._task_types,
            defaults=self._defaults,
            parameters=parameters,
        )
        checked = Checked(read, to_json(read))
        if key is not None and sum(len(stage.tasks) for stage in read.stages) <= LARGEST:
            self._kept[key] = checked
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return checked

    def _key(self, definition: object, parameters: JsonObject) -> bytes | None:
        """What tells two definitions apart; ``None`` for one that is not made of plain values only."""
        try:
            asked: Any = (definition, parameters, tuple(self._agents))
            return marshal.dumps(asked, _WITHOUT_REFERENCES)
        except ValueError:
            return None
