"""A store that cannot be used says which file, why, and what to do."""

import asyncio
import os
import sqlite3
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import StatementError

from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.journal_rows import moment_text
from orchestration.adapters.sql.migration import upgrade
from orchestration.adapters.sql.run_store import SqlRunStore
from orchestration.adapters.sql.schema import UtcDateTime
from orchestration.adapters.sql.sqlite_connection import require_sqlite
from orchestration.domain.errors import DefinitionError, StoreUnavailableError
from tests.contract.records import START, created, record
from tests.unit.sql.faults import driver_of

NOBODY = 65_534


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(f"sqlite:///{tmp_path}/belltower.db") as one:
        await upgrade(one)
        yield one


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """A folder that this process may read and not write, also when the tests run as root."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(NOBODY)
        try:
            yield Path(folder)
        finally:
            if root:
                os.seteuid(0)
            Path(folder).chmod(0o700)


async def set_pragma(database: Database, pragma: str) -> None:
    await database.write(lambda connection: connection.exec_driver_sql(f"PRAGMA {pragma}").close())


@pytest.mark.parametrize("inline", [True, False])
async def test_a_folder_that_cannot_be_written_is_a_wrong_setting(read_only_folder: Path, *, inline: bool) -> None:
    path = read_only_folder / "belltower.db"
    with pytest.raises(
        DefinitionError, match=rf"^the store {path} cannot be opened or written; make .* BELLTOWER_HOME"
    ):
        async with Database(f"sqlite:///{path}", inline=inline):
            pass


async def test_a_folder_that_is_not_there_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"nowhere/belltower\.db cannot be opened"):
        async with Database(f"sqlite:///{tmp_path}/nowhere/belltower.db"):
            pass


async def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "belltower.db"
    path.write_text("date,open,high,low,close\n" * 100)
    with pytest.raises(DefinitionError, match=r"belltower\.db is no SQLite database"):
        async with Database(f"sqlite:///{path}"):
            pass
    assert path.read_text() == "date,open,high,low,close\n" * 100


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://desk:hunter2@db/belltower", r"is of 'mysql'; this version keeps"),
        ("belltower.db", r"BELLTOWER_DATABASE_URL is no address"),
        ("sqlite://", r"names no file"),
        ("sqlite:///:memory:", r"names no file"),
    ],
)
def test_an_address_that_is_no_store_is_refused(url: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message) as refused:
        Database(url)
    assert "sqlite:///" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_an_old_sqlite_library_is_refused() -> None:
    require_sqlite((3, 35, 0))
    with pytest.raises(DefinitionError, match=r"SQLite is 3\.34\.1, and the store needs 3\.35"):
        require_sqlite((3, 34, 1))


async def test_a_store_is_used_only_while_it_is_open(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/belltower.db", inline=True)
    with pytest.raises(RuntimeError, match="is not open"):
        await database.read(lambda connection: None)
    async with database:
        await upgrade(database)
    with pytest.raises(RuntimeError, match="is not open"):
        await SqlRunStore(database).append([created("a")])


async def test_a_store_without_tables_names_the_command_that_makes_them(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path}/belltower.db") as database:
        with pytest.raises(DefinitionError, match="open it with this Belltower once"):
            await SqlRunStore(database).append([created("a")])


async def test_writes_reach_the_disk_before_they_return(database: Database) -> None:
    pragmas = {}
    for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout"):
        pragmas[name] = await database.write(lambda c, name=name: c.exec_driver_sql(f"PRAGMA {name}").scalar())  # type: ignore[misc]  # a default keeps the loop's value
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


async def test_a_store_that_another_process_holds_is_unavailable(database: Database, tmp_path: Path) -> None:
    await set_pragma(database, "busy_timeout=1")
    other = sqlite3.connect(tmp_path / "belltower.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match=r"belltower\.db is held by another process"):
            await SqlRunStore(database).append([created("a")])
        assert list(await SqlRunStore(database).runs()) == []
        other.execute("ROLLBACK")
    finally:
        other.close()
    await SqlRunStore(database).append([created("a")])


async def test_another_failure_of_the_library_is_translated_too(database: Database) -> None:
    with pytest.raises(StoreUnavailableError, match=r"did not do what was asked; .*no such column"):
        await database.read(lambda connection: connection.execute(text("SELECT no_such_column FROM executions")))


async def test_a_mistake_of_our_own_is_no_outage(database: Database) -> None:
    statement = text("SELECT :missing")
    with pytest.raises(StatementError, match="missing"):
        await database.read(lambda connection: connection.execute(statement))


async def test_a_kind_of_record_from_the_future_asks_for_an_upgrade(database: Database) -> None:
    store = SqlRunStore(database)
    await store.append([created("a")])
    await database.write(lambda connection: connection.execute(text("UPDATE execution_events SET kind = 'teleported'")))
    with pytest.raises(DefinitionError, match="'teleported', which this version does not know; upgrade Belltower"):
        await store.records("a")


async def test_an_error_inside_a_transaction_is_the_callers_and_undoes_it(database: Database) -> None:
    def insert_and_fail(connection: Connection) -> None:
        connection.execute(text("INSERT INTO ledger_entries VALUES ('paper', 1, '2012-12-12 00:00:00', 'fill', '{}')"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write(insert_and_fail)
    count = text("SELECT count(*) FROM ledger_entries")
    assert await database.read(lambda connection: connection.execute(count).scalar()) == 0


async def test_an_inline_store_uses_no_thread_and_the_other_one_to_write_and_one_to_read(tmp_path: Path) -> None:
    async def threads_of(database: Database) -> list[int]:
        ask = (database.read, database.write, database.read, database.write)
        return [await one(lambda connection: threading.get_ident()) for one in ask]

    async with Database(f"sqlite:///{tmp_path}/inline.db", inline=True) as inline:
        assert set(await threads_of(inline)) == {threading.get_ident()}
    before = threading.active_count()
    async with Database(f"sqlite:///{tmp_path}/threaded.db") as threaded:
        reader, writer, *again = await threads_of(threaded)
        assert again == [reader, writer]
        assert len({reader, writer, threading.get_ident()}) == 3
        assert threading.active_count() == before + 2
    assert threading.active_count() == before


async def test_a_cancelled_write_that_has_begun_is_finished_first(database: Database) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        connection.execute(text("INSERT INTO ledger_entries VALUES ('paper', 1, '2012-12-12 00:00:00', 'fill', '{}')"))
        begun.set()
        assert go_on.wait(10)

    writing = asyncio.ensure_future(database.write(slow))
    await asyncio.to_thread(begun.wait, 10)
    writing.cancel()
    await asyncio.sleep(0)
    assert not writing.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    count = text("SELECT count(*) FROM ledger_entries")
    assert await database.read(lambda connection: connection.execute(count).scalar()) == 1


async def test_a_long_read_holds_no_append_up(database: Database) -> None:
    reading, go_on = threading.Event(), threading.Event()
    store = SqlRunStore(database)
    await store.append([created("a")])

    def slow(connection: Connection) -> object:
        first = connection.execute(text("SELECT count(*) FROM execution_events")).scalar()
        reading.set()
        assert go_on.wait(10)
        return first, connection.execute(text("SELECT count(*) FROM execution_events")).scalar()

    asked = asyncio.ensure_future(database.read(slow))
    await asyncio.to_thread(reading.wait, 10)
    await store.append([record("a", 2)])
    go_on.set()
    assert await asked == (1, 1)  # and sees one moment
    assert len(await store.records("a")) == 2


async def test_appends_that_wait_for_the_writer_share_a_commit(database: Database) -> None:
    store = SqlRunStore(database)
    await store.append([created("a")])
    driver = await driver_of(database)
    statements: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        begun.set()
        assert go_on.wait(10)
        driver.set_trace_callback(statements.append)

    writing = asyncio.ensure_future(database.write(slow))
    await asyncio.to_thread(begun.wait, 10)
    appending = [asyncio.ensure_future(store.append([record("a", n)])) for n in range(2, 102)]
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(writing, *appending)
    driver.set_trace_callback(None)
    assert sum(statement == "BEGIN IMMEDIATE" for statement in statements) == 1
    assert [one.sequence for one in await store.records("a")] == list(range(1, 102))


async def test_a_cancelled_append_is_finished_first_however_often_it_is_cancelled(database: Database) -> None:
    store = SqlRunStore(database)
    begun, go_on = threading.Event(), threading.Event()

    def slow(_: Connection) -> None:
        begun.set()
        assert go_on.wait(10)

    writing = asyncio.ensure_future(database.write(slow))
    await asyncio.to_thread(begun.wait, 10)
    appending = asyncio.ensure_future(store.append([created("a")]))
    for _ in range(3):
        await asyncio.sleep(0)
        appending.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await appending
    assert [run.run_id for run in await store.runs()] == ["a"]
    await writing


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


async def test_closing_finishes_what_was_handed_over(tmp_path: Path) -> None:
    path = tmp_path / "belltower.db"
    async with Database(f"sqlite:///{path}") as database:
        await upgrade(database)
        store = SqlRunStore(database)
        appending = [asyncio.ensure_future(store.append([created(f"run-{n:02}")])) for n in range(20)]
        await asyncio.sleep(0)
    await asyncio.gather(*appending)
    assert names(tmp_path) == ["belltower.db"]  # no WAL, no lock of the owner
    async with Database(f"sqlite:///{path}") as database:
        assert len(await SqlRunStore(database).runs()) == 20


@pytest.mark.parametrize(
    "at",
    [
        START,
        START.replace(microsecond=0),
        START.replace(microsecond=120_000),
        START.astimezone(timezone(timedelta(hours=-5, minutes=-30))),
        datetime(7, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=ZoneInfo("Etc/GMT-2")),
    ],
)
def test_moments_are_written_as_sqlalchemy_writes_them(at: datetime) -> None:
    dialect = create_engine("sqlite://").dialect
    bind = UtcDateTime().dialect_impl(dialect).bind_processor(dialect)
    assert bind is not None
    assert moment_text(at) == bind(at)
