"""Errors, priorities, states, recurrence and the reading of plain values."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestration.domain.errors import (
    CircularDependencyError,
    DefinitionError,
    FinalError,
    OrchestrationError,
    OutcomeUnknownError,
    StoreUnavailableError,
    TransientError,
    is_retryable,
    nearest,
)
from orchestration.domain.folding import base_name, fold
from orchestration.domain.json_reading import as_moment, as_number, as_object, as_objects, as_text, as_texts
from orchestration.domain.json_value import storable, to_json_value
from orchestration.domain.recurrence import latest_not_after, occurrence_name, parse_period
from orchestration.domain.states import ENDED, RunStatus, TaskPriority, TaskStatus

NOON = datetime(2012, 12, 12, 17, tzinfo=UTC)


# -- errors


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (RuntimeError("x"), True),
        (TransientError("x"), True),
        (StoreUnavailableError("x"), True),
        (TimeoutError(), True),
        (DefinitionError("x"), False),
        (CircularDependencyError(["a", "a"]), False),
        (OutcomeUnknownError("x"), False),
        (FinalError("x"), False),
    ],
)
def test_everything_is_worth_another_attempt_but_what_would_fail_again(error: Exception, *, retryable: bool) -> None:
    assert is_retryable(error) is retryable


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("junor", ["senior", "junior"], "; did you mean 'junior'?"),
        ("AAPPL", ["aapl", "IBM"], "; did you mean 'aapl'?"),
        ("xyz", ["b", "a"], "; known: a, b"),
        ("xyz", [], "; none is known"),
        ("xyz", [f"name{n}" for n in range(13)], ""),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest_or_with_all_if_they_are_few(
    name: str, known: list[str], hint: str
) -> None:
    assert nearest(name, known) == hint


# -- priorities and states


@pytest.mark.parametrize(
    ("value", "priority"),
    [
        ("critical", TaskPriority.CRITICAL),
        ("High", TaskPriority.HIGH),
        (0, TaskPriority.MEDIUM),
        (-10, TaskPriority.LOW),
        (TaskPriority.HIGH, TaskPriority.HIGH),
    ],
)
def test_a_priority_is_a_name_in_any_case_a_member_or_its_value(value: object, priority: TaskPriority) -> None:
    assert TaskPriority.parse(value) is priority


@pytest.mark.parametrize("value", ["urgent", "", 1, 10.0, None, True, []])
def test_anything_else_is_no_priority(value: object) -> None:
    with pytest.raises(DefinitionError, match=r"^tasks is "):
        TaskPriority.parse(value, "tasks")


def test_the_priorities_are_numbers_larger_first() -> None:
    assert [int(p) for p in TaskPriority] == [-10, 0, 10, 20]


def test_six_states_of_a_task_are_for_good() -> None:
    assert {status for status in TaskStatus if status.ended} == ENDED
    assert {status for status in TaskStatus if not status.ended} == {"pending", "queued", "running", "retrying"}


def test_a_run_that_is_neither_pending_nor_running_has_ended() -> None:
    assert {status for status in RunStatus if not status.ended} == {RunStatus.PENDING, RunStatus.RUNNING}


# -- recurrence


@pytest.mark.parametrize(
    ("text", "seconds"), [("5m", 300), ("30s", 30), ("1h", 3600), (" 90 s ", 90), ("9999999h", 9999999 * 3600)]
)
def test_a_period_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert parse_period(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["5", "m", "0m", "-5m", "5d", "5 min", "1.5h", "", "5m5s", "\u0665m"])
def test_anything_else_is_no_period(text: str) -> None:
    with pytest.raises(DefinitionError, match=r"write a number and s, m or h, such as 5m"):
        parse_period(text, "every")


def test_an_occurrence_is_named_by_its_moment_with_seconds_where_it_has_them() -> None:
    assert occurrence_name("watch", NOON) == "watch@17:00Z"
    assert occurrence_name("watch", NOON + timedelta(seconds=30)) == "watch@17:00:30Z"


def test_before_the_first_moment_there_is_no_latest() -> None:
    assert latest_not_after([NOON], NOON - timedelta(seconds=1)) is None
    assert latest_not_after([NOON], NOON) == NOON


# -- folding


def test_an_occurrence_is_told_by_its_name() -> None:
    assert [base_name(n) for n in ("watch@15:35Z", "watch@15:35:30Z", "watch", "a@b")] == [
        "watch",
        "watch",
        "watch",
        "a@b",
    ]


def test_the_occurrences_of_a_plan_are_folded_into_one_line_in_the_plans_order() -> None:
    tasks: list[dict[str, Any]] = [
        {"name": "open"},
        {"name": "watch@15:00Z", "starts_at": "2012-12-12T15:00:00Z"},
        {"name": "check@15:00Z", "starts_at": "2012-12-12T15:00:00Z"},
        {"name": "watch@15:10Z", "starts_at": "2012-12-12T15:10:00Z"},
        {"name": "watch@15:15Z", "starts_at": "2012-12-12T15:15:00Z"},
        {"name": "odd@15:00Z", "starts_at": None},
    ]
    folded = fold(tasks)
    assert [(f.name, f.recurring, len(f.occurrences)) for f in folded] == [
        ("open", False, 1), ("watch", True, 3), ("check", True, 1), ("odd", True, 1),
    ]  # fmt: skip
    assert [f.rhythm for f in folded] == ["", "every 5 min, 3 times", "once", "once"]


@pytest.mark.parametrize(("seconds", "rhythm"), [(30, "every 30 s"), (3600, "every 1 h"), (5400, "every 90 min")])
def test_a_rhythm_is_told_in_the_largest_unit_that_fits(seconds: int, rhythm: str) -> None:
    moments = [NOON + n * timedelta(seconds=seconds) for n in range(2)]
    (folded,) = fold({"name": occurrence_name("watch", m), "starts_at": m.isoformat()} for m in moments)
    assert folded.rhythm == f"{rhythm}, 2 times"


# -- plain values


def test_what_is_read_for_showing_is_never_an_error() -> None:
    odd: list[Any] = ["a", 1, 1.5, None, [1], {}]
    assert [as_text(v) for v in odd] == ["a", "1", "1.5", "", "", ""]
    odd = [1, 1.5, True, "1", None]
    assert [as_number(v) for v in odd] == [1.0, 1.5, None, None, None]
    odd = [{"a": 1}, [], None]
    assert [as_object(v) for v in odd] == [{"a": 1}, {}, {}]
    odd = [[{"a": 1}, 2], {"a": 1}, None]
    assert [as_objects(v) for v in odd] == [({"a": 1},), (), ()]
    odd = [["a", 2], "ab", None]
    assert [as_texts(v) for v in odd] == [("a",), (), ()]


def test_a_moment_is_read_as_utc() -> None:
    texts: list[Any] = ["2012-12-12T17:00:00Z", "2012-12-12T18:00:00+01:00", "2012-12-12T17:00:00"]
    assert [as_moment(text) for text in texts] == [NOON] * 3
    assert [as_moment(v) for v in ("soon", 5, None)] == [None] * 3


def test_enums_become_their_values() -> None:
    value = to_json_value({"priority": TaskPriority.HIGH, "status": TaskStatus.FAILED, "pair": (1, 2)})
    assert value == {"priority": 10, "status": "failed", "pair": [1, 2]}
    assert isinstance(value, dict)
    assert (type(value["priority"]), type(value["status"]), type(value["pair"])) == (int, str, list)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1: 2}, "data has the key 1; JSON keys are strings"),
        ({"a": b"x"}, r"data\.a is a bytes, which is no JSON value"),
        ({"a": 2**64}, r"data\.a is a whole number past 64 bits"),
        ({"a": -(2**63) - 1}, r"data\.a is a whole number past 64 bits"),
        ({"\udc80": 1}, r"data is '\\\\udc80', which is no valid Unicode text"),
    ],
)
def test_what_can_not_be_kept_is_refused_with_its_path(value: object, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        to_json_value(value, "data")


def test_the_largest_and_the_least_whole_number_are_kept() -> None:
    assert to_json_value([2**64 - 1, -(2**63)]) == [2**64 - 1, -(2**63)]


def test_a_text_that_can_not_be_stored_is_told_with_escapes() -> None:
    assert storable("file \udcff é") == "file \\udcff é"


def test_errors_carry_their_facts() -> None:
    assert str(CircularDependencyError(["a", "b", "a"])).startswith("tasks wait for each other: a -> b -> a;")
    assert issubclass(CircularDependencyError, DefinitionError)
    assert issubclass(StoreUnavailableError, OrchestrationError)
