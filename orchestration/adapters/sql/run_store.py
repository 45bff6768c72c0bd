"""The journal in the database: one row an event, and one a run for lists of runs."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, exists, select, update

from orchestration.adapters.json_text import from_text
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.schema import execution_events, executions, owners
from orchestration.domain.errors import DefinitionError
from orchestration.domain.records import Claim, Record, RecordKind, RunSummary
from orchestration.domain.states import RunStatus

_UNFINISHED = [status.value for status in RunStatus if not status.ended]
_ENDED = [status.value for status in RunStatus if status.ended]
_NEWEST_FIRST = (executions.c.created_at.desc(), executions.c.id.desc())
_KINDS = {kind.value: kind for kind in RecordKind}

_GOING = 0
"""The claim of a run that is being deleted: it is shown no more, though parts of it are there."""
_AT_ONCE = 2_000
"""How many records one transaction deletes: about 5 ms, for so long an append may wait."""


class SqlRunStore:
    """The `RunStore` over an open `Database` whose tables are up to date."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, records: Sequence[Record]) -> None:
        """Keep ``records`` in one transaction; the rows of their runs follow in the same one."""
        if records:
            await self._database.append(records)

    async def take_over(self) -> Sequence[Claim]:
        """Become the owner of the unfinished runs of owners that are gone."""
        return await self._database.take_over()

    async def records(self, run_id: str) -> Sequence[Record]:
        """All records of a run in sequence."""
        return await self._database.read(lambda connection: _records(connection, run_id))

    async def unfinished(self) -> Sequence[str]:
        """The runs that have not ended, oldest first."""
        query = select(executions.c.id).where(executions.c.status.in_(_UNFINISHED))
        query = query.order_by(executions.c.created_at, executions.c.id)
        return await self._database.read(lambda connection: connection.execute(query).scalars().all())

    async def runs(self, *, limit: int = 100) -> Sequence[RunSummary]:
        """The newest ``limit`` runs, newest first."""
        query = select(executions).where(executions.c.claim != _GOING)
        query = query.order_by(*_NEWEST_FIRST).limit(max(limit, 0))
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

    async def prune(self, before: datetime) -> int:
        """Delete the runs that ended before ``before``, `_AT_ONCE` records a transaction."""
        old = (executions.c.status.in_(_ENDED), executions.c.completed_at < before, executions.c.claim != _GOING)
        mark = update(executions).where(*old).values(claim=_GOING)
        count = await self._database.write(lambda connection: connection.execute(mark).rowcount)
        going = select(executions.c.id).where(executions.c.claim == _GOING)
        left = list(await self._database.read(lambda connection: connection.execute(going).scalars().all()))
        while left:
            done = await self._database.write(lambda connection: _delete_some(connection, left))
            del left[:done]
        carried_out = exists().where(executions.c.owner == owners.c.id)
        forget = delete(owners).where(owners.c.gone, ~carried_out)
        await self._database.write(lambda connection: connection.execute(forget).close())
        return count


def _records(connection: Connection, run_id: str) -> list[Record]:
    shown = exists().where(executions.c.id == run_id, executions.c.claim != _GOING)
    query = select(execution_events).where(execution_events.c.execution_id == run_id, shown)
    return [
        Record(
            run_id=run_id,
            sequence=sequence,
            kind=_kind(kind, run_id),
            at=at,
            stage=stage,
            task=task,
            data=from_text(data),
        )
        for _, sequence, kind, at, stage, task, data in connection.execute(query.order_by(execution_events.c.sequence))
    ]


def _delete_some(connection: Connection, run_ids: Sequence[str]) -> int:
    """Delete up to `_AT_ONCE` records, and the runs that have none left; return how many of ``run_ids`` are gone."""
    room, gone = _AT_ONCE, 0
    for run_id in run_ids:
        its = execution_events.c.execution_id == run_id
        past = (
            select(execution_events.c.sequence).where(its).order_by(execution_events.c.sequence).offset(room).limit(1)
        )
        stop = connection.execute(past).scalar()
        some = its if stop is None else its & (execution_events.c.sequence < stop)
        room -= connection.execute(delete(execution_events).where(some)).rowcount
        if stop is not None:
            break
        connection.execute(delete(executions).where(executions.c.id == run_id))
        gone += 1
        if room <= 0:
            break
    return gone


def _kind(stored: str, run_id: str) -> RecordKind:
    try:
        return _KINDS[stored]
    except KeyError:
        raise DefinitionError(
            f"run {run_id} has a record of the kind {stored!r}, which this version does not know; upgrade Belltower"
        ) from None
