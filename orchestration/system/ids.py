"""Identifiers from the machine's clock and its randomness."""

import os
import time

_RANDOM_BITS = 80


class SystemIds:
    """Identifiers whose first 12 digits are the wall clock's milliseconds; within one millisecond they count up."""

    def __init__(self) -> None:
        self._last = 0

    def next_id(self) -> str:
        """A new identifier of 32 hexadecimal digits, after all earlier ones of this process."""
        drawn = time.time_ns() // 1_000_000 << _RANDOM_BITS | int.from_bytes(os.urandom(_RANDOM_BITS // 8))
        self._last = max(drawn, self._last + 1)
        return f"{self._last:032x}"
