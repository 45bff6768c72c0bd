"""What every record of orders promises."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import text

from orchestration.adapters.memory.order_log import MemoryOrderLog
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.migration import upgrade
from orchestration.adapters.sql.order_log import SqlOrderLog
from orchestration.domain.errors import DefinitionError, StoreUnavailableError
from orchestration.domain.json_value import JsonValue
from orchestration.ports.order_log import OrderEntry, OrderLog
from tests.contract.conftest import STORES, open_database
from tests.contract.postgres import Postgres

NOON = datetime(2012, 12, 12, 17, 0, 0, 1, tzinfo=UTC)


def entry(key: str, kind: str = "order_intended", *, minutes: int = 0, **data: JsonValue) -> OrderEntry:
    return OrderEntry(kind=kind, key=key, at=NOON + timedelta(minutes=minutes), data=data)


@pytest.fixture(params=STORES)
async def order_log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OrderLog]:
    """An empty record."""
    if request.param == "memory":
        yield MemoryOrderLog()
        return
    async with open_database(request, tmp_path) as database:
        yield SqlOrderLog(database)


async def test_a_new_record_is_empty(order_log: OrderLog) -> None:
    assert list(await order_log.entries()) == []
    assert list(await order_log.append([])) == []
    assert list(await order_log.entries()) == []


async def test_entries_come_back_as_they_were_kept_in_the_order_in_which_they_came(order_log: OrderLog) -> None:
    later, first = entry("b", minutes=1, price="12.50"), entry("a", symbol="ÆØÅ \U0001f514", slices=[1, {"x": None}])
    assert list(await order_log.append([later, first])) == []
    assert list(await order_log.append([entry("a", "fill_noted")])) == []
    assert list(await order_log.entries()) == [later, first, entry("a", "fill_noted")]


async def test_what_is_there_stays_as_it_was_first_kept_and_is_returned(order_log: OrderLog) -> None:
    await order_log.append([entry("a", quantity="1")])
    there = await order_log.append([entry("a", minutes=5, quantity="2"), entry("b")])
    assert list(there) == [entry("a", quantity="1")]
    assert list(await order_log.entries()) == [entry("a", quantity="1"), entry("b")]


async def test_of_two_with_one_key_in_one_call_the_first_is_kept(order_log: OrderLog) -> None:
    assert list(await order_log.append([entry("a", n=1), entry("a", n=2), entry("b")])) == [entry("a", n=1)]
    assert list(await order_log.entries()) == [entry("a", n=1), entry("b")]


async def test_of_many_that_are_there_none_is_kept_twice(order_log: OrderLog) -> None:
    many = [entry(str(number)) for number in range(1200)]
    await order_log.append(many[::2])
    assert list(await order_log.append(many)) == many[::2]
    assert sorted(one.key for one in await order_log.entries()) == sorted(one.key for one in many)


async def test_only_one_of_two_who_note_the_same_at_once_is_told_that_it_was_the_first(order_log: OrderLog) -> None:
    answers = await asyncio.gather(*(order_log.append([entry("a", by=name)]) for name in ("x", "y")))
    assert sorted(len(answer) for answer in answers) == [0, 1]
    assert len(await order_log.entries()) == 1


async def test_of_two_processes_that_note_the_same_at_once_one_is_the_first_each_time(postgres: Postgres) -> None:
    url = postgres.new_database()
    async with Database(url) as one, Database(url) as two:
        await upgrade(one)
        logs = SqlOrderLog(one), SqlOrderLog(two)
        for number in range(50):
            answers = await asyncio.gather(*(log.append([entry(str(number))]) for log in logs))
            assert sorted(len(answer) for answer in answers) == [0, 1]
        assert len(await logs[0].entries()) == 50


async def test_what_cannot_be_kept_is_refused_with_all_that_came_with_it(order_log: OrderLog) -> None:
    with pytest.raises(DefinitionError, match=r"order_intended b: data\.x"):
        await order_log.append([entry("a"), entry("b", x=float("nan"))])
    with pytest.raises(DefinitionError, match="has no zone"):
        await order_log.append([entry("a"), OrderEntry(kind="k", key="b", at=NOON.replace(tzinfo=None), data={})])
    assert list(await order_log.entries()) == []


async def test_a_moment_of_another_zone_is_the_same_moment(order_log: OrderLog) -> None:
    await order_log.append([OrderEntry(kind="k", key="a", at=NOON.astimezone(timezone(timedelta(hours=-5))), data={})])
    assert (await order_log.entries())[0].at == NOON


async def test_what_the_caller_changes_later_is_not_changed_in_the_record(order_log: OrderLog) -> None:
    parts: list[JsonValue] = [1, 2]
    await order_log.append([entry("a", parts=parts)])
    parts.append(3)
    assert (await order_log.entries())[0].data == {"parts": [1, 2]}


async def test_accounts_keep_records_of_their_own(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path}/belltower.db") as database:
        await upgrade(database)
        other = SqlOrderLog(database, account="other")
        assert list(await SqlOrderLog(database).append([entry("a", n=1)])) == []
        assert list(await other.append([entry("a", n=2)])) == []
        assert list(await SqlOrderLog(database).entries()) == [entry("a", n=1)]
        assert list(await other.entries()) == [entry("a", n=2)]


async def test_a_record_is_there_when_the_store_is_opened_again(tmp_path: Path) -> None:
    for key in ("a", "b"):
        async with Database(f"sqlite:///{tmp_path}/belltower.db") as database:
            await upgrade(database)
            await SqlOrderLog(database).append([entry(key)])
    async with Database(f"sqlite:///{tmp_path}/belltower.db") as database:
        assert [one.key for one in await SqlOrderLog(database).entries()] == ["a", "b"]


async def test_a_store_that_fails_says_so_and_keeps_nothing(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path}/belltower.db") as database:
        await upgrade(database)
        refuse = (
            "CREATE TRIGGER full BEFORE INSERT ON order_log WHEN NEW.key = 'b' BEGIN SELECT no_such_function(); END"
        )
        await database.write(lambda connection: connection.execute(text(refuse)))
        with pytest.raises(StoreUnavailableError):
            await SqlOrderLog(database).append([entry("a"), entry("b")])
        assert list(await SqlOrderLog(database).entries()) == []


async def test_one_who_loses_a_race_for_a_key_is_told_what_the_other_kept(tmp_path: Path) -> None:
    """Where a look and an insert may have another process between them, the insert is refused, and we look again."""
    async with Database(f"sqlite:///{tmp_path}/belltower.db") as database:
        await upgrade(database)
        log = SqlOrderLog(database)
        look = log._there

        def blind_once(*arguments: object) -> list[OrderEntry]:
            log._there = look  # type: ignore[method-assign]  # the second look sees
            return []

        await log.append([entry("a", n=1)])
        log._there = blind_once  # type: ignore[assignment,method-assign]  # as if the other came just after the look
        assert list(await log.append([entry("a", n=2), entry("b")])) == [entry("a", n=1)]
        assert list(await log.entries()) == [entry("a", n=1), entry("b")]
