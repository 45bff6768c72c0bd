"""A call on its way to whoever does a store's work, and back."""

import asyncio
from collections.abc import Sequence
from typing import Generic, TypeVar

W = TypeVar("W")


class Job(Generic[W]):
    """``work`` goes there, ``value`` or ``error`` comes back; made in the loop in which `outcome` is awaited."""

    __slots__ = ("_loop", "_settled", "_waiter", "error", "value", "work")

    def __init__(self, work: W, loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self._loop = loop
        self._waiter = loop.create_future()
        self._settled = False
        self.value: object = None
        self.error: BaseException | None = None

    async def outcome(self) -> object:
        """Return the value or raise the error, once there is one.

        Cancelled, it waits all the same before it goes on: otherwise nobody could say what was kept.
        """
        try:
            await self._waiter
        except asyncio.CancelledError:
            while not self._settled:
                self._waiter = self._loop.create_future()
                try:
                    await self._waiter
                except asyncio.CancelledError:
                    continue
            raise
        if self.error is not None:
            raise self.error
        return self.value

    def fail(self, error: BaseException) -> None:
        """Raise ``error`` from `outcome`, unless it has its own already; in the loop."""
        if not self._settled:
            self.error = error
            self.settle()

    def settle(self) -> None:
        """Wake whoever waits; in the loop."""
        self._settled = True
        if not self._waiter.done():
            self._waiter.set_result(None)


def settle_all(jobs: Sequence[Job[W]]) -> None:
    """Wake all whose work was finished together."""
    for job in jobs:
        job.settle()
