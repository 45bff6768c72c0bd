"""An event loop on which waiting takes no time: it jumps to the next due moment when nothing is left to do."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_MICROSECONDS = 1_000_000


class NothingLeftToDoError(RuntimeError):
    """Everything waits, and nothing is due: on a real loop this would hang for ever."""

    def __init__(self) -> None:
        super().__init__("every task of the simulation waits for something that nothing will bring about")


class _JumpingSelector(selectors.DefaultSelector):
    """Has ``jump`` skip ``timeout`` seconds instead of waiting; sockets and threads are not waited for."""

    jump: Callable[[float | None], None]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and (timeout is None or timeout > 0):
            self.jump(timeout)
        return ready


class SimulatedLoop(asyncio.SelectorEventLoop):
    """A loop whose ``time()`` starts at 0 and moves only when nothing else can happen.

    Every sleep and timeout of asyncio and anyio follows it, also in code that knows nothing of simulations. There are
    no threads: `run_in_executor` is refused, since nobody could say whether a thread is still at work.
    """

    def __init__(self) -> None:
        self.microseconds = 0
        """`time` as a whole number: what moments are made of, so that no rounding adds up."""
        self._waiting_for_quiet: list[asyncio.Future[None]] = []
        selector = _JumpingSelector()
        super().__init__(selector)
        self._clock_resolution = 1 / _MICROSECONDS  # what is due within this microsecond is due
        selector.jump = self._jump

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self.microseconds / _MICROSECONDS

    async def quiet(self) -> None:
        """Return once nothing else is left to do at this moment; several waiters go on together, in order."""
        waiter: asyncio.Future[None] = self.create_future()
        self._waiting_for_quiet.append(waiter)
        await waiter

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]  # as asyncio's own stub does
        """Refuse: see the class."""
        raise RuntimeError(f"{func!r} wants a thread, and a simulation has none: await it, or give it an adapter")

    def _jump(self, timeout: float | None) -> None:
        if self._waiting_for_quiet:
            waiters, self._waiting_for_quiet = self._waiting_for_quiet, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        elif timeout is None:
            raise NothingLeftToDoError
        else:
            self.microseconds += max(1, round(timeout * _MICROSECONDS))


def run_simulated(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run ``main()`` to its end on a `SimulatedLoop` of its own."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(main())
