"""Prices: daily bars, ticks, quotes and what is traded."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One session's prices of one symbol, adjusted for splits and dividends in all columns."""

    symbol: str
    date: date
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One price of a path: ``volume`` shares changed hands at ``price`` around ``at`` (aware, UTC)."""

    at: datetime
    price: Decimal
    volume: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The last known price of a symbol: ``at`` says when it was made; ``synthetic``: drawn, not recorded."""

    symbol: str
    price: Decimal
    at: datetime
    synthetic: bool


class Right(StrEnum):
    """The right that an option gives."""

    CALL = "call"
    PUT = "put"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """What is traded under a symbol; shares carry no ``expires_on``, ``strike`` or ``right``.

    One unit stands for ``multiplier`` units of ``underlying``.
    """

    symbol: str
    expires_on: date | None = None
    strike: Decimal | None = None
    right: Right | None = None
    underlying: str | None = None
    multiplier: Decimal = Decimal(1)
    tick_size: Decimal = Decimal("0.01")
    lot_size: Decimal = Decimal(1)
