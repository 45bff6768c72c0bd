"""The machine's clock: wall time for moments, monotonic time for durations."""

import asyncio
import time
from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime

from orchestration.ports.clock import Waitable

NAP_S = 1.0
"""The longest wait between two looks at the wall clock: so late a suspended machine or a stepped clock is noticed.

An idle daemon takes 0.35 % of a processor with naps of a second, and 0.33 % with naps of half a minute."""


class WallClock:
    """The `Clock` of everything that runs live."""

    def now(self) -> datetime:
        """The machine's wall time."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """The machine's monotonic time, in seconds."""
        return time.monotonic()

    async def sleep_until(self, when: datetime) -> None:
        """Sleep in naps, looking at the wall clock after each, so that suspends and clock steps don't matter."""
        while (left := (when - self.now()).total_seconds()) > 0:
            await asyncio.sleep(min(left, NAP_S))

    async def wait(self, wake: Waitable, until: datetime | None) -> None:
        """Wait in naps, as in `sleep_until`."""
        while until is None or (left := (until - self.now()).total_seconds()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(None if until is None else min(left, NAP_S)):
                    await wake.wait()
                    return

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """Limit the body to ``seconds`` of monotonic time."""
        return asyncio.timeout(seconds)

    async def quiet(self) -> None:
        """Return at once: live, nobody knows what comes next."""
