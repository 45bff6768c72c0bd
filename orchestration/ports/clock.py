"""The only source of time below the adapters."""

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol


class Waitable(Protocol):
    """Something that can be waited for, such as an `asyncio.Event`."""

    async def wait(self) -> object:
        """Return once it has happened."""


class Clock(Protocol):
    """Tells the time, waits, and limits waits; live by the machine's clocks, in a simulation by jumps."""

    def now(self) -> datetime:
        """The moment, aware, in UTC, to the microsecond."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back. For durations only."""

    async def sleep_until(self, when: datetime) -> None:
        """Return once it is ``when`` or later; at once if that is past. May be cancelled."""

    async def wait(self, wake: Waitable, until: datetime | None) -> None:
        """Return once ``wake`` is set or, unless ``until`` is ``None``, it is ``until``, whatever comes first."""

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """Cancel the body and raise `TimeoutError` after ``seconds`` of `monotonic` time; ``None``: never."""

    async def quiet(self) -> None:
        """Return once nothing else can happen at this moment; live that can't be known, and it returns at once."""
