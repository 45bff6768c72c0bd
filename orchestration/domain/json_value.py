"""What may cross a border of the service: JSON values, checked and copied once."""

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from orchestration.domain.errors import DefinitionError

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
JsonObject: TypeAlias = Mapping[str, JsonValue]


def to_json_value(value: object, path: str = "value") -> JsonValue:
    """Return a copy of ``value`` made of dicts, lists, strings, finite numbers, booleans and ``None`` only.

    Enums with a string or integer value are reduced to it. Raises `DefinitionError` naming the path of the first
    thing that JSON cannot hold (a NaN, a date, an object, a key that is no string).
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise DefinitionError(f"{path} is {value}; JSON has no such number: use null")
        return float(value)
    if isinstance(value, Mapping):
        copy: dict[str, JsonValue] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise DefinitionError(f"{path} has the key {key!r}; JSON keys are strings")
            copy[key] = to_json_value(item, f"{path}.{key}")
        return copy
    if isinstance(value, list | tuple):
        return [to_json_value(item, f"{path}[{index}]") for index, item in enumerate(value)]
    raise DefinitionError(
        f"{path} is a {type(value).__name__}, which is no JSON value: give text, a number, a list or a mapping"
    )
