"""New, current, older, newer and foreign stores."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine

from orchestration.adapters.sql import migration
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.halt_store import SqlHaltStore
from orchestration.adapters.sql.journal_rows import moment_text, rows_of
from orchestration.adapters.sql.ledger import SqlLedger
from orchestration.adapters.sql.migration import check, upgrade
from orchestration.adapters.sql.run_store import SqlRunStore
from orchestration.adapters.sql.schema import SCHEMA_VERSION, metadata
from orchestration.domain.errors import DefinitionError, StoreUnavailableError
from orchestration.domain.halts import Halt, HaltLevel
from orchestration.domain.records import Record, RunSummary
from orchestration.domain.states import RunStatus
from orchestration.ports.ledger import LedgerEntry
from tests.contract.records import created, record

Schema = dict[tuple[str, str], str]


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def schema_of(path: Path) -> Schema:
    """Tables, indexes and the columns of each, but for the spaces in their definitions."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    return {(kind, name): "".join((sql or "").split()) for kind, name, sql in rows}


async def upgraded(path: Path) -> Path:
    async with Database(f"sqlite:///{path}", inline=True) as database:
        await upgrade(database)
        await check(database)
    return path


async def migrated(path: Path) -> Path:
    """A store that took every step instead of being made from the schema."""
    change(path, migration._VERSION_TABLE)  # no version in it: before the first step
    return await upgraded(path)


def make_version(path: Path, version: str) -> None:
    """A store as the released steps up to ``version`` make it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    config = Config()
    config.set_main_option("script_location", str(Path(migration.__file__).parent / "migrations"))
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.begin() as opened:
        config.attributes["connection"] = opened
        command.upgrade(config, version)
    engine.dispose()


async def test_a_new_store_and_one_that_took_every_step_have_the_same_tables(tmp_path: Path) -> None:
    new = schema_of(await upgraded(tmp_path / "new.db"))
    assert schema_of(await migrated(tmp_path / "migrated.db")) == new
    assert {name for kind, name in new if kind == "table"} >= {"executions", "execution_events", "ledger_entries"}


async def test_the_migrations_leave_nothing_of_the_schema_out(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{await migrated(tmp_path / 'belltower.db')}", inline=True) as database:
        assert await database.read(lambda c: compare_metadata(MigrationContext.configure(c), metadata)) == []


async def test_alembic_makes_its_table_as_we_do(tmp_path: Path) -> None:
    path = tmp_path / "alembic.db"
    async with Database(f"sqlite:///{path}", inline=True) as database:
        await database.write(lambda connection: MigrationContext.configure(connection)._ensure_version_table())
    ours = schema_of(await upgraded(tmp_path / "new.db"))
    assert schema_of(path)["table", "alembic_version"] == ours["table", "alembic_version"]


def test_the_schemas_version_is_the_newest_step() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migration.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA_VERSION]


async def test_an_upgrade_keeps_what_is_there_and_a_second_one_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "belltower.db"
    async with Database(f"sqlite:///{path}") as database:
        await upgrade(database)
        await SqlRunStore(database).append([created("a")])
        await upgrade(database)
        assert [run.run_id for run in await SqlRunStore(database).runs()] == ["a"]


def summary_of(first: Record) -> RunSummary:
    return RunSummary(
        run_id=first.run_id,
        name="a day",
        status=RunStatus.PENDING,
        created_at=first.at,
        started_at=None,
        completed_at=None,
    )


async def contents(database: Database) -> tuple[list[RunSummary], list[Record], list[LedgerEntry]]:
    runs = SqlRunStore(database)
    return list(await runs.runs()), list(await runs.records("a")), list(await SqlLedger(database).entries())


async def test_a_store_of_version_1_comes_forward_with_all_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "belltower.db"
    make_version(path, "0001")
    entry = LedgerEntry(sequence=1, at=created("a").at, kind="cash_deposited", data={"cash": "1000.00"})
    kept = [created("a"), record("a", 2, note="kept"), created("b")]
    rows = rows_of(kept, moment_text)
    with closing(sqlite3.connect(path)) as connection, connection:  # as the version of then wrote them
        connection.executemany(
            "INSERT INTO executions (id, name, status, created_at) VALUES (?, ?, ?, ?)", rows.created
        )
        connection.executemany("INSERT INTO execution_events VALUES (?, ?, ?, ?, ?, ?, ?)", rows.events)
    async with Database(f"sqlite:///{path}") as database:
        await SqlLedger(database).append([entry])

    async with Database(f"sqlite:///{path}") as database:
        with pytest.raises(DefinitionError, match=r"is of version 0001, older .* open it with this Belltower once"):
            await check(database)
        await upgrade(database)
        await check(database)
        assert await contents(database) == (
            [summary_of(kept[2]), summary_of(kept[0])],
            kept[:2],
            [entry],
        )
        claims = await SqlRunStore(database).take_over()
        assert [(claim.run_id, claim.token) for claim in claims] == [("a", 2), ("b", 2)]  # nobody had them
        halt = Halt(level=HaltLevel.FLATTEN, reason="the new tables work", at=entry.at, by="cli")
        await SqlHaltStore(database).halt(halt)
        assert await SqlHaltStore(database).current() == halt
    assert schema_of(path) == schema_of(await upgraded(tmp_path / "new.db"))


async def test_an_upgrade_that_fails_half_way_leaves_version_1_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "belltower.db"
    make_version(path, "0001")
    change(path, "CREATE TABLE api_tokens (mine TEXT)")  # the last table of the step is in its way
    before = schema_of(path)
    async with Database(f"sqlite:///{path}") as database:
        with pytest.raises(StoreUnavailableError, match="api_tokens"):
            await upgrade(database)
    assert schema_of(path) == before


async def test_a_store_holds_one_halt_at_most(tmp_path: Path) -> None:
    path = await upgraded(tmp_path / "belltower.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        add = "INSERT INTO halts VALUES (?, 'flatten', 'why', '2012-12-12', 'cli')"
        connection.execute(add, [1])
        for number in (1, 2):
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(add, [number])


async def test_a_store_of_a_newer_version_asks_for_a_newer_belltower(tmp_path: Path) -> None:
    path = await upgraded(tmp_path / "belltower.db")
    change(path, "UPDATE alembic_version SET version_num = '0099'")
    async with Database(f"sqlite:///{path}") as database:
        for ask in (upgrade, check):
            with pytest.raises(DefinitionError, match=r"belltower\.db was written by a newer .* upgrade Belltower"):
                await ask(database)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("CREATE TABLE songs (title TEXT)", r"holds tables of another program \(songs\)"),
        ("CREATE TABLE alembic_version AS SELECT 'ae1027a6acf' AS version_num", "'ae1027a6acf' of another program"),
    ],
)
async def test_the_database_of_another_program_is_left_alone(tmp_path: Path, statement: str, message: str) -> None:
    path = tmp_path / "other.db"
    change(path, statement)
    before = schema_of(path)
    async with Database(f"sqlite:///{path}") as database:
        with pytest.raises(DefinitionError, match=message):
            await upgrade(database)
    assert schema_of(path) == before


async def test_a_check_of_a_store_without_tables_names_the_command(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path}/belltower.db") as database:
        with pytest.raises(DefinitionError, match="is empty; open it with this Belltower once"):
            await check(database)


async def test_a_check_of_an_older_store_names_the_command(tmp_path: Path) -> None:
    path = tmp_path / "belltower.db"
    change(path, migration._VERSION_TABLE)
    async with Database(f"sqlite:///{path}") as database:
        with pytest.raises(DefinitionError, match=r"is of version 0000, older .* open it with this Belltower once"):
            await check(database)


async def test_a_check_finds_an_event_that_lost_its_run(tmp_path: Path) -> None:
    path = await upgraded(tmp_path / "belltower.db")
    change(path, "INSERT INTO execution_events VALUES ('gone', 1, 'run_started', '2012-12-12', NULL, NULL, '{}')")
    async with Database(f"sqlite:///{path}") as database:
        with pytest.raises(DefinitionError, match="a row of execution_events has lost its run"):
            await check(database)


async def test_a_new_or_current_store_opens_without_loading_alembic(tmp_path: Path) -> None:
    code = """
import asyncio, sys
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.halt_store import SqlHaltStore
from orchestration.adapters.sql.journal_rows import moment_text, rows_of
from orchestration.adapters.sql.ledger import SqlLedger
from orchestration.adapters.sql.migration import check, upgrade
async def main():
    for _ in range(2):
        async with Database(sys.argv[1]) as database:
            await upgrade(database)
            await check(database)
asyncio.run(main())
assert "alembic" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, f"sqlite:///{tmp_path}/belltower.db"], check=True)  # noqa: ASYNC221 (nothing else runs here)


async def test_two_processes_may_make_the_same_store_at_once(tmp_path: Path) -> None:
    """The second one waits for the first and then finds it made."""
    code = """
import asyncio, sys
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.halt_store import SqlHaltStore
from orchestration.adapters.sql.journal_rows import moment_text, rows_of
from orchestration.adapters.sql.ledger import SqlLedger
from orchestration.adapters.sql.migration import upgrade
async def main():
    async with Database(sys.argv[1]) as database:
        await upgrade(database)
asyncio.run(main())
"""
    command = [sys.executable, "-c", code, f"sqlite:///{tmp_path}/belltower.db"]
    both = [subprocess.Popen(command) for _ in range(2)]  # noqa: ASYNC220 (nothing else runs here)
    assert [one.wait() for one in both] == [0, 0]
