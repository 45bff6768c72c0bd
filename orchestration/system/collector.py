"""Python's collector of garbage, kept out of a start."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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
    gc.enable()
