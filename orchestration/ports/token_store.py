"""Where the credentials of callers are kept, as SHA-256 only."""

from datetime import datetime
from typing import Protocol


class TokenStore(Protocol):
    """Knows the SHA-256 (hexadecimal) of every token that opens the API."""

    async def add(self, sha256: str, *, name: str, at: datetime) -> None:
        """Keep one more token; the same one again changes nothing."""

    async def replace(self, sha256: str, *, name: str, at: datetime) -> int:
        """Make this the one token of that ``name``; return how many others of the name open nothing any more."""

    async def all(self) -> frozenset[str]:
        """The hashes of all tokens."""
