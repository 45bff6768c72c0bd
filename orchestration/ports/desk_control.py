"""What the doors of the service may ask of it: the API, the command line and the health check stand on this."""

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from orchestration.domain.halts import Halt, HaltLevel
from orchestration.domain.health import ComponentHealth, Readiness
from orchestration.domain.json_value import JsonObject
from orchestration.domain.records import Record, RunSummary


class DeskControl(Protocol):
    """A running desk."""

    def alive(self) -> bool:
        """Whether the loop turns."""

    def readiness(self) -> Readiness:
        """Whether every part and dependency that it needs is fit."""

    def components(self) -> Sequence[ComponentHealth]:
        """Each part and dependency, sorted by name."""

    def get_system_status(self) -> JsonObject:
        """The status in the shape of document 003, and the halt that holds, if one does, under ``halt``."""

    def plan(self, on: date | None) -> JsonObject:
        """The day of ``plan --json`` for ``on``; ``None``: today's, by the clock and the exchange's time zone.

        Raises `DefinitionError` for a date outside of the calendar.
        """

    async def executions(self, *, limit: int) -> Sequence[RunSummary]:
        """The newest runs, newest first."""

    async def execution(self, execution_id: str) -> JsonObject:
        """The result of a run, or how far it has come. Raises `DefinitionError` for an unknown id."""

    async def events(self, execution_id: str) -> Sequence[Record]:
        """The journal of a run in sequence. Raises `DefinitionError` for an unknown id."""

    async def cancel(self, execution_id: str, reason: str) -> None:
        """End a run. Raises `DefinitionError` for an unknown id."""

    async def halt(self, level: HaltLevel, reason: str, by: str) -> Halt:
        """Stop in the way of ``level``, at once, until `resume`. Raises `DefinitionError` for an empty reason."""

    async def resume(self, reason: str, by: str) -> None:
        """Lift the halt. Raises `DefinitionError` for an empty reason."""
