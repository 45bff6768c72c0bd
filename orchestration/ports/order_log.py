"""Where a desk keeps its own record of its orders: what it meant to send, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orchestration.domain.json_value import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEntry:
    """One line of the record: ``kind`` and ``key`` say what it is about, and stand there together only once.

    ``at`` (aware, UTC) is when it was noted; ``data`` is the kind's own.
    """

    kind: str
    key: str
    at: datetime
    data: JsonObject


class OrderLog(Protocol):
    """An append-only record, to which several processes may add."""

    async def append(self, entries: Sequence[OrderEntry]) -> Sequence[OrderEntry]:
        """Keep ``entries``, all or none, durable on return, but for those whose kind and key are there already.

        Those stay as they were first kept, and are what is returned: whoever gets nothing back was the first to note
        all of it. Raises `StoreUnavailableError` when they could not be kept.
        """

    async def entries(self) -> Sequence[OrderEntry]:
        """All entries in the order in which they were kept."""
