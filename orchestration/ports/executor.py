"""Who carries out one attempt of a task."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orchestration.domain.definition import TaskDefinition
from orchestration.domain.json_value import JsonObject, JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Everything that one try of a task needs to know.

    ``labels`` are the workflow's, ``env`` the environment variables that it may read; ``inputs`` the results of what
    the task depends on; ``context`` the run's variables and the results so far (``<task>_result``); ``deadline``
    (aware, UTC) is when a start would be too late.
    """

    run_id: str
    workflow: str
    labels: JsonObject
    task: TaskDefinition
    number: int
    env: tuple[str, ...] = ()
    inputs: Mapping[str, JsonValue]
    context: Mapping[str, JsonValue]
    deadline: datetime | None


class Executor(Protocol):
    """Carries out attempts, here or elsewhere."""

    async def execute(self, attempt: Attempt) -> JsonValue:
        """Do the work and return its result; raise what went wrong. Cancelling stops the work."""
