"""What a task of the sequential form can be."""

from collections.abc import Mapping
from typing import Protocol

from orchestration.domain.json_value import JsonValue


class TaskType(Protocol):
    """One task, made from its name and its configuration."""

    name: str
    config: Mapping[str, JsonValue]

    async def execute(self, context: Mapping[str, object]) -> object:
        """Do the work and return a JSON value."""
