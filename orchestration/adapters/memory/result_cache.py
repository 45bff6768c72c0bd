"""Results in memory: for simulations and tests, gone with their process."""

from datetime import datetime

from orchestration.adapters.json_text import from_text, to_text
from orchestration.domain.errors import DefinitionError
from orchestration.domain.json_value import JsonValue
from orchestration.ports.result_cache import CachedResult


class MemoryResultCache:
    """A `ResultCache` in a dictionary."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, datetime]] = {}

    async def get(self, key: str, now: datetime) -> CachedResult | None:
        """A copy of what is kept."""
        text, until = self._kept.get(key, ("", now))
        return CachedResult(from_text(text)["result"]) if until > now else None

    async def put(self, key: str, result: JsonValue, until: datetime) -> None:
        """Keep a copy."""
        if until.tzinfo is None:
            raise DefinitionError(f"the moment {until.isoformat()} has no zone; give an aware one, in UTC")
        self._kept[key] = to_text({"result": result}, f"the cache's {key}"), until

    async def prune(self, now: datetime) -> int:
        """Forget what has expired."""
        old = [key for key, (_, until) in self._kept.items() if until <= now]
        for key in old:
            del self._kept[key]
        return len(old)
