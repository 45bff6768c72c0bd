"""Moments as stage files write them, such as ``start+5m``, ``close-30m`` or ``fomc_statement-45m``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from orchestration.domain.errors import DefinitionError, nearest
from orchestration.domain.recurrence import parse_period

_MOMENT = re.compile(r"(?P<anchor>[a-z_]+)(?:\s*(?P<sign>[+-])\s*(?P<length>[0-9hms]+))?")
_LENGTH = re.compile(r"(?:\d+[hms])+")
_PIECE = re.compile(r"\d+[hms]")


class Anchor(StrEnum):
    """What a moment hangs on."""

    START = "start"
    END = "end"
    OPEN = "open"
    CLOSE = "close"
    FOMC_STATEMENT = "fomc_statement"
    FOMC_PRESS_CONFERENCE = "fomc_press_conference"
    RESTRICTIONS_END = "restrictions_end"


OF_A_STAGE = frozenset({Anchor.START, Anchor.END})
"""These mean the task's own stage; the others are the same for the whole day."""

MISSING: Mapping[Anchor, str] = {
    Anchor.FOMC_STATEMENT: "no FOMC statement comes in this session",
    Anchor.FOMC_PRESS_CONFERENCE: "no FOMC press conference comes in this session",
    Anchor.RESTRICTIONS_END: "nothing is restricted in this session",
}
"""Why an anchor may have no moment on a day."""


@dataclass(frozen=True, slots=True)
class Moment:
    """``offset`` (negative: before) from ``anchor``."""

    anchor: Anchor
    offset: timedelta

    def on(self, anchors: Mapping[Anchor, datetime]) -> datetime | None:
        """Return the instant on a day with these ``anchors``; ``None`` when the day lacks this one."""
        at = anchors.get(self.anchor)
        return None if at is None else at + self.offset


def parse_moment(text: str) -> Moment:
    """Return the moment that ``text`` means: an anchor, then perhaps ``+`` or ``-`` and a length."""
    match = _MOMENT.fullmatch(text.strip())
    if not match:
        raise DefinitionError(f"{text!r} is no moment; write an anchor and a length, such as start+5m or close-30m")
    if match["anchor"] not in set(Anchor):
        hint = nearest(match["anchor"], [anchor.value for anchor in Anchor])
        raise DefinitionError(f"{text!r} is no moment: {match['anchor']!r} is no anchor{hint}")
    length = parse_length(match["length"], zero=True) if match["length"] else timedelta()
    return Moment(Anchor(match["anchor"]), -length if match["sign"] == "-" else length)


def parse_length(text: str, *, zero: bool = False) -> timedelta:
    """Return the length that ``90m``, ``1h30m`` or ``45s`` means; ``zero``: it may be nothing."""
    if not _LENGTH.fullmatch(text):
        raise DefinitionError(f"{text!r} is no length; write numbers with h, m or s, such as 90m or 1h30m")
    pieces = [piece for piece in _PIECE.findall(text) if int(piece[:-1])]
    if not pieces and not zero:
        raise DefinitionError(f"{text!r} is no length: it has to be longer than nothing")
    return sum((parse_period(piece) for piece in pieces), timedelta())
