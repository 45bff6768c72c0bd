"""Functions that definitions of the flat form name."""

import asyncio
from types import SimpleNamespace
from typing import Any

NO_FUNCTION = 3


def double(number: int) -> int:
    """A function without wishes."""
    return number * 2


async def add_all(inputs: dict[str, int], extra: int = 0) -> int:
    """A coroutine function that wants its inputs."""
    return sum(inputs.values()) + extra


def say_where(context: SimpleNamespace) -> dict[str, Any]:
    """A function that wants to know where it is."""
    return {
        "task": context.task,
        "attempt": context.attempt,
        "session": context.session,
        "market": context.services.market,
        "variable": context.variables["colour"],
    }


def spoil(numbers: list[int], inputs: dict[str, Any]) -> str:
    """A function that changes what it was given."""
    numbers.append(99)
    inputs["first"] = "spoilt"
    raise RuntimeError("boom")


async def wait(seconds: float) -> None:
    """A coroutine function that takes its time."""
    await asyncio.sleep(seconds)
