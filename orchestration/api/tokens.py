"""Where the tokens of callers come from: the home's file, made at the first start, and their SHA-256 in the store."""

import hashlib
import logging
import os
import stat
from pathlib import Path

from orchestration.domain.errors import DefinitionError
from orchestration.ports.clock import Clock
from orchestration.ports.token_store import TokenStore
from orchestration.system.secrets import new_token

TOKEN_FILE = "token"  # noqa: S105 (the name of a file)
FIRST_TOKEN = "first"  # noqa: S105 (the name of a token)
SHORTEST = 32
"""Fewer characters than this could be guessed."""

_log = logging.getLogger(__name__)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def sha256_of(token: str | bytes) -> str:
    """Return the SHA-256 of ``token``, hexadecimal in lower case: the only form in which a store keeps it."""
    return hashlib.sha256(token.encode() if isinstance(token, str) else token).hexdigest()


async def open_first_token(home: Path, tokens: TokenStore, clock: Clock) -> str:
    """Return the token of ``home``, made if there is none, once ``tokens`` knows its SHA-256; again is harmless.

    What was in the file before, if it was another one, opens nothing any more.
    Raises `DefinitionError` for a file that others may read, that holds no token, or that can't be made.
    """
    path = home / TOKEN_FILE
    try:
        token = _make(path)
    except FileExistsError:
        token = read_token(home)
    except OSError as error:
        raise DefinitionError(f"{path} can't be made: {error.strerror}; choose a BELLTOWER_HOME that can") from error
    if await tokens.replace(sha256_of(token), name=FIRST_TOKEN, at=clock.now()):
        _log.warning("%s holds another token than before; the old one is revoked", path)
    return token


def read_token(home: Path) -> str:
    """Return the token in the file of ``home``; raises `DefinitionError` as `open_first_token` does."""
    path = home / TOKEN_FILE
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read()
    except FileNotFoundError:
        raise DefinitionError(f"there is no {path}: belltower run makes it at its first start") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{path} can't be read: {error}") from error
    if os.name == "posix" and mode & _OTHERS:
        raise DefinitionError(f"{path} can be read by others (mode {mode & 0o777:04o}): chmod 600 {path}")
    return _checked(text, path)


def read_metrics_token(path: Path) -> str:
    """Return the token in ``path``, whose readers are the user's choice: the scraper is one of them.

    Raises `DefinitionError` when it can't be read or holds no token.
    """
    try:
        return _checked(path.read_text(encoding="utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise DefinitionError(f"BELLTOWER_METRICS_TOKEN_FILE is {path}, which can't be read: {error}") from error


def _make(path: Path) -> str:
    """Write a new token that only its owner can read; raises `FileExistsError` if there is something at ``path``."""
    token = new_token()
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(opened, "w", encoding="utf-8") as file:
            file.write(f"{token}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)  # half a token would stop every later start
        raise
    return token


def _checked(text: str, path: Path) -> str:
    token = text.strip()
    if len(token) < SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise DefinitionError(
            f"{path} holds no token: write one line of at least {SHORTEST} letters, digits and signs without spaces, "
            f"or take the home's {TOKEN_FILE} away and the next start makes a new one"
        )
    return token
