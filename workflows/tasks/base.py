"""What a script makes tasks from, and what custom task types are built on."""

from collections.abc import Mapping
from typing import Any


class Task:
    """One task of a `Workflow`: a function at the dotted path ``handler`` with ``params``, or a type of its own.

    A custom type subclasses it, overrides `execute` and is added to the registry: ``TASK_TYPES["mine"] = Mine``.
    """

    def __init__(
        self,
        name: str,
        config: Mapping[str, Any] | None = None,
        *,
        handler: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.config: dict[str, Any] = dict(config or {})
        self.handler = handler
        self.params: dict[str, Any] = dict(params or {})

    async def execute(self, context: Mapping[str, Any]) -> Any:
        """Do the work and return a JSON value.

        ``context`` holds the run's variables and ``<task>_result`` of what has completed; references in ``config`` are
        already replaced.
        """
        raise TypeError(f"{type(self).__name__} does nothing: override execute, or give the task a handler")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"
