"""The task types that are there from the first day: log and wait, and what others are built on."""

import asyncio
import logging
from typing import Any

import pytest

from orchestration.domain.errors import DefinitionError
from tests.unit.engine.world import simulated
from workflows.tasks.base import Task
from workflows.tasks.log import LogTask
from workflows.tasks.wait import WaitTask


def test_a_task_keeps_copies_of_what_it_was_given() -> None:
    config, params = {"a": 1}, {"b": 2}
    task = Task("x", config, handler="package.module.name", params=params)
    config["a"] = params["b"] = 9
    assert (task.name, task.config, task.handler, task.params) == ("x", {"a": 1}, "package.module.name", {"b": 2})
    assert (Task("y").config, Task("y").handler, Task("y").params) == ({}, None, {})


def test_a_task_shows_its_kind_and_name() -> None:
    assert repr(LogTask("say")) == "LogTask('say')"


async def test_a_task_that_overrides_nothing_does_nothing_and_says_how_to() -> None:
    with pytest.raises(TypeError, match="Task does nothing: override execute, or give the task a handler"):
        await Task("x").execute({})


@pytest.mark.parametrize(
    ("config", "level"), [({}, "INFO"), ({"level": "debug"}, "DEBUG"), ({"level": "CRITICAL"}, "CRITICAL")]
)
async def test_log_writes_its_message_and_returns_it(
    caplog: pytest.LogCaptureFixture, config: dict[str, Any], level: str
) -> None:
    with caplog.at_level(logging.DEBUG):
        result = await LogTask("say", {"message": "half % done", **config}).execute({})
    assert result == {"message": "half % done", "level": level}
    assert [(record.getMessage(), record.levelname) for record in caplog.records] == [("half % done", level)]


@pytest.mark.parametrize(
    ("config", "message"),
    [({}, "message is missing"), ({"message": "x", "level": "WARN"}, "level is 'WARN'; did you mean 'WARNING'?")],
)
async def test_log_refuses_what_it_can_not_write(config: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message.replace("?", r"\?")):
        await LogTask("say", config).execute({})


def test_wait_lets_the_time_pass() -> None:
    async def main() -> tuple[Any, float]:
        result = await WaitTask("nap", {"seconds": 90}).execute({})
        return result, asyncio.get_running_loop().time()

    assert simulated(main) == ({"seconds": 90}, 90)


@pytest.mark.parametrize("seconds", [None, "5", -1, True, float("nan")])
async def test_wait_refuses_what_is_no_time(seconds: object) -> None:
    with pytest.raises(DefinitionError, match=r"seconds is .*; give a number from 0 up"):
        await WaitTask("nap", {"seconds": seconds}).execute({})
