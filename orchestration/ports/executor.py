"""Who carries out one attempt of a task."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orchestration.domain.definition import TaskDefinition
from orchestration.domain.json_value import JsonObject, JsonValue
from orchestration.domain.reconciliation import Reconciled
from orchestration.ports.result_cache import CachedResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Everything that one try of a task needs to know.

    ``labels`` are the workflow's, ``env`` the environment variables that it may read; ``inputs`` the results of what
    the task depends on; ``context`` the run's variables and the results so far (``<task>_result``); ``deadline``
    (aware, UTC) is when a start would be too late. ``token`` grows each time another process takes the run over: of two
    that act for one run, the one with the smaller token has lost it.
    """

    run_id: str
    workflow: str
    labels: JsonObject
    task: TaskDefinition
    number: int
    token: int = 1
    env: tuple[str, ...] = ()
    inputs: Mapping[str, JsonValue]
    context: Mapping[str, JsonValue]
    deadline: datetime | None


class Executor(Protocol):
    """Carries out attempts, here or elsewhere."""

    async def execute(self, attempt: Attempt) -> "JsonValue | CachedResult":
        """Do the work and return its result; raise what went wrong. Cancelling stops the work.

        A `CachedResult` says that nothing was done, since it was done before.
        """

    async def reconcile(self, attempt: Attempt) -> Reconciled:
        """Find out what an attempt brought about that was lost with its process; nothing is done again."""
