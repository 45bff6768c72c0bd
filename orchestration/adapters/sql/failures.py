"""The one seam at which the database library's errors become ours, with the file's name and the way out."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from orchestration.domain.errors import DefinitionError, OrchestrationError, StoreUnavailableError

_PRIMARY = 0xFF  # SQLite's extended result codes carry the primary one in their low byte

_UNWRITABLE = (
    "cannot be opened or written; make the file and its folder writable, "
    "or set BELLTOWER_HOME or BELLTOWER_DATABASE_URL to a place that is"
)
_FOREIGN = "is no SQLite database, or damaged; restore a backup, or move it away and start with an empty store"
_BUSY = "is held by another process; end that one, or try again"

_ADVICE = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_FULL: "has no room left on its disk; free some space and try again: nothing of this was kept",
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


@contextmanager
def translated(where: str, *, opening: bool = False, taken: str = "a row is there already") -> Iterator[None]:
    """Raise what the library raises inside as an error of ours.

    While ``opening``, a file that cannot be used is a wrong setting (`DefinitionError`); later the same is an outage
    (`StoreUnavailableError`). ``taken`` says what it means that a key was there already.
    """
    try:
        yield
    except IntegrityError as error:
        raise DefinitionError(f"{where}: {taken}") from error
    except DBAPIError as error:
        raise _translation(error, where, opening=opening) from error
    except StatementError as error:
        if isinstance(error.orig, OrchestrationError):  # from a column's own check of a value
            raise error.orig from None
        raise


def _translation(error: DBAPIError, where: str, *, opening: bool) -> OrchestrationError:
    code = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY
    if "no such table" in str(error.orig):
        return DefinitionError(
            f"{where} has none of the tables that are needed; open it with this Belltower once, which brings it up"
        )
    advice = _ADVICE.get(code, "did not do what was asked; if that stays so, restore a backup")
    message = f"{where} {advice} ({error.orig})"
    return DefinitionError(message) if opening and code in _WRONG_FILE else StoreUnavailableError(message)
