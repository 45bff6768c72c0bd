"""Every form of definition is read into the same complete workflow."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from orchestration.domain.definition import AgentWork, HandlerWork, TypedWork, Workflow, WorkflowDefinition
from orchestration.domain.states import Effects, OnFailure, TaskPriority
from orchestration.engine.definitions import Defaults, read_definition
from orchestration.engine.task_types import TaskTypes
from tests.unit.engine.world import START, Scripted, after, at_once, staged, task
from workflows.tasks.base import Task
from workflows.tasks.log import LogTask
from workflows.tasks.wait import WaitTask

DOUBLE = "tests.unit.engine.handlers.double"


def read(definition: object, parameters: Mapping[str, Any] | None = None) -> WorkflowDefinition:
    desk = Scripted(a=at_once, b=at_once, c=at_once, market_analysis=at_once)
    return read_definition(
        definition,
        agents={"desk": desk, "junior_analyst": desk, "trade_execution": desk},
        task_types=TaskTypes(),
        defaults=Defaults(timeout_s=300, max_retries=3, run_timeout_s=3600),
        parameters=parameters or {},
    )


def needs(definition: WorkflowDefinition) -> dict[str, tuple[str, ...]]:
    return {task.name: task.dependencies for task in definition.tasks}


def test_the_definition_of_003_is_read_as_it_stands_there() -> None:
    definition = read(
        {
            "name": "Standard Trading Day",
            "stages": {
                "pre_market": {
                    "tasks": [
                        {
                            "agent": "junior_analyst",
                            "task_type": "market_analysis",
                            "task_data": {"symbols": ["AAPL", "GOOGL"], "analysis_depth": "detailed"},
                            "priority": TaskPriority.HIGH.value,
                            "dependencies": [],
                            "timeout": 300,
                            "max_retries": 2,
                        }
                    ]
                }
            },
        }
    )
    only = definition.tasks[0]
    assert definition.name == "Standard Trading Day"
    assert only.name == "market_analysis"
    assert only.stage == "pre_market"
    assert only.work == AgentWork(
        agent="junior_analyst",
        task_type="market_analysis",
        data={"symbols": ["AAPL", "GOOGL"], "analysis_depth": "detailed"},
    )
    assert (only.priority, only.timeout_s, only.max_retries) == (TaskPriority.HIGH, 300, 2)
    assert definition.stages[0].on_failure is OnFailure.CONTINUE


def test_the_workflow_of_000_waits_for_what_its_mapping_names() -> None:
    fetch = Task(name="fetch", handler=DOUBLE, params={"number": 1})
    analyse = Task(name="analyse", handler=DOUBLE, params={"number": 2})
    workflow = Workflow(
        name="market", description="Analyses", tasks=[fetch, analyse], dependencies={analyse.name: [fetch.name]}
    )
    definition = read(workflow)
    assert definition.description == "Analyses"
    assert needs(definition) == {"fetch": (), "analyse": ("fetch",)}
    assert definition.tasks[0].work == HandlerWork(handler=DOUBLE, params={"number": 1})
    assert [task.max_retries for task in definition.tasks] == [0, 0]


def test_the_tasks_of_001_run_in_order_and_the_first_failure_ends_it() -> None:
    definition = read(
        {
            "description": "Logs twice",
            "tasks": [
                {"type": "log", "name": "first", "config": {"message": "1", "max_retries": 2, "timeout": 5}},
                {"type": "wait", "config": {"seconds": 1}},
            ],
        }
    )
    assert needs(definition) == {"first": (), "wait": ("first",)}
    assert definition.stages[0].on_failure is OnFailure.FAIL
    assert definition.tasks[0].work == TypedWork(type="log", config={"message": "1"})
    assert (definition.tasks[0].max_retries, definition.tasks[0].timeout_s) == (2, 5)
    assert (definition.tasks[1].max_retries, definition.tasks[1].timeout_s) == (0, 300)


def test_a_workflow_of_task_objects_runs_in_order() -> None:
    definition = read(Workflow(name="w", tasks=[WaitTask("nap", {"seconds": 1}), LogTask("say")], env=["A"], timeout=9))
    assert [task.work for task in definition.tasks] == [
        TypedWork(type="wait", config={"seconds": 1}),
        TypedWork(type="log", config={}),
    ]
    assert needs(definition) == {"nap": (), "say": ("nap",)}
    assert definition.env == ("A",)
    assert definition.timeout_s == 9


def test_in_a_list_where_one_task_names_what_it_needs_the_others_start_at_once() -> None:
    log = {"type": "log", "config": {"message": "x"}}
    tasks = [{**log, "name": "a"}, {**log, "name": "b"}, {**log, "name": "c", "dependencies": ["a"]}]
    assert needs(read({"tasks": tasks})) == {"a": (), "b": (), "c": ("a",)}
    assert needs(read(Workflow(name="w", tasks=tasks))) == {"a": (), "b": (), "c": ("a",)}


def test_an_empty_mapping_of_dependencies_means_that_nobody_waits() -> None:
    tasks = [{"type": "log", "name": name, "config": {}} for name in "ab"]
    assert needs(read({"tasks": tasks, "dependencies": {}})) == {"a": (), "b": ()}


def test_the_mapping_adds_to_what_a_task_names_itself() -> None:
    tasks = [{"type": "log", "name": "a"}, {"type": "log", "name": "b"}, {"type": "log", "name": "c"}]
    tasks[2]["dependencies"] = ["a"]  # type: ignore[assignment]  # a mapping of texts until now
    assert needs(read({"tasks": tasks, "dependencies": {"c": ["b"]}}))["c"] == ("a", "b")


def test_a_task_without_a_name_is_called_after_its_task_type() -> None:
    assert [t.name for t in read(staged(task("a"), task("b", name="second"))).tasks] == ["a", "second"]


def test_retries_that_are_not_given_are_the_settings_in_003s_form_and_none_in_the_others() -> None:
    assert read(staged(task("a"))).tasks[0].max_retries == 3
    assert read({"tasks": [task("a")]}).tasks[0].max_retries == 0


@pytest.mark.parametrize(
    ("given", "effects"),
    [
        (task("a"), Effects.NONE),
        (task("a", agent="trade_execution"), Effects.ORDERS),
        (task("a", agent="trade_execution", effects="none"), Effects.NONE),
        ({"name": "h", "handler": DOUBLE}, Effects.EXTERNAL),
        ({"type": "log"}, Effects.NONE),
    ],
)
def test_what_a_task_may_change_follows_from_who_does_it(given: dict[str, Any], effects: Effects) -> None:
    assert read(staged(given)).tasks[0].effects is effects


def test_a_task_type_of_a_plug_in_is_taken_to_have_effects() -> None:
    types = TaskTypes()
    types["mine"] = Task
    definition = read_definition(
        {"tasks": [{"type": "mine"}]},
        agents={},
        task_types=types,
        defaults=Defaults(timeout_s=1, max_retries=1, run_timeout_s=1),
        parameters={},
    )
    assert definition.tasks[0].effects is Effects.EXTERNAL


def test_a_parameter_that_is_named_like_a_task_is_merged_into_its_own() -> None:
    given = {"fetch": {"instrument": "USD_JPY"}, "a": {"depth": 2}, "say": {"level": "DEBUG", "timeout": 7}, "x": 1}
    tasks = [
        {"name": "fetch", "handler": DOUBLE, "params": {"instrument": "EUR_USD", "count": 9}},
        task("a", task_data={"depth": 1, "wide": True}),
        {"type": "log", "name": "say", "config": {"message": "hi"}},
    ]
    fetch, a, say = read(staged(*tasks), given).tasks
    assert fetch.work == HandlerWork(handler=DOUBLE, params={"instrument": "USD_JPY", "count": 9})
    assert a.work == AgentWork(agent="desk", task_type="a", data={"depth": 2, "wide": True})
    assert say.work == TypedWork(type="log", config={"message": "hi", "level": "DEBUG"})
    assert say.timeout_s == 7


def test_a_parameter_that_is_no_object_leaves_the_task_of_that_name_alone() -> None:
    assert read(staged(task("a", task_data={"n": 1})), {"a": 5}).tasks[0].work == AgentWork(
        agent="desk", task_type="a", data={"n": 1}
    )


def test_times_in_any_zone_become_utc() -> None:
    tokyo = timezone(timedelta(hours=9))
    stage = {"starts_at": "2012-12-12T20:00:00+09:00", "ends_at": datetime(2012, 12, 12, 21, tzinfo=tokyo)}
    definition = read({"stages": {"s": {"tasks": [task("a", every="30m")], **stage}}})
    assert definition.stages[0].starts_at == START
    assert definition.stages[0].starts_at.tzinfo is UTC
    assert [t.name for t in definition.tasks] == ["a@11:00Z", "a@11:30Z"]


def test_an_undated_run_has_the_time_that_the_settings_give_it() -> None:
    definition = read(staged(task("a")))
    assert (definition.timeout_s, definition.ends_by) == (3600, None)


def test_a_dated_run_ends_that_time_after_its_last_stage() -> None:
    stages = {
        "early": {"tasks": [task("a")], "starts_at": after(0), "ends_at": after(7200)},
        "late": {"tasks": [task("b")], "starts_at": after(60)},
    }
    definition = read({"stages": stages})
    assert (definition.timeout_s, definition.ends_by) == (None, after(7200 + 3600))
    own = read({"stages": stages, "timeout": 50})
    assert (own.timeout_s, own.ends_by) == (50, None)


def test_the_occurrences_of_a_recurring_task_expire_when_the_next_one_starts() -> None:
    stage = {"tasks": [task("a", every="2m")], "starts_at": after(0), "ends_at": after(300)}
    tasks = read({"stages": {"s": stage}}).tasks
    assert [(t.name, t.starts_at, t.deadline) for t in tasks] == [
        ("a@11:00Z", after(0), after(120)),
        ("a@11:02Z", after(120), after(240)),
        ("a@11:04Z", after(240), after(300)),
    ]


def test_a_recurring_task_may_begin_and_end_within_its_stage() -> None:
    watch = task("a", every="30s", starts_at=after(60), deadline=after(120))
    tasks = read({"stages": {"s": {"tasks": [watch], "starts_at": after(0), "ends_at": after(300)}}}).tasks
    assert [(t.name, t.deadline) for t in tasks] == [("a@11:01Z", after(90)), ("a@11:01:30Z", after(120))]


def test_what_needs_a_recurring_task_needs_its_latest_occurrence() -> None:
    stages = {
        "first": {
            "tasks": [
                task("a", every="2m"),
                task("b", "a", every="2m"),
                task("c", "a", starts_at=after(150)),
            ],
            "starts_at": after(0),
            "ends_at": after(240),
        },
        "then": {"tasks": [task("market_analysis", "a")], "starts_at": after(400)},
    }
    assert needs(read({"stages": stages})) == {
        "a@11:00Z": (),
        "a@11:02Z": (),
        "b@11:00Z": ("a@11:00Z",),
        "b@11:02Z": ("a@11:02Z",),
        "c": ("a@11:02Z",),
        "market_analysis": ("a@11:02Z",),
    }


def test_announcements_labels_and_the_environment_are_kept() -> None:
    definition = read(
        staged(
            task("a"),
            announcements=[{"at": after(5), "kind": "open", "details": {"calendar": "XNYS"}}],
            labels={"session": "2012-12-12"},
            env=["TOKEN"],
        )
    )
    assert definition.announcements[0].at == after(5)
    assert definition.announcements[0].data == {"kind": "open", "details": {"calendar": "XNYS"}}
    assert definition.labels == {"session": "2012-12-12"}
    assert definition.env == ("TOKEN",)
