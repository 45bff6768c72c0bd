"""Where draws come from."""

from typing import Protocol


class Draws(Protocol):
    """A stream of random numbers."""

    def random(self) -> float:
        """The next number, 0 <= x < 1."""


class Randomness(Protocol):
    """Opens streams of random numbers by name: the same seed and name give the same stream."""

    def stream(self, name: str) -> Draws:
        """A new stream, from its beginning."""
