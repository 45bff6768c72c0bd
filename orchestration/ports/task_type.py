"""What a task of the sequential form can be."""

from collections.abc import Mapping
from typing import Protocol

from orchestration.domain.json_value import JsonValue


class TaskType(Protocol):
    """One task, made from its name and its configuration."""

    @property
    def name(self) -> str:
        """The task's name in its run."""

    @property
    def config(self) -> Mapping[str, JsonValue]:
        """What the definition gave it, references replaced."""

    async def execute(self, context: Mapping[str, object]) -> object:
        """Do the work and return a JSON value."""
