"""The journal in the database: one row an event, and one a run for lists of runs."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict

from sqlalchemy import Connection, insert, select, update

from orchestration.adapters.json_text import from_text, to_text
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.schema import execution_events, executions
from orchestration.domain.errors import DefinitionError
from orchestration.domain.records import RUN_ENDINGS, Record, RecordKind, RunSummary
from orchestration.domain.states import RunStatus

_UNFINISHED = [status for status in RunStatus if not status.ended]
_NEWEST_FIRST = (executions.c.created_at.desc(), executions.c.id.desc())


class _RunRow(TypedDict, total=False):
    id: str
    name: str
    status: str
    created_at: datetime
    started_at: datetime
    completed_at: datetime


class SqlRunStore:
    """The `RunStore` over an open `Database` whose tables are up to date."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, records: Sequence[Record]) -> None:
        """Keep ``records`` in one transaction; the rows of their runs follow in the same one."""
        if not records:
            return
        events = [
            {
                "execution_id": record.run_id,
                "sequence": record.sequence,
                "kind": record.kind.value,
                "at": record.at,
                "stage": record.stage,
                "task": record.task,
                "data": to_text(record.data, f"run {record.run_id}, record {record.sequence}: data"),
            }
            for record in records
        ]
        created, changed = _run_rows(records)

        def write(connection: Connection) -> None:
            if created:
                connection.execute(insert(executions), [*created.values()])
            for run_id, row in changed.items():
                connection.execute(update(executions).where(executions.c.id == run_id).values(**row))
            connection.execute(insert(execution_events), events)

        runs = ", ".join(dict.fromkeys(record.run_id for record in records))
        await self._database.write(
            write,
            taken=f"a record of run {runs} is there already, or the run is unknown (it begins with "
            f"{RecordKind.RUN_CREATED}); read its records again: somebody else carries this run out",
        )

    async def records(self, run_id: str) -> Sequence[Record]:
        """All records of a run in sequence."""
        query = select(execution_events).where(execution_events.c.execution_id == run_id)
        rows = await self._database.read(
            lambda connection: connection.execute(query.order_by(execution_events.c.sequence)).all()
        )
        return [
            Record(
                run_id=row.execution_id,
                sequence=row.sequence,
                kind=_kind(row.kind, run_id),
                at=row.at,
                stage=row.stage,
                task=row.task,
                data=from_text(row.data),
            )
            for row in rows
        ]

    async def unfinished(self) -> Sequence[str]:
        """The runs that have not ended, oldest first."""
        query = select(executions.c.id).where(executions.c.status.in_([status.value for status in _UNFINISHED]))
        query = query.order_by(executions.c.created_at, executions.c.id)
        return await self._database.read(lambda connection: connection.execute(query).scalars().all())

    async def runs(self, *, limit: int = 100) -> Sequence[RunSummary]:
        """The newest ``limit`` runs, newest first."""
        query = select(executions).order_by(*_NEWEST_FIRST).limit(max(limit, 0))
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [
            RunSummary(
                run_id=row.id,
                name=row.name,
                status=RunStatus(row.status),
                created_at=row.created_at,
                started_at=row.started_at,
                completed_at=row.completed_at,
            )
            for row in rows
        ]


def _run_rows(records: Sequence[Record]) -> tuple[dict[str, _RunRow], dict[str, _RunRow]]:
    """Return the rows of the runs that ``records`` create, and by run what they change in rows that exist."""
    created: dict[str, _RunRow] = {}
    changed: dict[str, _RunRow] = {}
    for record in records:
        if record.kind is RecordKind.RUN_CREATED:
            created[record.run_id] = _created_row(record, created)
            continue
        if record.kind is not RecordKind.RUN_STARTED and record.kind not in RUN_ENDINGS:
            continue
        row = changed.setdefault(record.run_id, {})
        if record.kind is RecordKind.RUN_STARTED:
            row["status"], row["started_at"] = RunStatus.RUNNING.value, record.at
        else:
            row["status"], row["completed_at"] = RUN_ENDINGS[record.kind].value, record.at
    return created, changed


def _created_row(record: Record, created: dict[str, _RunRow]) -> _RunRow:
    name = record.data.get("name")
    if not isinstance(name, str):
        raise DefinitionError(f"run {record.run_id} has no name; put it into its first record's data as 'name'")
    if record.run_id in created:
        raise DefinitionError(f"run {record.run_id} is there already; give a new run an id of its own")
    return {"id": record.run_id, "name": name, "status": RunStatus.PENDING.value, "created_at": record.at}


def _kind(stored: str, run_id: str) -> RecordKind:
    try:
        return RecordKind(stored)
    except ValueError:
        raise DefinitionError(
            f"run {run_id} has a record of the kind {stored!r}, which this version does not know; upgrade Belltower"
        ) from None
