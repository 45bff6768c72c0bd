"""The journal's hot path on SQLite: whole groups of appends in one transaction, by the driver itself."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestration.adapters.sql.failures import TakenError, is_full, sqlite_failure
from orchestration.adapters.sql.journal_rows import (
    EventRow,
    Rows,
    missing,
    moment_text,
    rows_of,
    runs_of,
    taken_by,
)
from orchestration.adapters.sql.owner_lock import OwnerLock
from orchestration.adapters.sql.sqlite_connection import SqliteConnection
from orchestration.domain.errors import ClaimLostError, DefinitionError, OrchestrationError
from orchestration.domain.records import Claim, Record
from orchestration.domain.states import RunStatus

_EVENT = (
    "INSERT INTO execution_events (execution_id, sequence, kind, at, stage, task, data) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_RUN = "INSERT INTO executions (id, name, status, created_at, owner) VALUES (?, ?, ?, ?, ?)"
_STARTED = "UPDATE executions SET status = ?, started_at = ? WHERE id = ?"
_ENDED = "UPDATE executions SET status = ?, completed_at = ? WHERE id = ?"
_STORED = (
    "SELECT execution_id, sequence, kind, at, stage, task, data FROM execution_events "
    "WHERE execution_id = ? AND sequence = ?"
)
_ALIVE = "SELECT 1 FROM owners WHERE id = ? AND NOT gone"
_OWNER = "INSERT OR IGNORE INTO owners (id, process, gone) VALUES (?, ?, 0)"
_OTHERS = "SELECT id FROM owners WHERE NOT gone AND id <> ?"
_GONE = "UPDATE owners SET gone = 1 WHERE id = ?"
_UNFINISHED = ", ".join(f"'{status.value}'" for status in RunStatus if not status.ended)
_ABANDONED = (
    f"SELECT id, claim + 1 FROM executions WHERE status IN ({_UNFINISHED}) AND "  # noqa: S608 (our own constants)
    "(owner IS NULL OR owner IN (SELECT id FROM owners WHERE gone)) ORDER BY created_at, id"
)
_CLAIM = "UPDATE executions SET owner = ?, claim = ? WHERE id = ?"


class SqliteJournal:
    """Appends of one owner, which is entered in the store when it first needs to be; used by one thread."""

    def __init__(self, connection: SqliteConnection, folder: Path, owner: str) -> None:
        self._connection = connection
        self._folder = folder
        self._owner = owner
        self._lock = OwnerLock(folder, owner, connection.where)
        self._entered = False

    def append(self, appends: Sequence[Sequence[Record]]) -> list[Exception | None]:
        """Return, for each of ``appends``, why it was not kept, or ``None``: then it is on the disk."""
        errors: list[Exception | None] = []
        whole: list[Rows[str]] = []
        for records in appends:
            try:
                whole.append(rows_of(records, moment_text))
                errors.append(None)
            except DefinitionError as error:
                errors.append(error)
        if len(whole) > 1:
            joint: Rows[str] = Rows()
            for rows in whole:
                joint.add(rows)
            failed = self._try(self._keep, joint)
            alone = isinstance(failed, DefinitionError) or (failed is not None and is_full(failed))
            outcomes = [self._try(self._keep_alone, rows) if alone else failed for rows in whole]
        else:
            outcomes = [self._try(self._keep_alone, rows) for rows in whole]
        left = iter(outcomes)
        return [error if error is not None else next(left) for error in errors]

    def take_over(self) -> Sequence[Claim]:
        """See `RunStore.take_over`."""
        locks: list[OwnerLock] = []
        kept = False
        try:
            with self._transaction() as raw:
                for (owner,) in raw.execute(_OTHERS, (self._owner,)).fetchall():
                    lock = OwnerLock(self._folder, owner, self._connection.where)
                    if lock.seize():
                        locks.append(lock)
                        raw.execute(_GONE, (owner,))
                claims = [Claim(run_id=run_id, token=token) for run_id, token in raw.execute(_ABANDONED)]
                raw.executemany(_CLAIM, [(self._owner, claim.token, claim.run_id) for claim in claims])
            kept = True
        finally:
            for lock in locks:
                lock.release(remove=kept)
        return claims

    def close(self) -> None:
        """Leave the runs to whoever takes them over."""
        self._lock.release(remove=True)

    def _try(self, keep: Callable[[Rows[str]], None], rows: Rows[str]) -> Exception | None:
        try:
            keep(rows)
        except OrchestrationError as error:
            self._connection.let_go_after(error)
            return error
        return None

    def _keep_alone(self, rows: Rows[str]) -> None:
        try:
            self._keep(rows)
        except TakenError as error:
            self._keep_the_rest(rows, error)

    def _keep(self, rows: Rows[str]) -> None:
        with self._transaction(rows.events) as raw:
            self._insert(raw, rows)

    def _keep_the_rest(self, rows: Rows[str], taken: TakenError) -> None:
        """Keep what is not there yet if all else is there to the letter; otherwise raise ``taken``."""
        with self._transaction(rows.events) as raw:
            rest = missing(rows, [raw.execute(_STORED, event[:2]).fetchone() for event in rows.events])
            if rest is None:
                raise taken
            self._insert(raw, rest)

    def _insert(self, raw: sqlite3.Connection, rows: Rows[str]) -> None:
        if rows.created:
            raw.executemany(_RUN, [(*run, self._owner) for run in rows.created])
        if rows.started:
            raw.executemany(_STARTED, rows.started)
        if rows.ended:
            raw.executemany(_ENDED, rows.ended)
        raw.executemany(_EVENT, rows.events)

    @contextmanager
    def _transaction(self, events: Sequence[EventRow[str]] = ()) -> Iterator[sqlite3.Connection]:
        raw = self._connection.raw()
        where = self._connection.where
        try:
            if not self._entered:
                self._enter(raw)
            raw.execute("BEGIN IMMEDIATE")
            if raw.execute(_ALIVE, (self._owner,)).fetchone() is None:
                raise ClaimLostError(self._owner, where)
            yield raw
            raw.execute("COMMIT")
            self._connection.check_place()
        except sqlite3.Error as error:
            raise sqlite_failure(error, where, taken=taken_by(events)) from error
        except (UnicodeEncodeError, OverflowError) as error:
            raise DefinitionError(f"{where} can't hold a record of {runs_of(events)}: {error}") from error
        finally:
            self._undo(raw)

    def _undo(self, raw: sqlite3.Connection) -> None:
        try:
            if raw.in_transaction:
                raw.execute("ROLLBACK")
        except sqlite3.Error:
            self._connection.close()  # which undoes it too

    def _enter(self, raw: sqlite3.Connection) -> None:
        self._lock.hold()  # before anybody can read that there is such an owner
        raw.execute(_OWNER, (self._owner, os.getpid()))
        self._entered = True
