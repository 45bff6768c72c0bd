"""The machine's own clock on simulated time, for a wall clock that somebody sets while everything waits."""

import asyncio
from datetime import datetime, timedelta

from orchestration.adapters.simulated.loop import SimulatedLoop
from orchestration.system.clock import WallClock


class SteeredClock(WallClock):
    """`WallClock` as it is, naps and all, over a simulated loop; ``step`` is by how much its wall time was set."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self.step = timedelta()

    def now(self) -> datetime:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        return self._start + timedelta(microseconds=loop.microseconds) + self.step

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()
