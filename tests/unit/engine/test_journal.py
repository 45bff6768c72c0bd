"""The journal: one appender, in groups, in order; what it holds on to while the store is out."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.domain.errors import DefinitionError, StoreUnavailableError
from orchestration.domain.records import Record, RecordKind
from orchestration.engine.journal import MOST_AT_ONCE, ROOM, Journal
from tests.unit.engine.stores import TroubledStore
from tests.unit.engine.world import START, after, simulated


@dataclass
class Desk:
    """A journal over a store, and what it said and did; moments are seconds after the start."""

    store: TroubledStore
    told: list[tuple[float, str | None]] = field(default_factory=list)
    ended: list[Exception] = field(default_factory=list)
    done: list[tuple[float, int]] = field(default_factory=list)
    sequence: int = 0

    def open(self) -> "Desk":
        """Begin; call it on a simulated loop."""
        self.clock = SimulatedClock(START)
        self.journal = Journal(
            self.store,
            self.clock,
            on_trouble=lambda said: self.told.append((self.now, said)),
            on_end=self.ended.append,
        )
        return self

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    def records(self, count: int) -> list[Record]:
        """The next ``count`` records of the run."""
        first, self.sequence = self.sequence + 1, self.sequence + count
        return [record(number) for number in range(first, self.sequence + 1)]

    def put(self, count: int = 1) -> None:
        """Put some records, and note when that is done."""
        records = self.records(count)
        self.journal.put(records, lambda: self.done.append((self.now, records[-1].sequence)))

    async def kept(self) -> list[int]:
        """The sequences that the store has."""
        return [one.sequence for one in await self.store.records("run")]

    def full(self) -> bool:
        return self.journal.full

    def trouble(self) -> str | None:
        return self.journal.trouble

    async def until(self, seconds: float) -> None:
        await self.clock.sleep_until(after(seconds))


def record(number: int) -> Record:
    kind = RecordKind.RUN_CREATED if number == 1 else RecordKind.TASK_QUEUED
    return Record(run_id="run", sequence=number, kind=kind, at=START, data={"name": "test"})


def at_a_desk(main: Callable[[Desk], Coroutine[Any, Any, None]], seconds: float = 0) -> Desk:
    desk = Desk(TroubledStore(seconds))
    simulated(lambda: main(desk.open()))
    return desk


def test_what_comes_during_a_commit_goes_into_the_next_all_together_and_in_order() -> None:
    async def main(desk: Desk) -> None:
        desk.put()
        await desk.until(1)
        for count in (2, 1, 3):
            desk.put(count)
        await desk.journal.settled()

    desk = at_a_desk(main, seconds=2)
    assert desk.store.tried == [(0, 1), (2, 6)]
    assert desk.done == [(2, 1), (4, 3), (4, 4), (4, 7)]


def test_nothing_is_done_before_its_commit_is_through() -> None:
    async def main(desk: Desk) -> None:
        desk.put()
        await desk.until(1.9)
        assert desk.done == []
        assert desk.journal.busy
        await desk.journal.settled()
        assert not desk.journal.busy

    assert at_a_desk(main, seconds=2).done == [(2, 1)]


def test_what_is_put_by_what_was_kept_is_kept_too() -> None:
    async def main(desk: Desk) -> None:
        desk.journal.put(desk.records(1), desk.put)
        await desk.journal.settled()
        assert await desk.kept() == [1, 2]

    assert at_a_desk(main, seconds=2).done == [(4, 2)]


def test_a_commit_takes_about_so_many_records_at_most() -> None:
    async def main(desk: Desk) -> None:
        desk.put()
        await desk.until(1)
        for _ in range(5):
            desk.put(MOST_AT_ONCE // 2)
        await desk.journal.settled()

    assert [size for _, size in at_a_desk(main, seconds=2).store.tried] == [1, 2_000, 2_000, 1_000]


def test_while_the_store_is_out_it_is_asked_again_at_growing_intervals_and_nothing_is_lost() -> None:
    async def main(desk: Desk) -> None:
        desk.store.fail()
        desk.put(2)
        await desk.until(20)
        assert desk.trouble() == "the disk is full"
        assert desk.journal.busy
        assert await desk.kept() == []
        desk.put()
        desk.store.mend()
        await desk.journal.settled()
        assert desk.trouble() is None
        assert await desk.kept() == [1, 2, 3]

    desk = at_a_desk(main)
    assert [round(at, 3) for at, _ in desk.store.tried[:9]] == [0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 11.3, 16.3]
    assert [size for _, size in desk.store.tried[9:]] == [2, 1]
    assert desk.done == [(21.3, 2), (21.3, 3)]


def test_an_outage_is_told_when_it_begins_and_when_it_is_over_and_no_more() -> None:
    async def main(desk: Desk) -> None:
        for _ in range(2):
            desk.store.fail()
            desk.put()
            await desk.until(desk.now + 2)
            desk.store.mend()
            await desk.journal.settled()
            desk.put()
            await desk.journal.settled()

    told = at_a_desk(main).told
    assert [said for _, said in told] == ["the disk is full", None, "the disk is full", None]
    assert [at for at, _ in told] == [0, 3.1, 3.1, 6.2]


def test_what_was_kept_though_the_answer_got_lost_is_not_there_twice() -> None:
    async def main(desk: Desk) -> None:
        desk.store.fail()
        desk.store.answer_lost = True
        desk.put(3)
        await desk.until(1)
        desk.store.mend()
        await desk.journal.settled()
        assert await desk.kept() == [1, 2, 3]

    assert len(at_a_desk(main).done) == 1


def test_keep_returns_once_it_is_kept() -> None:
    async def main(desk: Desk) -> None:
        await desk.journal.keep(desk.records(1))
        assert desk.now == 2
        assert await desk.kept() == [1]

    at_a_desk(main, seconds=2)


def test_keep_is_told_that_it_was_not_kept_and_may_ask_again() -> None:
    async def main(desk: Desk) -> None:
        desk.store.fail()
        wanted = desk.records(1)
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match="the disk is full"):
                await desk.journal.keep(wanted)
        assert not desk.journal.busy
        desk.store.mend()
        await desk.journal.keep(wanted)
        assert await desk.kept() == [1]

    assert at_a_desk(main).told == []


def test_while_the_store_is_out_nothing_new_is_taken_on() -> None:
    async def main(desk: Desk) -> None:
        desk.store.fail()
        desk.put()
        await desk.until(1)
        tried = len(desk.store.tried)
        with pytest.raises(StoreUnavailableError, match="nothing new is taken on while the store is out: the disk is"):
            await desk.journal.keep([record(9)])
        assert (desk.now, len(desk.store.tried)) == (1, tried)
        desk.store.mend()
        await desk.journal.settled()
        assert await desk.kept() == [1]

    at_a_desk(main)


def test_who_waits_in_the_same_commit_or_behind_one_that_fails_is_told_and_the_rest_is_kept() -> None:
    async def main(desk: Desk) -> None:
        desk.put()
        await desk.until(1)
        desk.put()
        together = asyncio.create_task(desk.journal.keep([other(1)]))
        await desk.until(3)  # the first commit is through, the second has begun
        behind = asyncio.create_task(desk.journal.keep([other(2)]))
        desk.store.fail()
        await desk.until(4.05)
        for refused in (together, behind):
            assert refused.done()
            with pytest.raises(StoreUnavailableError):
                await refused
        desk.store.mend()
        await desk.journal.settled()
        assert await desk.kept() == [1, 2]
        assert await desk.store.records("other1") == await desk.store.records("other2") == []

    assert [number for _, number in at_a_desk(main, seconds=2).done] == [1, 2]


def other(number: int) -> Record:
    return Record(run_id=f"other{number}", sequence=1, kind=RecordKind.RUN_CREATED, at=START, data={"name": "other"})


def test_who_no_longer_waits_for_its_commit_harms_nobody() -> None:
    async def main(desk: Desk) -> None:
        gone = asyncio.create_task(desk.journal.keep(desk.records(1)))
        await desk.until(1)
        gone.cancel()
        desk.put()
        await desk.journal.settled()
        desk.store.fail()
        gone = asyncio.create_task(desk.journal.keep([other(1)]))
        await desk.until(5)
        gone.cancel()
        await desk.journal.settled()
        assert await desk.kept() == [1, 2]

    assert at_a_desk(main, seconds=2).ended == []


def test_an_error_that_waiting_can_not_mend_ends_it_for_everybody() -> None:
    async def main(desk: Desk) -> None:
        desk.put()
        await desk.until(1)
        desk.store.error = DefinitionError("it is all wrong")
        waiting = asyncio.create_task(desk.journal.keep([other(1)]))
        desk.put()
        await desk.journal.settled()
        with pytest.raises(DefinitionError, match="it is all wrong"):
            await waiting
        desk.store.mend()
        desk.put()
        with pytest.raises(DefinitionError, match="it is all wrong"):
            await desk.journal.keep([other(2)])
        assert not desk.journal.busy
        assert await desk.kept() == []

    desk = at_a_desk(main, seconds=2)
    assert desk.done == []
    assert [str(error) for error in desk.ended] == ["it is all wrong"]
    assert desk.told == []


def test_it_is_full_when_too_much_waits_and_not_when_that_is_kept() -> None:
    async def main(desk: Desk) -> None:
        desk.put(ROOM - 1)
        assert not desk.full()
        desk.put()
        assert desk.full()
        await desk.journal.settled()
        assert not desk.full()

    at_a_desk(main)


def test_one_that_has_nothing_to_do_is_settled() -> None:
    async def main(desk: Desk) -> None:
        await desk.journal.settled()
        await desk.journal.close(after(5) - START)
        assert desk.now == 0

    at_a_desk(main)


def test_closing_waits_for_what_is_being_kept() -> None:
    async def main(desk: Desk) -> None:
        desk.put()
        await desk.journal.close(after(5) - START)
        assert desk.now == 2
        assert await desk.kept() == [1]

    assert at_a_desk(main, seconds=2).done == [(2, 1)]


def test_what_can_not_be_kept_in_time_is_given_up_on_at_the_end_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def main(desk: Desk) -> None:
        desk.store.fail()
        desk.put(3)
        await desk.journal.close(after(5) - START)
        assert desk.now == 5
        assert len(asyncio.all_tasks()) == 1

    assert at_a_desk(main).done == []
    assert "3 records could not be kept before the end" in caplog.text
