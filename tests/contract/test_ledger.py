"""What every book promises."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.ledger import SqlLedger
from orchestration.adapters.sql.migration import upgrade
from orchestration.domain.errors import DefinitionError
from orchestration.ports.ledger import Ledger, LedgerEntry


def entry(sequence: int, **data: str | list[int]) -> LedgerEntry:
    at = datetime(2012, 12, 12, 14, 30, sequence, 1, tzinfo=UTC)
    return LedgerEntry(sequence=sequence, at=at, kind="fill", data=data)


async def test_a_new_book_is_empty(ledger: Ledger) -> None:
    assert list(await ledger.entries()) == []


async def test_entries_come_back_as_they_were_kept_in_sequence(ledger: Ledger) -> None:
    await ledger.append([entry(1, price="12.50"), entry(2, symbol="ÆØÅ \U0001f514")])
    await ledger.append([entry(3)])
    assert list(await ledger.entries()) == [entry(1, price="12.50"), entry(2, symbol="ÆØÅ \U0001f514"), entry(3)]


async def test_appending_nothing_is_nothing(ledger: Ledger) -> None:
    await ledger.append([])
    assert list(await ledger.entries()) == []


@pytest.mark.parametrize(
    "refused", [[entry(2)], [entry(1)], [entry(3), entry(3)], [entry(3), entry(2)], [entry(4)], [entry(3), entry(5)]]
)
async def test_a_sequence_that_is_taken_or_leaves_a_gap_is_refused_with_all_that_came_with_it(
    ledger: Ledger, refused: list[LedgerEntry]
) -> None:
    await ledger.append([entry(1), entry(2)])
    with pytest.raises(DefinitionError, match=r"taken|gap"):
        await ledger.append(refused)
    assert list(await ledger.entries()) == [entry(1), entry(2)]


async def test_what_the_caller_changes_later_is_not_changed_in_the_book(ledger: Ledger) -> None:
    parts = [1, 2]
    await ledger.append([entry(1, parts=parts)])
    parts.append(3)
    assert (await ledger.entries())[0].data == {"parts": [1, 2]}


async def test_accounts_keep_books_of_their_own(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path}/belltower.db") as database:
        await upgrade(database)
        await SqlLedger(database).append([entry(1)])
        other = SqlLedger(database, account="other")
        await other.append([entry(1), entry(2)])
        assert len(await SqlLedger(database, account="paper").entries()) == 1
        assert len(await other.entries()) == 2


async def test_a_book_is_there_when_the_store_is_opened_again(tmp_path: Path) -> None:
    for sequence in (1, 2):
        async with Database(f"sqlite:///{tmp_path}/belltower.db") as database:
            await upgrade(database)
            await SqlLedger(database).append([entry(sequence)])
            assert [one.sequence for one in await SqlLedger(database).entries()] == list(range(1, sequence + 1))
