"""When a desk may not open or add: windows of time, and halts, each with its reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from orchestration.domain.halts import Halt, HaltLevel
from orchestration.domain.orders import Order, OrderState, Side


class RestrictionLevel(StrEnum):
    """What is refused; the stricter levels are those of a halt."""

    NO_NEW_ORDERS = "no_new_orders"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """A half-open window (aware, UTC) in which ``level`` holds, for ``symbols`` only or, if ``None``, for all."""

    level: RestrictionLevel
    starts_at: datetime
    ends_at: datetime
    reason: str
    symbols: frozenset[str] | None = None

    def holds(self, moment: datetime, symbol: str | None = None) -> bool:
        """Whether it holds at ``moment`` for ``symbol`` (``None``: for a symbol that nobody named)."""
        concerned = self.symbols is None or (symbol is not None and symbol in self.symbols)
        return concerned and self.starts_at <= moment < self.ends_at


def reduces(order: Order, held: Decimal) -> bool:
    """Whether ``order`` only makes the signed position ``held`` smaller, without crossing zero."""
    return _shrinks(order.side, order.quantity, held)


def refusal(order: Order, held: Decimal, restrictions: Iterable[Restriction], moment: datetime) -> str | None:
    """Return why ``order`` is refused at ``moment``, or ``None``; what only reduces is never refused."""
    if reduces(order, held):
        return None
    for restriction in restrictions:
        if restriction.holds(moment, order.symbol):
            return f"{restriction.level} until {restriction.ends_at:%Y-%m-%dT%H:%M:%SZ}: {restriction.reason}"
    return None


def halt_refusal(order: Order, held: Decimal, halt: Halt | None) -> str | None:
    """Return why ``order`` is refused while ``halt`` holds, or ``None``.

    ``held`` is the signed position that it would meet. Up to `HaltLevel.CLOSE_ONLY` what only reduces goes on; from
    `HaltLevel.CANCEL_ALL` on nothing does.
    """
    if halt is None:
        return None
    goes_on = halt.level in {HaltLevel.NO_NEW_ORDERS, HaltLevel.CLOSE_ONLY}
    return None if goes_on and reduces(order, held) else str(halt)


def opening(open_orders: Iterable[OrderState], held: Mapping[str, Decimal]) -> tuple[OrderState, ...]:
    """Return the ``open_orders`` whose fills could open, add or cross zero, given the signed positions ``held``.

    They are judged in the order given: two orders that would each close the same position are not both reducing, the
    first one is.
    """
    left = dict(held)
    found: list[OrderState] = []
    for state in open_orders:
        symbol, side = state.order.symbol, state.order.side
        if _shrinks(side, state.remaining, left.get(symbol, Decimal(0))):
            left[symbol] += side.sign * state.remaining
        else:
            found.append(state)
    return tuple(found)


def _shrinks(side: Side, quantity: Decimal, held: Decimal) -> bool:
    return held * side.sign < 0 and quantity <= abs(held)
