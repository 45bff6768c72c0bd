"""Who owns a run, and who may take it over."""

import asyncio
import shutil
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.migration import upgrade
from orchestration.adapters.sql.run_store import SqlRunStore
from orchestration.domain.errors import ClaimLostError, StoreUnavailableError
from orchestration.domain.records import Claim, RecordKind
from orchestration.ports.run_store import RunStore
from tests.contract.records import created, record
from tests.contract.shelves import Shelf, SqlShelf, other_process, pairs

TICK = threading.Event()
"""Never set: waiting for it is a short pause."""
MINUTE = timedelta(minutes=1)


async def test_nobodys_runs_are_taken_over_while_their_owners_live(shelf: Shelf) -> None:
    first, second = await shelf.open(), await shelf.open()
    await first.append([created("a")])
    await second.append([created("b")])
    assert list(await first.take_over()) == list(await second.take_over()) == []
    await first.append([record("a", 2)])
    await second.append([record("b", 2)])


async def test_an_owner_does_not_take_over_from_itself(shelf: Shelf) -> None:
    store = await shelf.open()
    await store.append([created("a")])
    assert list(await store.take_over()) == []


async def test_the_unfinished_runs_of_one_that_ended_go_to_the_next_oldest_first(shelf: Shelf) -> None:
    first = await shelf.open()
    await first.append([created("b", after=2 * MINUTE), created("c", after=3 * MINUTE)])
    await first.append([created("a", after=4 * MINUTE), created("done"), record("done", 2, RecordKind.RUN_FAILED)])
    second = await shelf.open()
    await shelf.close(first)
    assert list(await second.take_over()) == [Claim(run_id=run_id, token=2) for run_id in ("b", "c", "a")]
    assert list(await second.take_over()) == []
    await second.append([record("b", 2)])


async def test_the_token_counts_the_take_overs_of_each_run(shelf: Shelf) -> None:
    store = await shelf.open()
    await store.append([created("a")])
    for token in (2, 3, 4):
        await shelf.close(store)
        store = await shelf.open()
        await store.append([created(f"new-{token}")])
        claims = {claim.run_id: claim.token for claim in await store.take_over()}
        assert claims["a"] == token


async def test_a_run_that_ended_after_a_take_over_is_not_taken_over_again(shelf: Shelf) -> None:
    first = await shelf.open()
    await first.append([created("a")])
    await shelf.close(first)
    second = await shelf.open()
    await second.take_over()
    await second.append([record("a", 2, RecordKind.RUN_COMPLETED)])
    await shelf.close(second)
    assert list(await (await shelf.open()).take_over()) == []


async def test_of_two_that_ask_at_once_one_gets_each_run(shelf: Shelf) -> None:
    first = await shelf.open()
    await first.append([created(name) for name in "abcdefgh"])
    takers = [await shelf.open() for _ in range(4)]
    await shelf.close(first)
    claims = await asyncio.gather(*(taker.take_over() for taker in takers))
    assert sorted(len(one) for one in claims) == [0, 0, 0, 8]


# Processes


@pytest.fixture(params=["sqlite", "postgres"])
async def sql_shelf(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlShelf]:
    postgres = request.param == "postgres"
    url = request.getfixturevalue("postgres").new_database() if postgres else f"sqlite:///{tmp_path}/belltower.db"
    shelf = SqlShelf(url)
    try:
        yield shelf
    finally:
        await shelf.close_all()


async def taken(store: RunStore) -> list[list[object]]:
    """The claims, as soon as the server has noticed who is gone; a kernel notices at once."""
    async with asyncio.timeout(20):
        while not (claims := await store.take_over()):
            await asyncio.to_thread(TICK.wait, 0.01)
    return pairs(claims)


async def test_the_runs_of_a_killed_process_are_taken_over(sql_shelf: SqlShelf) -> None:
    store = await sql_shelf.open()
    async with other_process(sql_shelf.url) as other:
        assert await other.ask("create a") == "kept"
        assert await other.ask("append a 2 40") == "kept"
        assert list(await store.take_over()) == []
        await other.send(signal.SIGKILL)
    assert await taken(store) == [["a", 2]]
    assert [one.sequence for one in await store.records("a")] == list(range(1, 40))
    await store.append([record("a", 40)])


async def test_a_frozen_process_keeps_its_runs(sql_shelf: SqlShelf) -> None:
    store = await sql_shelf.open()
    async with other_process(sql_shelf.url) as other:
        await other.ask("create a")
        await other.send(signal.SIGSTOP)
        assert list(await store.take_over()) == []
        await other.send(signal.SIGCONT)
        assert await other.ask("append a 2 4") == "kept"
        await other.end()
    assert await taken(store) == [["a", 2]]


async def test_two_processes_that_ask_at_once_share_nothing(sql_shelf: SqlShelf) -> None:
    async with other_process(sql_shelf.url) as owner:
        for name in "abcd":
            await owner.ask(f"create {name}")
        async with other_process(sql_shelf.url) as one, other_process(sql_shelf.url) as two:
            await owner.send(signal.SIGKILL)
            got: list[object] = []
            async with asyncio.timeout(20):
                while not got:
                    for taker in (one, two):
                        await taker.tell("take")
                    for taker in (one, two):
                        answer = await taker.answer()
                        assert isinstance(answer, list)
                        assert len(answer) in (0, 4)
                        got += answer
            assert sorted(got, key=str) == [["a", 2], ["b", 2], ["c", 2], ["d", 2]]


async def test_what_a_process_that_was_taken_over_appends_is_refused(sql_shelf: SqlShelf) -> None:
    """Its proof of life was lost though it lives: somebody removed its lock, or the server ended its session."""
    store = await sql_shelf.open()
    async with other_process(sql_shelf.url) as other:
        await other.ask("create a")
        await lose_proof(sql_shelf)
        assert await taken(store) == [["a", 2]]
        while await other.ask("append a 2 4") == "StoreUnavailableError":
            pass  # it finds its session ended, and makes another one
        for asked in ("append a 2 4", "create b", "append a 2 4", "take"):
            assert await other.ask(asked) == "ClaimLostError"
    assert [one.sequence for one in await store.records("a")] == [1]
    assert [run.run_id for run in await store.runs()] == ["a"]


async def lose_proof(shelf: SqlShelf) -> None:
    if shelf.url.startswith("sqlite"):
        folder = Path(f"{shelf.url.removeprefix('sqlite:///')}.owners")
        await asyncio.to_thread(shutil.rmtree, folder)
        return
    import asyncpg

    connection = await asyncpg.connect(shelf.url)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()


async def test_appends_of_the_lost_owner_fail_for_all_that_wait_together(shelf: Shelf) -> None:
    first = await shelf.open()
    await first.append([created("a")])
    if isinstance(shelf, SqlShelf):
        await lose_proof(shelf)
    else:
        await shelf.close(first)
    second = await shelf.open()
    await taken(second)
    with suppress(StoreUnavailableError, ClaimLostError):
        await first.append([record("a", 2)])  # a session that was ended is only noticed by using it
    outcomes = await asyncio.gather(*(first.append([record("a", n)]) for n in range(2, 6)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {ClaimLostError}
    assert len(await second.records("a")) == 1


async def test_a_run_that_is_half_deleted_is_not_shown_and_the_next_pruning_ends_it(sql_shelf: SqlShelf) -> None:
    store = await sql_shelf.open()
    await store.append([created("a"), record("a", 2), record("a", 3, RecordKind.RUN_COMPLETED)])
    async with Database(sql_shelf.url) as database:
        for statement in (
            "UPDATE executions SET claim = 0 WHERE id = 'a'",
            "DELETE FROM execution_events WHERE sequence = 1",
        ):
            await database.write(lambda c, statement=statement: c.exec_driver_sql(statement).close())  # type: ignore[misc]  # a default keeps the loop's value
        assert [*await store.runs(), *await store.records("a")] == []
        await store.prune(created("a").at)
        count = await database.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM execution_events").scalar())
        assert count == 0
    await store.append([created("a")])


async def test_owners_that_are_gone_and_own_nothing_are_forgotten_by_pruning(sql_shelf: SqlShelf) -> None:
    first = await sql_shelf.open()
    await first.append([created("a"), record("a", 2, RecordKind.RUN_COMPLETED)])
    await sql_shelf.close(first)
    async with Database(sql_shelf.url) as database:
        await upgrade(database)
        store = SqlRunStore(database)
        await store.append([created("b")])
        await store.take_over()
        count = await database.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM owners").scalar())
        await store.prune(created("a").at + timedelta(days=1))
        left = await database.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM owners").scalar())
        await store.append([record("b", 2)])
    assert (count, left) == (2, 1)
