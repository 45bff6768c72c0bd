"""A definition that is asked for again is not checked again, and nothing else is taken for it."""

from typing import Any

import pytest

from orchestration.domain.errors import DefinitionError
from orchestration.engine.checked_definitions import KEPT, LARGEST, CheckedDefinitions
from orchestration.engine.definitions import Defaults
from orchestration.engine.task_types import TASK_TYPES
from tests.unit.engine.world import Scripted, at_once, staged, task

DEFAULTS = Defaults(timeout_s=300, max_retries=3, run_timeout_s=3600)


@pytest.fixture
def agents() -> dict[str, object]:
    return {"desk": Scripted(a=at_once)}


@pytest.fixture
def definitions(agents: dict[str, object]) -> CheckedDefinitions:
    return CheckedDefinitions(agents, TASK_TYPES, DEFAULTS)


def test_the_same_again_is_the_same(definitions: CheckedDefinitions) -> None:
    assert definitions.read(staged(task("a")), {}) is definitions.read(staged(task("a")), {})


@pytest.mark.parametrize(
    ("other", "parameters"),
    [
        (staged(task("a", priority="high")), {}),
        (staged(task("a", task_data={"x": 1})), {}),
        (staged(task("a", timeout=300.0)), {}),
        (staged(task("a")), {"a": {"x": 1}}),
    ],
)
def test_what_differs_is_checked(
    definitions: CheckedDefinitions, other: dict[str, Any], parameters: dict[str, Any]
) -> None:
    first = definitions.read(staged(task("a")), {})
    assert definitions.read(other, parameters) is not first


def test_a_number_that_is_none_is_not_taken_for_null(definitions: CheckedDefinitions) -> None:
    definitions.read(staged(task("a", timeout=None)), {})
    with pytest.raises(DefinitionError, match="timeout"):
        definitions.read(staged(task("a", timeout=float("nan"))), {})


def test_what_was_changed_by_its_owner_is_checked(definitions: CheckedDefinitions) -> None:
    definition = staged(task("a"))
    first = definitions.read(definition, {})
    definition["name"] = "another"
    assert definitions.read(definition, {}).definition.name == "another"
    assert first.definition.name == "test"


def test_an_agent_that_has_gone_is_missed(definitions: CheckedDefinitions, agents: dict[str, object]) -> None:
    definitions.read(staged(task("a")), {})
    agents.clear()
    with pytest.raises(DefinitionError, match="agent"):
        definitions.read(staged(task("a")), {})


def test_only_so_many_are_kept_and_no_large_ones(definitions: CheckedDefinitions) -> None:
    first = definitions.read(staged(task("a")), {})
    for number in range(KEPT):
        definitions.read(staged(task("a"), name=f"n{number}"), {})
    assert definitions.read(staged(task("a")), {}) is not first
    large = staged(*(task("a", name=f"t{number}") for number in range(LARGEST + 1)))
    assert definitions.read(large, {}) is not definitions.read(large, {})
