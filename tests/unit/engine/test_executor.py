"""Handlers and task types: what they are given, and what becomes of what they do."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.domain.definition import Workflow
from orchestration.domain.errors import DefinitionError
from orchestration.engine.engine import WorkflowEngine
from orchestration.engine.references import expand
from orchestration.engine.task_types import TASK_TYPES, TaskTypes
from tests.unit.engine.world import START, Outcome, run, simulated
from workflows.tasks.base import Task
from workflows.tasks.log import LogTask

HANDLERS = "tests.unit.engine.handlers"


class Give(Task):
    """Returns its configuration, as it was expanded."""

    async def execute(self, context: Mapping[str, Any]) -> Any:
        return {**self.config, "seen": sorted(context)}


@pytest.fixture(autouse=True)
def _give() -> Iterator[None]:
    TASK_TYPES["give"] = Give
    yield
    del TASK_TYPES["give"]


def give(name: str, **config: object) -> dict[str, Any]:
    return {"type": "give", "name": name, "config": config}


def test_a_handler_is_called_with_its_params_and_with_its_inputs_if_it_wants_them() -> None:
    tasks = [
        {"name": "one", "handler": f"{HANDLERS}.double", "params": {"number": 4}},
        {"name": "two", "handler": f"{HANDLERS}.add_all", "params": {"extra": 1}},
    ]
    out = run({"tasks": tasks, "dependencies": {"two": ["one"]}}, parameters={"one": {"number": 5}})
    assert (out.task("one")["result"], out.task("two")["result"]) == (10, 11)


def test_a_handler_that_wants_it_is_told_where_it_is_and_has_the_services() -> None:
    async def main() -> dict[str, Any]:
        engine = WorkflowEngine({}, object(), clock=SimulatedClock(START), services={"market": "the market"})
        definition = {
            "tasks": [{"name": "x", "handler": f"{HANDLERS}.say_where"}],
            "labels": {"session": "2012-12-12"},
        }
        return await engine.execute_workflow(await engine.create_workflow(definition, {"colour": "red"}))

    assert simulated(main)["tasks"]["x"]["result"] == {
        "task": "x",
        "attempt": 1,
        "session": "2012-12-12",
        "market": "the market",
        "variable": "red",
    }


def test_what_a_handler_does_to_its_arguments_harms_nobody() -> None:
    tasks = [
        {"name": "first", "handler": f"{HANDLERS}.double", "params": {"number": 1}},
        {"name": "x", "handler": f"{HANDLERS}.spoil", "params": {"numbers": [1]}, "max_retries": 1},
    ]
    out = run({"tasks": tasks})
    definition: Any = out.records[0].data["definition"]
    assert out.task("first")["result"] == 2
    assert definition["stages"][0]["tasks"][1]["work"]["params"] == {"numbers": [1]}


def test_references_become_what_earlier_tasks_and_the_caller_gave() -> None:
    tasks = [
        give("first", rows=[{"id": 7}]),
        give("then", whole="${first_result.rows}", part="id ${first_result.rows[0].id} of ${desk}", deep=["${desk}"]),
    ]
    out = run({"tasks": tasks}, parameters={"desk": "D1"})
    result = out.task("then")["result"]
    assert (result["whole"], result["part"], result["deep"]) == ([{"id": 7}], "id 7 of D1", ["D1"])
    assert result["seen"] == ["desk", "first_result"]


def with_environment(definition: dict[str, Any]) -> Outcome:
    return run(definition, environment={"API_TOKEN": "abc", "SECRET": "xyz"})


def test_a_workflow_reads_the_environment_variables_that_it_lists() -> None:
    tasks = [give("x", long="Bearer ${API_TOKEN}", short="${env:API_TOKEN}")]
    result = with_environment({"tasks": tasks, "env": ["API_TOKEN"]}).task("x")["result"]
    assert (result["long"], result["short"]) == ("Bearer abc", "abc")


@pytest.mark.parametrize("reference", ["${SECRET}", "${env:SECRET}"])
def test_a_workflow_reads_no_environment_variable_that_it_does_not_list(reference: str) -> None:
    out = with_environment({"tasks": [give("x", it=reference)], "env": ["API_TOKEN", "UNSET"]})
    assert out.status("x") == "failed"
    assert "SECRET" in out.task("x")["error"]
    assert "xyz" not in str(out.result)


def test_a_workflow_object_with_a_task_type_of_ones_own_runs() -> None:
    workflow: Any = Workflow(name="w", tasks=[Give("x", {"a": 1}), LogTask("say", {"message": "got ${x_result.a}"})])
    assert run(workflow).task("say")["result"] == {"message": "got 1", "level": "INFO"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${nme}", r"\$\{nme\}: nothing is called 'nme' here; did you mean 'name'\?"),
        ("${env:X}", r"\$\{env:X\}: X is not set, or the workflow's env does not list it"),
        ("${row.colr}", r"row has no 'colr'; did you mean 'color'\?"),
        ("${row.id[0]}", r"row.id has no 0"),
        ("${name.first}", r"name has no 'first'"),
        ("${list[5]}", r"list has no 5"),
    ],
)
def test_a_reference_to_nothing_is_refused_with_the_nearest_name(text: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        expand(text, {"name": "n", "row": {"id": 1, "color": 2}, "list": []}, {})


def test_inside_a_text_what_is_no_text_is_written_as_json() -> None:
    assert expand("a ${x} b ${y}", {"x": {"k": [1, None]}, "y": True}, {}) == 'a {"k":[1,null]} b true'


def test_what_looks_like_a_reference_and_is_none_stays() -> None:
    assert expand({"a": ["$x", "${}", "${a b}", 5]}, {}, {}) == {"a": ["$x", "${}", "${a b}", 5]}


# -- the registry


def test_the_registry_has_what_is_installed_and_what_was_added() -> None:
    types = TaskTypes()
    assert {"log", "wait"} <= set(types)
    assert isinstance(types.make("log", "x", {}), LogTask)
    types["mine"] = Give
    assert "mine" in types
    assert len(types) == len(list(types))
    assert types.name_of(Give("x")) == "mine"
    del types["mine"]
    assert "mine" not in types
    with pytest.raises(KeyError):
        types["mine"]


def test_an_unknown_task_type_is_named_with_the_nearest() -> None:
    with pytest.raises(DefinitionError, match="task type 'lgo' is not known; did you mean 'log'"):
        TaskTypes().make("lgo", "x", {})
