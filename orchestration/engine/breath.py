"""Let others have their turn on the event loop."""

from collections.abc import Generator


class _Breath:
    """What a task awaits to go on in the loop's next round: a bare ``yield``, as asyncio means it."""

    def __await__(self) -> Generator[None]:
        yield


BREATH = _Breath()
