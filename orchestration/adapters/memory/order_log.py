"""A desk's record of its orders in memory: for simulations and tests, gone with its process."""

from collections.abc import Sequence
from dataclasses import replace

from orchestration.adapters.json_text import from_text, to_text
from orchestration.domain.errors import DefinitionError
from orchestration.ports.order_log import OrderEntry


class MemoryOrderLog:
    """An `OrderLog` in a dictionary; "durable" here means: until the process ends."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], OrderEntry] = {}

    async def append(self, entries: Sequence[OrderEntry]) -> Sequence[OrderEntry]:
        """Keep copies of those of ``entries`` that are new; return the others as they were kept."""
        there: list[OrderEntry] = []
        new: dict[tuple[str, str], OrderEntry] = {}
        for entry in entries:
            name = entry.kind, entry.key
            known = self._entries.get(name) or new.get(name)
            if known is not None:
                there.append(known)
                continue
            if entry.at.tzinfo is None:
                raise DefinitionError(f"the moment {entry.at.isoformat()} has no zone; give an aware one, in UTC")
            new[name] = replace(entry, data=from_text(to_text(entry.data, f"{entry.kind} {entry.key}: data")))
        self._entries.update(new)
        return there

    async def entries(self) -> Sequence[OrderEntry]:
        """All entries, oldest first."""
        return tuple(self._entries.values())
