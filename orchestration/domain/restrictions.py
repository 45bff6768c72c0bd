"""When a desk may not open or add: windows of time, each with its reason."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from orchestration.domain.orders import Order


class RestrictionLevel(StrEnum):
    """What is refused; stricter levels come with the halts of the daemon."""

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
    return held * order.side.sign < 0 and order.quantity <= abs(held)


def refusal(order: Order, held: Decimal, restrictions: Iterable[Restriction], moment: datetime) -> str | None:
    """Return why ``order`` is refused at ``moment``, or ``None``; what only reduces is never refused."""
    if reduces(order, held):
        return None
    for restriction in restrictions:
        if restriction.holds(moment, order.symbol):
            return f"{restriction.level} until {restriction.ends_at:%Y-%m-%dT%H:%M:%SZ}: {restriction.reason}"
    return None
