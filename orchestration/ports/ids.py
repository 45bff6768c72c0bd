"""Where identifiers come from."""

from typing import Protocol


class Ids(Protocol):
    """Makes identifiers that sort by the time at which they were made."""

    def next_id(self) -> str:
        """A new identifier: 32 lower-case hexadecimal digits, later ones sort after earlier ones."""
