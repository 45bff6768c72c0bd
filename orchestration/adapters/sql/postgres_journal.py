"""The journal's hot path on PostgreSQL: whole groups of appends in one transaction, by asyncpg on one connection."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeAlias, cast

import asyncpg

from orchestration.adapters.sql.failures import TakenError
from orchestration.adapters.sql.job import Job, settle_all
from orchestration.adapters.sql.journal_rows import Rows, missing, rows_of, taken_by, utc
from orchestration.adapters.sql.postgres_failures import LOST, postgres_failure
from orchestration.domain.errors import ClaimLostError, DefinitionError, OrchestrationError
from orchestration.domain.records import Claim, Record
from orchestration.domain.states import RunStatus

Work: TypeAlias = "Rows[datetime] | None"
"""Rows to keep; ``None``: take over."""

_COLUMNS = "execution_id, sequence, kind, at, stage, task, data"
_MANY = "unnest($2::text[], $3::int[], $4::text[], $5::timestamptz[], $6::text[], $7::text[], $8::text[])"
_EVENTS = (
    f"INSERT INTO execution_events ({_COLUMNS}) SELECT * FROM {_MANY} "  # noqa: S608 (our own constants)
    "WHERE EXISTS (SELECT 1 FROM owners WHERE id = $1 AND NOT gone)"
)
_RUNS = (
    "INSERT INTO executions (id, name, status, created_at, owner) "
    "SELECT *, $5 FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])"
)
_STARTED = (
    "UPDATE executions SET status = new.status, started_at = new.at "
    "FROM unnest($1::text[], $2::timestamptz[], $3::text[]) AS new(status, at, id) WHERE executions.id = new.id"
)
_ENDED = _STARTED.replace("started_at", "completed_at")
_STORED = (
    f"SELECT {_COLUMNS} FROM execution_events "  # noqa: S608 (our own constants)
    "JOIN unnest($1::text[], $2::int[]) AS asked(id, number) ON execution_id = id AND sequence = number"
)
_LOCK = "SELECT pg_advisory_lock(hashtextextended($1, 0))"
_SEIZE = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))"
_OWNER = "INSERT INTO owners (id, process, gone) VALUES ($1, $2, false) ON CONFLICT DO NOTHING"
_ALIVE = "SELECT 1 FROM owners WHERE id = $1 AND NOT gone"
_ONE_AT_A_TIME = "LOCK TABLE owners IN SHARE ROW EXCLUSIVE MODE"
_OTHERS = "SELECT id FROM owners WHERE NOT gone AND id <> $1"
_GONE = "UPDATE owners SET gone = true WHERE id = any($1::text[])"
_CLAIM = (
    "UPDATE executions SET owner = $1, claim = claim + 1 WHERE status = any($2::text[]) "
    "AND (owner IS NULL OR owner IN (SELECT id FROM owners WHERE gone)) RETURNING created_at, id, claim"
)
_UNFINISHED = [status.value for status in RunStatus if not status.ended]
_KEPT_NOTHING = "INSERT 0 0"


class PostgresJournal:
    """Appends of one owner. Its proof of life is a lock of the very session that appends.

    As long as the session lives nobody else gets the lock; when it ends, whatever it had begun is undone by the
    server, and what a new session of ours appends is refused once another owner has had the lock.
    """

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], where: str, owner: str) -> None:
        self._connect = connect
        self._where = where
        self._owner = owner
        self._connection: asyncpg.Connection | None = None
        self._jobs: list[Job[Work]] = []
        self._worker: asyncio.Task[None] | None = None

    async def append(self, records: Sequence[Record]) -> None:
        """See `RunStore.append`; several that wait share a transaction."""
        await self._call(rows_of(records, utc))

    async def take_over(self) -> Sequence[Claim]:
        """See `RunStore.take_over`."""
        return cast("Sequence[Claim]", await self._call(None))

    async def close(self) -> None:
        """Finish what was handed over, then leave the runs to whoever takes them over."""
        if self._worker is not None:
            await asyncio.wait([self._worker])
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close()
            except (*LOST, asyncpg.PostgresError):
                connection.terminate()

    async def _call(self, work: Work) -> object:
        loop = asyncio.get_running_loop()
        job = Job(work, loop)
        self._jobs.append(job)
        if self._worker is None:
            self._worker = loop.create_task(self._work())
        return await job.outcome()

    async def _work(self) -> None:
        jobs: list[Job[Work]] = []
        try:
            while self._jobs:
                jobs, self._jobs = self._jobs, []
                appends = [job for job in jobs if job.work is not None]
                await self._settle(appends)
                for job in jobs:
                    if job.work is None:
                        job.error = await self._try(lambda job=job: self._take_over(job))  # type: ignore[misc]  # a default keeps the loop's value
                        job.settle()
        except BaseException as error:  # the loop ends: nobody may wait for ever
            for job in (*jobs, *self._jobs):
                job.fail(error)
            self._jobs = []
            raise
        finally:
            self._worker = None

    async def _settle(self, jobs: list[Job[Work]]) -> None:
        all_rows = [job.work for job in jobs if job.work is not None]
        joint: Rows[datetime] = Rows()
        for rows in all_rows:
            joint.add(rows)
        error = await self._try(lambda: self._keep(joint)) if jobs else None
        if isinstance(error, DefinitionError):
            for job, rows in zip(jobs, all_rows, strict=True):
                job.error = await self._try(lambda rows=rows: self._keep_alone(rows))  # type: ignore[misc]  # as above
        else:
            for job in jobs:
                job.error = error
        settle_all(jobs)

    async def _try(self, work: Callable[[], Awaitable[None]]) -> Exception | None:
        try:
            await work()
        except OrchestrationError as error:
            return error
        except Exception as error:  # noqa: BLE001 (a mistake of ours must not leave its callers waiting)
            self._let_go()
            return error
        return None

    async def _keep_alone(self, rows: Rows[datetime]) -> None:
        try:
            await self._keep(rows)
        except TakenError as taken:
            rest = missing(rows, await self._stored(rows))
            if rest is None:
                raise taken from None
            await self._keep(rest)

    async def _keep(self, rows: Rows[datetime]) -> None:
        async def keep(connection: asyncpg.Connection) -> None:
            if rows.created or rows.started or rows.ended:
                async with connection.transaction():
                    await self._follow(connection, rows)
                    await self._insert(connection, rows)
            else:
                await self._insert(connection, rows)

        await self._with_connection(keep, taken=taken_by(rows.events))

    async def _insert(self, connection: asyncpg.Connection, rows: Rows[datetime]) -> None:
        if rows.events and await connection.execute(_EVENTS, self._owner, *columns(rows.events)) == _KEPT_NOTHING:
            raise ClaimLostError(self._owner, self._where)

    async def _follow(self, connection: asyncpg.Connection, rows: Rows[datetime]) -> None:
        if rows.created:
            await connection.execute(_RUNS, *columns(rows.created), self._owner)
        if rows.started:
            await connection.execute(_STARTED, *columns(rows.started))
        if rows.ended:
            await connection.execute(_ENDED, *columns(rows.ended))

    async def _stored(self, rows: Rows[datetime]) -> list[tuple[object, ...] | None]:
        found: dict[tuple[object, ...], tuple[object, ...]] = {}

        async def ask(connection: asyncpg.Connection) -> None:
            keys = [event[0] for event in rows.events], [event[1] for event in rows.events]
            for row in await connection.fetch(_STORED, *keys):
                found[row[0], row[1]] = tuple(row)

        await self._with_connection(ask)
        return [found.get(event[:2]) for event in rows.events]

    async def _take_over(self, job: Job[Work]) -> None:
        async def take(connection: asyncpg.Connection) -> None:
            async with connection.transaction():
                await connection.execute(_ONE_AT_A_TIME)
                if await connection.fetchval(_ALIVE, self._owner) is None:
                    raise ClaimLostError(self._owner, self._where)
                others = [row[0] for row in await connection.fetch(_OTHERS, self._owner)]
                gone = [owner for owner in others if await connection.fetchval(_SEIZE, owner)]
                await connection.execute(_GONE, gone)
                claimed = sorted(await connection.fetch(_CLAIM, self._owner, _UNFINISHED), key=tuple)
            job.value = [Claim(run_id=run_id, token=token) for _, run_id, token in claimed]

        await self._with_connection(take)

    async def _with_connection(
        self, work: Callable[[asyncpg.Connection], Awaitable[None]], *, taken: str = "a row is there already"
    ) -> None:
        try:
            await work(self._connection or await self._enter())
        except (asyncpg.PostgresError, *LOST) as error:
            failure = postgres_failure(error, self._where, taken=taken)
            if not isinstance(failure, DefinitionError) and (self._closed() or isinstance(error, LOST)):
                self._let_go()
            raise failure from error

    async def _enter(self) -> asyncpg.Connection:
        connection = await self._connect()
        try:
            await connection.execute(_LOCK, self._owner)
            await connection.execute(_OWNER, self._owner, os.getpid())
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection
        return connection

    def _closed(self) -> bool:
        return self._connection is None or self._connection.is_closed()

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


def columns(rows: Sequence[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Return ``rows``, one or more, column by column."""
    return list(zip(*rows, strict=True))
