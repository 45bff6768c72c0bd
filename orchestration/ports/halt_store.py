"""Where a halt is kept, over restarts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from orchestration.domain.halts import AuditRow, Halt


class HaltStore(Protocol):
    """Keeps the halt that holds, and who set and lifted which. Every change is durable on return."""

    async def current(self) -> Halt | None:
        """The halt that holds, or ``None``."""

    async def halt(self, halt: Halt) -> None:
        """Put ``halt`` in the place of what held before, and add an audit row, both or none."""

    async def resume(self, *, reason: str, at: datetime, by: str) -> None:
        """Lift what holds and add an audit row, both or none; without a halt only the row is added.

        Raises `DefinitionError` for an empty reason.
        """

    async def note(self, row: AuditRow) -> None:
        """Add an audit row of something that is no halt."""

    async def audit(self, *, limit: int = 100) -> Sequence[AuditRow]:
        """The newest ``limit`` rows, newest first."""
