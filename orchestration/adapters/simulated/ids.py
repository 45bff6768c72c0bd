"""Identifiers of a simulation: the same in every repetition."""

from datetime import timedelta

from orchestration.ports.clock import Clock

_COUNTER_BITS = 80


class SimulatedIds:
    """Identifiers from the simulated moment and a counter."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._count = 0

    def next_id(self) -> str:
        """A new identifier of 32 hexadecimal digits."""
        self._count += 1
        now = self._clock.now()
        milliseconds = (now - now.fromtimestamp(0, now.tzinfo)) // timedelta(milliseconds=1)
        return f"{milliseconds << _COUNTER_BITS | self._count:032x}"
