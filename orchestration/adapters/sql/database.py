"""One open SQLite file and the one thread that may touch it."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from orchestration.adapters.sql.failures import translated
from orchestration.domain.errors import DefinitionError

T = TypeVar("T")

OLDEST_SQLITE = (3, 35)
_BUSY_TIMEOUT_MS = 5_000
_BEGIN = "belltower_begin"
_PRAGMAS = (
    f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
)


class Database:
    """A SQLite store, open between ``async with`` and its end; ``where`` names its file in messages.

    ``inline=True`` does all work on the caller's thread, as a simulation needs it; otherwise one thread of its own
    does it, call after call, while the caller waits. Raises `DefinitionError` for an address or a file that cannot be
    a store, `StoreUnavailableError` when the store cannot be reached now.
    """

    def __init__(self, url: str, *, inline: bool = False) -> None:
        self._url = _sqlite_url(url)
        self.where = f"the store {self._url.database}"
        self._inline = inline
        self._engine: Engine | None = None
        self._thread: ThreadPoolExecutor | None = None

    async def __aenter__(self) -> Self:
        require_sqlite(sqlite3.sqlite_version_info)
        self._thread = None if self._inline else ThreadPoolExecutor(1, thread_name_prefix="belltower-store")
        try:
            self._engine = await self._call(self._open)
        except BaseException:
            self._end_thread()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        engine, self._engine = self._engine, None
        try:
            if engine is not None:
                await self._call(engine.dispose)
        finally:
            self._end_thread()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Return what ``work`` reads in one transaction; other processes may write meanwhile, it won't see it."""
        return await self._call(lambda: self._transact(work, begin="BEGIN"))

    async def write(self, work: Callable[[Connection], T], *, taken: str = "a row is there already") -> T:
        """Return what ``work`` returns once what it wrote is on the disk; if it raises, nothing is kept.

        ``taken`` is the `DefinitionError` for a key that was there already. When cancelled, what has begun is
        finished first: otherwise nobody could say what was kept.
        """
        return await self._call(lambda: self._transact(work, begin="BEGIN IMMEDIATE", taken=taken))

    def _transact(self, work: Callable[[Connection], T], *, begin: str, taken: str = "") -> T:
        if self._engine is None:
            raise RuntimeError(f"{self.where} is not open; use it inside: async with Database(...)")
        engine = self._engine.execution_options(**{_BEGIN: begin})
        with translated(self.where, taken=taken), engine.begin() as connection:
            return work(connection)

    def _open(self) -> Engine:
        # One connection, made and used by one thread; StaticPool keeps exactly that one.
        engine = create_engine(self._url, poolclass=StaticPool, connect_args={"check_same_thread": True})
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "begin", _on_begin)
        try:
            with translated(self.where, opening=True), engine.execution_options(**{_BEGIN: "BEGIN"}).begin() as first:
                first.exec_driver_sql("SELECT count(*) FROM sqlite_master")  # reads the file: is it a database at all?
        except BaseException:
            engine.dispose()
            raise
        return engine

    async def _call(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            return work()
        call = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            await asyncio.wait([call])
        except asyncio.CancelledError:
            await asyncio.wait([call])
            call.exception()  # looked at, so that the loop does not report it as lost
            raise
        return call.result()

    def _end_thread(self) -> None:
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None


def require_sqlite(version: tuple[int, ...]) -> None:
    """Raise `DefinitionError` when the SQLite library that Python was built with is too old."""
    if version < OLDEST_SQLITE:
        found, needed = (".".join(map(str, numbers)) for numbers in (version, OLDEST_SQLITE))
        raise DefinitionError(f"this Python's SQLite is {found}, and the store needs {needed}; use a newer Python")


def _sqlite_url(url: str) -> URL:
    example = f"such as sqlite:///{Path('/var/lib/belltower/belltower.db')}"
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise DefinitionError(f"BELLTOWER_DATABASE_URL is no address of a database; give one {example}") from error
    shown = parsed.render_as_string(hide_password=True)
    if parsed.get_backend_name() != "sqlite":
        raise DefinitionError(f"BELLTOWER_DATABASE_URL is {shown!r}; this version keeps its store in SQLite, {example}")
    if not parsed.database or parsed.database == ":memory:":
        raise DefinitionError(f"BELLTOWER_DATABASE_URL is {shown!r} and names no file; give one {example}")
    return parsed.set(drivername="sqlite+pysqlite")


def _on_connect(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions begin where `_on_begin` says, also around CREATE TABLE
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _on_begin(connection: Connection) -> None:
    connection.exec_driver_sql(str(connection.get_execution_options()[_BEGIN]))
