"""What becomes of a run whose process died: at any commit, in any state."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from orchestration.adapters.memory.run_store import MemoryRunStore
from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.domain.errors import DefinitionError, StoreUnavailableError
from orchestration.domain.reconciliation import Reconciled
from orchestration.domain.records import Record, RecordKind
from orchestration.engine.admission import RETRY_BURST
from orchestration.engine.engine import WorkflowEngine
from orchestration.engine.recovery import Recovered
from orchestration.engine.run_state import rebuild
from orchestration.engine.stored_definition import from_json
from tests.property.journal_rules import JournalRules
from tests.unit.engine.lives import DONE, NOT_DONE, UNKNOWN, Doing, Lives, answering
from tests.unit.engine.world import (
    START,
    Scripted,
    after,
    at_once,
    boom,
    failing,
    for_ever,
    lasting,
    simulated,
    staged,
    task,
)

DAY: dict[str, Any] = {
    "name": "a day",
    "stages": {
        "first": {
            "tasks": [
                task("quick"),
                task("ten", "quick", max_retries=1),
                task("order", "quick", effects="orders", max_retries=0),
                task("wrong", max_retries=2, retry_delays=[3]),
                task("never", when="not wanted"),
                task("late", starts_at=after(8)),
                task("mail", "never", effects="external"),
            ]
        },
        "second": {"tasks": [task("ten", "order", name="last")]},
    },
}
DOES: dict[str, Doing] = {
    "quick": at_once,
    "ten": lasting(10, "T"),
    "order": lasting(4, "filled"),
    "wrong": failing(2),
    "never": boom,
    "late": at_once,
    "mail": lasting(2, "sent"),
}


def records_of(lives: Lives, run_id: str) -> list[Record]:
    return [record for _, record in sorted(lives.store._kept.records[run_id].items())]


def judged(records: list[Record]) -> JournalRules:
    """The rules, after they have seen all of it."""
    stored: Any = records[0].data["definition"]
    rules = JournalRules(from_json(stored), retries=True)
    for record in records[1:]:
        rules.take(record)
    return rules


def one_death(commit: int, *, after_it: bool, answer: Doing) -> tuple[Lives, dict[str, Any] | None]:
    """Carry `DAY` out with a death at that commit; the result, or ``None``: nothing was there to go on with."""

    async def main() -> tuple[Lives, dict[str, Any] | None]:
        lives = Lives(DOES, {"order": answer, "mail": answer})
        await lives.begin(lives.engine(commit, after_it=after_it), DAY, wanted=True)
        engine = lives.engine()
        found = await lives.go_on(engine)
        runs = await lives.store.runs()
        if not runs:
            return lives, None
        assert [one.run_id for one in found] in ([runs[0].run_id], [])
        return lives, await engine.execute_workflow(runs[0].run_id)

    return simulated(main)


def commits_of_a_day() -> int:
    async def main() -> int:
        lives = Lives(DOES)
        await lives.begin(lives.engine(), DAY, wanted=True)
        return lives.mortal.count

    return simulated(main)


@pytest.mark.parametrize("answer", [DONE, NOT_DONE], ids=["done", "not done"])
@pytest.mark.parametrize("after_it", [False, True])
@pytest.mark.parametrize("commit", range(1, commits_of_a_day() + 1))
def test_whichever_commit_it_dies_at_another_process_brings_the_run_to_its_end(
    commit: int, answer: Doing, *, after_it: bool
) -> None:
    lives, result = one_death(commit, after_it=after_it, answer=answer)
    if result is None:
        assert commit == 1
        return
    assert result["status"] == "completed"
    statuses = {name: part["status"] for name, part in result["tasks"].items()}
    assert statuses.pop("never") == "skipped"
    assert set(statuses.values()) == {"completed"}
    records = records_of(lives, result["execution_id"])
    rules = judged(records)
    assert rebuild(rules.definition, records).status.ended
    completed = [record.task for record in records if record.kind is RecordKind.TASK_COMPLETED]
    assert len(completed) == len(set(completed))
    resumed = next((r.sequence for r in records if r.kind is RecordKind.RUN_RESUMED), None)
    for record in records:
        if resumed is not None and record.kind is RecordKind.TASK_COMPLETED and record.sequence < resumed:
            assert all(token == 1 for _, token in lives.ran(str(record.task))), "what had ended runs again"
    for name in ("order", "mail"):
        tokens = [token for _, token in lives.ran(name)]
        if tokens == [1, 2]:
            assert answer is NOT_DONE, "it is done again though it was done"
        if 2 in tokens and 1 in tokens:
            before = [did.what for did in lives.did if did.task == name and did.token == 2]
            assert before.index("asked") < before.index("ran")


def test_there_is_a_commit_to_die_at_for_every_step() -> None:
    assert commits_of_a_day() >= 10


def dies_at(
    seconds: float,
    definition: Mapping[str, Any],
    does: Mapping[str, Doing],
    answers: Mapping[str, Doing] | None = None,
    *,
    back_at: float | None = None,
    **config: object,
) -> tuple[Lives, dict[str, Any], list[Record]]:
    """Carry it out, dying once at a moment, and going on at another; the result and the records."""

    async def main() -> tuple[Lives, dict[str, Any], list[Record]]:
        lives = Lives(does, answers or {}, config)
        first = lives.engine()
        run_id = await first.create_workflow(definition)
        await lives.live(first.execute_workflow(run_id), until=seconds)
        if back_at is not None:
            await lives.clock.sleep_until(after(back_at))
        second = lives.engine()
        await lives.go_on(second)
        return lives, await second.execute_workflow(run_id), records_of(lives, run_id)

    return simulated(main)


def status(result: Mapping[str, Any], name: str) -> str:
    return str(result["tasks"][name]["status"])


def test_what_was_under_way_without_effects_runs_again_with_a_larger_token() -> None:
    lives, result, records = dies_at(3, staged(task("ten", max_retries=0)), DOES)
    assert lives.ran("ten") == [(1, 1), (2, 2)]
    assert (status(result, "ten"), result["tasks"]["ten"]["attempts"]) == ("completed", 2)
    lost = next(record for record in records if record.kind is RecordKind.TASK_INTERRUPTED)
    assert lost.data == {"attempt": 1, "reason": "attempt 1 was lost with the process that made it"}


def test_the_fencing_token_grows_with_every_process() -> None:
    async def main() -> list[tuple[int, int]]:
        lives = Lives({"ten": lasting(10)}, config={"max_retries": 9})
        engine = lives.engine()
        run_id = await engine.create_workflow(staged(task("ten", effects="none")))
        await lives.live(engine.execute_workflow(run_id), until=3)
        for moment in (6, 9, 12):
            engine = lives.engine()
            await engine.recover()
            await lives.live(engine.execute_workflow(run_id), until=moment)
        return lives.ran("ten")

    assert simulated(main) == [(1, 1), (2, 2), (3, 3), (4, 4)]


@pytest.mark.parametrize("effects", ["orders", "external"])
def test_what_may_have_had_effects_is_asked_about_and_done_is_done(effects: str) -> None:
    definition = staged(task("order", effects=effects), task("quick", "order"))
    lives, result, _ = dies_at(3, definition, DOES, {"order": DONE})
    assert lives.ran("order") == [(1, 1)]
    assert lives.ran("order", "asked") == [(1, 2)]
    part = result["tasks"]["order"]
    assert (part["status"], part["result"], part["reason"]) == ("completed", "found done", "the broker has it")
    assert status(result, "quick") == "completed"


def test_what_was_not_done_is_done_after_it_was_asked_about() -> None:
    lives, result, _ = dies_at(3, staged(task("order", effects="orders", max_retries=0)), DOES, {"order": NOT_DONE})
    assert [did.what for did in lives.did if did.token == 2] == ["asked", "asked to its end", "ran", "ran to its end"]
    assert status(result, "order") == "completed"


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"order": UNKNOWN}, "the broker does not answer"),
        ({}, "agent 'desk' has no coroutine function reconcile that could be asked"),
        ({"order": answering(ConnectionError("no line"))}, "ConnectionError: no line"),
        ({"order": answering("perhaps")}, "give outcome, and result or reason"),
        ({"order": answering({"outcome": "dome"})}, "did you mean 'done'?"),
        ({"order": answering(Reconciled.done({"at": datetime}))}, "which is no JSON value"),  # type: ignore[dict-item]
        ({"order": for_ever}, "it could not be found out within 60 s"),
        ({"order": answering(Reconciled.unknown("file \udcff"))}, "file \\udcff"),
    ],
)
def test_what_nobody_can_find_out_is_neither_done_nor_done_again(answers: dict[str, Doing], reason: str) -> None:
    definition = staged(task("order", effects="orders", timeout=60), task("quick", "order"))
    lives, result, _ = dies_at(3, definition, DOES, answers)
    assert lives.ran("order") == [(1, 1)]
    assert (status(result, "order"), status(result, "quick")) == ("failed", "skipped")
    assert result["tasks"]["order"]["error"].startswith("its outcome is unknown: ")
    assert reason in result["tasks"]["order"]["error"]


def test_an_agent_that_cancels_itself_when_it_is_asked_knows_nothing() -> None:
    async def give_up(task_data: Any) -> object:
        raise asyncio.CancelledError

    _, result, _ = dies_at(3, staged(task("order", effects="orders")), DOES, {"order": give_up})
    assert "it was broken off" in result["tasks"]["order"]["error"]


@pytest.mark.parametrize(
    ("one", "said"),
    [
        ({"handler": "tests.unit.engine.handlers.wait", "params": {"seconds": 60}}, "a handler can't be asked"),
        ({"type": "wait", "config": {"seconds": 60}, "effects": "external"}, "a task type can't be asked"),
    ],
)
def test_handlers_and_task_types_can_not_be_asked(one: dict[str, Any], said: str) -> None:
    _, result, _ = dies_at(3, {"tasks": [{"name": "work", **one}]}, DOES)
    assert said in result["tasks"]["work"]["error"]


def test_a_retry_waits_out_its_delay_over_the_death() -> None:
    definition = staged(task("wrong", max_retries=2, retry_delays=[30]))
    lives, _, _ = dies_at(3, definition, DOES)
    assert lives.times("wrong") == [0, 30, 60]
    late, _, _ = dies_at(3, definition, DOES, back_at=50)
    assert late.times("wrong") == [0, 50, 80]


def test_lost_attempts_are_no_retries() -> None:
    """Two failures, a loss between them, and the delays and the number are those of a run without a death."""
    definition = staged(task("wrong", max_retries=2))

    async def wrong(task_data: Mapping[str, Any]) -> object:
        await asyncio.sleep(1)
        raise RuntimeError("boom")

    lives, result, records = dies_at(2.5, definition, {"wrong": wrong})
    assert lives.times("wrong") == [0, 2, 2.5, 5.5]
    assert result["tasks"]["wrong"]["attempts"] == 4
    assert [record.data["delay_s"] for record in records if record.kind is RecordKind.TASK_RETRYING] == [1, 2]


def test_a_process_that_dies_while_it_asks_does_not_make_retries_more_or_sooner() -> None:
    async def order(task_data: Mapping[str, Any]) -> object:
        await asyncio.sleep(5 if task_data["execution"]["attempt"] == 1 else 1)
        raise RuntimeError("boom")

    async def asked(task_data: Mapping[str, Any]) -> object:
        await asyncio.sleep(5)
        return Reconciled.not_done()

    async def main() -> list[float]:
        lives = Lives({"order": order}, {"order": asked})
        engine = lives.engine()
        run_id = await engine.create_workflow(staged(task("order", effects="orders", max_retries=1)))
        await lives.live(engine.execute_workflow(run_id), until=2)
        for moment in (4, 6):
            engine = lives.engine()
            await engine.recover()
            await lives.live(engine.execute_workflow(run_id), until=moment)
        await lives.go_on(lives.engine())
        return lives.times("order")

    assert simulated(main) == [0, 11, 13]


def test_many_lost_attempts_do_not_wait_for_the_budget_of_retries() -> None:
    count = 3 * RETRY_BURST
    tasks = [task("ten", name=f"t{n}") for n in range(count)]
    lives, _, _ = dies_at(3, staged(*tasks), DOES, max_concurrent_tasks=count)
    assert {lives.times(f"t{n}")[1] for n in range(count)} == {3}


def test_what_waited_for_a_slot_waits_again() -> None:
    lives, _, _ = dies_at(3, staged(task("ten"), task("quick")), DOES, max_concurrent_tasks=1)
    assert lives.ran("quick") == [(1, 2)]


def test_a_deadline_that_passed_meanwhile_is_kept() -> None:
    tasks = [task("ten"), task("quick", deadline=after(60), starts_at=after(20)), task("late", starts_at=after(20))]
    lives, result, _ = dies_at(3, staged(*tasks), DOES, back_at=100)
    assert {name: part["status"] for name, part in result["tasks"].items()} == {
        "ten": "completed",
        "quick": "expired",
        "late": "completed",
    }
    assert lives.times("late") == [100]


def test_a_lost_attempt_is_not_made_again_after_its_deadline() -> None:
    _, result, _ = dies_at(3, staged(task("ten", deadline=after(50))), DOES, back_at=100)
    assert status(result, "ten") == "failed"
    assert result["tasks"]["ten"]["error"] == "attempt 1 was lost with the process that made it"


@pytest.mark.parametrize("back_at", [4, 60])
def test_the_limit_of_a_stage_counts_from_its_own_start(back_at: float) -> None:
    definition = {"stages": {"s": {"tasks": [task("hang", timeout=300)], "timeout": 30}}}
    _, result, _ = dies_at(3, definition, {"hang": for_ever}, back_at=back_at)
    assert result["stages"]["s"]["status"] == "failed"
    assert result["duration_s"] == max(30, back_at)


@pytest.mark.parametrize("back_at", [4, 60])
def test_the_limit_of_a_run_counts_from_its_own_start(back_at: float) -> None:
    definition = staged(task("hang", timeout=300), task("quick", "hang"), timeout=30)
    _, result, _ = dies_at(3, definition, {"hang": for_ever, "quick": at_once}, back_at=back_at)
    assert (result["status"], result["duration_s"]) == ("failed", max(30, back_at))
    assert "the run was not over by" in result["reason"]


def test_an_order_that_is_asked_about_when_the_run_is_over_still_is_what_the_answer_says() -> None:
    definition = staged(task("order", effects="orders"), timeout=30)
    _, result, _ = dies_at(3, definition, DOES, {"order": DONE}, back_at=60)
    assert status(result, "order") == "completed"
    assert result["status"] == "failed"
    _, result, _ = dies_at(3, definition, DOES, {"order": NOT_DONE}, back_at=60)
    assert status(result, "order") == "timeout"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(DONE, "completed"), (NOT_DONE, "cancelled"), (UNKNOWN, "failed")],
    ids=["done", "not done", "unknown"],
)
def test_a_run_that_was_being_cancelled_is_cancelled_and_nothing_of_it_runs_again(answer: Doing, expected: str) -> None:
    async def deaf_for_a_while(task_data: Any) -> object:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(2)
        return None

    does = {"slow": deaf_for_a_while, "order": deaf_for_a_while, "quick": at_once}

    async def main() -> tuple[Lives, dict[str, Any]]:
        lives = Lives(does, {"order": answer})
        engine = lives.engine()
        tasks = [task("slow"), task("order", effects="orders"), task("quick", "slow")]
        run_id = await engine.create_workflow(staged(*tasks))

        async def living() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(engine.execute_workflow(run_id))
                await lives.clock.sleep_until(after(3))
                await engine.cancel(run_id, "enough")

        await lives.live(living(), until=4)
        second = lives.engine()
        await lives.go_on(second)
        return lives, await second.execute_workflow(run_id)

    lives, result = simulated(main)
    assert (result["status"], result["reason"]) == ("cancelled", "enough")
    assert {name: part["status"] for name, part in result["tasks"].items()} == {
        "slow": "cancelled",
        "order": expected,
        "quick": "cancelled",
    }
    assert {did.token for did in lives.did if did.what == "ran"} == {1}


def test_a_run_that_never_began_begins() -> None:
    async def main() -> dict[str, Any]:
        lives = Lives(DOES)
        run_id = await lives.engine().create_workflow(staged(task("quick")))
        engine = lives.engine()
        await lives.go_on(engine)
        return await engine.execute_workflow(run_id)

    result = simulated(main)
    assert result["status"] == "completed"


def test_a_task_that_ends_its_process_each_time_is_given_up_and_the_rest_goes_on() -> None:
    async def main() -> tuple[Lives, dict[str, Any]]:
        lives = Lives({"killer": for_ever, "quick": at_once}, config={"max_retries": 3})
        engine = lives.engine()
        run_id = await engine.create_workflow(staged(task("killer", max_retries=0), task("quick")))
        await lives.live(engine.execute_workflow(run_id), until=1)
        for death in range(2, 5):
            engine = lives.engine()
            await engine.recover()
            await lives.live(engine.execute_workflow(run_id), until=death)
        last = lives.engine()
        await lives.go_on(last)
        return lives, await last.execute_workflow(run_id)

    lives, result = simulated(main)
    assert len(lives.ran("killer")) == 4
    assert {name: part["status"] for name, part in result["tasks"].items()} == {
        "killer": "failed",
        "quick": "completed",
    }
    assert result["tasks"]["killer"]["error"].startswith("the process ended 4 times while it was under way")


def recovered_by(definition: dict[str, Any], agents: dict[str, object]) -> tuple[dict[str, Any], str | None]:
    """Die at 3 s and have a process with other ``agents`` take over; the result and the reason it gives."""

    async def main() -> tuple[dict[str, Any], str | None]:
        lives = Lives(DOES)
        engine = lives.engine()
        run_id = await engine.create_workflow(definition)
        await lives.live(engine.execute_workflow(run_id), until=3)
        second = lives.engine(agents=agents)
        (found,) = await second.recover()
        assert (found.run_id, found.token, found.name) == (run_id, 2, definition.get("name"))
        return await second.execute_workflow(run_id), found.reason

    return simulated(main)


class Idle:
    task_types = frozenset({"nothing"})

    async def analyze(self, task_data: Any) -> object:
        return None


@pytest.mark.parametrize(
    ("agents", "said"),
    [
        ({"other": Idle()}, "task 'ten' needs the agent 'desk', which is not there"),
        ({"desk": Idle()}, "agent 'desk' does no 'ten'"),
    ],
)
def test_a_run_that_nobody_here_can_carry_on_ends_with_the_reason(agents: dict[str, object], said: str) -> None:
    result, reason = recovered_by(staged(task("quick"), task("ten")), agents)
    assert result["status"] == "interrupted"
    assert result["reason"] == reason
    assert f"this version of Belltower can't continue it: {said}" in str(reason)


def test_that_the_agent_of_what_has_ended_is_gone_is_no_matter() -> None:
    async def main() -> str:
        lives = Lives(DOES)
        engine = lives.engine(agents={"desk": lives.agent(), "other": lives.agent()})
        run_id = await engine.create_workflow(staged(task("quick", agent="other"), task("ten")))
        await lives.live(engine.execute_workflow(run_id), until=3)
        second = lives.engine()
        await lives.go_on(second)
        return str((await second.execute_workflow(run_id))["status"])

    assert simulated(main) == "completed"


@pytest.mark.parametrize(
    ("one", "patched", "said"),
    [
        ({"handler": "tests.unit.engine.handlers.wait"}, "tests.unit.engine.handlers.wait", "is no function"),
        ({"type": "wait", "config": {"seconds": 60}}, "", "is of the type 'wait', which is not known"),
    ],
)
def test_a_handler_or_a_task_type_that_is_gone_ends_the_run(
    one: dict[str, Any], patched: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> str:
        lives = Lives(DOES)
        engine = lives.engine()
        params = {"params": {"seconds": 60}} if "handler" in one else {}
        run_id = await engine.create_workflow({"tasks": [{"name": "work", **one, **params}]})
        await lives.live(engine.execute_workflow(run_id), until=3)
        second = lives.engine()
        if patched:
            monkeypatch.setattr(patched, None)
        else:
            second._task_types = {}  # type: ignore[assignment]
        (found,) = await second.recover()
        return str(found.reason)

    assert said in simulated(main)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "newer Belltower"),
        ({"stages": [{"name": "main"}]}, "it can't be read"),
        ({"shape": "round"}, "it can't be read"),
    ],
)
def test_a_definition_that_can_not_be_read_ends_its_run_and_no_other(change: dict[str, Any], said: str) -> None:
    async def main() -> tuple[list[str | None], str]:
        lives = Lives(DOES)
        engine = lives.engine()
        bad = await engine.create_workflow(staged(task("quick")))
        good = await engine.create_workflow(staged(task("quick")))
        kept = lives.store._kept.records[bad]
        stored: Any = kept[1].data["definition"]
        kept[1] = Record(
            run_id=bad,
            sequence=1,
            kind=RecordKind.RUN_CREATED,
            at=kept[1].at,
            data={**kept[1].data, "definition": {**stored, **change}},
        )
        second = lives.engine()
        found = await lives.go_on(second)
        return [one.reason for one in found], str((await second.execute_workflow(good))["status"])

    (reason, none), result = simulated(main)
    assert said in str(reason)
    assert (none, result) == (None, "completed")


def test_recovery_that_the_store_breaks_off_goes_on_when_it_is_asked_again() -> None:
    async def main() -> list[str]:
        lives = Lives(DOES)
        engine = lives.engine()
        for _ in range(3):
            await engine.create_workflow(staged(task("quick")))
        second, asked = lives.engine(), 0
        records = lives.mortal.records

        async def fails_once(run_id: str) -> Any:
            nonlocal asked
            asked += 1
            if asked == 2:
                raise StoreUnavailableError("the disk is full")
            return await records(run_id)

        lives.mortal.records = fails_once
        with pytest.raises(StoreUnavailableError):
            await second.recover()
        found = await second.recover()
        assert await second.recover() == ()
        results = [await second.execute_workflow(one.run_id) for one in found]
        return [str(result["status"]) for result in results]

    assert simulated(main) == ["completed"] * 3


def test_a_recovered_run_that_waits_can_be_looked_at_and_cancelled() -> None:
    async def main() -> tuple[Lives, str, dict[str, Any]]:
        lives = Lives(DOES, {"order": DONE})
        engine = lives.engine()
        tasks = [task("order", effects="orders"), task("quick", "order")]
        run_id = await engine.create_workflow(staged(*tasks))
        await lives.live(engine.execute_workflow(run_id), until=3)
        second = lives.engine()
        with pytest.raises(DefinitionError, match="this engine does not carry it out"):
            await second.execute_workflow(run_id)
        await second.recover()
        before = str(second.get_execution_status(run_id)["status"])
        await second.cancel(run_id, "enough")
        return lives, before, await second.execute_workflow(run_id)

    lives, before, result = simulated(main)
    assert before == "running"
    assert {name: part["status"] for name, part in result["tasks"].items()} == {
        "order": "completed",
        "quick": "cancelled",
    }
    assert result["status"] == "cancelled"
    assert lives.ran("order", "asked") == [(1, 2)]


def test_an_order_that_ends_its_process_each_time_is_still_asked_about() -> None:
    async def main() -> tuple[Lives, dict[str, Any]]:
        answers = {"trade": answering(Reconciled.not_done())}
        lives = Lives({"trade": for_ever}, answers, config={"max_retries": 1})
        engine = lives.engine()
        run_id = await engine.create_workflow(staged(task("trade", effects="orders")))
        await lives.live(engine.execute_workflow(run_id), until=1)
        for death in range(2, 4):
            engine = lives.engine()
            await engine.recover()
            if death == 3:
                lives.answers = {"trade": answering(Reconciled.done({"filled": 5}))}
                engine.agents["desk"] = lives.agent()
            await lives.live(engine.execute_workflow(run_id), until=death)
        last = lives.engine()
        await lives.go_on(last)
        return lives, await last.execute_workflow(run_id)

    lives, result = simulated(main)
    assert len(lives.ran("trade", "asked")) >= 2
    assert (result["tasks"]["trade"]["status"], result["tasks"]["trade"]["result"]) == ("completed", {"filled": 5})


def test_a_run_of_which_a_newer_version_has_written_is_left_to_it() -> None:
    class Newer(MemoryRunStore):
        async def records(self, run_id: str) -> Sequence[Record]:
            raise DefinitionError("it has a record of the kind 'run_blessed', which this version does not know")

    async def main() -> tuple[Recovered, ...]:
        clock, first = SimulatedClock(START), MemoryRunStore()
        agents = {"desk": Scripted(a=at_once)}
        await WorkflowEngine(agents, SimpleNamespace(), run_store=first, clock=clock).create_workflow(staged(task("a")))
        newer = Newer()
        newer.__dict__ |= first.successor().__dict__
        return await WorkflowEngine(agents, SimpleNamespace(), run_store=newer, clock=clock).recover()

    (found,) = simulated(main)
    assert found.state is None
    assert "run_blessed" in str(found.reason)
