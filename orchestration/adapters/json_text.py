"""Turn a record's data into canonical JSON text and back: what every store keeps, whatever it is made of."""

from typing import cast

import orjson

from orchestration.domain.json_value import JsonObject, to_json_value


def to_text(data: JsonObject, where: str) -> str:
    """Return ``data`` as JSON with sorted keys; raises `DefinitionError` with the path of what JSON cannot hold."""
    return orjson.dumps(to_json_value(data, where), option=orjson.OPT_SORT_KEYS).decode()


def from_text(text: str) -> JsonObject:
    """Return what `to_text` was given."""
    return cast("JsonObject", orjson.loads(text))
