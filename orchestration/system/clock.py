"""The machine's clock: wall time for moments, monotonic time for durations."""

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

NAP_S = 30.0
"""The longest wait between two looks at the wall clock: so late a suspended machine or a stepped clock is noticed."""


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

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """Limit the body to ``seconds`` of monotonic time."""
        return asyncio.timeout(seconds)

    async def quiet(self) -> None:
        """Return at once: live, nobody knows what comes next."""
