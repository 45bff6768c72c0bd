"""Gather what a report says of a day that has ended: its orders, its fills, its prices and the account's way."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from agents.report.contents import ReportDay
from orchestration.domain.bars import Tick
from orchestration.domain.desk import Desk
from orchestration.domain.json_value import JsonObject
from orchestration.domain.orders import Account, Fill, Position
from orchestration.domain.session import Session
from orchestration.ports.broker import Broker
from orchestration.ports.market_data import MarketData
from orchestration.quant.equity import equity_path

_NO_RUNS_OWN = ("expiry:", "halt-")
"""How the ids begin of orders that no task sent: what the broker settled, and what a halt closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedDay:
    """A day that has run: ``plan`` as ``plan --json`` has it, the ``result`` of its last run, and all its ``runs``."""

    plan: JsonObject
    result: JsonObject
    date: date
    session: Session | None
    since: datetime
    """When it began: what no run sent belongs to the day from then on."""
    runs: Collection[str]
    event_log_sha256: str = ""

    def has(self, client_order_id: str, at: datetime) -> bool:
        """Whether an order, or a fill of it, of that moment is the day's."""
        run, _, rest = client_order_id.partition(":")
        return run in self.runs if rest and not client_order_id.startswith(_NO_RUNS_OWN) else at >= self.since


async def record_day(
    day: EndedDay, *, before: Account, broker: Broker, market: MarketData, desk: Desk, detailed: bool = True
) -> ReportDay:
    """Return ``day`` for a report; ``before`` is the account at its start, and now is its end.

    Only a ``detailed`` day has the paths of its prices and what the account was worth along them.
    """
    account = await broker.account()
    orders = tuple(o for o in await broker.orders() if day.has(o.order.client_order_id, o.submitted_at))
    fills = tuple(f for f in await broker.fills() if day.has(f.client_order_id, f.at))
    ticks = await _ticks(market, day.session, desk.symbols) if detailed else {}
    return ReportDay(
        plan=day.plan,
        result=day.result,
        account=account,
        orders=orders,
        fills=fills,
        ticks=ticks,
        equity=equity_path(before, fills, ticks, desk),
        event_log_sha256=day.event_log_sha256,
    )


async def account_before(day: EndedDay, *, broker: Broker, market: MarketData, desk: Desk) -> Account:
    """Return the account as it was when ``day`` began, by taking back every fill since; also after a restart.

    Positions are worth the last close before the day, or what they were bought at where none is known. What a position
    was opened at is not known any more: it stands there at its price.
    """
    now, fills = await broker.account(), await broker.fills()
    cash, held = now.cash, {position.symbol: position.quantity for position in now.positions}
    prices = {position.symbol: position.average_price for position in now.positions}
    for fill in _newest_first(fills, day.since):
        signed = fill.quantity * fill.side.sign
        cash += signed * fill.price * desk.instrument(fill.symbol).multiplier + fill.commission
        held[fill.symbol] = held.get(fill.symbol, Decimal(0)) - signed
        prices[fill.symbol] = fill.price
    for symbol in held:
        bars = market.daily_history(symbol, before=day.date, count=1) if symbol in market.symbols else ()
        prices |= {bar.symbol: bar.close for bar in bars}
    return Account(at=day.since, cash=cash, positions=_positions(held, prices, desk))


def _newest_first(fills: Iterable[Fill], since: datetime) -> list[Fill]:
    return [fill for fill in reversed(list(fills)) if fill.at >= since]


def _positions(held: Mapping[str, Decimal], prices: Mapping[str, Decimal], desk: Desk) -> tuple[Position, ...]:
    return tuple(
        Position(
            symbol=symbol,
            quantity=held[symbol],
            average_price=prices[symbol],
            price=prices[symbol],
            multiplier=desk.instrument(symbol).multiplier,
        )
        for symbol in sorted(held)
        if held[symbol]
    )


async def _ticks(market: MarketData, session: Session | None, symbols: Sequence[str]) -> dict[str, tuple[Tick, ...]]:
    if session is None:
        return {}
    after, until = session.opens_at - timedelta(microseconds=1), session.closes_at
    paths = {symbol: await market.ticks(symbol, after=after, until=until) for symbol in symbols}
    return {symbol: path for symbol, path in paths.items() if path}
