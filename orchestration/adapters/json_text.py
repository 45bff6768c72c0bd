"""Turn a record's data into canonical JSON text and back: what every store keeps, whatever it is made of."""

from typing import cast

import orjson

from orchestration.domain.json_value import JsonObject, to_json_value
from orchestration.domain.records import Record

_AS_IT_IS = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
"""What orjson would turn into JSON by itself (a date, a dataclass) is no data of ours: it refuses it instead."""


def to_text(data: JsonObject, where: str) -> str:
    """Return ``data`` as JSON with sorted keys; raises `DefinitionError` with the path of what JSON cannot hold."""
    return orjson.dumps(to_json_value(data, where), option=orjson.OPT_SORT_KEYS).decode()


def checked_text(data: JsonObject, record: Record) -> str:
    """Return what `to_text` returns for ``data`` of ``record`` that `to_json_value` let in before.

    They are not walked again, at a tenth of the price; a NaN, which only that walk sees, would become a null here.
    What orjson refuses is walked after all: for the path in the message, or because it is a mapping of another kind.
    """
    try:
        return orjson.dumps(data, None, _AS_IT_IS).decode()
    except TypeError:
        return to_text(data, f"run {record.run_id}, record {record.sequence}: data")


def from_text(text: str) -> JsonObject:
    """Return what `to_text` was given."""
    return cast("JsonObject", orjson.loads(text))
