"""Open a store to look into it, or to clean it up: no desk is begun for that."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url

from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.halt_store import SqlHaltStore
from orchestration.adapters.sql.migration import upgrade
from orchestration.adapters.sql.result_cache import SqlResultCache
from orchestration.adapters.sql.run_store import SqlRunStore
from orchestration.domain.errors import DefinitionError
from orchestration.ports.halt_store import HaltStore
from orchestration.ports.result_cache import ResultCache
from orchestration.ports.run_store import RunStore


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStore:
    """What is kept in one store."""

    runs: RunStore
    results: ResultCache
    audit: HaltStore


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[OpenStore]:
    """The store at ``url``, brought up to this version.

    Raises `DefinitionError` when there is none, or it can't be read; a file is not made.
    """
    _require(url)
    async with Database(url) as database:
        await upgrade(database)
        yield OpenStore(runs=SqlRunStore(database), results=SqlResultCache(database), audit=SqlHaltStore(database))


def _require(url: str) -> None:
    if url.startswith("sqlite:") and not Path(str(make_url(url).database)).is_file():
        raise DefinitionError(f"there is no store at {make_url(url).database}; name the home or the file that has it")
