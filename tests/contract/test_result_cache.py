"""What every cache of results promises."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import text

from orchestration.adapters.memory.result_cache import MemoryResultCache
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.migration import upgrade
from orchestration.adapters.sql.result_cache import SqlResultCache
from orchestration.domain.errors import DefinitionError, StoreUnavailableError
from orchestration.domain.json_value import JsonValue
from orchestration.ports.result_cache import CachedResult, ResultCache
from tests.contract.conftest import STORES, open_database

NOON = datetime(2012, 12, 12, 17, 0, 0, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)


@pytest.fixture(params=STORES)
async def cache(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ResultCache]:
    """An empty cache."""
    if request.param == "memory":
        yield MemoryResultCache()
        return
    async with open_database(request, tmp_path) as database:
        yield SqlResultCache(database)


async def test_nobody_gets_what_nobody_put(cache: ResultCache) -> None:
    assert await cache.get("a", NOON) is None


@pytest.mark.parametrize("result", [None, 0, "", "ÆØÅ \U0001f514", 1.5, [1, {"x": None}], {"a": {"b": [True]}}])
async def test_a_result_comes_back_as_it_was_put(cache: ResultCache, result: JsonValue) -> None:
    await cache.put("a", result, NOON + SECOND)
    assert await cache.get("a", NOON) == CachedResult(result)
    assert await cache.get("b", NOON) is None


async def test_a_result_is_given_until_its_time_is_up_and_not_at_that_moment(cache: ResultCache) -> None:
    await cache.put("a", 1, NOON)
    assert await cache.get("a", NOON - TICK) == CachedResult(1)
    assert await cache.get("a", NOON) is None
    assert await cache.get("a", NOON + SECOND) is None


async def test_the_result_that_was_put_last_counts_with_its_own_time(cache: ResultCache) -> None:
    await cache.put("a", 1, NOON + 5 * SECOND)
    await cache.put("a", 2, NOON + SECOND)
    assert await cache.get("a", NOON) == CachedResult(2)
    assert await cache.get("a", NOON + 2 * SECOND) is None


async def test_only_what_nobody_can_get_any_more_is_forgotten(cache: ResultCache) -> None:
    await cache.put("old", 1, NOON)
    await cache.put("new", 2, NOON + TICK)
    assert await cache.prune(NOON) == 1
    assert await cache.prune(NOON) == 0
    assert await cache.get("new", NOON) == CachedResult(2)
    assert await cache.get("old", NOON - SECOND) is None


async def test_many_are_forgotten_in_one_call(cache: ResultCache) -> None:
    await asyncio.gather(*(cache.put(str(number), number, NOON) for number in range(620)))
    assert await cache.prune(NOON + SECOND) == 620


async def test_several_may_put_one_key_at_once(cache: ResultCache) -> None:
    await asyncio.gather(*(cache.put("a", number, NOON + SECOND) for number in range(8)))
    found = await cache.get("a", NOON)
    assert found is not None
    assert found.result in range(8)


async def test_what_the_caller_changes_later_is_not_changed_in_the_cache(cache: ResultCache) -> None:
    parts: list[JsonValue] = [1]
    await cache.put("a", parts, NOON + SECOND)
    parts.append(2)
    assert await cache.get("a", NOON) == CachedResult([1])


async def test_a_moment_of_another_zone_is_the_same_moment(cache: ResultCache) -> None:
    await cache.put("a", 1, NOON.astimezone(timezone(timedelta(hours=-5))))
    assert await cache.get("a", NOON - TICK) == CachedResult(1)
    assert await cache.get("a", NOON) is None


async def test_what_cannot_be_kept_is_refused_and_what_was_there_stays(cache: ResultCache) -> None:
    await cache.put("a", 1, NOON + SECOND)
    with pytest.raises(DefinitionError, match="JSON has no such number"):
        await cache.put("a", float("nan"), NOON + SECOND)
    with pytest.raises(DefinitionError, match="has no zone"):
        await cache.put("a", 2, NOON.replace(tzinfo=None))
    assert await cache.get("a", NOON) == CachedResult(1)


async def test_results_outlive_the_process(tmp_path: Path) -> None:
    for number in (1, 2):
        async with Database(f"sqlite:///{tmp_path}/belltower.db") as database:
            await upgrade(database)
            cache = SqlResultCache(database)
            assert await cache.get("a", NOON) == (None if number == 1 else CachedResult(1))
            await cache.put("a", number, NOON + SECOND)


async def test_a_store_that_fails_says_so(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path}/belltower.db") as database:
        await upgrade(database)
        refuse = "CREATE TRIGGER full BEFORE INSERT ON result_cache BEGIN SELECT no_such_function(); END"
        await database.write(lambda connection: connection.execute(text(refuse)))
        with pytest.raises(StoreUnavailableError):
            await SqlResultCache(database).put("a", 1, NOON)


async def test_one_who_loses_a_race_for_a_key_puts_its_result_all_the_same(tmp_path: Path) -> None:
    """Where another process puts the key between our look and our insert, we look again."""
    async with Database(f"sqlite:///{tmp_path}/belltower.db") as database:
        await upgrade(database)
        cache = SqlResultCache(database)
        await cache.put("a", 1, NOON + SECOND)
        blind = "CREATE TRIGGER blind BEFORE UPDATE ON result_cache BEGIN SELECT RAISE(IGNORE); END"
        write, tries = database.write, 0

        async def with_a_blind_first_look(*arguments: object, **named: object) -> object:
            nonlocal tries
            tries += 1
            await write(lambda c: c.execute(text(blind if tries == 1 else "DROP TRIGGER blind")).close())
            return await write(*arguments, **named)  # type: ignore[arg-type]  # handed on as they came

        database.write = with_a_blind_first_look  # type: ignore[assignment,method-assign]  # as if the row came later
        await cache.put("a", 2, NOON + SECOND)
        assert tries == 2
        assert await cache.get("a", NOON) == CachedResult(2)
