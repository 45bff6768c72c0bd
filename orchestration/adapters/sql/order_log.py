"""A desk's record of its orders in the database."""

from collections.abc import Sequence

from sqlalchemy import Connection, Row, insert, select, tuple_

from orchestration.adapters.json_text import from_text, to_text
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.schema import order_log
from orchestration.domain.errors import DefinitionError
from orchestration.ports.order_log import OrderEntry

_AT_ONCE = 500
"""How many entries one question names: a statement may hold only so many values."""


class SqlOrderLog:
    """The `OrderLog` of one ``account`` over an open `Database` whose tables are up to date."""

    def __init__(self, database: Database, *, account: str = "paper") -> None:
        self._database = database
        self._account = account

    async def append(self, entries: Sequence[OrderEntry]) -> Sequence[OrderEntry]:
        """Keep those of ``entries`` that are new in one transaction; return the others as they were kept."""
        if not entries:
            return ()
        rows: list[dict[str, object]] = [
            {
                "account": self._account,
                "kind": entry.kind,
                "key": entry.key,
                "at": entry.at,
                "data": to_text(entry.data, f"{entry.kind} {entry.key}: data"),
            }
            for entry in entries
        ]

        def write(connection: Connection) -> Sequence[OrderEntry]:
            known = {
                (found.kind, found.key): found
                for start in range(0, len(entries), _AT_ONCE)
                for found in self._there(connection, entries[start : start + _AT_ONCE])
            }
            there: list[OrderEntry] = []
            new: list[dict[str, object]] = []
            for entry, row in zip(entries, rows, strict=True):
                first = known.setdefault((entry.kind, entry.key), entry)
                if first is entry:
                    new.append(row)
                else:
                    there.append(first)
            if new:
                connection.execute(insert(order_log), new)
            return there

        try:
            return await self._database.write(write)
        except DefinitionError:  # another process may have kept one of them between our look and our insert
            return await self._database.write(write)

    async def entries(self) -> Sequence[OrderEntry]:
        """All entries, oldest first."""
        query = select(order_log).where(order_log.c.account == self._account).order_by(order_log.c.id)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [_entry(row) for row in rows]

    def _there(self, connection: Connection, entries: Sequence[OrderEntry]) -> list[OrderEntry]:
        names = tuple_(order_log.c.kind, order_log.c.key).in_([(entry.kind, entry.key) for entry in entries])
        query = select(order_log).where(order_log.c.account == self._account, names)
        return [_entry(row) for row in connection.execute(query)]


def _entry(row: Row[tuple[object, ...]]) -> OrderEntry:
    return OrderEntry(kind=row.kind, key=row.key, at=row.at, data=from_text(row.data))
