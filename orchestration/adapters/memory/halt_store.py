"""A halt and its audit, for as long as the process lives."""

from collections.abc import Sequence
from datetime import datetime

from orchestration.domain.halts import AuditRow, Halt


class MemoryHaltStore:
    """A `HaltStore` in a list; "durable" here means: until the process ends."""

    def __init__(self) -> None:
        self._current: Halt | None = None
        self._audit: list[AuditRow] = []

    async def current(self) -> Halt | None:
        """The halt that holds."""
        return self._current

    async def halt(self, halt: Halt) -> None:
        """Replace what held."""
        self._audit.append(AuditRow(at=halt.at, by=halt.by, action="halt", level=halt.level, reason=halt.reason))
        self._current = halt

    async def resume(self, *, reason: str, at: datetime, by: str) -> None:
        """Lift what holds."""
        level = self._current.level if self._current else None
        self._audit.append(AuditRow(at=at, by=by, action="resume", level=level, reason=reason))
        self._current = None

    async def note(self, row: AuditRow) -> None:
        """Add it."""
        self._audit.append(row)

    async def audit(self, *, limit: int = 100) -> Sequence[AuditRow]:
        """The newest rows."""
        return self._audit[::-1][: max(limit, 0)]
