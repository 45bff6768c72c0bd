"""The store of an engine that was given none: it keeps nothing."""

from collections.abc import Sequence
from datetime import datetime

from orchestration.domain.records import Claim, Record, RunSummary


class NullRunStore:
    """Takes everything and has nothing."""

    async def append(self, records: Sequence[Record]) -> None:
        """Forget ``records``."""

    async def take_over(self) -> Sequence[Claim]:
        """None."""
        return ()

    async def records(self, run_id: str) -> Sequence[Record]:
        """None."""
        return ()

    async def unfinished(self) -> Sequence[str]:
        """None."""
        return ()

    async def runs(self, *, limit: int = 100) -> Sequence[RunSummary]:
        """None."""
        return ()

    async def prune(self, before: datetime) -> int:
        """None."""
        return 0
