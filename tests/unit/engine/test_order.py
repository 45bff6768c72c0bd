"""What runs when: dependencies, inputs, conditions, stages."""

from typing import Any

import pytest

from orchestration.domain.records import RecordKind
from tests.unit.engine.world import Scripted, after, at_once, boom, for_ever, lasting, run, staged, task


async def echo(task_data: Any) -> object:
    return dict(task_data)


DESK = {"desk": Scripted(a=lasting(10, "A"), b=lasting(5, "B"), c=at_once, bad=boom, echo=echo, hang=for_ever)}


def two_stages(first: list[dict[str, Any]], second: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"stages": {"first": {"tasks": first, **more}, "second": {"tasks": second}}}


def test_a_task_waits_for_all_that_it_needs() -> None:
    out = run(staged(task("a"), task("b"), task("c", "a", "b")), DESK)
    assert (out.starts("a"), out.starts("b"), out.starts("c")) == ([0], [0], [10])
    assert out.result["status"] == "completed"


def test_the_results_of_what_it_needs_come_as_inputs() -> None:
    out = run(staged(task("a"), task("b"), task("echo", "a", "b", task_data={"x": 1})), DESK)
    result = out.task("echo")["result"]
    assert result["inputs"] == {"a": "A", "b": "B"}
    assert result["x"] == 1
    assert result["execution"]["task"] == "echo"
    assert result["execution"]["id"] == out.result["execution_id"]


def test_an_attempt_knows_the_labels_of_its_workflow_and_its_deadline() -> None:
    out = run(staged(task("echo", deadline=after(60)), labels={"session": "2012-12-12"}), DESK)
    assert out.task("echo")["result"]["execution"] == {
        "fencing_token": 1,
        "session": "2012-12-12",
        "id": out.result["execution_id"],
        "workflow": "test",
        "stage": "main",
        "task": "echo",
        "attempt": 1,
        "deadline": "2012-12-12T11:01:00Z",
    }


def test_what_an_agent_does_to_its_inputs_harms_nobody() -> None:
    async def spoil(task_data: Any) -> object:
        task_data["inputs"]["rows"]["list"].append("spoilt")
        task_data["own"].append("spoilt")
        if task_data["execution"]["attempt"] == 1:
            raise RuntimeError("boom")
        return task_data["own"]

    async def rows(task_data: Any) -> object:
        return {"list": [1]}

    tasks = [task("rows"), task("spoil", "rows", task_data={"own": [0]}), task("echo", "rows", "spoil")]
    out = run(staged(*tasks), {"desk": Scripted(spoil=spoil, rows=rows, echo=echo)})
    assert out.task("rows")["result"] == {"list": [1]}
    assert out.task("echo")["result"]["inputs"] == {"rows": {"list": [1]}, "spoil": [0, "spoilt"]}


def test_a_result_that_the_agent_keeps_and_changes_stays_as_it_was_given() -> None:
    kept: list[int] = [1]

    async def give(task_data: Any) -> object:
        return kept

    async def change(task_data: Any) -> object:
        kept.append(2)
        return None

    out = run(staged(task("give"), task("change", "give")), {"desk": Scripted(give=give, change=change)})
    assert out.task("give")["result"] == [1]


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (task("bad", max_retries=0), "it needs bad, which failed"),
        (task("hang", timeout=3, max_retries=0), "it needs hang, which timed out"),
        (task("c", starts_at=after(9), deadline=after(9.5), name="late"), "it needs late, which was expired"),
    ],
)
def test_what_needs_a_task_that_did_not_succeed_is_skipped_with_the_reason(first: dict[str, Any], reason: str) -> None:
    needed = first.get("name", first["task_type"])
    if needed == "late":
        first = {**first, "dependencies": ["a"]}
    out = run(staged(task("a"), first, task("c", needed), task("b", "c")), DESK)
    assert out.status("c") == "skipped"
    assert out.task("c")["reason"] == reason
    assert out.task("b")["reason"] == "it needs c, which was skipped"
    assert out.starts("c") == out.starts("b") == []


def test_a_failed_task_fails_what_needs_it_and_nothing_else() -> None:
    out = run(staged(task("bad", max_retries=0), task("c", "bad"), task("a")), DESK)
    assert out.statuses() == {"bad": "failed", "c": "skipped", "a": "completed"}
    assert out.result["status"] == "failed"
    assert out.result["reason"] == "1 of 3 tasks failed, the first bad"


# -- conditions


def test_a_task_whose_condition_does_not_hold_is_skipped_and_satisfies_what_needs_it() -> None:
    out = run(staged(task("a", when="size > 10"), task("echo", "a")), DESK, parameters={"size": 3})
    assert out.status("a") == "skipped"
    assert out.task("a")["reason"] == "its condition does not hold: size > 10"
    assert out.status("echo") == "completed"
    assert out.task("echo")["result"]["inputs"] == {"a": None}
    assert out.result["status"] == "completed"


def test_a_condition_sees_the_results_of_what_came_before() -> None:
    tasks = [task("b"), task("c", "b", when="b_result == 'B'"), task("a", "b", when="b_result == 'X'")]
    assert run(staged(*tasks), DESK).statuses() == {"b": "completed", "c": "completed", "a": "skipped"}


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        ("mode", "dry", "skipped"),
        ("mode", "wet", "completed"),
        ("b_result", "B", "skipped"),
        ("sizes.max", 3, "skipped"),
        ("sizes.min", 3, "completed"),
        ("nothing", "x", "completed"),
        ("mode.deep", "dry", "completed"),
    ],
)
def test_a_skip_condition_compares_a_variable(key: str, value: object, status: str) -> None:
    condition = {"context_key": key, "value": value}
    tasks = [task("b"), task("c", "b", skip_conditions=[condition])]
    out = run(staged(*tasks), DESK, parameters={"mode": "dry", "sizes": {"max": 3}})
    assert out.status("c") == status
    assert out.task("c")["reason"] == (f"{key} is {value!r}" if status == "skipped" else None)


def test_a_condition_that_names_nothing_fails_its_task_without_an_attempt() -> None:
    out = run(staged(task("a", when="sise > 10"), task("c", "a")), DESK, parameters={"size": 3})
    assert out.status("a") == "failed"
    assert out.task("a")["error"] == "nothing is called 'sise' here; did you mean 'size'?"
    assert out.task("a")["attempts"] == 0
    assert out.status("c") == "skipped"


def test_a_condition_that_can_not_be_worked_out_fails_its_task() -> None:
    out = run(staged(task("a", when="size > 'large'")), DESK, parameters={"size": 3})
    assert out.task("a")["error"].startswith("\"size > 'large'\" can't be worked out")


def test_a_parameter_that_belongs_to_a_task_is_no_variable() -> None:
    out = run(staged(task("a"), task("c", when="a")), DESK, parameters={"a": {"x": 1}})
    assert out.task("c")["error"].startswith("nothing is called 'a' here")
    assert run(staged(task("a"), task("c", when="a")), DESK, parameters={"a": True}).status("c") == "completed"


# -- stages


def test_undated_stages_run_one_after_another() -> None:
    out = run(two_stages([task("a"), task("b")], [task("c")]), DESK)
    assert out.starts("c") == [10]
    assert out.moments(RecordKind.STAGE_STARTED) == [0, 10]
    assert {name: stage["status"] for name, stage in out.result["stages"].items()} == {
        "first": "completed",
        "second": "completed",
    }


def test_a_dated_stage_starts_at_its_time_though_an_earlier_one_goes_on() -> None:
    definition = two_stages([task("a")], [task("c")])
    definition["stages"]["second"]["starts_at"] = after(4)
    assert run(definition, DESK).starts("c") == [4]


def test_a_stage_whose_time_is_past_starts_at_once() -> None:
    stage = {"tasks": [task("c")], "starts_at": after(-60), "ends_at": after(60)}
    assert run({"stages": {"s": stage}}, DESK).starts("c") == [0]


def test_a_task_of_a_dated_stage_waits_for_what_it_needs_of_an_earlier_one() -> None:
    definition = two_stages([task("a")], [task("c", "a")])
    definition["stages"]["second"]["starts_at"] = after(4)
    assert run(definition, DESK).starts("c") == [10]


def test_a_task_with_a_time_of_its_own_waits_for_it() -> None:
    assert run(staged(task("c", starts_at=after(7.5))), DESK).starts("c") == [7.5]


def test_an_undated_stage_after_a_dated_one_waits_for_its_end() -> None:
    definition = two_stages([task("a")], [task("c")], starts_at=after(100))
    assert run(definition, DESK).starts("c") == [110]


def test_after_a_failed_stage_the_later_ones_start_unless_it_says_otherwise() -> None:
    first, second = [task("bad", max_retries=0)], [task("c")]
    assert run(two_stages(first, second), DESK).statuses() == {"bad": "failed", "c": "completed"}
    out = run(two_stages(first, second, on_failure="fail"), DESK)
    assert out.statuses() == {"bad": "failed", "c": "skipped"}
    assert out.task("c")["reason"] == "stage first failed"
    assert out.result["stages"]["first"]["status"] == "failed"
    assert out.result["stages"]["first"]["reason"] == "task bad failed"
    assert out.result["stages"]["second"]["status"] == "skipped"


def test_a_dated_stage_does_not_start_once_a_task_of_one_that_may_not_fail_has_failed() -> None:
    definition = two_stages([task("bad", max_retries=0), task("a")], [task("c")], on_failure="fail")
    definition["stages"]["second"]["starts_at"] = after(4)
    out = run(definition, DESK)
    assert out.status("c") == "skipped"
    assert out.moments(RecordKind.TASK_SKIPPED, "c") == [4]


def test_a_dated_stage_that_has_started_is_not_stopped_by_an_earlier_one() -> None:
    definition = two_stages([task("bad", "a", max_retries=0), task("a")], [task("b")], on_failure="fail")
    definition["stages"]["second"]["starts_at"] = after(7)
    assert run(definition, DESK).status("b") == "completed"


def test_the_sequential_form_stops_at_its_first_failure() -> None:
    out = run({"tasks": [task("c"), task("bad"), task("a")]}, DESK)
    assert out.statuses() == {"c": "completed", "bad": "failed", "a": "skipped"}


def test_a_stage_whose_tasks_ended_before_it_could_start_never_does() -> None:
    definition = two_stages([task("bad", max_retries=0)], [task("c", "bad")])
    definition["stages"]["second"]["starts_at"] = after(60)
    out = run(definition, DESK)
    assert out.result["stages"]["second"]["status"] == "skipped"
    assert out.result["stages"]["second"]["reason"] == "all of its tasks ended before it could start"
    assert out.result["duration_s"] == 0


def test_an_empty_stage_has_its_turn_and_is_over() -> None:
    out = run(two_stages([], [task("c")]), DESK)
    assert out.result["stages"]["first"]["status"] == "completed"
    assert out.status("c") == "completed"


def test_a_workflow_without_stages_is_completed_at_once() -> None:
    assert run({"stages": {}}, DESK).result["status"] == "completed"


def test_recurring_tasks_run_on_their_moments() -> None:
    stage = {"tasks": [task("c", every="1m"), task("b", "c", every="1m")], "starts_at": after(0), "ends_at": after(150)}
    out = run({"stages": {"s": stage}}, DESK)
    assert [out.starts(f"c@11:0{n}Z") for n in range(3)] == [[0], [60], [120]]
    assert [out.starts(f"b@11:0{n}Z") for n in range(3)] == [[0], [60], [120]]
    assert out.result["status"] == "completed"


# -- the result


def test_the_result_says_what_came_of_everything() -> None:
    out = run(staged(task("b", name="first"), name="A day"), DESK)
    assert out.result == {
        "execution_id": out.records[0].run_id,
        "name": "A day",
        "status": "completed",
        "reason": None,
        "started_at": "2012-12-12T11:00:00Z",
        "completed_at": "2012-12-12T11:00:05Z",
        "duration_s": 5.0,
        "stages": {
            "main": {
                "status": "completed",
                "reason": None,
                "started_at": "2012-12-12T11:00:00Z",
                "completed_at": "2012-12-12T11:00:05Z",
            }
        },
        "tasks": {
            "first": {
                "status": "completed",
                "result": "B",
                "error": None,
                "attempts": 1,
                "started_at": "2012-12-12T11:00:00Z",
                "completed_at": "2012-12-12T11:00:05Z",
                "reason": None,
            }
        },
    }


@pytest.mark.parametrize(
    ("result", "path"),
    [
        ({"rows": [1, float("nan")]}, "the result of give.rows[1] is nan; JSON has no such number"),
        ({"at": after(0)}, "the result of give.at is a datetime, which is no JSON value"),
        (object(), "the result of give is a object, which is no JSON value"),
        ({1: 2}, "the result of give has the key 1; JSON keys are strings"),
        ({"n": 2**70}, "the result of give.n is a whole number past 64 bits"),
        ("\ud800", "the result of give is '\\\\ud800', which is no valid Unicode text"),
    ],
)
def test_a_result_that_is_no_json_fails_its_task_for_good(result: object, path: str) -> None:
    async def give(task_data: Any) -> object:
        return result

    out = run(staged(task("give"), task("a")), {"desk": Scripted(give=give, a=at_once)})
    assert out.status("give") == "failed"
    assert path in out.task("give")["error"]
    assert out.task("give")["attempts"] == 1
    assert out.status("a") == "completed"


def test_an_error_whose_text_can_not_be_stored_is_told_with_escapes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", "orchestration.engine.runner")  # pytest could not hand the text on to its parent

    async def odd(task_data: Any) -> object:
        raise ValueError("no such file: \udcff")

    out = run(staged(task("odd", max_retries=0)), {"desk": Scripted(odd=odd)})
    assert out.task("odd")["error"] == "ValueError: no such file: \\udcff"
