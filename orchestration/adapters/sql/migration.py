"""Bring a store's tables to the version of this code, or say why that can't be done.

A new store is made from the schema at once; Alembic, whose import takes half a second, is loaded only when an older
store has steps to go.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.schema import SCHEMA_VERSION, metadata
from orchestration.domain.errors import DefinitionError

_SCRIPTS = Path(__file__).parent / "migrations"
_NO_STEP_YET = "0000"
_VERSION_TABLE = (  # to the letter what Alembic makes, as a test sees to
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)

_MAKING = 0x62656C6C  # any number that nobody else locks: one process at a time makes or brings up the tables


async def upgrade(database: Database) -> None:
    """Make or bring up the tables, in one transaction; nothing happens when they are up to date.

    Raises `DefinitionError` for a store that a newer version wrote and for a database of something else.
    """
    if await database.read(lambda connection: _version(connection, database.where)) != SCHEMA_VERSION:
        await database.write(lambda connection: _bring_up(connection, database.where))


async def check(database: Database) -> None:
    """Raise `DefinitionError` unless the store is sound and of this version."""
    await database.read(lambda connection: _check(connection, database.where))


def _check(connection: Connection, where: str) -> None:
    version = _version(connection, where)
    if version != SCHEMA_VERSION:
        found = "is empty" if version is None else f"is of version {version}, older than this one's {SCHEMA_VERSION}"
        raise DefinitionError(f"{where} {found}; open it with this Belltower once, which brings it up")
    if connection.dialect.name != "sqlite":
        return  # the server looks after its own
    damage = [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check(1)")) if row[0] != "ok"]
    damage += [f"a row of {row[0]} has lost its run" for row in connection.execute(text("PRAGMA foreign_key_check"))]
    if damage:
        raise DefinitionError(f"{where} is damaged ({damage[0]}); restore a backup, or move it away and start anew")


def _bring_up(connection: Connection, where: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MAKING})
    version = _version(connection, where)  # again, now that nobody else can write: two processes may start at once
    if version is None:
        metadata.create_all(connection)
        connection.execute(text(_VERSION_TABLE))
        connection.execute(text("INSERT INTO alembic_version VALUES (:version)"), {"version": SCHEMA_VERSION})
    elif version != SCHEMA_VERSION:
        _migrate(connection)


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _version(connection: Connection, where: str) -> str | None:
    """Return the store's version; ``None``: the file is empty."""
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return None
    if "alembic_version" not in tables:
        raise DefinitionError(
            f"{where} holds tables of another program ({min(tables)}); set BELLTOWER_DATABASE_URL to one of its own"
        )
    version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if version is None:
        return _NO_STEP_YET
    if not (isinstance(version, str) and len(version) == len(SCHEMA_VERSION) and version.isdecimal()):
        raise DefinitionError(
            f"{where} has the version {version!r} of another program; set BELLTOWER_DATABASE_URL to one of its own"
        )
    if version > SCHEMA_VERSION:
        raise DefinitionError(
            f"{where} was written by a newer Belltower (version {version}, this one knows up to {SCHEMA_VERSION}); "
            "upgrade Belltower, or restore a backup of before"
        )
    return version
