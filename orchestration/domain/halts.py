"""Halts: the operator's stop, in levels, kept until somebody lifts it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from orchestration.domain.errors import DefinitionError, nearest


class HaltLevel(StrEnum):
    """What a halt forbids and does; each level includes the ones before it."""

    NO_NEW_ORDERS = "no_new_orders"
    """Whatever opens or adds is refused; reducing goes on."""
    CLOSE_ONLY = "close_only"
    """And resting orders that would open or add are cancelled."""
    CANCEL_ALL = "cancel_all"
    """And every resting order is cancelled, and none is sent."""
    FLATTEN = "flatten"
    """And every position is closed."""

    @classmethod
    def parse(cls, text: str) -> "HaltLevel":
        """Return the level called ``text``. Raises `DefinitionError` for an unknown one."""
        if text not in set(cls):
            raise DefinitionError(f"halt level is {text!r}{nearest(text, [level.value for level in cls])}")
        return cls(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """A halt that holds: since ``at`` (aware, UTC), by ``by`` (``cli``, ``api`` or a part's name), for ``reason``."""

    level: HaltLevel
    reason: str
    at: datetime
    by: str

    def __post_init__(self) -> None:
        require_reason(self.reason, "halt")
        _require_zone(self.at)

    def __str__(self) -> str:
        return f"halt {self.level} since {self.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} by {self.by}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One line of the audit: who did what, when, and why.

    ``action`` is ``halt``, ``resume``, ``revoke_token`` or ``prune``; a resume's ``level`` is the one it lifted,
    ``None`` where none held.
    """

    at: datetime
    by: str
    action: str
    level: HaltLevel | None
    reason: str

    def __post_init__(self) -> None:
        require_reason(self.reason, self.action)
        _require_zone(self.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftToDo:
    """Something that a halt has not brought about yet: an order or a position by its name, and why not."""

    subject: str
    reason: str


def require_reason(reason: str, action: str) -> None:
    """Raise `DefinitionError` unless somebody said why they ask for ``action``."""
    if not reason.strip():
        raise DefinitionError(f"a {action} needs a reason: say why, for whoever looks at it next")


def _require_zone(at: datetime) -> None:
    if at.tzinfo is None:
        raise DefinitionError(f"the moment {at.isoformat()} has no zone; give an aware one, in UTC")
