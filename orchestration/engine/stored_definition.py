"""A definition as the journal keeps it, complete, so that it is read back without the agents it was made for."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from orchestration.domain.definition import (
    AgentWork,
    Announcement,
    CachePolicy,
    HandlerWork,
    StageDefinition,
    TaskDefinition,
    TypedWork,
    WorkflowDefinition,
)
from orchestration.domain.errors import DefinitionError
from orchestration.domain.json_value import JsonObject
from orchestration.domain.states import Effects, OnFailure, TaskPriority

VERSION = 1
"""The version of this form; a reader refuses what is newer than it knows."""

_WORKS = {"agent": AgentWork, "handler": HandlerWork, "type": TypedWork}


def to_json(definition: WorkflowDefinition) -> JsonObject:
    """Return ``definition`` as JSON values; a task without a cache has no such field, as before there were any."""
    stored: dict[str, Any] = orjson.loads(orjson.dumps(definition, option=orjson.OPT_UTC_Z))
    for stage in stored["stages"]:
        for task in stage["tasks"]:
            if task["cache"] is None:
                del task["cache"]
    return {"version": VERSION, **stored}


def from_json(stored: Mapping[str, Any]) -> WorkflowDefinition:
    """Return the definition that `to_json` made. Raises `DefinitionError` for a newer version's."""
    if stored["version"] > VERSION:
        raise DefinitionError(
            f"the run was made by a newer Belltower (definition version {stored['version']}): upgrade"
        )
    fields = {key: value for key, value in stored.items() if key != "version"}
    return WorkflowDefinition(
        **{
            **fields,
            "stages": tuple(_stage(stage) for stage in stored["stages"]),
            "ends_by": _optional_moment(stored["ends_by"]),
            "announcements": tuple(Announcement(at=_moment(a["at"]), data=a["data"]) for a in stored["announcements"]),
            "env": tuple(stored["env"]),
        }
    )


def _stage(stored: Mapping[str, Any]) -> StageDefinition:
    return StageDefinition(
        **{
            **stored,
            "tasks": tuple(_task(task) for task in stored["tasks"]),
            "starts_at": _optional_moment(stored["starts_at"]),
            "ends_at": _optional_moment(stored["ends_at"]),
            "on_failure": OnFailure(stored["on_failure"]),
        }
    )


def _task(stored: Mapping[str, Any]) -> TaskDefinition:
    work = stored["work"]
    kind = next(kind for kind in _WORKS if kind in work)
    delays, cache = stored["retry_delays"], stored.get("cache")
    return TaskDefinition(
        **{
            **stored,
            "work": _WORKS[kind](**work),
            "priority": TaskPriority(stored["priority"]),
            "dependencies": tuple(stored["dependencies"]),
            "retry_delays": None if delays is None else tuple(delays),
            "starts_at": _optional_moment(stored["starts_at"]),
            "deadline": _optional_moment(stored["deadline"]),
            "effects": Effects(stored["effects"]),
            "skip_conditions": tuple(stored["skip_conditions"]),
            "cache": None if cache is None else CachePolicy(**cache),
        }
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _optional_moment(text: str | None) -> datetime | None:
    return None if text is None else _moment(text)
