"""A cache that could do harm, or does nothing, is refused when the workflow is created."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from orchestration.config import OrchestrationConfig
from orchestration.domain.definition import CachePolicy, TaskDefinition
from orchestration.domain.errors import DefinitionError
from orchestration.domain.states import Effects
from orchestration.engine.definitions import Defaults, read_definition
from orchestration.engine.engine import WorkflowEngine
from orchestration.engine.stored_definition import VERSION, from_json, to_json
from orchestration.engine.task_types import TASK_TYPES
from tests.unit.engine.world import Scripted, at_once, staged, task

CACHE = {"key": "prices ${day}", "ttl": 60}


def create(definition: Mapping[str, Any]) -> None:
    agents = {"desk": Scripted(look=at_once), "trade_execution": Scripted(look=at_once)}
    asyncio.run(WorkflowEngine(agents, OrchestrationConfig()).create_workflow(definition))


def read(definition: Mapping[str, Any]) -> TaskDefinition:
    defaults = Defaults(timeout_s=1, max_retries=0, run_timeout_s=1)
    agents = {"desk": Scripted(look=at_once)}
    checked = read_definition(definition, agents=agents, task_types=TASK_TYPES, defaults=defaults, parameters={})
    assert from_json(to_json(checked)) == checked
    return checked.tasks[0]


@pytest.mark.parametrize(
    ("definition", "where"),
    [
        (staged(task("look", cache=CACHE, effects="external")), r"stages\.main\.tasks\[0\]\.cache: .*\(external\)"),
        (staged(task("look", cache=CACHE, agent="trade_execution")), r"stages\.main\.tasks\[0\]\.cache: .*\(orders\)"),
        ({"tasks": [{"name": "a", "handler": "json.dumps", "cache": CACHE}]}, r"tasks\[0\]\.cache: .*\(external\)"),
    ],
)
def test_a_task_with_effects_has_no_cache(definition: Mapping[str, Any], where: str) -> None:
    with pytest.raises(DefinitionError, match=f"{where}.*: leave cache out, or say 'effects: none'"):
        create(definition)


@pytest.mark.parametrize(
    ("cache", "said"),
    [
        ({"key": "a"}, r"cache\.ttl: field required"),
        ({"ttl": 5}, r"cache\.key: field required"),
        ({"key": "a", "ttl": 0}, r"cache\.ttl: .*greater than 0"),
        ({"key": "a", "ttl": -1}, r"cache\.ttl: .*greater than 0 \(given: -1\)"),
        ({"key": "a", "ttl": float("inf")}, r"cache\.ttl: "),
        ({"key": "a", "ttl": "soon"}, r"cache\.ttl: .*'soon'"),
        ({"key": "", "ttl": 1}, r"cache\.key: it is empty; write what the result hangs on"),
        ({"key": " \t", "ttl": 1}, r"cache\.key: it is empty"),
        ({"key": 5, "ttl": 1}, r"cache\.key: "),
        ({"key": "a", "tll": 1, "ttl": 1}, r"cache: there is no field 'tll'; did you mean 'ttl'\?"),
        ({"key": "${day} ${sym", "ttl": 1}, r"cache\.key: '\$\{sym' is no reference; write \$\{name\}"),
        ({"key": "${two words}", "ttl": 1}, r"cache\.key: '\$\{two words\}' is no reference"),
        (60, r"cache: input should be a valid dictionary"),
    ],
)
def test_a_wrong_cache_is_refused_with_its_place_and_how_to_mend_it(cache: object, said: str) -> None:
    with pytest.raises(DefinitionError, match=r"stages\.main\.tasks\[0\]\." + said):
        create(staged(task("look", cache=cache)))


def test_a_cache_is_read_in_every_form() -> None:
    wanted = CachePolicy(key="prices ${day}", ttl_s=60.0)
    assert read(staged(task("look", cache=CACHE))).cache == wanted
    assert read({"tasks": [{"name": "a", "handler": "json.dumps", "effects": "none", "cache": CACHE}]}).cache == wanted
    assert read({"tasks": [{"name": "a", "type": "log", "config": {"message": "x", "cache": CACHE}}]}).cache == wanted
    assert read(staged(task("look"))).cache is None


def test_in_the_config_of_a_type_it_is_checked_too() -> None:
    with pytest.raises(DefinitionError, match=r"tasks\[0\]: cache\.ttl: .*greater than 0"):
        create({"tasks": [{"name": "a", "type": "log", "config": {"message": "x", "cache": {"key": "a", "ttl": 0}}}]})


def test_a_definition_that_was_stored_before_there_were_caches_is_read() -> None:
    defaults = Defaults(timeout_s=1, max_retries=0, run_timeout_s=1)
    agents = {"desk": Scripted(look=at_once)}
    stored: Any = to_json(
        read_definition(staged(task("look")), agents=agents, task_types=TASK_TYPES, defaults=defaults, parameters={})
    )
    assert stored["version"] == VERSION == 1
    assert "cache" not in stored["stages"][0]["tasks"][0]
    assert from_json(stored).tasks[0].cache is None
    assert from_json(stored).tasks[0].effects is Effects.NONE
