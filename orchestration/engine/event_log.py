"""The fingerprint of a run: two runs with the same one did the same things at the same moments."""

import hashlib
from collections.abc import Iterable

import orjson

from orchestration.domain.records import Record
from orchestration.engine.public_events import iso

LEFT_OUT = frozenset({"code_version"})
"""What a record says of the program and not of the day."""


def event_log_sha256(records: Iterable[Record]) -> str:
    """Return the SHA-256, in hexadecimal, over one canonical JSON line a record, in sequence, keys sorted."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(log_line(record))
    return digest.hexdigest()


def log_line(record: Record) -> bytes:
    """Return the line of ``record``, as canonical JSON."""
    line = {
        "sequence": record.sequence,
        "kind": record.kind,
        "at": iso(record.at),
        "stage": record.stage,
        "task": record.task,
        "data": {key: value for key, value in record.data.items() if key not in LEFT_OUT},
    }
    return orjson.dumps(line, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
