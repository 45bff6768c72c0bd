"""The credentials of callers in the database."""

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from orchestration.adapters.memory.token_store import require_sha256
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.schema import api_tokens, audit_log

REVOKE = "revoke_token"
"""What the audit calls it."""
_SHOWN = 12  # digits of a hash: enough to tell tokens apart


class SqlTokenStore:
    """The `TokenStore` over an open `Database` whose tables are up to date."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, sha256: str, *, name: str, at: datetime) -> None:
        """Keep one more token; one that is there keeps its name and date."""
        require_sha256(sha256)
        await self._database.write(lambda connection: _add(connection, sha256, name, at))

    async def replace(self, sha256: str, *, name: str, at: datetime) -> int:
        """Keep this token, delete the others of its name, and add a row to the audit for each, in one transaction."""
        require_sha256(sha256)

        def write(connection: Connection) -> int:
            _add(connection, sha256, name, at)
            others = (api_tokens.c.name == name) & (api_tokens.c.sha256 != sha256)
            revoked = connection.execute(select(api_tokens.c.sha256).where(others)).scalars().all()
            for one in revoked:
                reason = f"the token {name!r} (SHA-256 {one[:_SHOWN]}…) was replaced by {sha256[:_SHOWN]}…"
                row = {"at": at, "by": "start", "action": REVOKE, "level": None, "reason": reason}
                connection.execute(insert(audit_log).values(**row))
            connection.execute(delete(api_tokens).where(others))
            return len(revoked)

        return await self._database.write(write)

    async def all(self) -> frozenset[str]:
        """The hashes of all tokens."""
        query = select(api_tokens.c.sha256)
        return frozenset(await self._database.read(lambda connection: connection.execute(query).scalars().all()))


def _add(connection: Connection, sha256: str, name: str, at: datetime) -> None:
    known = select(api_tokens.c.sha256).where(api_tokens.c.sha256 == sha256)
    if connection.execute(known).first() is None:
        connection.execute(insert(api_tokens).values(sha256=sha256, name=name, created_at=at))
