"""What may cross a border of the service: JSON values, checked and copied once."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from orchestration.domain.errors import DefinitionError

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
JsonObject: TypeAlias = Mapping[str, JsonValue]

DEEPEST = 100
"""How many lists and mappings may stand in each other."""
_LEAST, _MOST = -(2**63), 2**64 - 1


def to_json_value(value: object, path: str = "value") -> JsonValue:
    """Return a copy of ``value`` made of dicts, lists, strings, finite numbers, booleans and ``None`` only.

    Enums with a string or integer value are reduced to it. Raises `DefinitionError` naming the path of the first
    thing that can't be kept as JSON (a NaN, a whole number past 64 bits, a date, an object, a key that is no string,
    half a surrogate pair, more than `DEEPEST` levels).
    """
    return _copy(value, path, DEEPEST)


def copy_json(value: Any) -> Any:
    """Return ``value`` with mappings and lists, at any depth, copied, so that changing the one leaves the other."""
    if isinstance(value, Mapping):
        return {key: copy_json(item) for key, item in value.items()}
    return [copy_json(item) for item in value] if isinstance(value, list) else value


def storable(text: str) -> str:
    """Return ``text`` with whatever UTF-8 can't hold written as an escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def _copy(value: object, path: str, levels: int) -> JsonValue:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _checked_text(value, path)
    if isinstance(value, int):
        if not _LEAST <= value <= _MOST:
            raise DefinitionError(f"{path} is a whole number past 64 bits, which JSON can't keep: give it as text")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise DefinitionError(f"{path} is {value}; JSON has no such number: use null")
        return float(value)
    if isinstance(value, Mapping | list | tuple) and not levels:
        raise DefinitionError(f"{path[:60]}… is nested more than {DEEPEST} levels deep: make it flatter")
    if isinstance(value, Mapping):
        copy: dict[str, JsonValue] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise DefinitionError(f"{path} has the key {key!r}; JSON keys are strings")
            copy[_checked_text(key, path)] = _copy(item, f"{path}.{key}", levels - 1)
        return copy
    if isinstance(value, list | tuple):
        return [_copy(item, f"{path}[{index}]", levels - 1) for index, item in enumerate(value)]
    raise DefinitionError(
        f"{path} is a {type(value).__name__}, which is no JSON value: give text, a number, a list or a mapping"
    )


def _checked_text(text: str, path: str) -> str:
    if storable(text) != text:
        raise DefinitionError(f"{path} is {storable(text)!r}, which is no valid Unicode text: decode it first")
    return str(text)
