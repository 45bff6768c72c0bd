"""Whole runs on the simulated clock keep the rules: slots, journal, repeatability."""

import asyncio
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.domain.definition import WorkflowDefinition
from orchestration.domain.records import Record
from orchestration.domain.states import TaskPriority
from orchestration.engine.event_log import event_log_sha256
from orchestration.engine.run_state import RunState, rebuild
from orchestration.engine.stored_definition import from_json
from tests.property.definitions import definitions
from tests.property.journal_rules import JournalRules
from tests.unit.engine.world import open_world, simulated

# what the attempts of a task do, one after the other: for how many seconds, and how it ends
Script = list[tuple[int, str]]
_scripts = st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["well", "badly", "deaf"])), min_size=1, max_size=3)


class Scripts:
    """An agent whose tasks follow a script and count who is at work."""

    def __init__(self, scripts: list[Script], slotted: frozenset[str]) -> None:
        self.scripts = scripts
        self.slotted = slotted
        self.at_work: set[str] = set()
        self.twice: set[str] = set()
        self.most = 0

    async def analyze(self, task_data: Mapping[str, Any]) -> object:
        name, attempt = task_data["execution"]["task"], task_data["execution"]["attempt"]
        script = self.scripts[int(name.removeprefix("task")) % len(self.scripts)]
        seconds, how = script[min(attempt, len(script)) - 1]
        self.twice |= self.at_work & {name}
        self.at_work.add(name)
        self.most = max(self.most, len(self.at_work & self.slotted))
        try:
            await self.work(seconds, how)
        finally:
            self.at_work.discard(name)
        return {"inputs": sorted(task_data["inputs"])}

    async def work(self, seconds: int, how: str) -> None:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            if how != "deaf":
                raise
            await asyncio.sleep(2)  # it takes a moment to stop
        if how == "badly":
            raise RuntimeError("boom")


def as_form(definition: WorkflowDefinition) -> dict[str, Any]:
    """The staged form that says ``definition``, with times out of reach left out."""
    stages: dict[str, Any] = {}
    for stage in definition.stages:
        starts_at = stage.starts_at
        reachable = stage.ends_at is None or starts_at is None or stage.ends_at > starts_at
        tasks = [
            {
                "agent": "desk",
                "task_type": task.name,
                "dependencies": list(task.dependencies),
                "priority": task.priority,
                "timeout": task.timeout_s,
                "max_retries": task.max_retries,
                "effects": task.effects,
                **({"when": "wanted"} if task.when else {}),
            }
            for task in stage.tasks
        ]
        stages[stage.name] = {
            "tasks": tasks,
            "starts_at": starts_at,
            "ends_at": stage.ends_at if reachable else None,
            "on_failure": stage.on_failure,
            "timeout": stage.timeout_s,
        }
    return {"stages": stages, "timeout": definition.timeout_s}


def with_handed_down_priority(definition: WorkflowDefinition) -> frozenset[str]:
    """The tasks that need a slot: those that are not critical, nor anything that waits for them."""
    critical: set[str] = set()
    for task in reversed(definition.tasks):
        if task.priority is TaskPriority.CRITICAL or task.name in critical:
            critical |= {task.name, *task.dependencies}
    return frozenset(task.name for task in definition.tasks) - critical


async def carry_out(
    definition: WorkflowDefinition, scripts: list[Script], slots: int, *, wanted: bool
) -> tuple[dict[str, Any], list[Record], Scripts]:
    """Run it; return the result, the journal and the agent that did it all."""
    agent = Scripts(scripts, with_handed_down_priority(definition))
    world = await open_world({"desk": agent}, max_concurrent_tasks=slots)
    run_id = await world.engine.create_workflow(as_form(definition), {"wanted": wanted})
    result = await world.engine.execute_workflow(run_id)
    return result, list(await world.store.records(run_id)), agent


@given(definition=definitions(), scripts=st.lists(_scripts, min_size=1, max_size=3), slots=st.integers(1, 3),
       wanted=st.booleans())  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_a_run_keeps_the_rules_and_its_repetition_is_the_same(
    definition: WorkflowDefinition, scripts: list[Script], slots: int, *, wanted: bool
) -> None:
    result, journal, agent = simulated(lambda: carry_out(definition, scripts, slots, wanted=wanted))
    stored: Any = journal[0].data["definition"]
    read = from_json(stored)
    rules = JournalRules(read, retries=True)
    for record in journal[1:]:
        rules.take(record)
    assert rules.ended_as is not None
    assert agent.most <= slots
    assert agent.twice == set()
    rebuilt: RunState = rebuild(read, journal)
    assert {name: task.status for name, task in rebuilt.tasks.items()} == {
        name: task["status"] for name, task in result["tasks"].items()
    }
    again, journal_again, _ = simulated(lambda: carry_out(definition, scripts, slots, wanted=wanted))
    assert again == result
    assert event_log_sha256(journal_again) == event_log_sha256(journal)
