"""What expires on a date, and how near to its strike: expiring positions and pin risk."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from orchestration.domain.bars import Instrument
from orchestration.domain.orders import Position

PIN_DISTANCE = 0.01
"""Share of the strike within which nobody can say whether the option will be exercised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiring:
    """A position in an instrument that expires; ``overdue``: it should have been closed on an earlier date."""

    position: Position
    instrument: Instrument
    expires_on: date
    overdue: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PinRisk:
    """How far the underlying is from the strike, as a share of it; ``at_risk``: within `PIN_DISTANCE`."""

    symbol: str
    underlying: str
    strike: Decimal
    price: Decimal
    distance: float
    at_risk: bool


def expiring(
    positions: Iterable[Position], instrument: Callable[[str], Instrument], on: date, until: date | None = None
) -> tuple[Expiring, ...]:
    """Return the positions whose instrument expires by ``until`` (``on``) or has expired before; shares never do.

    ``until`` is the day before the session after ``on``: monthly options expired on Saturdays until 2015, and what
    expires between two sessions was last traded in the first.
    """
    found = []
    for held in positions:
        traded = instrument(held.symbol)
        if traded.expires_on is not None and traded.expires_on <= (until or on):
            late = traded.expires_on < on
            found.append(Expiring(position=held, instrument=traded, expires_on=traded.expires_on, overdue=late))
    return tuple(found)


def pin_risk(traded: Instrument, price: Decimal, near: float = PIN_DISTANCE) -> PinRisk | None:
    """Return the pin risk with the underlying at ``price``; ``None`` for what has no strike or names no underlying."""
    if traded.strike is None or traded.underlying is None:
        return None
    distance = float(abs(price - traded.strike) / traded.strike)
    return PinRisk(
        symbol=traded.symbol,
        underlying=traded.underlying,
        strike=traded.strike,
        price=price,
        distance=distance,
        at_risk=distance <= near,
    )
