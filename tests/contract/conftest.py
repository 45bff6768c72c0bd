"""The stores that keep a port's promises, each over every technology."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from orchestration.adapters.memory.ledger import MemoryLedger
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.ledger import SqlLedger
from orchestration.adapters.sql.migration import upgrade
from orchestration.ports.ledger import Ledger
from orchestration.ports.run_store import RunStore
from tests.contract.postgres import Postgres
from tests.contract.shelves import MemoryShelf, Shelf, SqlShelf

STORES = ["memory", "sqlite", "sqlite-inline", "postgres"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for all tests that ask for one."""
    with Postgres.started() as server:
        yield server


@pytest.fixture(params=STORES)
async def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shelf]:
    """An empty place for journals."""
    if request.param == "memory":
        yield MemoryShelf()
        return
    if request.param == "postgres":
        sql = SqlShelf(request.getfixturevalue("postgres").new_database())
    else:
        sql = SqlShelf(f"sqlite:///{tmp_path}/belltower.db", inline=request.param == "sqlite-inline")
    try:
        yield sql
    finally:
        await sql.close_all()


@pytest.fixture
async def run_store(shelf: Shelf) -> RunStore:
    """An empty journal."""
    return await shelf.open()


@asynccontextmanager
async def open_database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database of the kind, one of `STORES`, that a fixture's parameter names."""
    if request.param == "postgres":
        url, inline = request.getfixturevalue("postgres").new_database(), False
    else:
        url, inline = f"sqlite:///{tmp_path}/belltower.db", request.param == "sqlite-inline"
    async with Database(url, inline=inline) as database:
        await upgrade(database)
        yield database


@pytest.fixture(params=STORES)
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    """An empty book."""
    if request.param == "memory":
        yield MemoryLedger()
        return
    async with open_database(request, tmp_path) as database:
        yield SqlLedger(database)
