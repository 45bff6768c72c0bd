"""``log``: write a message to the log."""

import logging
from collections.abc import Mapping
from typing import Any

from orchestration.domain.errors import DefinitionError, nearest
from workflows.tasks.base import Task

_LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
_log = logging.getLogger(__name__)


class LogTask(Task):
    """Logs ``message`` at ``level`` (INFO) and returns it."""

    async def execute(self, context: Mapping[str, Any]) -> Any:
        """Log once. Raises `DefinitionError` for a missing message or an unknown level."""
        level = str(self.config.get("level", "INFO")).upper()
        if level not in _LEVELS:
            raise DefinitionError(f"level is {level!r}{nearest(level, _LEVELS)}")
        if "message" not in self.config:
            raise DefinitionError("message is missing; it is what to log")
        message = str(self.config["message"])
        _log.log(_LEVELS[level], "%s", message)
        return {"message": message, "level": level}
