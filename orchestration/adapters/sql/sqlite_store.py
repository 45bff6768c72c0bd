"""A store in a SQLite file: one thread that writes and one that reads, or none at all."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar, cast

from sqlalchemy import Connection

from orchestration.adapters.sql.job import Job
from orchestration.adapters.sql.sqlite_connection import SqliteConnection, require_sqlite
from orchestration.adapters.sql.sqlite_journal import SqliteJournal
from orchestration.adapters.sql.store_thread import StoreThread
from orchestration.domain.records import Claim, Record

T = TypeVar("T")

Work: TypeAlias = "Sequence[Record] | Callable[[], object]"
"""What the writing thread gets: records to append, or a call."""


class SqliteStore:
    """Open from `open` to `close`. ``inline=True`` does all work on the caller's thread, as a simulation needs it.

    Otherwise one connection, in a thread of its own, does all the writing of this process, since SQLite lets only one
    write; a second one reads, so that a long answer never holds a commit up.
    """

    def __init__(self, path: Path, where: str, owner: str, *, inline: bool) -> None:
        self._path = path
        self._where = where
        self._inline = inline
        self._writing = SqliteConnection(path, where)
        self._reading = self._writing if inline else SqliteConnection(path, where)
        self._journal = SqliteJournal(self._writing, path.with_name(f"{path.name}.owners"), owner)
        self._writer: StoreThread[Work] | None = None
        self._reader: StoreThread[Work] | None = None

    async def open(self) -> None:
        """Open the file, or make it."""
        require_sqlite(sqlite3.sqlite_version_info)
        if not self._inline:
            self._writer = StoreThread("belltower-store-writer", self._perform)
            self._reader = StoreThread("belltower-store-reader", self._perform)
            self._writer.start()
            self._reader.start()
        try:
            await self._call(self._writer, self._writing.open)
        except BaseException:
            self._stop()
            raise

    async def close(self) -> None:
        """Finish what was handed over; then let go of the file and of the runs."""
        try:
            await self._call(self._reader, self._reading.close)
        finally:
            try:
                await self._call(self._writer, self._end)
            finally:
                self._stop()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Return what ``work`` reads in one transaction."""
        return await self._call(self._reader, lambda: self._reading.read(work))

    async def write(self, work: Callable[[Connection], T], *, taken: str) -> T:
        """Return what ``work`` returns once what it wrote is on the disk."""
        return await self._call(self._writer, lambda: self._writing.write(work, taken=taken))

    async def append(self, records: Sequence[Record]) -> None:
        """See `RunStore.append`; several that wait for the writer share a commit."""
        if self._writer is not None:
            await self._writer.call(records)
            return
        [error] = self._journal.append([records])
        if error is not None:
            raise error

    async def take_over(self) -> Sequence[Claim]:
        """See `RunStore.take_over`."""
        return await self._call(self._writer, self._journal.take_over)

    async def backup(self, path: Path) -> None:
        """Copy the store to the new file ``path``; writing goes on meanwhile."""
        await self._call(self._reader, lambda: self._reading.backup(path))

    def _end(self) -> None:
        try:
            self._writing.close()
        finally:
            self._journal.close()

    async def _call(self, thread: StoreThread[Work] | None, work: Callable[[], T]) -> T:
        return work() if thread is None else cast("T", await thread.call(work))

    def _stop(self) -> None:
        for thread in (self._reader, self._writer):
            if thread is not None:
                thread.stop()
        self._reader = self._writer = None

    def _perform(self, jobs: list[Job[Work]], thread: StoreThread[Work]) -> None:
        appends: list[Job[Work]] = []
        for job in jobs:
            if callable(job.work):
                self._append(appends, thread)
                appends = []
                try:
                    job.value = job.work()
                except BaseException as error:  # noqa: BLE001 (whatever it is, it is its caller's)
                    job.error = error
                thread.done([job])
            else:
                appends.append(job)
        self._append(appends, thread)

    def _append(self, jobs: list[Job[Work]], thread: StoreThread[Work]) -> None:
        if not jobs:
            return
        try:
            outcomes = self._journal.append([cast("Sequence[Record]", job.work) for job in jobs])
            for job, outcome in zip(jobs, outcomes, strict=True):
                job.error = outcome
        except BaseException as error:  # noqa: BLE001 (a mistake of ours must not leave its callers waiting)
            for job in jobs:
                job.error = error
        thread.done(jobs)
