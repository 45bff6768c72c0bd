"""What every store of halts promises."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import text

from orchestration.adapters.memory.halt_store import MemoryHaltStore
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.halt_store import SqlHaltStore
from orchestration.adapters.sql.migration import upgrade
from orchestration.domain.errors import DefinitionError, StoreUnavailableError
from orchestration.domain.halts import AuditRow, Halt, HaltLevel
from orchestration.ports.halt_store import HaltStore
from tests.contract.conftest import STORES, open_database

NOON = datetime(2012, 12, 12, 17, 0, 0, 1, tzinfo=UTC)


def halt(level: HaltLevel = HaltLevel.CLOSE_ONLY, *, minutes: int = 0, reason: str = "odd fills ÆØÅ") -> Halt:
    return Halt(level=level, reason=reason, at=NOON + timedelta(minutes=minutes), by="cli")


def row(action: str, level: HaltLevel | None, reason: str, *, minutes: int = 0) -> AuditRow:
    return AuditRow(at=NOON + timedelta(minutes=minutes), by="cli", action=action, level=level, reason=reason)


@pytest.fixture(params=STORES)
async def halt_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[HaltStore]:
    """A store in which nothing was ever halted."""
    if request.param == "memory":
        yield MemoryHaltStore()
        return
    async with open_database(request, tmp_path) as database:
        yield SqlHaltStore(database)


async def test_nothing_holds_at_first(halt_store: HaltStore) -> None:
    assert await halt_store.current() is None
    assert list(await halt_store.audit()) == []


@pytest.mark.parametrize("level", HaltLevel)
async def test_a_halt_comes_back_as_it_was_kept(halt_store: HaltStore, level: HaltLevel) -> None:
    await halt_store.halt(halt(level))
    assert await halt_store.current() == halt(level)
    assert list(await halt_store.audit()) == [row("halt", level, "odd fills ÆØÅ")]


async def test_a_halt_takes_the_place_of_a_stricter_one_and_both_are_audited(halt_store: HaltStore) -> None:
    await halt_store.halt(halt(HaltLevel.FLATTEN, reason="first"))
    await halt_store.halt(halt(HaltLevel.NO_NEW_ORDERS, minutes=1, reason="second"))
    assert await halt_store.current() == halt(HaltLevel.NO_NEW_ORDERS, minutes=1, reason="second")
    assert list(await halt_store.audit()) == [
        row("halt", HaltLevel.NO_NEW_ORDERS, "second", minutes=1),
        row("halt", HaltLevel.FLATTEN, "first"),
    ]


async def test_a_resume_lifts_it_and_its_row_says_what_was_lifted(halt_store: HaltStore) -> None:
    await halt_store.halt(halt())
    await halt_store.resume(reason="mended", at=NOON + timedelta(minutes=1), by="cli")
    assert await halt_store.current() is None
    assert (await halt_store.audit())[0] == row("resume", HaltLevel.CLOSE_ONLY, "mended", minutes=1)


async def test_a_resume_without_a_halt_adds_its_row_only(halt_store: HaltStore) -> None:
    await halt_store.resume(reason="to be sure", at=NOON, by="cli")
    assert await halt_store.current() is None
    assert list(await halt_store.audit()) == [row("resume", None, "to be sure")]


async def test_a_resume_without_a_reason_is_refused_and_the_halt_holds(halt_store: HaltStore) -> None:
    await halt_store.halt(halt())
    with pytest.raises(DefinitionError, match="a resume needs a reason"):
        await halt_store.resume(reason=" ", at=NOON, by="cli")
    assert await halt_store.current() == halt()
    assert len(await halt_store.audit()) == 1


async def test_the_audit_gives_the_newest_rows_first_and_no_more_than_asked_for(halt_store: HaltStore) -> None:
    for number in range(5):
        await halt_store.halt(halt(reason=str(number)))
    assert [one.reason for one in await halt_store.audit(limit=2)] == ["4", "3"]
    assert list(await halt_store.audit(limit=-1)) == []


async def test_a_moment_without_a_zone_is_refused(halt_store: HaltStore) -> None:
    with pytest.raises(DefinitionError, match="has no zone"):
        await halt_store.resume(reason="mended", at=NOON.replace(tzinfo=None), by="cli")
    with pytest.raises(DefinitionError, match="has no zone"):
        Halt(level=HaltLevel.FLATTEN, reason="why", at=NOON.replace(tzinfo=None), by="cli")
    assert list(await halt_store.audit()) == []


async def test_a_moment_of_another_zone_is_the_same_moment(halt_store: HaltStore) -> None:
    local = NOON.astimezone(timezone(timedelta(hours=-5)))
    await halt_store.halt(Halt(level=HaltLevel.FLATTEN, reason="why", at=local, by="api"))
    kept = await halt_store.current()
    assert kept
    assert kept.at == NOON
    assert str(kept) == "halt flatten since 2012-12-12T17:00:00Z by api: why"


async def test_a_halt_is_there_when_the_store_is_opened_again(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path}/belltower.db") as database:
        await upgrade(database)
        await SqlHaltStore(database).halt(halt())
    async with Database(f"sqlite:///{tmp_path}/belltower.db") as database:
        assert await SqlHaltStore(database).current() == halt()


async def test_a_halt_whose_audit_row_cannot_be_kept_is_not_kept_either(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path}/belltower.db") as database:
        await upgrade(database)
        store = SqlHaltStore(database)
        await store.halt(halt())
        refuse = "CREATE TRIGGER full BEFORE INSERT ON audit_log BEGIN SELECT no_such_function(); END"
        await database.write(lambda connection: connection.execute(text(refuse)))
        with pytest.raises(StoreUnavailableError):
            await store.halt(halt(HaltLevel.FLATTEN))
        with pytest.raises(StoreUnavailableError):
            await store.resume(reason="mended", at=NOON, by="cli")
        assert await store.current() == halt()


async def test_a_level_from_the_future_asks_for_an_upgrade(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path}/belltower.db") as database:
        await upgrade(database)
        store = SqlHaltStore(database)
        await store.halt(halt())
        await database.write(lambda connection: connection.execute(text("UPDATE halts SET level = 'liquidate'")))
        with pytest.raises(DefinitionError, match="'liquidate', which this version does not know; upgrade Belltower"):
            await store.current()
        await store.resume(reason="mended by hand", at=NOON, by="cli")
        assert await store.current() is None


def test_a_misspelt_level_is_named_with_the_nearest_one() -> None:
    assert HaltLevel.parse("close_only") is HaltLevel.CLOSE_ONLY
    with pytest.raises(DefinitionError, match=r"halt level is 'flaten'; did you mean 'flatten'\?"):
        HaltLevel.parse("flaten")


def test_a_halt_without_a_reason_is_refused() -> None:
    with pytest.raises(DefinitionError, match="a halt needs a reason"):
        halt(reason=" ")


async def test_the_audit_takes_notes_of_what_is_no_halt(halt_store: HaltStore) -> None:
    await halt_store.halt(halt())
    row = AuditRow(at=NOON, by="daemon", action="prune", level=None, reason="3 runs were deleted")
    await halt_store.note(row)
    assert (await halt_store.audit())[0] == row
    assert await halt_store.current() == halt()
