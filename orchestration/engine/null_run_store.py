"""The store of an engine that was given none: it keeps nothing."""

from collections.abc import Sequence

from orchestration.domain.records import Record, RunSummary


class NullRunStore:
    """Takes everything and has nothing."""

    async def append(self, records: Sequence[Record]) -> None:
        """Forget ``records``."""

    async def records(self, run_id: str) -> Sequence[Record]:
        """None."""
        return ()

    async def unfinished(self) -> Sequence[str]:
        """None."""
        return ()

    async def runs(self, *, limit: int = 100) -> Sequence[RunSummary]:
        """None."""
        return ()
