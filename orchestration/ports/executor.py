"""Who carries out one attempt of a task."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orchestration.domain.definition import TaskDefinition
from orchestration.domain.json_value import JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Everything that one try of a task needs to know.

    ``inputs`` are the results of what the task depends on; ``context`` the run's variables and the results so far
    (``<task>_result``); ``deadline`` (aware, UTC) is when a start would be too late.
    """

    run_id: str
    workflow: str
    task: TaskDefinition
    number: int
    inputs: Mapping[str, JsonValue]
    context: Mapping[str, JsonValue]
    deadline: datetime | None


class Executor(Protocol):
    """Carries out attempts, here or elsewhere."""

    async def execute(self, attempt: Attempt) -> JsonValue:
        """Do the work and return its result; raise what went wrong. Cancelling stops the work."""
