"""Open a store to look into it, to halt, or to clean up: no desk is begun for that, and nothing heavy imported."""

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
from orchestration.config import TradingConfig
from orchestration.domain.errors import DefinitionError
from orchestration.domain.halts import Halt, HaltLevel
from orchestration.ports.halt_store import HaltStore
from orchestration.ports.result_cache import ResultCache
from orchestration.ports.run_store import RunStore
from orchestration.system.clock import WallClock
from orchestration.system.home_lock import home_lock


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


async def halt_in_store(config: TradingConfig, level: HaltLevel, reason: str, *, by: str) -> None:
    """Write a halt for the desk that starts next; for when none runs."""
    async with _halts(config) as halts:
        await halts.halt(Halt(level=level, reason=reason, at=WallClock().now(), by=by))


async def resume_in_store(config: TradingConfig, reason: str, *, by: str) -> None:
    """Lift the halt that the store holds; for when no desk runs."""
    async with _halts(config) as halts:
        await halts.resume(reason=reason, at=WallClock().now(), by=by)


@asynccontextmanager
async def _halts(config: TradingConfig) -> AsyncIterator[SqlHaltStore]:
    with home_lock(config.home):  # a desk that starts now would not see what is written
        async with Database(config.store_url) as database:
            await upgrade(database)
            yield SqlHaltStore(database)


def _require(url: str) -> None:
    if url.startswith("sqlite:") and not Path(str(make_url(url).database)).is_file():
        raise DefinitionError(f"there is no store at {make_url(url).database}; name the home or the file that has it")
