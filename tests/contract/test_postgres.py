"""PostgreSQL as a store: what is its own."""

import asyncio
import gc
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from orchestration.adapters.sql import migration
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.journal_rows import rows_of, utc
from orchestration.adapters.sql.migration import check, upgrade
from orchestration.adapters.sql.run_store import SqlRunStore
from orchestration.adapters.sql.schema import metadata
from orchestration.domain.errors import DefinitionError, StoreUnavailableError
from orchestration.domain.records import Claim, RecordKind
from tests.contract.postgres import Postgres
from tests.contract.records import created, record

OLD = (
    "INSERT INTO executions (id, name, status, created_at) VALUES (:id, :name, :status, :at)",
    "INSERT INTO execution_events VALUES (:id, :n, :kind, :at, NULL, NULL, :data)",
)


@pytest.fixture(scope="module")
def own_server() -> Iterator[Postgres]:
    """A server that may be taken away."""
    with Postgres.started() as server:
        yield server


async def test_while_the_server_is_gone_nothing_is_kept_and_when_it_is_back_all_goes_on(own_server: Postgres) -> None:
    records = [created("b"), record("b", 2, RecordKind.RUN_STARTED), record("b", 3)]
    async with Database(own_server.new_database()) as database:
        await upgrade(database)
        store = SqlRunStore(database)
        await store.append([created("a"), record("a", 2)])
        own_server.stop()
        for append in (records, [record("a", 3)], records):
            with pytest.raises(StoreUnavailableError, match=r"^the store test_.* can't be reached"):
                await store.append(append)
        for ask in (store.runs, store.take_over, lambda: store.records("a")):
            with pytest.raises(StoreUnavailableError, match="can't be reached"):
                await ask()
        own_server.start()
        for append in (records, [record("a", 3)], records):
            await store.append(append)
        assert list(await store.records("b")) == records
        assert list(await store.records("a")) == [created("a"), record("a", 2), record("a", 3)]
        assert len(await store.runs()) == 2


async def test_an_append_whose_end_nobody_saw_is_kept_once(own_server: Postgres) -> None:
    """The server is taken away while appends are under way, and each is tried until it succeeds."""
    async with Database(own_server.new_database()) as database:
        await upgrade(database)
        store = SqlRunStore(database)
        await store.append([created("a")])

        async def until_kept(number: int) -> None:
            while True:
                try:
                    await store.append([record("a", number), record("a", number + 1)])
                except StoreUnavailableError:
                    await asyncio.sleep(0.02)
                else:
                    return

        async def in_turn(first: int) -> None:
            for number in range(first, first + 100, 2):
                await until_kept(number)

        async def taken_away() -> None:
            for _ in range(2):
                await asyncio.sleep(0.05)
                await asyncio.to_thread(own_server.stop)
                await asyncio.to_thread(own_server.start)

        await asyncio.gather(taken_away(), *(in_turn(first) for first in range(2, 402, 100)))
        assert [one.sequence for one in await store.records("a")] == list(range(1, 402))


async def test_what_it_can_not_hold_is_refused_and_its_neighbours_are_kept(postgres: Postgres) -> None:
    async with Database(postgres.new_database()) as database:
        await upgrade(database)
        store = SqlRunStore(database)
        await store.append([created("a")])
        bad = [[record("a", 2)._replace(task=task)] for task in ("nul\0", "\ud800")]
        bad.append([record("a", 2)._replace(sequence=2**40)])
        appends = [*bad, [record("a", 2)]]
        outcomes = await asyncio.gather(*map(store.append, appends), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [DefinitionError] * 3 + [type(None)]
        assert await store.take_over() == []
        assert len(await store.records("a")) == 2


@pytest.mark.parametrize("password", ["hunter2", "hun%3Ater2"])
async def test_a_server_that_does_not_answer_is_an_outage_and_its_password_a_secret(
    tmp_path: Path, password: str
) -> None:
    with pytest.raises(StoreUnavailableError, match="the store desk at localhost:1 can't be reached") as outage:
        async with Database(f"postgresql://me:{password}@localhost:1/desk"):
            pass
    assert "ter2" not in str(outage.value)
    with pytest.raises(StoreUnavailableError, match=f"the store desk at {tmp_path} can't be reached") as outage:
        async with Database(f"postgresql://me:{password}@/desk?host={tmp_path}"):
            pass
    assert "ter2" not in str(outage.value)


@pytest.mark.parametrize("query", ["sslmode=sometimes&password=hunter2", "direct_tls=1&sslmode=hunter2"])
async def test_an_address_with_settings_that_mean_nothing_is_refused(query: str) -> None:
    with pytest.raises(DefinitionError, match=r"the store desk at localhost.* BELLTOWER_DATABASE_URL") as refused:
        async with Database(f"postgresql://me@localhost/desk?{query}"):
            pass
    assert "hunter2" not in str(refused.value)


async def test_a_database_that_is_not_there_is_a_wrong_setting(postgres: Postgres) -> None:
    with pytest.raises(DefinitionError, match=r'does not let us in .*"nowhere" does not exist.*BELLTOWER_DATABASE_URL'):
        async with Database(postgres.url("nowhere")):
            pass


def test_a_simulation_wants_a_file() -> None:
    with pytest.raises(DefinitionError, match="can't be used in a simulation; give it a SQLite file"):
        Database("postgresql://me@localhost/desk", inline=True)


async def test_a_store_without_tables_names_the_way_out(postgres: Postgres) -> None:
    async with Database(postgres.new_database()) as database:
        with pytest.raises(DefinitionError, match="open it with this Belltower once"):
            await SqlRunStore(database).append([created("a")])
        with pytest.raises(DefinitionError, match="open it with this Belltower once"):
            await SqlRunStore(database).runs()
        with pytest.raises(DefinitionError, match="is empty"):
            await check(database)


async def test_the_database_of_another_program_is_left_alone(postgres: Postgres) -> None:
    async with Database(postgres.new_database()) as database:
        await database.write(lambda connection: connection.execute(text("CREATE TABLE songs (title text)")).close())
        with pytest.raises(DefinitionError, match=r"holds tables of another program \(songs\)"):
            await upgrade(database)


def to_version(connection: Connection, version: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migration.__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, version)


async def test_the_steps_lead_to_the_tables_of_the_schema_and_keep_what_is_there(postgres: Postgres) -> None:
    kept = [created("a"), record("a", 2, note="kept")]
    rows = rows_of(kept, utc)

    def older(connection: Connection) -> None:
        to_version(connection, "0002")
        for run_id, name, status, at in rows.created:
            connection.execute(text(OLD[0]), {"id": run_id, "name": name, "status": status, "at": at})
        for run_id, n, kind, at, _, _, data in rows.events:
            connection.execute(text(OLD[1]), {"id": run_id, "n": n, "kind": kind, "at": at, "data": data})

    async with Database(postgres.new_database()) as database:
        await database.write(older)
        await upgrade(database)
        await check(database)
        assert await database.read(lambda c: compare_metadata(MigrationContext.configure(c), metadata)) == []
        store = SqlRunStore(database)
        assert list(await store.records("a")) == kept
        assert list(await store.take_over()) == [Claim(run_id="a", token=2)]


async def test_several_may_make_the_same_store_at_once(postgres: Postgres) -> None:
    url = postgres.new_database()

    async def made() -> None:
        async with Database(url) as database:
            await upgrade(database)
            await check(database)

    await asyncio.gather(*(made() for _ in range(4)))


async def test_a_cancelled_write_that_has_begun_is_finished_first(postgres: Postgres) -> None:
    async with Database(postgres.new_database()) as database:
        await upgrade(database)
        begun = asyncio.Event()

        def slow(connection: Connection) -> None:
            begun.set()
            connection.execute(text("INSERT INTO owners VALUES ('slow', 1, true)"))
            connection.execute(text("SELECT pg_sleep(0.2)")).close()

        writing = asyncio.ensure_future(database.write(slow))
        await begun.wait()
        writing.cancel()
        await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        count = await database.read(lambda connection: connection.execute(text("SELECT count(*) FROM owners")).scalar())
        assert count == 1


async def test_a_cancelled_append_is_finished_first(postgres: Postgres) -> None:
    async with Database(postgres.new_database()) as database:
        await upgrade(database)
        store = SqlRunStore(database)
        appending = asyncio.ensure_future(store.append([created("a")]))
        await asyncio.sleep(0)
        appending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await appending
        assert len(await store.runs()) == 1


async def test_a_loop_that_ends_leaves_nobody_waiting(postgres: Postgres) -> None:
    async def main() -> None:
        database = await Database(postgres.new_database()).__aenter__()
        await upgrade(database)
        appending = asyncio.ensure_future(SqlRunStore(database).append([created("a")]))
        await asyncio.sleep(0)
        assert not appending.done()

    def ends() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # the store was never closed
            asyncio.run(main())
            gc.collect()

    await asyncio.wait_for(asyncio.to_thread(ends), 20)


async def test_a_read_sees_one_moment(postgres: Postgres) -> None:
    async with Database(postgres.new_database()) as database:
        await upgrade(database)
        store, loop = SqlRunStore(database), asyncio.get_running_loop()
        await store.append([created("a")])
        count = text("SELECT count(*) FROM executions")

        def twice(connection: Connection) -> tuple[object, object]:
            first = connection.execute(count).scalar()
            loop.create_task(store.append([created("b", after=timedelta(1))]))
            connection.execute(text("SELECT pg_sleep(0.2)")).close()
            return first, connection.execute(count).scalar()

        assert await database.read(twice) == (1, 1)
        assert len(await store.runs()) == 2
