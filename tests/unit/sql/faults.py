"""Real faults of disks: what SQLite itself sees and has to deal with."""

import _sqlite3
import ctypes
import os
import resource
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestration.adapters.sql.database import Database

_FCNTL_JOURNAL_POINTER = 28  # in WAL mode: the WAL
_IOERR_FSYNC = sqlite3.SQLITE_IOERR_FSYNC
_METHODS = 18  # of sqlite3_io_methods, version 3, behind the version itself
_SYNC = 4
_Sync = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


class _IoMethods(ctypes.Structure):
    _fields_ = [("version", ctypes.c_int), ("methods", ctypes.c_void_p * _METHODS)]


async def driver_of(database: Database) -> sqlite3.Connection:
    """The connection by which the store writes."""
    connection: object = await database.write(lambda one: one.connection.driver_connection)
    assert isinstance(connection, sqlite3.Connection)
    return connection


_IN_USE: list[object] = []
"""SQLite knows no Python references: what it was given must stay where it is for good."""


class FailingSync:
    """Until ``mended``, what a connection commits can't be brought to the disk: fsync says EIO."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        library = ctypes.CDLL(_sqlite3.__file__)
        handle = ctypes.c_void_p.from_address(id(connection) + object.__basicsize__)
        file = ctypes.c_void_p()
        assert library.sqlite3_file_control(handle, b"main", _FCNTL_JOURNAL_POINTER, ctypes.byref(file)) == 0
        pointer = ctypes.POINTER(_IoMethods).from_address(file.value or 0)
        self.calls = 0
        self.mended = False
        self._original = _Sync(pointer.contents.methods[_SYNC])
        self._callback = _Sync(self._fail)
        self._methods = _IoMethods.from_buffer_copy(pointer.contents)
        self._methods.methods[_SYNC] = ctypes.cast(self._callback, ctypes.c_void_p).value
        pointer.contents = self._methods
        _IN_USE.append(self)

    def _fail(self, file: int, flags: int) -> int:
        if self.mended:
            return int(self._original(file, flags))
        self.calls += 1
        return _IOERR_FSYNC


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """Writing past ``size`` bytes of any file fails in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[], Callable[[], None]] | None]:
    """A disk of 1 MB at ``folder``; what it gives fills it up and returns how to empty it. ``None``: not allowed."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        yield None
        return

    def fill() -> Callable[[], None]:
        filler = folder / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096) == 4096:
                    pass
            except OSError:
                pass
        return filler.unlink

    try:
        yield fill
    finally:
        subprocess.run(["umount", str(folder)], check=True)
