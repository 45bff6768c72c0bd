"""Where runs are kept: the journal."""

from collections.abc import Sequence
from typing import Protocol

from orchestration.domain.records import Record, RunSummary


class RunStore(Protocol):
    """An append-only journal of records, one an event, and what can be asked about the runs in it."""

    async def append(self, records: Sequence[Record]) -> None:
        """Keep ``records``, all or none, durable on return.

        Raises `StoreUnavailableError` when they could not be kept, and `DefinitionError` when a run already has a
        record of that sequence.
        """

    async def records(self, run_id: str) -> Sequence[Record]:
        """All records of a run in sequence; none when the run is unknown."""

    async def unfinished(self) -> Sequence[str]:
        """The ids of the runs that have not ended, oldest first."""

    async def runs(self, *, limit: int = 100) -> Sequence[RunSummary]:
        """The newest ``limit`` runs, newest first."""
