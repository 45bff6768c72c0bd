"""Where runs are kept: the journal."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from orchestration.domain.records import Claim, Record, RunSummary


class RunStore(Protocol):
    """An append-only journal of records, one an event, and what can be asked about the runs in it.

    Several processes may share one. Every open store is an owner, and owns the runs whose first record it appends.
    """

    async def append(self, records: Sequence[Record]) -> None:
        """Keep ``records``, all or none, durable on return; those that are there already, to the letter, are no error.

        Their data are JSON as `to_json_value` returns it. Raises `StoreUnavailableError` when they could not be kept:
        if the store was lost in the middle nobody may know, and the same records may be appended again, with others
        or without some. Raises `DefinitionError` when a run already has another record of that sequence, and
        `ClaimLostError` once another process has taken over this owner's runs; then nothing is kept.
        """

    async def take_over(self) -> Sequence[Claim]:
        """Become the owner of all unfinished runs whose owner is gone, and return them, oldest first.

        An owner is gone when its process ended or closed its store, however that came; a process that is only slow or
        stopped keeps its runs. Of two that ask at once one gets a run. From then on the old owner can append nothing.
        """

    async def records(self, run_id: str) -> Sequence[Record]:
        """All records of a run in sequence; none when the run is unknown."""

    async def unfinished(self) -> Sequence[str]:
        """The ids of the runs that have not ended, oldest first, whoever owns them."""

    async def runs(self, *, limit: int = 100) -> Sequence[RunSummary]:
        """The newest ``limit`` runs, newest first."""

    async def prune(self, before: datetime) -> int:
        """Delete the runs that ended before ``before``, with all their records, and return how many; never others.

        Many are deleted a part at a time, so that appending hardly waits; one that was interrupted in the middle is
        finished by the next call, and no half of a run is ever shown.
        """
