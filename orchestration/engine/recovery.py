"""What becomes of the runs that dead processes left: they go on, or end with the reason why they can't."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestration.domain.definition import AgentWork, HandlerWork, TaskDefinition
from orchestration.domain.errors import DefinitionError
from orchestration.domain.json_value import JsonValue
from orchestration.domain.records import Claim, Record, RecordKind
from orchestration.engine.in_process_executor import import_handler, method_name
from orchestration.engine.run_state import RunState, rebuild
from orchestration.engine.stored_definition import from_json
from orchestration.engine.task_types import TaskTypes
from orchestration.ports.clock import Clock
from orchestration.ports.run_store import RunStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A run that was taken over. ``state`` is where it stands; ``None``: it was ended, and ``reason`` says why."""

    run_id: str
    name: str
    token: int
    labels: Mapping[str, JsonValue]
    state: RunState | None = None
    reason: str | None = None


async def recovered(
    claim: Claim, store: RunStore, agents: Mapping[str, object], task_types: TaskTypes, clock: Clock
) -> Recovered:
    """Look at a run that was taken over, and end it if it can't go on; after an error it may be done again."""
    try:
        records = await store.records(claim.run_id)
    except DefinitionError as error:  # a newer version's, and so nothing can be added to them either
        said = f"its records can't be read: {error}"
        return Recovered(run_id=claim.run_id, name=claim.run_id, token=claim.token, labels={}, reason=said)
    one = _look_at(records, claim.token, agents, task_types)
    if one.state is None:
        data = {"reason": one.reason}
        last = records[-1].sequence
        ending = Record(
            run_id=one.run_id, sequence=last + 1, kind=RecordKind.RUN_INTERRUPTED, at=clock.now(), data=data
        )
        await store.append([ending])
    return one


def _look_at(records: Sequence[Record], token: int, agents: Mapping[str, object], task_types: TaskTypes) -> Recovered:
    first = records[0]
    stored: Any = first.data["definition"]
    about: dict[str, Any] = {"run_id": first.run_id, "name": str(first.data["name"]), "token": token, "labels": {}}
    try:
        definition = from_json(stored)
        about["labels"] = definition.labels
        state = rebuild(definition, records)
        for task in state.tasks.values():
            if not task.status.ended:
                _check(task.definition, agents, task_types)
    except (DefinitionError, KeyError, TypeError, ValueError) as error:  # what is stored may be another version's
        said = str(error) if isinstance(error, DefinitionError) else f"it can't be read ({error!r})"
        return Recovered(**about, reason=f"this version of Belltower can't continue it: {said}")
    return Recovered(**about, state=state)


def _check(task: TaskDefinition, agents: Mapping[str, object], task_types: TaskTypes) -> None:
    """Raise `DefinitionError` when nobody here can do ``task``."""
    work = task.work
    if isinstance(work, AgentWork):
        if work.agent not in agents:
            raise DefinitionError(f"task {task.name!r} needs the agent {work.agent!r}, which is not there")
        method_name(agents[work.agent], work.agent, work.task_type)
    elif isinstance(work, HandlerWork):
        import_handler(work.handler)
    elif work.type not in task_types:
        raise DefinitionError(f"task {task.name!r} is of the type {work.type!r}, which is not known")
