"""Results in the database, for whoever asks for them again."""

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from orchestration.adapters.json_text import from_text, to_text
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.failures import TakenError
from orchestration.adapters.sql.schema import result_cache
from orchestration.domain.json_value import JsonValue
from orchestration.ports.result_cache import CachedResult

_AT_ONCE = 500
"""How many results one transaction forgets."""


class SqlResultCache:
    """The `ResultCache` over an open `Database` whose tables are up to date."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, key: str, now: datetime) -> CachedResult | None:
        """What is kept."""
        query = select(result_cache.c.data).where(result_cache.c.key == key, result_cache.c.until > now)
        found = await self._database.read(lambda connection: connection.execute(query).scalar())
        return None if found is None else CachedResult(from_text(found)["result"])

    async def put(self, key: str, result: JsonValue, until: datetime) -> None:
        """Keep it, durable on return."""
        kept = {"data": to_text({"result": result}, f"the cache's {key}"), "until": until}

        def write(connection: Connection) -> None:
            there = connection.execute(update(result_cache).where(result_cache.c.key == key).values(**kept))
            if not there.rowcount:
                connection.execute(insert(result_cache).values(key=key, **kept))

        try:
            await self._database.write(write)
        except TakenError:  # another process may have put it there between our look and our insert
            await self._database.write(write)

    async def prune(self, now: datetime) -> int:
        """Forget what has expired, `_AT_ONCE` results a transaction."""
        some = select(result_cache.c.key).where(result_cache.c.until <= now).limit(_AT_ONCE)
        forget = delete(result_cache).where(result_cache.c.key.in_(some), result_cache.c.until <= now)
        count = 0
        while gone := await self._database.write(lambda connection: connection.execute(forget).rowcount):
            count += gone
        return count
