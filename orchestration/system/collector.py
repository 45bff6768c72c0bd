"""Python's collector of garbage, kept out of a start."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

THRESHOLDS = (10_000, 20, 50)
"""After how many new objects the young are looked at, and after how many such looks the older, and all. A look at all
of a large run holds the loop up for tens of milliseconds, and by Python's own values there are many."""


@contextmanager
def held_collector() -> Iterator[Callable[[], None]]:
    """Let the collector rest while the body runs, or until the body calls what it is handed.

    A start makes hundreds of thousands of objects that stay, and the collector would look at all of them again and
    again. The call sets aside for good what there is, so that no later collection looks at it, and holds the loop up.
    """
    gc.disable()
    try:
        yield _go_on
    finally:
        gc.enable()


def _go_on() -> None:
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()
