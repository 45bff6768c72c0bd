"""What the desk holds: the account, what open orders will still change, and what the day has made of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal

from agents.base import Services
from agents.histories import previous_closes
from orchestration.domain.desk import Desk
from orchestration.domain.json_value import JsonObject, JsonValue
from orchestration.domain.orders import Account, Fill, OrderState, Side
from orchestration.quant.expirations import Expiring, expiring
from orchestration.quant.risk import Exposure, daily_loss, exposure, start_of_day
from orchestration.quant.rounding import money, significant


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """``pending`` is what open orders will still add, signed, by symbol; ``loss`` a share of ``started_with``."""

    account: Account
    exposure: Exposure
    open_orders: tuple[OrderState, ...]
    pending: dict[str, Decimal]
    started_with: Decimal
    loss: float


async def read_book(services: Services, on: date) -> Book:
    """Return the book now. The day began with the positions before its first fill, at the closes of the session before.

    The day is ``on``, from midnight in the exchange's zone.
    """
    account = await services.broker.account()
    open_orders = await services.broker.orders(open_only=True)
    midnight = datetime.combine(on, time(), tzinfo=services.timezone)
    today = [fill for fill in await services.broker.fills() if fill.at >= midnight]
    names = sorted({p.symbol for p in account.positions} | {fill.symbol for fill in today})
    closes = await previous_closes(services.market_data, names, on)
    started_with = start_of_day(account, today, closes, services.desk.instrument)
    return Book(
        account=account,
        exposure=exposure(account),
        open_orders=open_orders,
        pending=pending_quantities(open_orders),
        started_with=started_with,
        loss=daily_loss(account.equity, started_with),
    )


def pending_quantities(open_orders: tuple[OrderState, ...]) -> dict[str, Decimal]:
    """Return what open orders will still add to each symbol's position, signed."""
    pending: dict[str, Decimal] = {}
    for state in open_orders:
        symbol = state.order.symbol
        pending[symbol] = pending.get(symbol, Decimal(0)) + state.order.side.sign * state.remaining
    return pending


def expiring_positions(
    account: Account, desk: Desk, on: date, until: date, underlying: JsonValue = None
) -> tuple[Expiring, ...]:
    """Return the positions that expire by ``until``, with ``underlying`` only those on it; ``on`` is the session."""
    found = expiring(account.positions, desk.instrument, on, until)
    return tuple(one for one in found if underlying is None or one.instrument.underlying == underlying)


def cut_quantities(fills: Iterable[Fill], run_id: str) -> dict[str, Decimal]:
    """Return what the run's tasks named ``exposure_cut…`` have sold and its ``post_statement…`` not bought back.

    Orders carry run and task in their ids, so the broker's book tells it even where no input does.
    """
    cut: dict[str, Decimal] = {}
    for fill in fills:
        sold = fill.side is Side.SELL and fill.client_order_id.startswith(f"{run_id}:exposure_cut")
        back = fill.side is Side.BUY and fill.client_order_id.startswith(f"{run_id}:post_statement")
        if sold or back:
            cut[fill.symbol] = cut.get(fill.symbol, Decimal(0)) - fill.side.sign * fill.quantity
    return {symbol: quantity for symbol, quantity in cut.items() if quantity > 0}


def totals(book: Book) -> dict[str, str | float]:
    """Return equity, cash and exposures for a result: money as text, shares as numbers."""
    return {
        "equity": str(money(book.account.equity)),
        "cash": str(money(book.account.cash)),
        "started_with": str(money(book.started_with)),
        "daily_return": significant(-book.loss),
        "gross": significant(book.exposure.gross),
        "net": significant(book.exposure.net),
    }


def position_rows(book: Book) -> list[JsonObject]:
    """Return one object a position."""
    return [
        {
            "symbol": p.symbol,
            "quantity": str(p.quantity),
            "average_price": str(money(p.average_price)),
            "price": str(p.price),
            "value": str(money(p.value)),
            "weight": significant(book.exposure.weights[p.symbol]),
            "unrealised": str(money((p.price - p.average_price) * p.quantity * p.multiplier)),
        }
        for p in book.account.positions
    ]
