"""Take secrets out of what is logged, by the name of the field and by the look of the text."""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum

MASK = "***"

_NAMES = r"(?:passw(?:or)?d|passphrase|secret|authorization|api[-_]?key|private[-_]?key|credential|cookie|token)"
_SECRET_NAME = re.compile(rf"(?i)(?:{_NAMES}s?$|secret|passw)")
_PATTERNS = (
    # https://user:password@host; the user may help to find the fault, the password never does
    (re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b(bearer\s+)[a-z0-9._~+/=-]{4,}"), rf"\1{MASK}"),
    (re.compile(r"(?i)(authorization[\"']?\s*[=:]\s*[\"']?basic\s+)[a-z0-9+/=]+"), rf"\1{MASK}"),
    # token=…, "password": "…", api_key: …
    (re.compile(rf"(?i)({_NAMES}[\"']?\s*[=:]\s*[\"']?)(?!bearer|basic)[^\s\"'&,;}}\])]+"), rf"\1{MASK}"),
)


def masked_text(text: str) -> str:
    """Return ``text`` without passwords in addresses, bearer values, and values given as ``token=…`` and the like."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def masked(value: object) -> object:
    """Return ``value`` made of plain JSON values, with secrets masked at any depth; objects become masked text."""
    match value:
        case None | bool() | float():
            return value
        case Enum():
            return masked(value.value)
        case int():
            return int(value) if -(2**63) <= value < 2**63 else str(value)
        case str():
            return masked_text(value)
        case Mapping():
            return masked_fields(value)
        case list() | tuple() | set() | frozenset():
            return [masked(item) for item in value]
        case date():
            return value.isoformat()
        case Decimal() | timedelta():
            return str(value)
        case _:
            return masked_text(repr(value))


def masked_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """Return ``fields`` with the values of secret names masked; ``None`` and truth values tell nothing and stay."""
    return {str(name): _masked_field(str(name), value) for name, value in fields.items()}


def _masked_field(name: str, value: object) -> object:
    secret = _SECRET_NAME.search(name) is not None
    counted = name.lower().endswith("tokens") and isinstance(value, int)  # of a language model
    return MASK if secret and not counted and value is not None and not isinstance(value, bool) else masked(value)
