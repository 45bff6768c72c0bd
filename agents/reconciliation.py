"""Whether a broker's fills explain its positions, its cash and its orders."""

from collections.abc import Iterable
from decimal import Decimal

from orchestration.domain.desk import Desk
from orchestration.domain.json_value import JsonObject
from orchestration.domain.orders import Account, Fill, OrderState


def differences(desk: Desk, account: Account, fills: Iterable[Fill], orders: Iterable[OrderState]) -> list[JsonObject]:
    """Return every difference between what the fills add up to and what the broker says, in exact decimals.

    The account is taken to have begun with the desk's cash and no positions, so that money paid in or out shows up as a
    difference of cash.
    """
    quantities: dict[str, Decimal] = {}
    by_order: dict[str, Decimal] = {}
    cash = desk.cash
    for fill in fills:
        signed = fill.side.sign * fill.quantity
        quantities[fill.symbol] = quantities.get(fill.symbol, Decimal(0)) + signed
        by_order[fill.client_order_id] = by_order.get(fill.client_order_id, Decimal(0)) + fill.quantity
        cash -= signed * fill.price * desk.instrument(fill.symbol).multiplier + fill.commission
    held = {position.symbol: position.quantity for position in account.positions}
    found: list[JsonObject] = []
    for symbol in sorted({*quantities, *held}):
        _compare(found, f"position {symbol}", quantities.get(symbol, Decimal(0)), held.get(symbol, Decimal(0)))
    _compare(found, "cash", cash, account.cash)
    for state in orders:
        name = state.order.client_order_id
        _compare(found, f"order {name}", by_order.pop(name, Decimal(0)), state.filled_quantity)
    for name in sorted(by_order):
        _compare(found, f"unknown order {name}", by_order[name], Decimal(0))
    return found


def _compare(found: list[JsonObject], what: str, by_fills: Decimal, by_broker: Decimal) -> None:
    if by_fills != by_broker:
        found.append(
            {
                "what": what,
                "by_fills": str(by_fills),
                "by_broker": str(by_broker),
                "difference": str(by_broker - by_fills),
            }
        )
