"""Where results wait to be given again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orchestration.domain.json_value import JsonValue


@dataclass(frozen=True, slots=True)
class CachedResult:
    """A result that was worked for before; its own class, since it may be ``None``."""

    result: JsonValue


class ResultCache(Protocol):
    """Keeps results under keys, each until a moment (aware, UTC). Several processes may share one.

    Every call may raise `StoreUnavailableError`; nobody depends on what is kept here.
    """

    async def get(self, key: str, now: datetime) -> CachedResult | None:
        """What was put under ``key`` last, unless its time was up by ``now``."""

    async def put(self, key: str, result: JsonValue, until: datetime) -> None:
        """Keep ``result`` under ``key``, in the place of what was there."""

    async def prune(self, now: datetime) -> int:
        """Forget what nobody can get any more by ``now``, a part at a time; return how many results that were."""
