"""Draws seeded by name."""

import random

from orchestration.ports.randomness import Draws


class SeededRandomness:
    """Streams that depend on the seed and their name and on nothing else; only ``.random()`` of them is stable."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def stream(self, name: str) -> Draws:
        """A new stream for ``name``."""
        return random.Random(f"{self.seed}:{name}")  # noqa: S311 (draws for simulations and jitter, never for secrets)
