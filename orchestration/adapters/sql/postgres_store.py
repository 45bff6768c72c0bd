"""A store in PostgreSQL: asyncpg for the journal, SQLAlchemy over it for the rest."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import asyncpg
from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.ext.asyncio import create_async_engine

from orchestration.adapters.sql.postgres_failures import LOST, postgres_failure
from orchestration.adapters.sql.postgres_journal import PostgresJournal
from orchestration.domain.errors import DefinitionError, OrchestrationError
from orchestration.domain.records import Claim, Record

T = TypeVar("T")

_CONNECT_S = 10.0
_COMMAND_S = 60.0
_SETTINGS = {
    "application_name": "belltower",
    "synchronous_commit": "on",  # whatever the server's default is: durable on return
    "tcp_keepalives_idle": "30",  # a machine that is gone without a word holds its runs for a minute, not for hours
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}


class PostgresStore:
    """Open from `open` to `close`; the server must let a session keep its locks (no pooling by transaction between)."""

    def __init__(self, url: URL, where: str, owner: str) -> None:
        self._address = url.render_as_string(hide_password=False)
        self._where = where
        self._journal = PostgresJournal(self._connect, where, owner)
        self._engine = create_async_engine(
            "postgresql+asyncpg://", async_creator=self._connect, pool_size=2, max_overflow=3, pool_pre_ping=True
        )
        self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ")

    async def open(self) -> None:
        """See that the server lets us in."""
        try:
            connection = await self._connect()
        except ValueError:  # it quotes what it can't read, which might be a password
            raise DefinitionError(
                f"{self._where} can't be opened: BELLTOWER_DATABASE_URL has a setting that can't be read"
            ) from None
        except (asyncpg.PostgresError, *LOST) as error:
            raise postgres_failure(error, self._where, opening=True) from error
        await connection.close()

    async def close(self) -> None:
        """Finish what was handed over; then let go of the server and of the runs."""
        try:
            await self._journal.close()
        finally:
            await self._engine.dispose()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Return what ``work`` reads in one transaction."""
        with self._translated():
            async with self._reading.begin() as connection:
                return await connection.run_sync(work)

    async def write(self, work: Callable[[Connection], T], *, taken: str) -> T:
        """Return what ``work`` returns once what it wrote is durable; finished first when cancelled."""

        async def write() -> T:
            with self._translated(taken=taken):
                async with self._engine.begin() as connection:
                    return await connection.run_sync(work)

        return await _finished(write())

    async def append(self, records: Sequence[Record]) -> None:
        """See `RunStore.append`."""
        await self._journal.append(records)

    async def take_over(self) -> Sequence[Claim]:
        """See `RunStore.take_over`."""
        return await self._journal.take_over()

    async def backup(self, path: Path) -> None:
        """Refuse: PostgreSQL has tools of its own."""
        raise DefinitionError(f"{self._where} is backed up by PostgreSQL's own tools, such as pg_dump")

    async def _connect(self) -> asyncpg.Connection:
        return await asyncpg.connect(
            self._address, timeout=_CONNECT_S, command_timeout=_COMMAND_S, server_settings=_SETTINGS
        )

    @contextmanager
    def _translated(self, taken: str = "a row is there already") -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            cause = (error.orig and error.orig.__cause__) or error.orig or error
            raise postgres_failure(cause, self._where, taken=taken) from error
        except StatementError as error:
            if isinstance(error.orig, OrchestrationError):  # from a column's own check of a value
                raise error.orig from None
            raise
        except (asyncpg.PostgresError, *LOST) as error:
            raise postgres_failure(error, self._where, taken=taken) from error


async def _finished(work: Awaitable[T]) -> T:
    """Return what ``work`` returns; cancelled, go on only when it has ended."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                continue
        if not task.cancelled():
            task.exception()  # looked at, so that the loop does not report it as lost
        raise
    return task.result()
