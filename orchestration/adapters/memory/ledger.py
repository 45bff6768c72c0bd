"""A ledger that lives as long as the process."""

from collections.abc import Sequence
from dataclasses import replace

from orchestration.domain.errors import DefinitionError
from orchestration.domain.json_value import to_json_value
from orchestration.ports.ledger import LedgerEntry


class MemoryLedger:
    """A `Ledger` in a list; "durable" here means: until the process ends."""

    def __init__(self) -> None:
        self._entries: list[LedgerEntry] = []

    async def append(self, entries: Sequence[LedgerEntry]) -> None:
        """Keep copies of ``entries``; a sequence that is taken, or leaves a gap, is refused and nothing is kept."""
        kept: list[LedgerEntry] = []
        for due, entry in enumerate(entries, start=len(self._entries) + 1):
            if entry.sequence < due:
                raise DefinitionError(
                    f"ledger entry {entry.sequence} is taken: somebody else writes this book; read it again first"
                )
            if entry.sequence > due:
                raise DefinitionError(f"ledger entry {entry.sequence} leaves a gap: the next one is {due}")
            where = f"entry {entry.sequence}"
            data = {key: to_json_value(value, f"{where}.{key}") for key, value in entry.data.items()}
            kept.append(replace(entry, data=data))
        self._entries.extend(kept)

    async def entries(self) -> Sequence[LedgerEntry]:
        """All entries in sequence."""
        return tuple(self._entries)
