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
PLAIN = frozenset({str, int, float, bool, type(None)})
"""The types whose values need no copy."""


def to_json_value(value: object, path: str = "value") -> JsonValue:
    """Return a copy of ``value`` made of dicts, lists, strings, finite numbers, booleans and ``None`` only.

    Enums with a string or integer value are reduced to it. Raises `DefinitionError` naming the path of the first
    thing that can't be kept as JSON (a NaN, a whole number past 64 bits, a date, an object, a key that is no string,
    half a surrogate pair, more than `DEEPEST` levels).
    """
    return _copy(value, path, DEEPEST)


def copy_json(value: Any) -> Any:
    """Return ``value`` with mappings and lists, at any depth, copied, so that changing the one leaves the other."""
    kind = type(value)
    if kind in PLAIN:  # most of what passes here: no look at the abstract classes, which is slow
        return value
    if kind is dict or isinstance(value, Mapping):
        return {key: item if type(item) in PLAIN else copy_json(item) for key, item in value.items()}
    return [copy_json(item) for item in value] if isinstance(value, list) else value


def storable(text: str) -> str:
    """Return ``text`` with whatever UTF-8 can't hold written as an escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def _copy(value: object, path: str, levels: int) -> JsonValue:
    if value is None or value is True or value is False:
        return value
    if type(value) is dict and levels:  # what most results are, ahead of the general case, for speed
        return {
            key if type(key) is str and key.isascii() else _checked_key(key, path): (
                item
                if item is None or item is True or item is False or (type(item) is str and item.isascii())
                else _copy(item, f"{path}.{key}", levels - 1)
            )
            for key, item in value.items()
        }
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
        return {_checked_key(key, path): _copy(item, f"{path}.{key}", levels - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(item, f"{path}[{index}]", levels - 1) for index, item in enumerate(value)]
    raise DefinitionError(
        f"{path} is a {type(value).__name__}, which is no JSON value: give text, a number, a list or a mapping"
    )


def _checked_key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise DefinitionError(f"{path} has the key {key!r}; JSON keys are strings")
    return _checked_text(key, path)


def _checked_text(text: str, path: str) -> str:
    if not text.isascii() and storable(text) != text:
        raise DefinitionError(f"{path} is {storable(text)!r}, which is no valid Unicode text: decode it first")
    return str(text)
