"""The one seam at which the database libraries' errors become ours, with the store's name and the way out."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, StatementError

from orchestration.domain.errors import DefinitionError, OrchestrationError, StoreUnavailableError

_PRIMARY = 0xFF  # SQLite's extended result codes carry the primary one in their low byte

_UNWRITABLE = (
    "cannot be opened or written; make the file and its folder writable, "
    "or set BELLTOWER_HOME or BELLTOWER_DATABASE_URL to a place that is"
)
_FOREIGN = "is no SQLite database, or damaged; restore a backup, or move it away and start with an empty store"
_BUSY = "is held by another process; end that one, or try again"
_NO_TABLES = "has none of the tables that are needed; open it with this Belltower once, which brings it up"
_OTHERWISE = "did not do what was asked; if that stays so, restore a backup"
NO_ROOM = "has no room left on its disk; free some space and try again: nothing of this was kept"

_ADVICE = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_FULL: NO_ROOM,
    sqlite3.SQLITE_IOERR: "lies on a disk that fails or is full; check it and try again: nothing of this was kept",
    sqlite3.SQLITE_CANTOPEN: _UNWRITABLE,
    sqlite3.SQLITE_READONLY: _UNWRITABLE,
    sqlite3.SQLITE_PERM: _UNWRITABLE,
    sqlite3.SQLITE_NOTADB: _FOREIGN,
    sqlite3.SQLITE_CORRUPT: _FOREIGN,
}
_WRONG_FILE = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CORRUPT,
    }
)
_UNWRITTEN = frozenset({sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC})
_STILL_GOOD = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL})


class TakenError(DefinitionError):
    """A key was there already, or the row that it refers to is not."""


@contextmanager
def translated(where: str, *, opening: bool = False, taken: str = "a row is there already") -> Iterator[None]:
    """Raise what SQLite, or SQLAlchemy over it, raises inside as an error of ours.

    While ``opening``, a file that cannot be used is a wrong setting (`DefinitionError`); later the same is an outage
    (`StoreUnavailableError`). ``taken`` says what it means that a key was there already.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise sqlite_failure(error, where, opening=opening, taken=taken) from error
    except DBAPIError as error:
        if not isinstance(error.orig, sqlite3.Error):
            raise
        raise sqlite_failure(error.orig, where, opening=opening, taken=taken) from error
    except StatementError as error:
        if isinstance(error.orig, OrchestrationError):  # from a column's own check of a value
            raise error.orig from None
        raise


def sqlite_failure(
    error: sqlite3.Error, where: str, *, opening: bool = False, taken: str = "a row is there already"
) -> OrchestrationError:
    """Return what ``error`` is in our words."""
    if isinstance(error, sqlite3.IntegrityError):
        return TakenError(f"{where}: {taken}")
    if "no such table" in str(error):
        return DefinitionError(f"{where} {_NO_TABLES}")
    code = _primary(error)
    message = f"{where} {_ADVICE.get(code, _OTHERWISE)} ({error})"
    return DefinitionError(message) if opening and code in _WRONG_FILE else StoreUnavailableError(message)


def needs_reopening(error: BaseException) -> bool:
    """Whether the connection on which ``error`` happened is not to be trusted any more."""
    cause = driver_error(error)
    return isinstance(error, StoreUnavailableError) and (cause is None or _primary(cause) not in _STILL_GOOD)


def may_mend(error: BaseException) -> bool:
    """Whether ``error`` is a write that did not reach the disk.

    The connection that made it knows that it does not count, and writes over it. One that is opened after it reads the
    file like after a power cut, and may find the whole of it there: then what failed was kept after all.
    """
    cause = driver_error(error)
    return cause is not None and _code(cause) in _UNWRITTEN


def is_full(error: BaseException) -> bool:
    """Whether ``error`` says that the disk is full: less may still fit."""
    cause = driver_error(error)
    return cause is not None and _primary(cause) == sqlite3.SQLITE_FULL


def driver_error(error: BaseException) -> sqlite3.Error | None:
    """Return what the driver said that made `translated` or `sqlite_failure` make ``error``."""
    cause = error.__cause__.orig if isinstance(error.__cause__, DBAPIError) else error.__cause__
    return cause if isinstance(cause, sqlite3.Error) else None


def _primary(error: sqlite3.Error) -> int:
    return _code(error) & _PRIMARY


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
