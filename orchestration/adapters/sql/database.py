"""One open store, whatever it is made of: SQLite or PostgreSQL, by its address."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from orchestration.adapters.sql.sqlite_store import SqliteStore
from orchestration.domain.errors import DefinitionError
from orchestration.domain.records import Claim, Record
from orchestration.ports.ids import Ids
from orchestration.system.ids import SystemIds

T = TypeVar("T")


class _Store(Protocol):
    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def read(self, work: Callable[[Connection], T]) -> T: ...
    async def write(self, work: Callable[[Connection], T], *, taken: str) -> T: ...
    async def append(self, records: Sequence[Record]) -> None: ...
    async def take_over(self) -> Sequence[Claim]: ...
    async def backup(self, path: Path) -> None: ...


class Database:
    """A store, open between ``async with`` and its end; ``where`` names it in messages, never with a password.

    ``inline=True`` does all work on the caller's thread, as a simulation needs it, and is for SQLite only. Each time
    it is opened it is another owner of runs. Raises `DefinitionError` for an address or a file that cannot be a
    store, `StoreUnavailableError` when the store cannot be reached now.
    """

    def __init__(self, url: str, *, inline: bool = False, ids: Ids | None = None) -> None:
        self._url = _parsed(url)
        self._inline = inline
        self._ids = ids or SystemIds()
        self._store: _Store | None = None
        self.sqlite = self._url.get_backend_name() == "sqlite"
        self.where = f"the store {self._url.database if self.sqlite else _server(self._url)}"
        if inline and not self.sqlite:
            raise DefinitionError(f"{self.where} can't be used in a simulation; give it a SQLite file, {_EXAMPLE}")

    async def __aenter__(self) -> Self:
        store = self._made(self._ids.next_id())
        await store.open()
        self._store = store
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        store, self._store = self._store, None
        if store is not None:
            await store.close()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Return what ``work`` reads in one transaction; what is written meanwhile, it doesn't see."""
        return await self._opened().read(work)

    async def write(self, work: Callable[[Connection], T], *, taken: str = "a row is there already") -> T:
        """Return what ``work`` returns once what it wrote is durable; if it raises, nothing is kept.

        ``taken`` is the `DefinitionError` for a key that was there already. When cancelled, what has begun is
        finished first: otherwise nobody could say what was kept.
        """
        return await self._opened().write(work, taken=taken)

    async def append(self, records: Sequence[Record]) -> None:
        """Keep ``records``, one or more, as `RunStore.append` says; cancelled it does as `write` does."""
        await self._opened().append(records)

    async def take_over(self) -> Sequence[Claim]:
        """See `RunStore.take_over`."""
        return await self._opened().take_over()

    async def backup(self, path: Path) -> None:
        """Copy a SQLite store, as it is at one moment, to ``path``, which must not be there yet.

        Reading waits meanwhile, writing does not. Raises `DefinitionError` when ``path`` can't be made and for
        PostgreSQL, which has tools of its own.
        """
        await self._opened().backup(path)

    def _made(self, owner: str) -> _Store:
        if self.sqlite:
            return SqliteStore(Path(str(self._url.database)), self.where, owner, inline=self._inline)
        from orchestration.adapters.sql.postgres_store import PostgresStore  # asyncpg is an extra

        return PostgresStore(self._url, self.where, owner)

    def _opened(self) -> _Store:
        if self._store is None:
            raise RuntimeError(f"{self.where} is not open; use it inside: async with Database(...)")
        return self._store


_EXAMPLE = f"such as sqlite:///{Path('/var/lib/belltower/belltower.db')}"


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise DefinitionError(f"BELLTOWER_DATABASE_URL is no address of a database; give one {_EXAMPLE}") from error
    name = parsed.get_backend_name()
    if name in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql")
    if name != "sqlite":
        raise DefinitionError(
            f"BELLTOWER_DATABASE_URL is of {name!r}; this version keeps its store in SQLite, {_EXAMPLE}, "
            "or in PostgreSQL, such as postgresql://belltower@localhost/belltower"
        )
    if not parsed.database or parsed.database == ":memory:":
        raise DefinitionError(
            f"BELLTOWER_DATABASE_URL is {parsed.render_as_string()!r} and names no file; give one {_EXAMPLE}"
        )
    return parsed


def _server(url: URL) -> str:
    host = url.host or url.query.get("host") or "localhost"
    return f"{url.database or url.username} at {host}{f':{url.port}' if url.port else ''}"
