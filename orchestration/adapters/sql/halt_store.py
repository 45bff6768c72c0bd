"""The halt and its audit in the database."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.schema import audit_log, halts
from orchestration.domain.errors import DefinitionError
from orchestration.domain.halts import AuditRow, Halt, HaltLevel

_ONLY = 1
"""The id of the one row that `halts` may have."""


class SqlHaltStore:
    """The `HaltStore` over an open `Database` whose tables are up to date."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def current(self) -> Halt | None:
        """The halt that holds. Raises `DefinitionError` for a level that only a newer Belltower knows."""
        return await self._database.read(_current)

    async def halt(self, halt: Halt) -> None:
        """Replace what held and add the audit row in one transaction."""
        row = {"level": halt.level.value, "reason": halt.reason, "at": halt.at, "by": halt.by}

        def write(connection: Connection) -> None:
            connection.execute(delete(halts))
            connection.execute(insert(halts).values(id=_ONLY, **row))
            connection.execute(insert(audit_log).values(action="halt", **row))

        await self._database.write(write)

    async def resume(self, *, reason: str, at: datetime, by: str) -> None:
        """Lift what holds, whatever its level, and add the audit row in one transaction."""
        row = AuditRow(at=at, by=by, action="resume", level=None, reason=reason)

        def write(connection: Connection) -> None:
            level = connection.execute(select(halts.c.level)).scalar()
            connection.execute(delete(halts))
            connection.execute(
                insert(audit_log).values(at=row.at, by=row.by, action=row.action, level=level, reason=row.reason)
            )

        await self._database.write(write)

    async def note(self, row: AuditRow) -> None:
        """Add it in a transaction of its own."""
        level = None if row.level is None else row.level.value
        values = {"at": row.at, "by": row.by, "action": row.action, "level": level, "reason": row.reason}
        await self._database.write(lambda connection: connection.execute(insert(audit_log).values(**values)).close())

    async def audit(self, *, limit: int = 100) -> Sequence[AuditRow]:
        """The newest rows, by the order in which they were added."""
        query = select(audit_log).order_by(audit_log.c.id.desc()).limit(max(limit, 0))
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [
            AuditRow(
                at=row.at,
                by=row.by,
                action=row.action,
                level=None if row.level is None else _level(row.level),
                reason=row.reason,
            )
            for row in rows
        ]


def _current(connection: Connection) -> Halt | None:
    row = connection.execute(select(halts)).one_or_none()
    if row is None:
        return None
    return Halt(level=_level(row.level), reason=row.reason, at=row.at, by=row.by)


def _level(stored: str) -> HaltLevel:
    try:
        return HaltLevel(stored)
    except ValueError:
        raise DefinitionError(
            f"the store has a halt of the level {stored!r}, which this version does not know; upgrade Belltower"
        ) from None
