"""The credentials of callers, for as long as the process lives."""

import re
from datetime import datetime

from orchestration.domain.errors import DefinitionError

_SHA256 = re.compile("[0-9a-f]{64}")


class MemoryTokenStore:
    """A `TokenStore` in a dictionary."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        """By hash."""

    async def add(self, sha256: str, *, name: str, at: datetime) -> None:
        """Keep one more token; nobody can ask this store for dates, so they are let go."""
        require_sha256(sha256)
        if at.tzinfo is None:
            raise DefinitionError(f"the moment {at.isoformat()} has no zone; give an aware one, in UTC")
        self._names.setdefault(sha256, name)

    async def replace(self, sha256: str, *, name: str, at: datetime) -> int:
        """Keep this token and forget the others of its name."""
        await self.add(sha256, name=name, at=at)
        revoked = [one for one, its in self._names.items() if its == name and one != sha256]
        for one in revoked:
            del self._names[one]
        return len(revoked)

    async def all(self) -> frozenset[str]:
        """The hashes of all tokens."""
        return frozenset(self._names)


def require_sha256(text: str) -> None:
    """Raise `DefinitionError` for anything but a SHA-256 in lower-case hexadecimal: it might be a token in clear.

    The message does not repeat it.
    """
    if not _SHA256.fullmatch(text):
        raise DefinitionError("a token is kept as its SHA-256, 64 lower-case hexadecimal digits, and this is not one")
