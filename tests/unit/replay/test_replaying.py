"""A replayed run shows the first record that today's core makes another way, and none where nothing has changed."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from orchestration.domain.errors import DefinitionError
from orchestration.domain.records import Record, RecordKind
from orchestration.domain.states import TaskPriority
from orchestration.engine import core, replaying, stage_rules, stored_definition
from orchestration.engine.core import RunCore
from orchestration.engine.engine import WorkflowEngine
from orchestration.engine.event_log import event_log_sha256
from orchestration.engine.replaying import Replayed, first_difference, replay_run
from tests.unit.engine.lives import DONE, UNKNOWN, Lives
from tests.unit.engine.world import (
    NoChance,
    after,
    at_once,
    boom,
    deaf,
    failing,
    for_ever,
    lasting,
    run,
    simulated,
    staged,
    task,
)

SECOND = timedelta(seconds=1)


def replayed(records: list[Record], *, late: float = 0, **config: object) -> Replayed:
    engine = WorkflowEngine({}, SimpleNamespace(**config), randomness=NoChance())
    return replay_run(records, engine.core_for, late=timedelta(seconds=late))


@pytest.fixture(scope="module")
def eventful() -> list[Record]:
    """A run with all that can happen to one: it dies twice, and is cancelled in the end."""
    definition = {
        "name": "eventful",
        "stages": {
            "first": {
                "tasks": [
                    task("quick"),
                    task("wrong", "quick", max_retries=2, retry_delays=[2, 3]),
                    task("strategy", max_retries=2),
                    task("slow", timeout=4, max_retries=1),
                    task("deaf", timeout=3, max_retries=0),
                    task("order", effects="orders", max_retries=0),
                    task("mail", effects="external", max_retries=0),
                    task("unwanted", when="not wanted"),
                    task("unsayable", when="nobody > 1"),
                    task("later", starts_at=after(9)),
                    task("missed", deadline=after(30), starts_at=after(29), dependencies=["hanging"]),
                    task("hanging", starts_at=after(20), timeout=100),
                ]
            },
            "second": {"starts_at": after(12), "tasks": [task("quick", name="second quick")]},
        },
        "announcements": [{"at": after(11), "kind": "open"}],
    }
    definition["stages"]["first"]["tasks"][-2:] = definition["stages"]["first"]["tasks"][:-3:-1]  # type: ignore[index]
    does = {
        "quick": at_once,
        "wrong": failing(2),
        "strategy": boom,
        "slow": lasting(50),
        "deaf": deaf(12),
        "order": lasting(30),
        "mail": lasting(30),
        "unwanted": at_once,
        "unsayable": at_once,
        "later": at_once,
        "missed": at_once,
        "hanging": for_ever,
    }

    async def main() -> list[Record]:
        lives = Lives(does, {"order": DONE, "mail": UNKNOWN}, {"max_concurrent_tasks": 20})
        engine = lives.engine()
        run_id = await engine.create_workflow(definition, {"wanted": True})
        await lives.live(engine.execute_workflow(run_id), until=15)
        await asyncio.sleep(1)
        engine = lives.engine()
        await engine.recover()
        await lives.live(engine.execute_workflow(run_id), until=24)
        engine = lives.engine()
        await engine.recover()
        going = asyncio.create_task(engine.execute_workflow(run_id))
        await asyncio.sleep(20)
        await engine.cancel(run_id, "that will do")
        await going
        return list(await lives.store.records(run_id))

    return simulated(main)


def test_an_eventful_run_replays_without_a_difference(eventful: list[Record]) -> None:
    kinds = {record.kind for record in eventful}
    never = {RecordKind.RUN_FAILED, RecordKind.RUN_COMPLETED, RecordKind.RUN_INTERRUPTED}
    assert set(RecordKind) - kinds == never
    said = replayed(eventful)
    assert said.difference is None
    assert said.same == len(eventful)
    assert said.latest == timedelta()


def planted(monkeypatch: pytest.MonkeyPatch, records: list[Record], owner: object, name: str, value: object) -> Any:
    monkeypatch.setattr(owner, name, value)
    difference = replayed(records).difference
    assert difference is not None
    return difference


def test_another_retry_delay_is_found_where_the_retry_is_put_off(
    eventful: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    def longer(definition: Any, attempt: int, strategy: Any) -> float | None:
        return 7.0 if attempt <= definition.max_retries else None

    found = planted(monkeypatch, eventful, core, "retry_delay", longer)
    assert (found.recorded.kind, found.recorded.task, found.where) == (
        RecordKind.TASK_RETRYING,
        "strategy",
        "data.delay_s",
    )
    assert found.values == (1.0, 7.0)
    assert found.recorded == eventful[found.recorded.sequence - 1]
    assert found.before == tuple(eventful[found.recorded.sequence - 6 : found.recorded.sequence - 1])


def test_settings_that_retry_another_way_are_found_too(eventful: list[Record]) -> None:
    found = replayed(eventful, enable_retry=False).difference
    assert found is not None
    assert found.where == "kind"
    assert found.values == ("task_retrying", "task_failed")


def test_a_limit_that_stops_later_is_found_at_the_alert(
    eventful: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = planted(monkeypatch, eventful, core, "STOP_GRACE", timedelta(seconds=6))
    assert found.recorded.kind is RecordKind.SYSTEM_ALERT
    assert found.recorded.at == after(8)
    assert found.today is not None


def test_what_happens_at_another_time_is_found(eventful: list[Record], monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that would open two seconds earlier today is no clock that was late."""
    due = stage_rules.is_due
    earlier = staticmethod(lambda state, index, at: due(state, index, at + 2 * SECOND))
    date = RunCore._date

    def dated(self: RunCore, started_at: Any) -> None:
        self._stages = tuple(
            replace(stage, starts_at=None if stage.starts_at is None else stage.starts_at - 2 * SECOND)
            for stage in self._stages
        )
        date(self, started_at)

    monkeypatch.setattr(core, "is_due", earlier)
    monkeypatch.setattr(RunCore, "_date", dated)
    found = replayed(eventful, late=0.5).difference
    assert found is not None
    assert found.today is not None
    assert (found.today.kind, found.today.stage, found.today.at) == (RecordKind.STAGE_STARTED, "second", after(10))


def test_what_today_does_in_addition_is_found(eventful: list[Record], monkeypatch: pytest.MonkeyPatch) -> None:
    begin = RunCore._begin

    def says_more(self: RunCore) -> None:
        begin(self)
        self._record(RecordKind.MARKET_EVENT, data={"kind": "hello", "details": {}})

    found = planted(monkeypatch, eventful, RunCore, "_begin", says_more)
    assert found.today.data["kind"] == "hello"
    assert found.where == "kind"


def test_what_today_does_no_more_is_found_with_what_it_does_instead(
    eventful: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunCore, "_agent_error", lambda *_: None)
    found = replayed(eventful).difference
    assert found is not None
    assert found.recorded is not None
    assert found.recorded.kind is RecordKind.AGENT_ERROR
    assert found.today is not None
    assert found.today.kind is RecordKind.TASK_RETRYING


def test_another_word_in_a_reason_is_found(eventful: list[Record], monkeypatch: pytest.MonkeyPatch) -> None:
    found = planted(monkeypatch, eventful, core, "lost", lambda task: "gone")
    assert found.recorded.kind is RecordKind.TASK_INTERRUPTED
    assert found.where == "data.reason"


def test_a_condition_that_is_read_another_way_is_found(eventful: list[Record], monkeypatch: pytest.MonkeyPatch) -> None:
    found = planted(monkeypatch, eventful, replaying, "skip_reason", lambda task, scope: None)
    assert (found.recorded.task, found.recorded.kind) == ("unwanted", RecordKind.TASK_SKIPPED)


def test_a_definition_that_is_kept_another_way_is_found_at_the_first_record(
    eventful: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = stored_definition._task
    monkeypatch.setattr(stored_definition, "_task", lambda stored: replace(read(stored), priority=TaskPriority.HIGH))
    found = replayed(eventful).difference
    assert found is not None
    assert found.where == "data.definition.stages[0].tasks[0].priority"
    assert found.values == (0, 10)
    assert found.before == ()


def test_a_task_that_is_tried_once_more_is_found_at_its_end() -> None:
    records = run(staged(task("boom", max_retries=1)), {"desk": SimpleNamespace(execute_boom=boom)}).records
    assert replayed(records).difference is None
    cut = [r for r in records if not (r.kind is RecordKind.TASK_FAILED and r.sequence > 4)]
    assert len(cut) == len(records) - 1


def test_records_that_are_missing_at_the_end_are_found() -> None:
    records = run(staged(task("ok")), {"desk": SimpleNamespace(execute_ok=at_once)}).records
    again = first_difference(records[:-1], records)
    assert again is not None
    assert (again.recorded, again.today) == (None, records[-1])
    assert again.before == tuple(records[-6:-1])
    gone = first_difference(records, records[:-1])
    assert gone is not None
    assert (gone.recorded, gone.today, gone.where) == (records[-1], None, "")
    assert first_difference(records, records) is None


def test_the_version_of_the_program_is_no_difference() -> None:
    records = run(staged(task("ok")), {"desk": SimpleNamespace(execute_ok=at_once)}).records
    older = [records[0]._replace(data={**records[0].data, "code_version": "0.0.1"}), *records[1:]]
    assert first_difference(older, records) is None
    assert event_log_sha256(older) == event_log_sha256(records)


def late_by(records: list[Record], seconds: float) -> list[Record]:
    """As if the clock had come late to what is due at 9 s."""
    moved = {after(9): after(9 + seconds)}
    return [record._replace(at=moved.get(record.at, record.at)) for record in records]


def one_that_waits(seconds: float) -> list[Record]:
    out = run(staged(task("ok", starts_at=after(9))), {"desk": SimpleNamespace(execute_ok=lasting(1))})
    return [r._replace(at=after(10 + seconds)) if r.at == after(10) else r for r in late_by(list(out.records), seconds)]


def test_a_clock_may_have_been_late_and_no_later_than_is_allowed() -> None:
    said = replayed(one_that_waits(0.25), late=1)
    assert said.difference is None
    assert said.latest == timedelta(seconds=0.25)
    found = replayed(one_that_waits(1.25), late=1).difference
    assert found is not None
    assert found.where == "at"
    assert found.values == ("2012-12-12T11:00:10.250000Z", "2012-12-12T11:00:09Z")
    assert replayed(one_that_waits(1.25), late=2).difference is None


def test_a_run_that_was_ended_because_nobody_could_go_on_replays_up_to_there() -> None:
    async def main() -> list[Record]:
        lives = Lives({"long": lasting(30)})
        engine = lives.engine()
        run_id = await engine.create_workflow(staged(task("long")))
        await lives.live(engine.execute_workflow(run_id), until=5)
        await lives.engine(agents={"other": object()}).recover()
        return list(await lives.store.records(run_id))

    records = simulated(main)
    assert records[-1].kind is RecordKind.RUN_INTERRUPTED
    said = replayed(records)
    assert (said.difference, said.same) == (None, len(records))


def test_a_result_from_the_cache_is_one_again() -> None:
    records = run(staged(task("ok")), {"desk": SimpleNamespace(execute_ok=at_once)}).records
    cached = [
        r._replace(data={**r.data, "cached": True}) if r.kind is RecordKind.TASK_COMPLETED else r for r in records
    ]
    assert replayed(cached).difference is None


def test_a_coroutine_that_cancelled_itself_did_so_again() -> None:
    async def gives_up(task_data: Mapping[str, Any]) -> object:
        raise asyncio.CancelledError

    flat = {"tasks": [{"name": "a", "handler": "tests.unit.replay.test_replaying.cancels_itself", "max_retries": 1}]}
    for definition in (staged(task("gives_up", max_retries=1)), flat):
        records = run(definition, {"desk": SimpleNamespace(execute_gives_up=gives_up)}).records
        assert any("cancelled itself" in str(record.data.get("error")) for record in records)
        assert replayed(records).difference is None


def cancels_itself() -> None:
    raise asyncio.CancelledError


def test_a_handler_that_fails_does_so_again() -> None:
    flat = {"tasks": [{"name": "a", "handler": "tests.unit.engine.handlers.spoil", "params": {"numbers": []},
                       "max_retries": 2, "retry_delays": [1, 2]}]}  # fmt: skip
    records = run(flat).records
    assert sum(record.kind is RecordKind.TASK_RETRYING for record in records) == 2
    assert replayed(records).difference is None


def test_an_error_that_made_no_retry_sensible_makes_none_again() -> None:
    async def wrong(task_data: Mapping[str, Any]) -> object:
        raise DefinitionError("never again")

    records = run(staged(task("wrong", max_retries=3)), {"desk": SimpleNamespace(execute_wrong=wrong)}).records
    assert all(record.kind is not RecordKind.TASK_RETRYING for record in records)
    assert replayed(records).difference is None


def test_a_run_that_has_not_ended_is_refused() -> None:
    records = run(staged(task("ok")), {"desk": SimpleNamespace(execute_ok=at_once)}).records
    with pytest.raises(DefinitionError, match="has not ended: wait for it, or cancel it"):
        replayed(list(records[:-1]))
    with pytest.raises(DefinitionError, match="lost the beginning"):
        replayed(list(records[1:]))


def test_a_cancellation_that_was_recorded_by_its_tasks_alone_is_told_as_one() -> None:
    """As versions did that knew no `RUN_CANCELLING`: today's code has a record more, and that is the difference."""
    out = run(
        staged(task("hang"), task("hang", "hang", name="waits")),
        {"desk": SimpleNamespace(execute_hang=for_ever)},
        meanwhile=cancelled_soon,
    )
    older = [record for record in out.records if record.kind is not RecordKind.RUN_CANCELLING]
    older = [record._replace(sequence=number) for number, record in enumerate(older, start=1)]
    found = replayed(older).difference
    assert found is not None
    assert found.today is not None
    assert (found.today.kind, found.today.at) == (RecordKind.RUN_CANCELLING, after(3))


async def cancelled_soon(world: Any, run_id: str) -> None:
    await asyncio.sleep(3)
    await world.engine.cancel(run_id, "enough")
