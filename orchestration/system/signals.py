"""How the machine asks a process to end."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STOPS = (signal.SIGTERM, signal.SIGINT)


def stopped_early() -> None:
    """Exit with 0 on a SIGTERM that comes before the loop runs: process 1 would not hear it otherwise.

    It does so on the spot: an exception raised in the middle of an import may get lost there. One that came earlier
    still, while the signal was blocked (the image starts us so), is heard now.
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


@contextmanager
def stop_signals(stop: Callable[[str], None]) -> Iterator[None]:
    """While the body runs in a loop, call ``stop(name)`` at the first SIGTERM or SIGINT; the second exits with 1."""
    loop = asyncio.get_running_loop()
    seen: list[str] = []

    def hear(name: str) -> None:
        if seen:
            os._exit(1)
        seen.append(name)
        stop(name)

    for number in STOPS:
        loop.add_signal_handler(number, hear, number.name)
    try:
        yield
    finally:
        for number in STOPS:
            loop.remove_signal_handler(number)
