"""Old runs go, once a day when the desk rests; unfinished ones never do."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestration import cli
from orchestration.adapters.memory.halt_store import MemoryHaltStore
from orchestration.adapters.memory.result_cache import MemoryResultCache
from orchestration.adapters.memory.run_store import MemoryRunStore
from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.halt_store import SqlHaltStore
from orchestration.adapters.sql.migration import upgrade
from orchestration.adapters.sql.result_cache import SqlResultCache
from orchestration.adapters.sql.run_store import SqlRunStore
from orchestration.config import TradingConfig
from orchestration.domain.errors import DefinitionError, StoreUnavailableError
from orchestration.domain.records import Record, RecordKind
from orchestration.engine.history import APART, AT_LATEST, LOOK_EVERY, CleanedUp, DailyCleanUp, History
from orchestration.ports.halt_store import HaltStore
from orchestration.ports.result_cache import ResultCache
from orchestration.ports.run_store import RunStore
from tests.unit.engine.world import START, after, simulated

DAY = timedelta(days=1)


def a_run(run_id: str, began: datetime, ended: datetime | None = None) -> list[Record]:
    records = [
        Record(run_id=run_id, sequence=1, kind=RecordKind.RUN_CREATED, at=began, data={"name": "a day"}),
        Record(run_id=run_id, sequence=2, kind=RecordKind.RUN_STARTED, at=began),
    ]
    if ended is not None:
        records.append(Record(run_id=run_id, sequence=3, kind=RecordKind.RUN_FAILED, at=ended, data={"reason": "x"}))
    return records


class Kept:
    """A store with a history of three runs and two results."""

    def __init__(self, runs: RunStore, results: ResultCache, audit: HaltStore) -> None:
        self.runs, self.results, self.audit = runs, results, audit
        self.clock = SimulatedClock(START)

    @property
    def history(self) -> History:
        return History(runs=self.runs, results=self.results, audit=self.audit, clock=self.clock)

    async def fill(self) -> "Kept":
        await self.runs.append(a_run("unfinished", START - 900 * DAY))
        await self.runs.append(a_run("old", START - 403 * DAY, START - 402 * DAY))
        await self.runs.append(a_run("long", START - 900 * DAY, START - 2 * DAY))
        await self.results.put("old", 1, START)
        await self.results.put("new", 2, START + 900 * DAY)
        return self

    async def left(self) -> set[str]:
        return {run.run_id for run in await self.runs.runs()}


async def in_memory() -> Kept:
    return await Kept(MemoryRunStore(), MemoryResultCache(), MemoryHaltStore()).fill()


async def in_sqlite(path: Path) -> AsyncIterator[Kept]:
    async with Database(f"sqlite:///{path}", inline=True) as database:
        await upgrade(database)
        yield await Kept(SqlRunStore(database), SqlResultCache(database), SqlHaltStore(database)).fill()


async def check_one(kept: Kept) -> None:
    before = START - 400 * DAY
    assert await kept.history.count(before) == 1
    assert await kept.left() == {"unfinished", "old", "long"}
    assert await kept.history.clean_up(before, by="daemon") == CleanedUp(runs=1, results=1)
    assert await kept.left() == {"unfinished", "long"}
    assert list(await kept.runs.records("old")) == []
    assert len(await kept.runs.records("unfinished")) == 2
    assert await kept.results.get("new", START) is not None
    [row] = await kept.audit.audit()
    assert (row.by, row.action, row.at) == ("daemon", "prune", START)
    assert row.reason == ("1 runs that ended before 2011-11-08T11:00:00Z and 1 expired results were deleted")
    assert await kept.history.clean_up(before, by="daemon") == CleanedUp(runs=0, results=0)
    assert len(await kept.audit.audit()) == 1


def test_what_ended_too_long_ago_goes_and_what_has_not_ended_stays(tmp_path: Path) -> None:
    async def memory() -> None:
        await check_one(await in_memory())

    async def sqlite() -> None:
        async for kept in in_sqlite(tmp_path / "belltower.db"):
            await check_one(kept)

    simulated(memory)
    simulated(sqlite)


def test_a_clean_up_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        await (await in_memory()).history.clean_up(START, by="daemon")

    with caplog.at_level(logging.INFO):
        simulated(main)
    assert "2 runs that ended before 2012-12-12T11:00:00Z and 1 expired results were deleted" in caplog.text


class Daemon:
    """A daily clean-up beside a desk that the test makes busy."""

    def __init__(self, kept: Kept, days: int = 400) -> None:
        self.kept = kept
        self.busy = False
        self.beats = 0
        self.cleaned: list[timedelta] = []
        self.broken = False
        daily = DailyCleanUp(kept.history, kept.clock, days=days, busy=lambda: self.busy, beat=self._beat)
        clean_up = daily.clean_up

        async def noted() -> CleanedUp:
            if self.broken:
                raise StoreUnavailableError("the store is out")
            self.cleaned.append(kept.clock.now() - START)
            return await clean_up()

        daily.clean_up = noted  # type: ignore[method-assign]  # to see when it is called
        self.running = asyncio.create_task(daily.run())

    def _beat(self) -> None:
        self.beats += 1

    async def days(self, count: int, *, work_from: float = 2, work_to: float = 9) -> None:
        """Be busy for some hours of every day."""
        for _ in range(count):
            await asyncio.sleep(work_from * 3600)
            self.busy = True
            await asyncio.sleep((work_to - work_from) * 3600)
            self.busy = False
            await asyncio.sleep((24 - work_to) * 3600)


def hours(cleaned: list[timedelta]) -> list[float]:
    return [moment / timedelta(hours=1) for moment in cleaned]


def test_it_is_done_once_a_day_just_after_the_days_work() -> None:
    async def main() -> None:
        daemon = Daemon(await in_memory())
        await daemon.days(3)
        daemon.running.cancel()
        assert [round(hour) for hour in hours(daemon.cleaned)] == [9, 33, 57]
        assert all(hour % 24 - 9 <= LOOK_EVERY / timedelta(hours=1) for hour in hours(daemon.cleaned))
        assert daemon.beats >= 3 * 24 * 12 - 3
        assert await daemon.kept.left() == {"unfinished", "long"}

    simulated(main)


def test_a_desk_that_is_done_several_times_a_day_is_not_cleaned_up_each_time() -> None:
    async def main() -> None:
        daemon = Daemon(await in_memory())
        for _ in range(10):
            daemon.busy = True
            await asyncio.sleep(3600)
            daemon.busy = False
            await asyncio.sleep(3600)
        daemon.running.cancel()
        first, second = daemon.cleaned
        assert second - first >= APART

    simulated(main)


def test_a_desk_that_rests_all_day_is_cleaned_up_too_and_one_that_never_rests_after_two() -> None:
    async def main(*, busy: bool) -> list[timedelta]:
        daemon = Daemon(await in_memory())
        daemon.busy = busy
        await asyncio.sleep(timedelta(days=5).total_seconds())
        daemon.running.cancel()
        return daemon.cleaned

    resting, busy = simulated(lambda: main(busy=False)), simulated(lambda: main(busy=True))
    assert [moment // AT_LATEST for moment in resting] == [1, 2, 3, 4, 5][: len(resting)]
    assert [moment // AT_LATEST for moment in busy] == [2, 4]


def test_a_store_that_is_out_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        daemon = Daemon(await in_memory())
        daemon.broken = True
        daemon.busy = True
        await asyncio.sleep(3600)
        daemon.busy = False
        await asyncio.sleep(3600)
        assert daemon.cleaned == []
        daemon.broken = False
        await asyncio.sleep(LOOK_EVERY.total_seconds() + 1)
        assert len(daemon.cleaned) == 1
        daemon.running.cancel()

    with caplog.at_level(logging.WARNING):
        simulated(main)
    assert "the history was not cleaned up, which is tried again: the store is out" in caplog.text


def test_for_ever_means_that_only_expired_results_go() -> None:
    async def main() -> None:
        daemon = Daemon(await in_memory(), days=0)
        await daemon.days(1)
        daemon.running.cancel()
        assert await daemon.kept.left() == {"unfinished", "old", "long"}
        assert await daemon.kept.results.prune(after(0)) == 0
        [row] = await daemon.kept.audit.audit()
        assert row.reason == "0 runs and 1 expired results were deleted"

    simulated(main)


def test_a_history_is_a_week_or_longer_or_for_ever(tmp_path: Path) -> None:
    assert TradingConfig(home=tmp_path).history_days == 400
    assert TradingConfig(home=tmp_path, history_days=0).history_days == 0
    assert TradingConfig(home=tmp_path, history_days=7).history_days == 7
    for wrong in (1, 6):
        with pytest.raises(DefinitionError, match=r"BELLTOWER_HISTORY_DAYS .* give 7 or more, or 0"):
            TradingConfig(home=tmp_path, history_days=wrong)
    with pytest.raises(DefinitionError, match="BELLTOWER_HISTORY_DAYS"):
        TradingConfig(home=tmp_path, history_days=-1)


def called(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli._guarded(lambda: cli.app(list(arguments), standalone_mode=False))
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_command_line_says_how_many_would_go_and_then_deletes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "belltower.db"

    async def fill() -> None:
        async for _ in in_sqlite(path):
            pass

    simulated(fill)
    prune = ("runs", "prune", "--home", str(tmp_path), "--before")
    assert called(*prune, "2011-12-01", "--dry-run", capsys=capsys) == (0, "1 runs would be deleted\n", "")
    assert called(*prune, "2011-12-01", capsys=capsys) == (0, "deleted: 1 runs, 2 expired results\n", "")
    assert called(*prune, "2011-12-01", capsys=capsys) == (0, "deleted: 0 runs, 0 expired results\n", "")

    async def audited() -> list[tuple[str, str]]:
        async with Database(f"sqlite:///{path}") as database:
            return [(row.by, row.action) for row in await SqlHaltStore(database).audit()]

    assert asyncio.run(audited()) == [("cli", "prune")]


def test_the_command_line_refuses_what_it_cannot_mean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prune = ("runs", "prune", "--home", str(tmp_path), "--before")
    later = f"{datetime.now(UTC).date() + 2 * DAY}"
    for before, said in (("soon", "is no date"), (later, "is still to come"), ("2011-12-01", "there is no store at")):
        code, out, err = called(*prune, before, capsys=capsys)
        assert (code, out) == (2, "")
        assert said in err
    assert list(tmp_path.iterdir()) == []
