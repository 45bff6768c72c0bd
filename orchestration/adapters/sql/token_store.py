"""The credentials of callers in the database."""

from datetime import datetime

from sqlalchemy import Connection, insert, select

from orchestration.adapters.memory.token_store import require_sha256
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.schema import api_tokens


class SqlTokenStore:
    """The `TokenStore` over an open `Database` whose tables are up to date."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, sha256: str, *, name: str, at: datetime) -> None:
        """Keep one more token; one that is there keeps its name and date."""
        require_sha256(sha256)

        def write(connection: Connection) -> None:
            known = select(api_tokens.c.sha256).where(api_tokens.c.sha256 == sha256)
            if connection.execute(known).first() is None:
                connection.execute(insert(api_tokens).values(sha256=sha256, name=name, created_at=at))

        await self._database.write(write)

    async def all(self) -> frozenset[str]:
        """The hashes of all tokens."""
        query = select(api_tokens.c.sha256)
        return frozenset(await self._database.read(lambda connection: connection.execute(query).scalars().all()))
