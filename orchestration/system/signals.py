"""How the machine asks a process to end."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STOPS = (signal.SIGTERM, signal.SIGINT)
STANDARD_ERROR = 2
STOPPED = "belltower: stopped by SIGTERM"
"""What a command says that a SIGTERM keeps from being done."""


def stopped_early(code: int = 0, said: str | None = None) -> None:
    """Exit with ``code`` on a SIGTERM that comes while no loop runs: process 1 would not hear it otherwise.

    ``said`` is a line for standard error.

    It does so on the spot: an exception raised in the middle of an import may get lost there. One that came earlier
    still, while the signal was blocked (the image starts us so), is heard now.
    """

    def end(*_: object) -> None:
        if said is not None:
            os.write(STANDARD_ERROR, f"{said}\n".encode())
        os._exit(code)

    signal.signal(signal.SIGTERM, end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


@contextmanager
def stop_signals(stop: Callable[[str], None]) -> Iterator[None]:
    """While the body runs in a loop, call ``stop(name)`` at the first SIGTERM or SIGINT; the second exits with 1.

    Afterwards they do what they did before.
    """
    loop = asyncio.get_running_loop()
    seen: list[str] = []

    def hear(name: str) -> None:
        if seen:
            os._exit(1)
        seen.append(name)
        stop(name)

    before = {number: signal.getsignal(number) for number in STOPS}
    for number in STOPS:
        loop.add_signal_handler(number, hear, number.name)
    try:
        yield
    finally:
        for number in STOPS:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number] or signal.SIG_DFL)
