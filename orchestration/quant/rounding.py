"""Round what leaves: money to the cent, prices to the tick, every other number to nine significant digits."""

import math
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

CENT = Decimal("0.01")


def money(value: Decimal | float) -> Decimal:
    """Return an amount in whole cents, halves to the even cent."""
    return to_tick(value, CENT)


def to_tick(price: Decimal | float, tick: Decimal = CENT) -> Decimal:
    """Return ``price`` as the nearest whole number of ticks, halves to the even one."""
    exact = price if isinstance(price, Decimal) else Decimal(repr(float(price)))
    return (exact / tick).quantize(Decimal(1), rounding=ROUND_HALF_EVEN) * tick


def whole_lots(quantity: Decimal, lot: Decimal) -> Decimal:
    """Return the part of a quantity that is whole lots, towards zero."""
    return (quantity / lot).quantize(Decimal(1), rounding=ROUND_DOWN) * lot


def significant(value: float) -> float:
    """Return ``value`` to nine significant digits. Raises `ValueError` for what is not finite: JSON cannot hold it."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is not finite; give None for a number that is not known")
    return float(f"{value:.9g}") + 0.0  # + 0.0: never a negative zero


def significant_or_none(value: float | None) -> float | None:
    """Return ``value`` to nine significant digits; ``None`` and what is not finite become ``None``."""
    return significant(value) if value is not None and math.isfinite(value) else None
