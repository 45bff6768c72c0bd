"""What PostgreSQL and its driver say, in our words; never with a password."""

import asyncpg

from orchestration.adapters.sql.failures import NO_ROOM, TakenError
from orchestration.domain.errors import DefinitionError, OrchestrationError, StoreUnavailableError

LOST = (OSError, asyncpg.InterfaceError, asyncpg.exceptions.ConnectionDoesNotExistError)
"""The connection is gone, or nobody answers on it."""

_TAKEN = "23"  # the first two characters of a code are its class
_NOT_STORABLE = ("22",)
_NO_TABLES = ("42P01", "42703")
_FULL = ("53100",)
_ENDED = ("08", "57P0")
_WRONG_SETTING = ("28", "3D000")


def postgres_failure(
    error: BaseException, where: str, *, opening: bool = False, taken: str = "a row is there already"
) -> OrchestrationError:
    """Return what ``error`` of the driver is in our words; while ``opening``, a wrong name or password is a setting."""
    code = getattr(error, "sqlstate", None) or ""
    if code.startswith(_TAKEN):
        return TakenError(f"{where}: {taken}")
    if code in _NO_TABLES:
        return DefinitionError(
            f"{where} has none of the tables that are needed; open it with this Belltower once, which brings it up"
        )
    if code.startswith(_NOT_STORABLE) or isinstance(error, asyncpg.exceptions.DataError):
        return DefinitionError(f"{where} can't hold this: {_said(error)}")
    if code in _FULL:
        return StoreUnavailableError(f"{where} {NO_ROOM} ({_said(error)})")
    if code.startswith(_WRONG_SETTING) and opening:
        return DefinitionError(f"{where} does not let us in ({_said(error)}); mend BELLTOWER_DATABASE_URL")
    if isinstance(error, LOST) or code.startswith(_ENDED):
        return StoreUnavailableError(f"{where} can't be reached ({_said(error)}); start the server, or try again")
    return StoreUnavailableError(f"{where} did not do what was asked ({_said(error)})")


def _said(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
