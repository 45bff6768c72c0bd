"""Stores that fail."""

import asyncio
from collections.abc import Sequence

from orchestration.adapters.memory.run_store import MemoryRunStore
from orchestration.domain.errors import StoreUnavailableError
from orchestration.domain.records import Record, RecordKind


class FailingStore(MemoryRunStore):
    """Fails whenever it is given a record of that kind, until it is mended."""

    def __init__(self, kind: RecordKind) -> None:
        super().__init__()
        self.kind: RecordKind | None = kind

    async def append(self, records: Sequence[Record]) -> None:
        """Keep ``records`` unless one of them is of the kind that fails."""
        if any(record.kind is self.kind for record in records):
            raise StoreUnavailableError("the disk is full")
        await super().append(records)


class SlowStore(MemoryRunStore):
    """Takes two seconds for every commit and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[int] = []

    async def append(self, records: Sequence[Record]) -> None:
        """Keep ``records`` after a while."""
        self.commits.append(len(records))
        await asyncio.sleep(2)
        await super().append(records)
