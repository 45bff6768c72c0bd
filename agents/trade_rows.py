"""Trades as results carry them from one agent to the next."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from agents.task_data import TaskData, inputs_of, rows
from orchestration.domain.errors import DefinitionError
from orchestration.domain.json_value import JsonObject
from orchestration.domain.orders import OrderType, Side
from orchestration.quant.sizing import Dropped, Trade


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTrade:
    """A trade that another agent asked for; a `limit` trade never trades beyond ``limit_price``.

    A ``reduce_only`` one makes a position smaller or is not made.
    """

    symbol: str
    side: Side
    quantity: Decimal
    reference_price: Decimal
    type: OrderType
    limit_price: Decimal | None
    reason: str
    reduce_only: bool = False


def trade_rows(trades: Iterable[Trade], reason: str = "") -> list[JsonObject]:
    """Return trades as rows; ``reason`` goes before each one's own."""
    return [
        {
            "symbol": trade.symbol,
            "side": trade.side.value,
            "quantity": str(trade.quantity),
            "reference_price": str(trade.price),
            "type": OrderType.MARKET.value,
            "reduce_only": trade.reduce_only,
            "reason": f"{reason}: {trade.reason}" if reason else trade.reason,
        }
        for trade in trades
    ]


def dropped_rows(dropped: Iterable[Dropped]) -> list[JsonObject]:
    """Return what is not traded as rows."""
    return [
        {"symbol": d.symbol, "side": d.side.value, "quantity": str(d.quantity), "reason": d.reason} for d in dropped
    ]


def read_trades(result: JsonObject, key: str) -> list[tuple[PlannedTrade, JsonObject]]:
    """Return the trades in the list under ``key``, each beside its row.

    Raises `DefinitionError` for a row that is no trade: an order is never guessed.
    """
    return [(_read(row, f"{key}[{index}]"), row) for index, row in enumerate(rows(result, key))]


def planned_trades(task_data: TaskData) -> tuple[list[tuple[PlannedTrade, JsonObject]], list[str]]:
    """Return the ``trades`` of all inputs in order, and the names of the inputs that left no result."""
    inputs = inputs_of(task_data)
    missing = [name for name, result in inputs if result is None]
    return [pair for _, result in inputs if result is not None for pair in read_trades(result, "trades")], missing


def approved_trades(task_data: TaskData) -> tuple[list[PlannedTrade], list[str]]:
    """Return the trades to send, and the names of the inputs that left no result.

    Where an input speaks of ``approved`` trades, only those; where trades should have been checked and the check left
    no result, none; else all planned ones.
    """
    inputs = inputs_of(task_data)
    checks = [result for _, result in inputs if result is not None and "approved" in result]
    if checks:
        missing = [name for name, result in inputs if result is None]
        return [trade for result in checks for trade, _ in read_trades(result, "approved")], missing
    pairs, missing = planned_trades(task_data)
    return ([] if "validate_trades" in missing else [trade for trade, _ in pairs]), missing


def _read(row: JsonObject, where: str) -> PlannedTrade:
    try:
        kind = OrderType(str(row.get("type", OrderType.MARKET.value)))
        limit = Decimal(str(row["limit_price"])) if kind is OrderType.LIMIT else None
        trade = PlannedTrade(
            symbol=str(row["symbol"]),
            side=Side(str(row["side"])),
            quantity=Decimal(str(row["quantity"])),
            reference_price=Decimal(str(row["reference_price"])),
            type=kind,
            limit_price=limit,
            reason=str(row.get("reason", "")),
            reduce_only=row.get("reduce_only") is True,
        )
    except (KeyError, ValueError, InvalidOperation) as error:
        raise DefinitionError(
            f"{where} is no trade ({error!r}); give symbol, side, quantity, reference_price, and limit_price to a limit"
        ) from None
    if kind is OrderType.STOP or not trade.quantity > 0 or not trade.reference_price > 0:
        raise DefinitionError(f"{where} is a {kind} trade of {trade.quantity}; give a market or limit one over 0")
    return trade
