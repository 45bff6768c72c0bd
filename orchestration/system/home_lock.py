"""One daemon a home: a lock that ends with the process that holds it, however that ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestration.domain.errors import DefinitionError

NAME = "daemon.lock"


@contextmanager
def home_lock(home: Path) -> Iterator[None]:
    """Hold the home while the body runs.

    The kernel lets go of the lock when its holder dies, so what a dead daemon left behind is simply taken over. Raises
    `DefinitionError` when another daemon holds it (naming its process) or the home can't be written to.
    """
    path = home / NAME
    try:
        home.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise DefinitionError(f"{home} can't be written to ({error.strerror}); choose a --home that can") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise DefinitionError(
                f"a daemon (process {holder}) runs in {home}; stop that one, or give this one a --home of its own"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
