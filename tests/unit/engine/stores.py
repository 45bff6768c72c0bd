"""Stores that fail, are slow, or die."""

import asyncio
from collections.abc import Sequence

from orchestration.adapters.memory.run_store import MemoryRunStore
from orchestration.domain.errors import StoreUnavailableError
from orchestration.domain.records import Record, RecordKind


class FailingStore(MemoryRunStore):
    """Fails whenever it is given a record of that kind, until it is mended."""

    def __init__(self, kind: RecordKind, error: Exception | None = None) -> None:
        super().__init__()
        self.kind: RecordKind | None = kind
        self.error = error or StoreUnavailableError("the disk is full")

    async def append(self, records: Sequence[Record]) -> None:
        """Keep ``records`` unless one of them is of the kind that fails."""
        if any(record.kind is self.kind for record in records):
            raise self.error
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


class TroubledStore(MemoryRunStore):
    """Takes ``seconds`` for a commit, and while it has an ``error`` raises that at their end.

    With ``answer_lost`` it keeps what it is given all the same. ``tried`` are the moments and sizes of all commits.
    """

    def __init__(self, seconds: float = 0) -> None:
        super().__init__()
        self.seconds = seconds
        self.error: Exception | None = None
        self.answer_lost = False
        self.tried: list[tuple[float, int]] = []

    async def append(self, records: Sequence[Record]) -> None:
        """Keep ``records``, or not."""
        self.tried.append((asyncio.get_running_loop().time(), len(records)))
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if self.error is None or self.answer_lost:
            await super().append(records)
        if self.error is not None:
            raise self.error

    def fail(self) -> None:
        """Be out from now on."""
        self.error = StoreUnavailableError("the disk is full")

    def mend(self) -> None:
        """Be well again."""
        self.error = None
