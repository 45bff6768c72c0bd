"""Where a broker of our own keeps its book."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orchestration.domain.json_value import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One line of the book: ``sequence`` counts from 1 without gaps; ``data`` is the kind's own."""

    sequence: int
    at: datetime
    kind: str
    data: JsonObject


class Ledger(Protocol):
    """An append-only book."""

    async def append(self, entries: Sequence[LedgerEntry]) -> None:
        """Keep ``entries``, all or none, durable on return.

        Raises `StoreUnavailableError` when they could not be kept, and `DefinitionError` when one's sequence is
        taken: somebody else writes the same book.
        """

    async def entries(self) -> Sequence[LedgerEntry]:
        """All entries in sequence."""
