"""What every journal promises."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.adapters.memory.run_store import MemoryRunStore
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.migration import upgrade
from orchestration.adapters.sql.run_store import SqlRunStore
from orchestration.domain.errors import DefinitionError
from orchestration.domain.records import Claim, Record, RecordKind, RunSummary
from orchestration.domain.states import RunStatus
from orchestration.ports.run_store import RunStore
from tests.contract.records import START, created, record

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    # SQLite and JSON both hold any text but half a surrogate pair
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=8,
)


def nested(depth: int) -> list[object]:
    return [nested(depth - 1)] if depth else []


async def test_records_come_back_as_they_were_kept_in_sequence(run_store: RunStore) -> None:
    kept = [
        created("a"),
        record("a", 3, price="12.50", note="Zürich 東京 \U0001f514")._replace(stage="intraday", task="watch@15:35Z"),
        record("a", 2, RecordKind.RUN_STARTED),
    ]
    await run_store.append(kept)
    assert list(await run_store.records("a")) == sorted(kept, key=lambda r: r.sequence)


async def test_an_unknown_run_has_no_records(run_store: RunStore) -> None:
    await run_store.append([created("a")])
    assert list(await run_store.records("b")) == []


async def test_appending_nothing_is_nothing(run_store: RunStore) -> None:
    await run_store.append([])
    assert list(await run_store.runs()) == []


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2012, 12, 12, 17, 30, 0, 1, tzinfo=UTC),
        datetime(2012, 11, 4, 5, 59, 59, 999_999, tzinfo=UTC),
        datetime(1990, 1, 1, tzinfo=UTC),
        datetime(2026, 6, 18, 9, 30, 0, 123_456, tzinfo=timezone(timedelta(hours=-4))),
    ],
)
async def test_moments_are_exact_to_the_microsecond_and_in_utc(run_store: RunStore, moment: datetime) -> None:
    await run_store.append([created("a")._replace(at=moment)])
    [kept] = await run_store.records("a")
    [summary] = await run_store.runs()
    assert kept.at == summary.created_at == moment
    assert kept.at.utcoffset() == timedelta(0) or kept.at.tzinfo == moment.tzinfo


async def test_a_moment_without_a_zone_is_refused(run_store: RunStore) -> None:
    with pytest.raises(DefinitionError, match="has no zone"):
        await run_store.append([created("a")._replace(at=datetime(2012, 12, 12, 9, 30))])  # noqa: DTZ001 (the point)
    assert list(await run_store.runs()) == []


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON, max_size=4))
def test_the_stores_agree_on_any_data(tmp_path_factory: pytest.TempPathFactory, data: dict[str, object]) -> None:

    async def both() -> None:
        memory = MemoryRunStore()
        path = tmp_path_factory.mktemp("store") / "belltower.db"
        async with Database(f"sqlite:///{path}", inline=True) as database:
            await upgrade(database)
            store = SqlRunStore(database)
            for one in (memory, store):
                await one.append([created("a"), record("a", 2)._replace(data=data)])  # type: ignore[arg-type]  # JSON by its strategy
            assert list(await store.records("a")) == list(await memory.records("a"))

    asyncio.run(both())


async def test_what_the_caller_changes_later_is_not_changed_in_the_store(run_store: RunStore) -> None:
    prices = [1, 2]
    await run_store.append([created("a"), record("a", 2, prices=prices)])
    prices.append(3)
    assert (await run_store.records("a"))[1].data == {"prices": [1, 2]}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (record("a", 3, day=START), r"run a, record 3: data\.day is a datetime"),
        (record("a", 3, span=timedelta(1)), r"data\.span is a timedelta"),
        (record("a", 3, price=Decimal("1.5")), r"data\.price is a Decimal"),
        (record("a", 3, one=Claim(run_id="a", token=1)), r"data\.one is a Claim"),
        (record("a", 3, some={1, 2}), r"data\.some is a set"),
        (record("a", 3, by={1: 2}), r"data\.by has the key 1"),
        (record("a", 3, text="\ud800"), r"run a, record 3: data\.text is"),
        (record("a", 3, count=2**70), r"run a, record 3: data\.count is"),
        (record("a", 3, deep=nested(300)), r"run a, record 3: data.* is nested"),
        (record("a", 2, other=True), r"run .*\ba\b"),
        (record("a", 2)._replace(task="another"), r"run .*\ba\b"),
        (created("a", name="another"), r"run .*\ba\b"),
        (created("a")._replace(sequence=9), r"run .*\ba\b"),
        (created("b"), r"run b\b"),
        (record("unknown", 1), r"run .*\bunknown\b"),
        (created("c")._replace(data={}), "run c has no name"),
    ],
)
async def test_one_bad_record_and_nothing_of_the_append_is_kept(run_store: RunStore, bad: Record, message: str) -> None:
    before = [created("a"), record("a", 2)]
    await run_store.append(before)
    with pytest.raises(DefinitionError, match=message):
        await run_store.append([created("b"), record("a", 4, RecordKind.RUN_STARTED), bad])
    assert list(await run_store.records("a")) == before
    assert [run.run_id for run in await run_store.runs()] == ["a"]
    assert [run.status for run in await run_store.runs()] == [RunStatus.PENDING]


async def test_a_sequence_twice_in_one_append_is_taken(run_store: RunStore) -> None:
    with pytest.raises(DefinitionError):
        await run_store.append([created("a"), record("a", 2), record("a", 2)])
    assert list(await run_store.records("a")) == []


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        (RecordKind.RUN_COMPLETED, RunStatus.COMPLETED),
        (RecordKind.RUN_FAILED, RunStatus.FAILED),
        (RecordKind.RUN_CANCELLED, RunStatus.CANCELLED),
        (RecordKind.RUN_INTERRUPTED, RunStatus.INTERRUPTED),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
async def test_the_summary_follows_the_records(
    run_store: RunStore, ending: RecordKind, status: RunStatus, at_once: bool
) -> None:
    records = [created("a", name="2012-12-12"), record("a", 2, RecordKind.RUN_STARTED), record("a", 3, ending)]
    for part in [records] if at_once else [[one] for one in records]:
        await run_store.append(part)
    assert list(await run_store.runs()) == [
        RunSummary(
            run_id="a",
            name="2012-12-12",
            status=status,
            created_at=START,
            started_at=START + timedelta(seconds=2),
            completed_at=START + timedelta(seconds=3),
        )
    ]
    assert list(await run_store.unfinished()) == []


async def test_runs_are_listed_newest_first_and_unfinished_ones_oldest_first(run_store: RunStore) -> None:
    minute = timedelta(minutes=1)
    for run_id, after in [("b", 2 * minute), ("d", 3 * minute), ("a", 1 * minute), ("c", 2 * minute)]:
        await run_store.append([created(run_id, after=after)])
    await run_store.append([record("c", 2, RecordKind.RUN_STARTED), record("d", 2, RecordKind.RUN_CANCELLED)])
    assert [run.run_id for run in await run_store.runs()] == ["d", "c", "b", "a"]
    assert [run.run_id for run in await run_store.runs(limit=2)] == ["d", "c"]
    assert list(await run_store.runs(limit=0)) == list(await run_store.runs(limit=-1)) == []
    assert list(await run_store.unfinished()) == ["a", "b", "c"]


WRITER = """
import asyncio, sys
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.migration import upgrade
from orchestration.adapters.sql.run_store import SqlRunStore
from tests.contract.records import created, record

async def main():
    async with Database(sys.argv[1]) as database:
        await upgrade(database)
        store = SqlRunStore(database)
        await store.append([created("a"), *(record("a", n) for n in range(2, 51))])
        print("kept", flush=True)
        sys.stdin.read()  # until killed

asyncio.run(main())
"""


async def test_a_committed_result_survives_a_new_process(tmp_path: Path) -> None:
    """What was acknowledged as durable is there after the process that wrote it was killed."""
    url = f"sqlite:///{tmp_path}/belltower.db"
    command = [sys.executable, "-c", WRITER, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:  # noqa: ASYNC220 (nothing else runs here)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "kept\n"
        os.kill(writer.pid, signal.SIGKILL)
    async with Database(url) as database:
        await upgrade(database)
        kept = await SqlRunStore(database).records("a")
    assert [one.sequence for one in kept] == list(range(1, 51))


async def test_the_very_same_records_again_change_nothing(run_store: RunStore) -> None:
    kept = [created("a"), record("a", 2, RecordKind.RUN_STARTED), record("a", 3, note="x")]
    await run_store.append(kept)
    for again in (kept, kept[1:], kept[:1], [kept[2]]):
        await run_store.append(again)
    assert list(await run_store.records("a")) == kept
    [run] = await run_store.runs()
    assert (run.status, run.started_at) == (RunStatus.RUNNING, kept[1].at)


async def test_records_that_are_there_may_come_again_with_new_ones(run_store: RunStore) -> None:
    """After a failure that kept nobody knows what, the journal above may ask for more at once, or for less."""
    kept = [created("a"), record("a", 2, RecordKind.RUN_STARTED), record("a", 3), record("a", 4)]
    await run_store.append(kept[:2])
    new = [record("a", 5, RecordKind.RUN_COMPLETED), created("b"), record("b", 2, RecordKind.RUN_STARTED)]
    await run_store.append([*kept[1:], *new])
    assert list(await run_store.records("a")) == [*kept, new[0]]
    assert {run.run_id: run.status for run in await run_store.runs()} == {
        "a": RunStatus.COMPLETED,
        "b": RunStatus.RUNNING,
    }


async def test_a_state_that_has_moved_on_is_not_moved_back_by_an_old_record(run_store: RunStore) -> None:
    kept = [created("a"), record("a", 2, RecordKind.RUN_STARTED), record("a", 3, RecordKind.RUN_COMPLETED)]
    await run_store.append(kept)
    await run_store.append([*kept[:2], created("b")])
    assert [(run.run_id, run.status) for run in await run_store.runs()] == [
        ("b", RunStatus.PENDING),
        ("a", RunStatus.COMPLETED),
    ]


async def test_appends_at_once_succeed_or_fail_each_on_its_own(run_store: RunStore) -> None:
    await run_store.append([created("a"), record("a", 2)])
    appends = [
        [created("b"), record("b", 2)],
        [record("a", 2, other=True)],
        [record("a", 3)],
        [record("unknown", 1)],
        [created("c")._replace(data={})],
        [record("a", 4, day=START)],
        [record("a", 2)],
        [created("d"), record("d", 2, RecordKind.RUN_STARTED)],
    ]
    outcomes = await asyncio.gather(*(run_store.append(one) for one in appends), return_exceptions=True)
    kinds = [None if outcome is None else type(outcome) for outcome in outcomes]
    assert [kind is None for kind in kinds] == [True, False, True, False, False, False, True, True]
    assert all(kind is None or issubclass(kind, DefinitionError) for kind in kinds)
    assert {run.run_id: run.status for run in await run_store.runs()} == {
        "a": RunStatus.PENDING,
        "b": RunStatus.PENDING,
        "d": RunStatus.RUNNING,
    }
    assert list(await run_store.records("a")) == [created("a"), record("a", 2), record("a", 3)]


async def test_many_appends_at_once_are_all_kept_in_their_order(run_store: RunStore) -> None:
    await run_store.append([created("a")])
    await asyncio.gather(*(run_store.append([record("a", n), record("a", n + 1)]) for n in range(2, 402, 2)))
    assert [one.sequence for one in await run_store.records("a")] == list(range(1, 402))


async def test_a_long_run_comes_back_whole(run_store: RunStore) -> None:
    kept = [created("a"), *(record("a", n, value=n) for n in range(2, 5_002))]
    await run_store.append(kept)
    assert list(await run_store.records("a")) == kept


async def ended(store: RunStore, run_id: str, *, after: timedelta, records: int = 2) -> None:
    last = record(run_id, records, RecordKind.RUN_COMPLETED)._replace(at=START + after)
    await store.append([created(run_id), *(record(run_id, n) for n in range(2, records)), last])


async def test_runs_that_ended_before_a_moment_are_pruned_and_no_others(run_store: RunStore) -> None:
    day = timedelta(days=1)
    await ended(run_store, "old", after=day)
    await ended(run_store, "just", after=2 * day)
    await ended(run_store, "new", after=3 * day)
    await run_store.append([created("unfinished"), record("unfinished", 2, RecordKind.RUN_STARTED)])
    assert await run_store.prune(START + 2 * day) == 1
    assert {run.run_id for run in await run_store.runs()} == {"just", "new", "unfinished"}
    assert list(await run_store.records("old")) == []
    assert len(await run_store.records("just")) == 2
    assert list(await run_store.unfinished()) == ["unfinished"]
    assert await run_store.prune(START + 2 * day) == 0


async def test_long_and_many_runs_are_pruned_to_the_end(run_store: RunStore) -> None:
    await ended(run_store, "long", after=timedelta(1), records=5_000)
    for number in range(30):
        await ended(run_store, f"short-{number:02}", after=timedelta(1), records=150)
    assert await run_store.prune(START + timedelta(2)) == 31
    assert list(await run_store.runs()) == []
    assert list(await run_store.records("long")) == list(await run_store.records("short-29")) == []


async def test_a_pruned_run_may_be_made_again(run_store: RunStore) -> None:
    await ended(run_store, "a", after=timedelta(1))
    await run_store.prune(START + timedelta(2))
    await run_store.append([created("a", name="again")])
    assert [run.name for run in await run_store.runs()] == ["again"]
