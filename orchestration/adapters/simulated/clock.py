"""The clock of a simulation."""

import asyncio
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime, timedelta

from orchestration.adapters.simulated.loop import SimulatedLoop
from orchestration.ports.clock import Waitable


class SimulatedClock:
    """Tells the time of the running `SimulatedLoop`, which stood at ``start`` (aware, UTC) when it was made."""

    def __init__(self, start: datetime) -> None:
        self._start = start

    def now(self) -> datetime:
        """The simulated moment."""
        return self._start + timedelta(microseconds=_loop().microseconds)

    def monotonic(self) -> float:
        """Simulated seconds."""
        return _loop().time()

    async def sleep_until(self, when: datetime) -> None:
        """Let everything else that is due before ``when`` happen first."""
        while (left := (when - self.now()) / timedelta(seconds=1)) > 0:
            await asyncio.sleep(left)

    async def wait(self, wake: Waitable, until: datetime | None) -> None:
        """Let ``wake`` or the jump to ``until`` come first."""
        left = None if until is None else (until - self.now()) / timedelta(seconds=1)
        with suppress(TimeoutError):
            async with asyncio.timeout(left):
                await wake.wait()

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """Limit the body to ``seconds`` of simulated time."""
        return asyncio.timeout(seconds)

    async def quiet(self) -> None:
        """Return once nothing else is left to do at this moment."""
        await _loop().quiet()


def _loop() -> SimulatedLoop:
    loop = asyncio.get_running_loop()
    if not isinstance(loop, SimulatedLoop):
        raise TypeError(f"a simulated clock runs on a simulated loop, not on {type(loop).__name__}")
    return loop
