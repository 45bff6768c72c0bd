"""How the parts of the service are."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Health(StrEnum):
    """The state of a part or of something it depends on."""

    STARTING = "starting"
    OK = "ok"
    DEGRADED = "degraded"
    """It works, slower than usual or without something that it can do without."""
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentHealth:
    """One part or dependency: its state since ``since`` (aware, UTC), why, and how long the last look took.

    ``required``: the service is not ready without it.
    """

    name: str
    state: Health
    since: datetime
    required: bool = True
    reason: str | None = None
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether the service can do its work, and, if not, why."""

    ready: bool
    reasons: tuple[str, ...] = ()
