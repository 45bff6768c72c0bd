"""What every store of tokens promises."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import text

from orchestration.adapters.memory.token_store import MemoryTokenStore
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.halt_store import SqlHaltStore
from orchestration.adapters.sql.migration import upgrade
from orchestration.adapters.sql.token_store import SqlTokenStore
from orchestration.domain.errors import DefinitionError
from orchestration.ports.token_store import TokenStore
from tests.contract.conftest import STORES, open_database

NOON = datetime(2012, 12, 12, 17, tzinfo=UTC)
ONE, OTHER, THIRD = (sha256(token).hexdigest() for token in (b"one", b"other", b"third"))


@pytest.fixture(params=STORES)
async def token_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TokenStore]:
    """A store without tokens."""
    if request.param == "memory":
        yield MemoryTokenStore()
        return
    async with open_database(request, tmp_path) as database:
        yield SqlTokenStore(database)


async def test_a_new_store_opens_to_nobody(token_store: TokenStore) -> None:
    assert await token_store.all() == frozenset()


async def test_every_token_that_was_added_is_known(token_store: TokenStore) -> None:
    await token_store.add(ONE, name="first", at=NOON)
    await token_store.add(OTHER, name="second", at=NOON)
    assert await token_store.all() == {ONE, OTHER}


async def test_the_same_token_again_changes_nothing(token_store: TokenStore) -> None:
    await token_store.add(ONE, name="first", at=NOON)
    await token_store.add(ONE, name="again", at=NOON + timedelta(days=1))
    assert await token_store.all() == {ONE}


async def test_a_token_that_is_replaced_opens_nothing_any_more(token_store: TokenStore) -> None:
    await token_store.add(ONE, name="first", at=NOON)
    await token_store.add(THIRD, name="a colleague's", at=NOON)
    assert await token_store.replace(OTHER, name="first", at=NOON) == 1
    assert await token_store.all() == {OTHER, THIRD}
    assert await token_store.replace(OTHER, name="first", at=NOON) == 0
    assert await token_store.all() == {OTHER, THIRD}


async def test_the_first_token_of_a_name_replaces_none(token_store: TokenStore) -> None:
    assert await token_store.replace(ONE, name="first", at=NOON) == 0
    assert await token_store.all() == {ONE}


async def test_what_is_no_hash_replaces_nothing(token_store: TokenStore) -> None:
    await token_store.add(ONE, name="first", at=NOON)
    with pytest.raises(DefinitionError, match="SHA-256"):
        await token_store.replace("my-token", name="first", at=NOON)
    assert await token_store.all() == {ONE}


@pytest.mark.parametrize("clear", ["my-token", ONE.upper(), ONE + "\n", ""])
async def test_what_is_no_hash_is_refused_and_not_repeated(token_store: TokenStore, clear: str) -> None:
    with pytest.raises(DefinitionError, match="SHA-256") as error:
        await token_store.add(clear, name="first", at=NOON)
    assert not clear or clear not in str(error.value)
    assert await token_store.all() == frozenset()


async def test_a_moment_without_a_zone_is_refused(token_store: TokenStore) -> None:
    with pytest.raises(DefinitionError, match="has no zone"):
        await token_store.add(ONE, name="first", at=NOON.replace(tzinfo=None))
    assert await token_store.all() == frozenset()


async def test_a_token_keeps_its_first_name_and_date_over_restarts(tmp_path: Path) -> None:
    rows = []
    for day, name in enumerate(("first", "again")):
        async with Database(f"sqlite:///{tmp_path}/belltower.db") as database:
            await upgrade(database)
            await SqlTokenStore(database).add(ONE, name=name, at=NOON + timedelta(days=day))
            found = await database.read(lambda connection: connection.execute(text("SELECT * FROM api_tokens")).all())
            rows = [tuple(row) for row in found]
    assert rows == [(ONE, "first", "2012-12-12 17:00:00.000000")]


async def test_a_replaced_token_leaves_an_audit_row_that_tells_no_token(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path}/belltower.db") as database:
        await upgrade(database)
        store = SqlTokenStore(database)
        await store.replace(ONE, name="first", at=NOON)
        await store.replace(OTHER, name="first", at=NOON + timedelta(days=1))
        [row] = await SqlHaltStore(database).audit()
    assert (row.action, row.by, row.level, row.at) == ("revoke_token", "start", None, NOON + timedelta(days=1))
    assert row.reason == f"the token 'first' (SHA-256 {ONE[:12]}…) was replaced by {OTHER[:12]}…"
