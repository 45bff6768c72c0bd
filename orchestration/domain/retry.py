"""How long to wait before a failed attempt is made again."""

from dataclasses import dataclass


@dataclass(slots=True)
class RetryStrategy:
    """Exponential delays with a ceiling, in seconds."""

    base_delay: float = 1.0
    max_delay: float = 60.0
    exponential_base: float = 2

    def get_retry_delay(self, attempt: int) -> float:
        """Return the seconds to wait before retry number ``attempt``, counted from 0."""
        try:
            return min(self.base_delay * self.exponential_base**attempt, self.max_delay)
        except OverflowError:
            return self.max_delay
