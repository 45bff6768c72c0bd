"""The stores that keep a port's promises, each over every technology."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestration.adapters.memory.ledger import MemoryLedger
from orchestration.adapters.memory.run_store import MemoryRunStore
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.ledger import SqlLedger
from orchestration.adapters.sql.migration import upgrade
from orchestration.adapters.sql.run_store import SqlRunStore
from orchestration.ports.ledger import Ledger
from orchestration.ports.run_store import RunStore

STORES = ["memory", "sqlite", "sqlite-inline"]


@pytest.fixture(params=STORES)
async def run_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunStore]:
    """An empty journal."""
    if request.param == "memory":
        yield MemoryRunStore()
        return
    async with Database(f"sqlite:///{tmp_path}/belltower.db", inline=request.param == "sqlite-inline") as database:
        await upgrade(database)
        yield SqlRunStore(database)


@pytest.fixture(params=STORES)
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    """An empty book."""
    if request.param == "memory":
        yield MemoryLedger()
        return
    async with Database(f"sqlite:///{tmp_path}/belltower.db", inline=request.param == "sqlite-inline") as database:
        await upgrade(database)
        yield SqlLedger(database)
