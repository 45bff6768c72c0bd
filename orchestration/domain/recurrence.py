"""Recurring tasks: their moments in a span of time, pausing in breaks, and which one a dependant means."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from orchestration.domain.errors import DefinitionError
from orchestration.domain.session import Interval

_PERIOD = re.compile(r"([0-9]{1,7})\s*(s|m|h)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}


def parse_period(text: str, where: str = "every") -> timedelta:
    """Return the length that ``5m``, ``30s`` or ``1h`` means; it is longer than nothing."""
    match = _PERIOD.fullmatch(text.strip())
    if not match or not int(match[1]):
        raise DefinitionError(f"{where} is {text!r}; write a number and s, m or h, such as 5m")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def occurrences(span: Interval, every: timedelta, breaks: Iterable[Interval] = ()) -> tuple[datetime, ...]:
    """Return the moments ``span.starts_at``, one ``every`` later and so on, before its end and outside ``breaks``."""
    pauses = tuple(breaks)
    count = -(-span.length // every)
    moments = (span.starts_at + index * every for index in range(count))
    return tuple(moment for moment in moments if not any(moment in pause for pause in pauses))


def occurrence_name(name: str, moment: datetime) -> str:
    """Return the name of one occurrence: ``name@15:35Z`` (with seconds where it has them)."""
    return f"{name}@{moment:%H:%M:%SZ}" if moment.second else f"{name}@{moment:%H:%MZ}"


def latest_not_after(moments: Sequence[datetime], moment: datetime) -> datetime | None:
    """Return the last of the sorted ``moments`` that is not after ``moment``, or ``None``."""
    return max((m for m in moments if m <= moment), default=None)
