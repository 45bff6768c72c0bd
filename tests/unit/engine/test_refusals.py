"""What is wrong with a definition is said when it is made, with its place and the way out."""

import re
from datetime import datetime
from typing import Any

import pytest

from orchestration.domain.definition import Workflow
from orchestration.domain.errors import CircularDependencyError, DefinitionError
from orchestration.engine.in_process_executor import method_name
from tests.unit.engine.test_forms import read
from tests.unit.engine.world import after, staged, task
from workflows.tasks.base import Task

DOUBLE = "tests.unit.engine.handlers.double"
HOUR = {"starts_at": after(0), "ends_at": after(3600)}


def dated(*tasks: dict[str, Any], **times: object) -> dict[str, Any]:
    return {"stages": {"s": {"tasks": list(tasks), **(times or HOUR)}}}


class Unregistered(Task):
    """A task type that nobody added."""


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ([], "a workflow is a mapping with 'stages' or 'tasks', or a Workflow, not a list"),
        ({}, "a workflow has either 'stages' or 'tasks': give one of the two"),
        ({"stages": {}, "tasks": []}, "a workflow has either 'stages' or 'tasks': give one of the two"),
        ({"tasks": [], "nmae": "x"}, "the definition: there is no field 'nmae'; did you mean 'name'?"),
        (
            staged(task("a", prioriti="HIGH")),
            "stages.main.tasks[0]: there is no field 'prioriti'; did you mean 'priority'?",
        ),
        (
            {"stages": {"s": {"tasks": [], "start_at": 1}}},
            "stages.s: there is no field 'start_at'; did you mean 'starts_at'?",
        ),
        ({"stages": {"s": {}}}, "stages.s.tasks: field required"),
        ({"stages": {"s": {"tasks": {}}}}, "stages.s.tasks: write a list here, such as [first, second]"),
        ({"tasks": [], "name": ""}, "name: string should have at least 1 character (given: '')"),
        (
            staged(task("a", agent="junor_analyst")),
            "stages.main.tasks[0].agent: 'junor_analyst' is not known; did you mean 'junior_analyst'?",
        ),
        (staged({"agent": "desk"}), "stages.main.tasks[0]: a task needs a 'name', or an 'agent' with a 'task_type'"),
        (staged({"agent": "desk", "name": "x"}), "stages.main.tasks[0]: 'task_type' is missing; it says what desk"),
        (staged(task("d")), "stages.main.tasks[0].task_type: agent 'desk' has no coroutine function execute_d"),
        (staged({"name": "x"}), "stages.main.tasks[0]: give one of 'agent', 'handler' and 'type'; found none of them"),
        (staged(task("a", handler=DOUBLE)), "give one of 'agent', 'handler' and 'type'; found agent and handler"),
        ({"tasks": [{"type": "lgo"}]}, "tasks[0].type: 'lgo' is not known; did you mean 'log'?"),
        (
            staged(task("a", params={})),
            "stages.main.tasks[0].params: it goes with 'handler', and this task has 'agent'",
        ),
        ({"tasks": [{"type": "log", "task_data": {}}]}, "tasks[0].task_data: it goes with 'agent'"),
        ({"tasks": [{"name": "x", "handler": DOUBLE, "config": {}}]}, "tasks[0].config: it goes with 'type'"),
        ({"tasks": [{"name": "x", "handler": DOUBLE, "task_type": "t"}]}, "tasks[0].task_type: it goes with 'agent'"),
        (Workflow(name="w", tasks=[Task("x", {"a": 1}, handler=DOUBLE)]), "tasks[0].config: it goes with 'type'"),
        (
            Workflow(name="w", tasks=[Unregistered("x")]),
            "Unregistered is no registered task type; add it: TASK_TYPES['unregistered'] = Unregistered",
        ),
        (
            {"tasks": [{"name": "x", "handler": "tests.unit.engine.handlers.dubble"}]},
            "tasks[0].handler: handler 'tests.unit.engine.handlers.dubble' is no function; give its full dotted path",
        ),
        ({"tasks": [{"name": "x", "handler": "tests.unit.engine.handlers.NO_FUNCTION"}]}, "is no function"),
        ({"tasks": [{"name": "x", "handler": "double"}]}, "handler 'double' is no function"),
        (
            {"tasks": [{"name": "x", "handler": "no_such_module.f"}]},
            "handler 'no_such_module.f' can't be imported: No module named 'no_such_module'",
        ),
        ({"tasks": [{"name": "x", "handler": "..a.b"}]}, "handler '..a.b' can't be imported"),
        (staged(task("a"), task("a")), "stages.main.tasks[1]: the name 'a' is taken; names are unique in a run"),
        ({"stages": {"s": {"tasks": [task("a")]}, "t": {"tasks": [task("a")]}}}, "stages.t.tasks[0]: the name 'a'"),
        (
            staged(task("a", "bb"), task("b")),
            "stages.main.tasks[0].dependencies: no task here or in an earlier stage is 'bb'; did you mean 'b'?",
        ),
        (staged(task("a"), task("b", "a", "a")), "stages.main.tasks[1].dependencies: 'a' stands there 2 times"),
        (
            {"tasks": [task("a"), task("b", "a")], "dependencies": {"b": ["a"]}},
            "tasks[1].dependencies: 'a' stands there 2 times",
        ),
        (
            {"stages": {"s": {"tasks": [task("a", "b")]}, "t": {"tasks": [task("b")]}}},
            "stages.s.tasks[0].dependencies: no task here or in an earlier stage is 'b'",
        ),
        ({"tasks": [task("a")], "dependencies": {"b": []}}, "dependencies: there is no task 'b'; known: a"),
        ({"tasks": [task("a")], "dependencies": {"a": ["c"]}}, "tasks[0].dependencies: no task here"),
        (staged(task("a", priority="HGIH")), "stages.main.tasks[0].priority: it is 'HGIH'; did you mean 'HIGH'?"),
        (staged(task("a", priority=11)), "stages.main.tasks[0].priority: it is 11; known: LOW, MEDIUM, HIGH, CRITICAL"),
        (staged(task("a", timeout=0)), "stages.main.tasks[0].timeout: input should be greater than 0"),
        (staged(task("a", timeout=-3)), "stages.main.tasks[0].timeout: input should be greater than 0"),
        (staged(task("a", timeout=1e300)), "stages.main.tasks[0].timeout: input should be less than or equal to"),
        (staged(task("a", timeout=float("nan"))), "stages.main.tasks[0].timeout: input should be"),
        (staged(task("a", timeout="soon")), "stages.main.tasks[0].timeout: input should be a valid number"),
        (staged(task("a"), timeout=float("inf")), "timeout: input should be"),
        (staged(task("a", max_retries=-1)), "stages.main.tasks[0].max_retries: input should be greater than or equal"),
        (staged(task("a", retry_delays=[1, -1])), "stages.main.tasks[0].retry_delays[1]: input should be greater"),
        (
            staged(task("a", task_data={"x": [1, float("nan")]})),
            "stages.main.tasks[0].task_data: it.x[1] is nan; JSON has no such number",
        ),
        (staged(task("a", task_data={"x": object()})), "it.x is a object, which is no JSON value"),
        (
            staged(task("a", task_data={"inputs": 1})),
            "stages.main.tasks[0].task_data: the engine itself gives 'inputs'; choose another name",
        ),
        (staged(task("a", task_data={"execution": 1})), "the engine itself gives 'execution'"),
        (staged(task("a", when="price >")), "stages.main.tasks[0].when: 'price >' can't be read at its end; write it"),
        (staged(task("a", when="1 = 2")), "'1 = 2' can't be read at column 3"),
        ({"tasks": [{"type": "log", "config": {"timeout": "x"}}]}, "tasks[0]: timeout: input should be a valid number"),
        (staged(task("a", skip_conditions=[{"context_key": "x"}])), "skip_conditions[0].value: field required"),
        (staged(task("a", starts_at=datetime(2012, 12, 12))), "starts_at: input should have timezone info"),  # noqa: DTZ001 (a moment without a zone is what is refused)
        (staged(task("a", deadline="0001-01-01T00:00:00+23:00")), "0001-01-01 00:00:00+23:00 is out of range"),
        (
            dated(task("a"), starts_at=after(9), ends_at=after(9)),
            "stages.s: ends_at 2012-12-12 11:00:09+00:00 is not after starts_at",
        ),
        (
            dated(task("a", starts_at=after(-1))),
            "stages.s.tasks[0].starts_at: 2012-12-12 10:59:59+00:00 is before its stage starts",
        ),
        (
            dated(task("a", starts_at=after(3600))),
            "stages.s.tasks[0].starts_at: 2012-12-12 12:00:00+00:00 is not before its stage ends",
        ),
        (
            dated(task("a", starts_at=after(60), deadline=after(60))),
            "stages.s.tasks[0].deadline: 2012-12-12 11:01:00+00:00 is not after",
        ),
        (dated(task("a", deadline=after(0))), "stages.s.tasks[0].deadline"),
        (dated(task("a", every="5 minutes")), "stages.s.tasks[0].every is '5 minutes'; write a number and s, m or h"),
        (dated(task("a", every="0m")), "stages.s.tasks[0].every is '0m'"),
        (dated(task("a", every="9" * 5000 + "h")), "write a number and s, m or h, such as 5m"),
        (staged(task("a", every="5m")), "stages.main.tasks[0].every: only a stage with starts_at and ends_at can have"),
        (
            dated(task("a", every="12h"), starts_at=after(0), ends_at=after(90_000)),
            "2 tasks would be called 'a@11:00Z'",
        ),
        (
            dated(task("a", every="5m", starts_at=after(60)), task("b", "a")),
            "stages.s.tasks[1].dependencies: 'a' has no occurrence before this task starts",
        ),
        (staged(task("a"), announcements=[{"at": after(1)}]), "announcements[0].kind: field required"),
    ],
)
def test_a_wrong_definition_is_refused_with_its_place(definition: object, message: str) -> None:
    with pytest.raises(DefinitionError, match=re.escape(message)) as caught:
        read(definition)
    assert "\n" not in str(caught.value)


def test_tasks_that_wait_for_each_other_are_named_in_their_order() -> None:
    with pytest.raises(CircularDependencyError, match="take one of these dependencies away") as caught:
        read(staged(task("a", "c"), task("b", "a"), task("c", "b")))
    assert caught.value.cycle in {("a", "c", "b", "a"), ("b", "a", "c", "b"), ("c", "b", "a", "c")}


def test_a_task_that_waits_for_itself_is_a_circle() -> None:
    with pytest.raises(CircularDependencyError, match="a -> a"):
        read(staged(task("a", "a")))


def test_an_agent_that_declares_what_it_does_is_not_asked_for_more() -> None:
    class Declared:
        task_types = frozenset({"market_analysis"})

        async def analyze(self, task_data: object) -> None:
            """Do anything."""

    junior = Declared()
    assert method_name(junior, "junior", "market_analysis") == "analyze"
    with pytest.raises(DefinitionError, match="agent 'junior' does no 'market_analysys'; did you mean"):
        method_name(Declared(), "junior", "market_analysys")
