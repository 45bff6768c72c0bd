"""Read plain JSON values for showing: what is missing or of another kind becomes empty, never an error."""

from collections.abc import Mapping
from datetime import UTC, datetime

from orchestration.domain.json_value import JsonObject, JsonValue


def as_text(value: JsonValue) -> str:
    """Return a text as it is, a number or a boolean written out, and everything else as ``""``."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) else ""


def as_number(value: JsonValue) -> float | None:
    """Return a number; ``None`` for everything else, booleans included."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def as_object(value: JsonValue) -> JsonObject:
    """Return a mapping as it is, everything else as an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_objects(value: JsonValue) -> tuple[JsonObject, ...]:
    """Return the mappings in a list."""
    return tuple(item for item in value if isinstance(item, Mapping)) if isinstance(value, list | tuple) else ()


def as_texts(value: JsonValue) -> tuple[str, ...]:
    """Return the texts in a list."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list | tuple) else ()


def as_moment(value: JsonValue) -> datetime | None:
    """Return the instant (aware, UTC) that an ISO 8601 text means; a text without an offset is UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
