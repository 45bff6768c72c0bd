"""Who does the work of a desk."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from orchestration.domain.json_value import JsonValue


@runtime_checkable
class Agent(Protocol):
    """Anything with a coroutine function ``execute_<task_type>(task_data)`` for what it can do, or ``analyze``.

    ``task_types`` (a ``frozenset[str]``), where an agent has it, declares what it can do; a plan that asks for another
    is refused when it is made. ``start``, ``stop`` and ``health`` are called where they exist, and so is ``reconcile``
    (or ``reconcile_<task_type>``), a coroutine function that says what an attempt lost with its process brought about.
    """

    async def analyze(self, task_data: Mapping[str, JsonValue]) -> JsonValue:
        """Do any task that has no method of its own."""
