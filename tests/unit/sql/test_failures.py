"""What the store does while its disk or its file lets it down, and afterwards."""

import asyncio
import os
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from sqlalchemy import text

from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.migration import upgrade
from orchestration.adapters.sql.run_store import SqlRunStore
from orchestration.adapters.sql.token_store import SqlTokenStore
from orchestration.domain.errors import ClaimLostError, DefinitionError, StoreUnavailableError
from orchestration.domain.records import Record, RecordKind
from tests.contract.records import START, created, record
from tests.unit.sql.faults import FailingSync, driver_of, files_no_longer_than, small_disk

NOBODY = 65_534

pytestmark = pytest.mark.parametrize("inline", [True, False], ids=["inline", "threads"])


@asynccontextmanager
async def opened(path: Path, *, inline: bool) -> AsyncIterator[tuple[Database, SqlRunStore]]:
    """A store with one run, ``a``, and a short patience."""
    async with Database(f"sqlite:///{path}", inline=inline) as database:
        await upgrade(database)
        store = SqlRunStore(database)
        await store.append([created("a")])
        (await driver_of(database)).execute("PRAGMA busy_timeout=1")
        yield database, store


def big(run_id: str = "b") -> list[Record]:
    started = record(run_id, 2, RecordKind.RUN_STARTED)
    return [created(run_id), started, *(record(run_id, n, note="x" * 4000) for n in range(3, 60))]


async def assert_only_a(store: SqlRunStore) -> None:
    assert [run.run_id for run in await store.runs()] == ["a"]
    assert list(await store.records("b")) == []


async def assert_goes_on(store: SqlRunStore, records: list[Record]) -> None:
    """The very same records are taken now, once, and other runs too."""
    for _ in range(2):
        await store.append(records)
    assert list(await store.records(records[0].run_id)) == records
    await store.append([record("a", 2)])
    assert len(await store.records("a")) == 2


@pytest.fixture
def disk() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


async def test_a_full_disk_keeps_nothing_says_so_and_goes_on_when_there_is_room(disk: Path, *, inline: bool) -> None:
    with small_disk(disk) as fill:
        async with opened(disk / "belltower.db", inline=inline) as (database, store):
            driver, empty = await driver_of(database), fill and fill()
            if empty is None:
                [pages] = driver.execute("PRAGMA page_count").fetchone()
                driver.execute(f"PRAGMA max_page_count={pages}")
            for _ in range(2):
                with pytest.raises(
                    StoreUnavailableError, match=r"belltower\.db (has no room left|lies on a disk that)"
                ):
                    await store.append(big())
                await assert_only_a(store)
            if empty is None:
                driver.execute(f"PRAGMA max_page_count={2**30}")
            else:
                empty()
            await assert_goes_on(store, big())


async def test_on_a_full_disk_what_still_fits_is_kept_though_its_neighbour_is_not(tmp_path: Path, inline: bool) -> None:
    async with opened(tmp_path / "belltower.db", inline=inline) as (database, store):
        driver = await driver_of(database)
        [pages] = driver.execute("PRAGMA page_count").fetchone()
        driver.execute(f"PRAGMA max_page_count={pages}")
        appends = (big(), [record("a", 2)], big("c"))
        outcomes = await asyncio.gather(*map(store.append, appends), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StoreUnavailableError, type(None), StoreUnavailableError]
        assert len(await store.records("a")) == 2


async def test_a_file_that_takes_no_more_is_an_outage_too(tmp_path: Path, *, inline: bool) -> None:
    path = tmp_path / "belltower.db"
    async with opened(path, inline=inline) as (_, store):
        with files_no_longer_than(path.with_name("belltower.db-wal").stat().st_size + 4096):
            for _ in range(2):
                with pytest.raises(StoreUnavailableError, match=r"belltower\.db lies on a disk that fails or is full"):
                    await store.append(big())
        await assert_only_a(store)
        await assert_goes_on(store, big())


async def test_a_commit_that_does_not_reach_the_disk_is_not_acknowledged(tmp_path: Path, *, inline: bool) -> None:
    async with opened(tmp_path / "belltower.db", inline=inline) as (database, store):
        failing = FailingSync(await driver_of(database))
        with pytest.raises(StoreUnavailableError, match=r"belltower\.db lies on a disk that fails"):
            await store.append(big())
        assert failing.calls == 1
        await assert_only_a(store)
        failing.mended = True
        await assert_goes_on(store, big())


async def test_a_disk_that_fails_again_has_the_file_opened_anew_and_nothing_is_doubled(
    tmp_path: Path, *, inline: bool
) -> None:
    """What failed may be there then, but whole; the very same records are no error either way."""
    async with opened(tmp_path / "belltower.db", inline=inline) as (database, store):
        driver = await driver_of(database)
        failing = FailingSync(driver)
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match=r"belltower\.db lies on a disk that fails"):
                await store.append(big())
        assert failing.calls >= 2
        assert await driver_of(database) is not driver
        assert list(await store.records("b")) in ([], big())
        await assert_goes_on(store, big())


async def test_other_writing_fails_and_goes_on_like_appending(tmp_path: Path, *, inline: bool) -> None:
    async with opened(tmp_path / "belltower.db", inline=inline) as (database, _):
        failing = FailingSync(await driver_of(database))
        tokens = SqlTokenStore(database)
        with pytest.raises(StoreUnavailableError, match="disk that fails"):
            await tokens.add("0" * 64, name="one", at=START)
        assert failing.calls == 1
        assert await tokens.all() == frozenset()
        failing.mended = True
        await tokens.add("0" * 64, name="one", at=START)
        assert await tokens.all() == {"0" * 64}


async def test_all_that_wait_are_told_of_the_outage_and_may_try_again(tmp_path: Path, *, inline: bool) -> None:
    async with opened(tmp_path / "belltower.db", inline=inline) as (_, store):
        appends = [[record("a", n)] for n in range(2, 8)]
        with closing(sqlite3.connect(tmp_path / "belltower.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            outcomes = await asyncio.gather(*map(store.append, appends), return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {StoreUnavailableError}
            assert all("is held by another process" in str(outcome) for outcome in outcomes)
            assert len(await store.records("a")) == 1  # reading goes on
            other.execute("ROLLBACK")
        await asyncio.gather(*map(store.append, appends))
        assert len(await store.records("a")) == 7


async def test_a_file_that_is_gone_is_an_outage_and_no_new_one_is_made(tmp_path: Path, *, inline: bool) -> None:
    path, away = tmp_path / "belltower.db", tmp_path / "away"
    async with opened(path, inline=inline) as (_, store):
        away.mkdir()
        await store.append([record("a", 2)])
        for name in ("belltower.db", "belltower.db-wal", "belltower.db-shm"):
            (tmp_path / name).rename(away / name)
        for message in ("was moved, deleted or replaced", "cannot be opened"):
            with pytest.raises(StoreUnavailableError, match=message):
                await store.append(big())
        with pytest.raises(StoreUnavailableError, match="cannot be opened"):
            await store.runs()
        assert not path.exists()
        for file in list(away.iterdir()):
            file.rename(tmp_path / file.name)
        for _ in range(2):
            await store.append(big())
        assert list(await store.records("b")) == big()


async def test_a_file_that_was_replaced_is_not_written_by_mistake(tmp_path: Path, *, inline: bool) -> None:
    path, other = tmp_path / "belltower.db", tmp_path / "other.db"
    async with opened(other, inline=True):
        pass
    async with opened(path, inline=inline) as (_, store):
        for name in ("belltower.db-wal", "belltower.db-shm"):
            (tmp_path / name).unlink()
        other.replace(path)
        with pytest.raises(StoreUnavailableError, match="was moved, deleted or replaced"):
            await store.append([created("b")])
        with pytest.raises(ClaimLostError):  # the other file knows nothing of this owner
            await store.append([created("b")])
        assert [run.run_id for run in await store.runs()] == ["a"]


async def test_a_store_that_may_only_be_read_is_an_outage_until_it_may_be_written(disk: Path, *, inline: bool) -> None:
    path = disk / "belltower.db"
    async with opened(path, inline=inline) as (database, store):
        await database.write(lambda connection: connection.execute(text("DELETE FROM api_tokens")).close())
        failing = FailingSync(await driver_of(database))
        for _ in range(2):  # after which it has to open the file anew
            with pytest.raises(StoreUnavailableError):
                await store.append([record("a", 2)])
        assert failing.calls
        with read_only(disk):
            for _ in range(2):
                with pytest.raises(StoreUnavailableError, match=r"belltower\.db cannot be opened or written"):
                    await store.append(big())
        await assert_goes_on(store, big())


class read_only:  # noqa: N801 (used like a function)
    """For a while this process, also as root, may read the folder and its files and write none of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        self._modes = {file: file.stat().st_mode for file in (self._folder, *self._folder.iterdir())}
        for file, mode in self._modes.items():
            file.chmod(mode & ~0o222 | 0o444)
        self._root = os.geteuid() == 0
        if self._root:
            os.seteuid(NOBODY)

    def __exit__(self, *_: object) -> None:
        if self._root:
            os.seteuid(0)
        for file, mode in self._modes.items():
            file.chmod(mode)


async def test_a_record_that_the_database_can_not_hold_spoils_nothing(tmp_path: Path, *, inline: bool) -> None:
    async with opened(tmp_path / "belltower.db", inline=inline) as (_, store):
        bad = [Record(run_id="a", sequence=2, kind=RecordKind.MARKET_EVENT, at=START, task="\ud800")]
        huge = [record("a", 2)._replace(sequence=2**70)]
        outcomes = await asyncio.gather(*map(store.append, (bad, [record("a", 2)], huge)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [DefinitionError, type(None), DefinitionError]
        assert len(await store.records("a")) == 2


async def test_a_backup_is_a_store_of_its_own(tmp_path: Path, *, inline: bool) -> None:
    copy = tmp_path / "copy.db"
    async with opened(tmp_path / "belltower.db", inline=inline) as (database, store):
        await store.append(big())
        await database.backup(copy)
        await store.append([record("a", 2)])
        with pytest.raises(DefinitionError, match=r"copy\.db is there already"):
            await database.backup(copy)
        with pytest.raises(DefinitionError, match=r"copy\.db could not be made"):
            await database.backup(tmp_path / "nowhere" / "copy.db")
    async with Database(f"sqlite:///{copy}", inline=True) as database:
        await upgrade(database)
        store = SqlRunStore(database)
        assert list(await store.records("b")) == big()
        assert len(await store.records("a")) == 1
        assert [claim.run_id for claim in await store.take_over()] == ["a", "b"]
    shutil.rmtree(tmp_path)
