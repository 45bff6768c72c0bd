"""A controller over a home of its own, on a clock that the test sets, in this process."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestration.config import TradingConfig
from orchestration.controller import OrchestrationController
from orchestration.system.clock import WallClock
from orchestration.system.home_lock import home_lock

SATURDAY = datetime(2012, 12, 8, 12, tzinfo=UTC)
PATIENCE_S = 10.0


class SetClock(WallClock):
    """The machine's clock, set to ``start`` when it is made, and to other moments later."""

    def __init__(self, start: datetime) -> None:
        self.offset = start - super().now()

    def now(self) -> datetime:
        return super().now() + self.offset

    def set(self, to: datetime) -> None:
        self.offset += to - self.now()


def desk(
    home: Path, start: datetime = SATURDAY, *, clock: SetClock | None = None, **settings: Any
) -> OrchestrationController:
    config = TradingConfig(home=home, **{"port": 0, **settings})
    return OrchestrationController(config, clock=clock or SetClock(start))


async def until(fact: Callable[[], object]) -> None:
    """Turn the loop until ``fact`` holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not fact():  # noqa: ASYNC110 (whatever the fact is, nobody announces it)
            await asyncio.sleep(0.005)


def completed(control: OrchestrationController, tasks: int) -> bool:
    done = control.get_system_status()["statistics"]["total_tasks_completed"]
    return isinstance(done, int) and done >= tasks


def threads() -> set[str]:
    ours = ("loop-watch", "belltower-store")
    return {one.name for one in threading.enumerate() if one.name.startswith(ours)}


def assert_nothing_half_started(home: Path) -> None:
    assert not (home / "daemon.json").exists()
    assert threads() == set()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    with home_lock(home):
        pass
