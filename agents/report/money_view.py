"""The money side of a day: orders with their fills, weights against targets, and cash that adds up."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from agents.report.contents import Report
from agents.report.tasks import TaskLine
from agents.report.wording import money, spoken
from orchestration.domain.json_reading import as_object, as_objects, as_text
from orchestration.domain.orders import Account, Fill, Order, OrderState, OrderStatus, OrderType, Position, Side

_TONES = {
    OrderStatus.FILLED: "completed",
    OrderStatus.REJECTED: "failed",
    OrderStatus.CANCELLED: "cancelled",
    OrderStatus.EXPIRED: "expired",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """One order as the table shows it; ``tone`` is the task status whose colour it takes."""

    at: datetime
    order: Order
    kind: str
    status: str
    tone: str
    filled: Decimal
    average_price: Decimal | None
    value: Decimal
    commission: Decimal
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightLine:
    """What one symbol is of the account: shares of equity, and the lengths of the bars in per cent of the longest."""

    symbol: str
    position: Position | None
    weight: float
    target: float | None
    bar: float
    mark: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsent:
    """A trade that a task thought of and left out, ``count`` times over."""

    symbol: str
    side: str
    quantity: str
    task: str
    count: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CashSum:
    """From the cash before to the cash after; ``other`` is what the day's fills do not explain."""

    before: Decimal
    bought: Decimal
    sold: Decimal
    commission: Decimal
    after: Decimal

    @property
    def other(self) -> Decimal:
        """Money that came or went without a fill, such as a settlement."""
        return self.after - (self.before - self.bought + self.sold - self.commission)


def order_lines(report: Report, orders: tuple[OrderState, ...], fills: tuple[Fill, ...]) -> tuple[OrderLine, ...]:
    """Return the orders, oldest first, each with what its fills of the day add up to."""
    return tuple(_order_line(report, state, fills) for state in sorted(orders, key=lambda s: s.submitted_at))


def cash_sum(report: Report, opening: Account, closing: Account, fills: tuple[Fill, ...]) -> CashSum:
    """Return how the day's fills lead from the cash before to the cash after."""
    sums = {side: sum((report.value(f) for f in fills if f.side is side), Decimal(0)) for side in Side}
    return CashSum(
        before=opening.cash,
        bought=sums[Side.BUY],
        sold=sums[Side.SELL],
        commission=sum((f.commission for f in fills), Decimal(0)),
        after=closing.cash,
    )


def weight_lines(account: Account, targets: Mapping[str, float]) -> tuple[WeightLine, ...]:
    """Return the symbols held or aimed at, sorted, and cash last; none for an account that is worth nothing."""
    equity = account.equity
    if equity <= 0:
        return ()
    positions = {position.symbol: position for position in account.positions}
    symbols = sorted({*positions, *(s for s, weight in targets.items() if weight)})
    weights = {s: float(positions[s].value / equity) if s in positions else 0.0 for s in symbols}
    aims = {s: targets.get(s, 0.0) if targets else None for s in symbols}
    weights["cash"] = float(account.cash / equity)
    aims["cash"] = 1 - sum(targets.values()) if targets else None
    longest = max([abs(w) for w in weights.values()] + [abs(a) for a in aims.values() if a is not None]) or 1.0

    def length(share: float) -> float:
        return round(min(abs(share) / longest, 1) * 100, 2)

    return tuple(
        WeightLine(
            symbol=symbol,
            position=positions.get(symbol) if symbol in symbols else None,
            weight=weight,
            target=(aim := aims[symbol]),
            bar=length(weight),
            mark=None if aim is None else length(aim),
        )
        for symbol, weight in weights.items()
    )


def unsent_trades(lines: Iterable[TaskLine]) -> tuple[Unsent, ...]:
    """Return the rows under ``dropped`` or ``refused`` in the tasks' results, equal ones of a task once.

    Rows that the broker rejected are left to the table of orders.
    """
    found = Counter(
        (line.name, *(as_text(row.get(key)) for key in ("symbol", "side", "quantity", "reason")))
        for line in lines
        for occurrence in line.occurrences
        for key in ("dropped", "refused")
        for row in as_objects(as_object(occurrence.result).get(key))
        if as_text(row.get("status")) != OrderStatus.REJECTED
    )
    return tuple(
        Unsent(task=task, symbol=symbol, side=side, quantity=size, reason=reason, count=count)
        for (task, symbol, side, size, reason), count in found.items()
    )


def _order_line(report: Report, state: OrderState, fills: tuple[Fill, ...]) -> OrderLine:
    own = [fill for fill in fills if fill.client_order_id == state.order.client_order_id]
    return OrderLine(
        at=state.submitted_at,
        order=state.order,
        kind=_kind(state.order),
        status=spoken(state.status),
        tone=_TONES.get(state.status, "running"),
        filled=state.filled_quantity,
        average_price=state.average_price,
        value=sum((report.value(fill) for fill in own), Decimal(0)),
        commission=sum((fill.commission for fill in own), Decimal(0)),
        reason=state.reason or "",
    )


def _kind(order: Order) -> str:
    price = order.limit_price if order.type is OrderType.LIMIT else order.stop_price
    return f"{order.type} {money(price)}" if price is not None else str(order.type)
