"""Split a quantity into slices of whole lots."""

from decimal import Decimal

from orchestration.quant.rounding import whole_lots


def split_quantity(quantity: Decimal, slices: int, lot: Decimal = Decimal(1)) -> tuple[Decimal, ...]:
    """Return up to ``slices`` positive parts that sum to ``quantity``: whole lots, the remainder in the first.

    Parts differ by one lot at most; an odd piece of a lot that ``quantity`` may hold goes with the last. Fewer
    parts come back where there are fewer lots than slices.
    """
    if quantity <= 0 or slices < 1 or lot <= 0:
        raise ValueError(f"cannot split {quantity} into {slices} slices of lots of {lot}; all three are positive")
    lots = int(whole_lots(quantity, lot) / lot)
    odd = quantity - lots * lot
    count = max(1, min(slices, lots))
    each, more = divmod(lots, count)
    parts = [(each + (1 if index < more else 0)) * lot for index in range(count)]
    parts[-1] += odd
    return tuple(parts)
