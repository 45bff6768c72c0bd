"""One connection to a SQLite file, for one thread: by the driver itself and, over the same one, by SQLAlchemy."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from orchestration.adapters.sql.failures import may_mend, needs_reopening, translated
from orchestration.domain.errors import DefinitionError, OrchestrationError, StoreUnavailableError

T = TypeVar("T")

OLDEST_SQLITE = (3, 35)
_BUSY_TIMEOUT_MS, _TRIES = 5_000, 100
_PRIMARY = 0xFF
"""What of an extended result code says which kind it is."""
_BEGIN = "belltower_begin"
_PRAGMAS = (
    "PRAGMA busy_timeout=0",  # for the next two, which wait by themselves: see `_set`
    "PRAGMA journal_mode=WAL",
    "SELECT count(*) FROM sqlite_master",  # reads the file: is it a database at all?
    f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
)


class SqliteConnection:
    """The connection is opened when it is first needed, and again after it failed; only `open` may make the file."""

    def __init__(self, path: Path, where: str) -> None:
        self._name = str(path)
        self.where = where
        self._raw: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._failed = False
        self._engine: Engine | None = None

    def open(self) -> None:
        """Open the file, or make it; raises `DefinitionError` when it can't be a store."""
        try:
            with translated(self.where, opening=True):
                self._raw = self._connect("rwc")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file; the next use opens it anew."""
        engine, self._engine = self._engine, None
        raw, self._raw = self._raw, None
        self._failed = False
        if engine is not None:
            engine.dispose()
        if raw is not None:
            raw.close()

    def raw(self) -> sqlite3.Connection:
        """The driver's connection, in autocommit; raises `StoreUnavailableError` when it can't be had."""
        if self._raw is None:
            with translated(self.where):
                self._raw = self._connect("rw")
        return self._raw

    def check_place(self) -> None:
        """Look, after each commit, whether it counts.

        Raises `StoreUnavailableError` when the file is not where it was: what SQLite writes then, nobody finds.
        """
        if self._place() != self._file:
            raise StoreUnavailableError(
                f"{self.where} was moved, deleted or replaced while it was open; put it back and try again"
            )
        self._failed = False

    def let_go_after(self, error: BaseException) -> None:
        """Have the next use open the file anew if that is what ``error`` asks for.

        After a write that failed only the second time: see `may_mend`.
        """
        if needs_reopening(error):
            if may_mend(error) and not self._failed:
                self._failed = True
            else:
                self.close()

    def read(self, work: Callable[[Connection], T]) -> T:
        """Return what ``work`` reads in one transaction."""
        if self._raw is not None and self._place() != self._file:
            self.close()
        return self._transact(work, begin="BEGIN", taken="")

    def write(self, work: Callable[[Connection], T], *, taken: str) -> T:
        """Return what ``work`` returns once what it wrote is durable; if it raises, nothing is kept."""
        return self._transact(work, begin="BEGIN IMMEDIATE", taken=taken, check=True)

    def backup(self, path: Path) -> None:
        """Copy what is stored to the new file ``path``, which is there only when it is whole."""
        if path.exists():
            raise DefinitionError(f"{path} is there already; name a new file for the backup")
        part = path.with_name(f"{path.name}.part")
        with translated(self.where):
            try:
                with closing(sqlite3.connect(part)) as copy:
                    self.raw().backup(copy)
                part.rename(path)
            except (OSError, sqlite3.Error) as error:
                part.unlink(missing_ok=True)
                raise DefinitionError(f"the backup {path} could not be made ({error}); name another place") from error

    def _transact(self, work: Callable[[Connection], T], *, begin: str, taken: str, check: bool = False) -> T:
        try:
            self.raw()  # opened here, so that what goes wrong is said as it is
            with translated(self.where, taken=taken):
                engine = (self._engine or self._over_raw()).execution_options(**{_BEGIN: begin})
                with engine.begin() as connection:
                    result = work(connection)
            if check:
                self.check_place()
        except OrchestrationError as error:
            self.let_go_after(error)
            raise
        return result

    def _over_raw(self) -> Engine:
        engine = create_engine("sqlite+pysqlite://", creator=self.raw, poolclass=StaticPool)
        event.listen(engine, "begin", _on_begin)
        self._engine = engine
        return engine

    def _connect(self, mode: str) -> sqlite3.Connection:
        # Only one thread uses it at a time, but the one that opened it need not be the one that closes it.
        raw = sqlite3.connect(
            f"file:{quote(self._name)}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
        )
        try:
            for pragma in _PRAGMAS:
                _set(raw, pragma)
        except BaseException:
            raw.close()
            raise
        self._file = self._place()
        return raw

    def _place(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._name)  # noqa: PTH116 (asked at every commit: a path of its own costs twice that)
        except OSError:
            return None
        return found.st_dev, found.st_ino


def _set(raw: sqlite3.Connection, pragma: str) -> None:
    """Execute ``pragma``, waiting for other processes.

    SQLite itself does not when two make a file a WAL, or mend the WAL of a dead process, at the same moment.
    """
    for _ in range(_TRIES - 1):
        try:
            raw.execute(pragma).close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & _PRIMARY != sqlite3.SQLITE_BUSY:
                raise
            Event().wait(_BUSY_TIMEOUT_MS / 1000 / _TRIES)
        else:
            return
    raw.execute(pragma).close()


def require_sqlite(version: tuple[int, ...]) -> None:
    """Raise `DefinitionError` when the SQLite library that Python was built with is too old."""
    if version < OLDEST_SQLITE:
        found, needed = (".".join(map(str, numbers)) for numbers in (version, OLDEST_SQLITE))
        raise DefinitionError(f"this Python's SQLite is {found}, and the store needs {needed}; use a newer Python")


def _on_begin(connection: Connection) -> None:
    connection.exec_driver_sql(str(connection.get_execution_options()[_BEGIN]))
