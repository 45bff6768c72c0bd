"""The paper broker's book in the database."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, insert, select

from orchestration.adapters.json_text import from_text, to_text
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.schema import ledger_entries
from orchestration.domain.errors import DefinitionError
from orchestration.ports.ledger import LedgerEntry


class SqlLedger:
    """The `Ledger` of one ``account`` over an open `Database` whose tables are up to date."""

    def __init__(self, database: Database, *, account: str = "paper") -> None:
        self._database = database
        self._account = account

    async def append(self, entries: Sequence[LedgerEntry]) -> None:
        """Keep ``entries`` in one transaction."""
        if not entries:
            return
        rows = [
            {
                "account": self._account,
                "sequence": entry.sequence,
                "at": entry.at,
                "kind": entry.kind,
                "data": to_text(entry.data, f"account {self._account}, entry {entry.sequence}: data"),
            }
            for entry in entries
        ]

        def write(connection: Connection) -> None:
            newest = select(func.max(ledger_entries.c.sequence)).where(ledger_entries.c.account == self._account)
            self._check_sequence(entries, due=(connection.execute(newest).scalar() or 0) + 1)
            connection.execute(insert(ledger_entries), rows)

        await self._database.write(write)

    async def entries(self) -> Sequence[LedgerEntry]:
        """All entries in sequence."""
        query = select(ledger_entries).where(ledger_entries.c.account == self._account)
        rows = await self._database.read(
            lambda connection: connection.execute(query.order_by(ledger_entries.c.sequence)).all()
        )
        return [LedgerEntry(sequence=row.sequence, at=row.at, kind=row.kind, data=from_text(row.data)) for row in rows]

    def _check_sequence(self, entries: Sequence[LedgerEntry], *, due: int) -> None:
        for number, entry in enumerate(entries, start=due):
            if entry.sequence < number:
                raise DefinitionError(
                    f"entry {entry.sequence} of account {self._account} is taken: somebody else writes this book; "
                    "end that process, then read the book again"
                )
            if entry.sequence > number:
                raise DefinitionError(
                    f"entry {entry.sequence} of account {self._account} leaves a gap: the next one is {number}"
                )
