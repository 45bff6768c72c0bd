"""``wait``: let time pass between tasks."""

import asyncio
import math
from collections.abc import Mapping
from typing import Any

from orchestration.domain.errors import DefinitionError
from workflows.tasks.base import Task


class WaitTask(Task):
    """Waits ``seconds``."""

    async def execute(self, context: Mapping[str, Any]) -> Any:
        """Return how long it waited. Raises `DefinitionError` unless ``seconds`` is a number from 0 up."""
        seconds = self.config.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
            raise DefinitionError(f"seconds is {seconds!r}; give a number from 0 up")
        await asyncio.sleep(seconds)  # noqa: TID251 (a task type has no clock port, and simulated loops jump)
        return {"seconds": seconds}
