"""Work trades into the market: slice by slice, first a limit order, then what is left of it as a market order."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from agents.base import Services
from agents.trade_rows import PlannedTrade
from orchestration.domain.errors import OutcomeUnknownError, TransientError
from orchestration.domain.json_value import JsonObject
from orchestration.domain.orders import Order, OrderState, OrderStatus, OrderType
from orchestration.quant.rounding import to_tick
from orchestration.quant.sizing import WORTH_ITS_COMMISSION
from orchestration.quant.slicing import split_quantity

ASK_AGAIN = (timedelta(seconds=1), timedelta(seconds=4))
"""The waits between the questions about an order of a lost attempt, where the broker does not answer."""
POLL = timedelta(minutes=1)
"""How often the broker is asked what became of an order."""
TOWARDS = Decimal("0.0005")
"""By this share a limit order betters the quote for the other side, so that it fills unless the price runs away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """``slices`` spread evenly over ``length``, and nothing open after ``end`` (aware, UTC)."""

    slices: int
    length: timedelta
    end: datetime

    @property
    def method(self) -> str:
        """How orders are worked, in words."""
        if not self.length:
            return f"market orders at once, followed until {self.end:%H:%M} UTC; what is open then is cancelled"
        minutes = self.length / timedelta(minutes=1)
        return (
            f"{self.slices} slices over {minutes:g} minutes: each a limit order {TOWARDS:.2%} beyond the quote; what "
            f"is left at the end of its interval goes on as a market order; all is cancelled at {self.end:%H:%M} UTC"
        )

    def boundaries(self, start: datetime) -> list[datetime]:
        """The start of every slice and the end of the last, ``start`` first, all by ``end``."""
        length = max(timedelta(0), min(self.length, self.end - start - POLL))  # a minute for the last market orders
        return [start + length * index / self.slices for index in range(self.slices + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One slice of one trade; ``name`` and a letter make the order's id, the same in every attempt."""

    name: str
    trade: PlannedTrade
    quantity: Decimal


class WorkingOrders:
    """The orders of one attempt; ``states`` are the last known ones in the order sent, ``refused`` what was not sent.

    Cancelling `carry_out` leaves open orders where they are: the next attempt finds them by their ids and goes on.
    ``sending`` is shared by all who send for this desk: what may only reduce is measured and sent in one go.
    """

    def __init__(self, services: Services, *, prefix: str, schedule: Schedule, sending: asyncio.Lock) -> None:
        self.refused: list[JsonObject] = []
        self._sending = sending
        self._services = services
        self._prefix = prefix
        self._schedule = schedule
        self._states: dict[str, OrderState] = {}
        self._unknown: dict[str, _Part] = {}
        """Orders of which nobody could tell whether the broker has them, by id."""

    @property
    def states(self) -> tuple[OrderState, ...]:
        """Every order that the broker has of this task."""
        return tuple(self._states.values())

    async def carry_out(self, trades: Sequence[PlannedTrade]) -> None:
        """Work ``trades`` until all orders have ended or the schedule's end has come, when the rest is cancelled.

        Raises `OutcomeUnknownError` at the end, naming the orders of which nobody can tell whether the broker has them.
        """
        slices = self._sliced(trades)
        times = self._schedule.boundaries(await self._started(slices))
        for parts, start, end in zip(slices, times, times[1:], strict=False):
            await self._services.clock.sleep_until(start)
            if self._schedule.length:
                await self._patiently(parts, end)
            else:
                await self._at_once(parts)
        await self._end()

    async def wind_up(self, trades: Sequence[PlannedTrade]) -> None:
        """Send nothing, since the schedule's end has passed: cancel what earlier attempts left open, refuse the rest.

        Raises `OutcomeUnknownError` as `carry_out` does.
        """
        unclear = await self.unclear(trades)
        if unclear:
            raise OutcomeUnknownError("; ".join(unclear))
        for parts in self._sliced(trades):
            for part in parts:
                if not {part.name + "L", part.name + "M"} & self._states.keys():
                    self._refuse(part, f"the deadline {self._schedule.end:%H:%M} UTC has passed")
        await self._end()

    async def _end(self) -> None:
        """Follow what is open until the schedule's end, then cancel it; what was unclear is asked about again."""
        unclear = await self._ask_about_unknown()
        await self._follow(self._open(), self._schedule.end)
        if unclear:
            unclear = await self._ask_about_unknown()
            await self._follow(self._open(), self._schedule.end)
        for name in self._open():
            await self._cancel(name)
        if unclear:
            raise OutcomeUnknownError("; ".join(unclear))

    async def unclear(self, trades: Sequence[PlannedTrade]) -> tuple[str, ...]:
        """Ask about every order that an earlier attempt may have sent; return what could not be found out, in words.

        What was found is in `states` afterwards. Nothing is sent.
        """
        possible = [part.name + suffix for parts in self._sliced(trades) for part in parts for suffix in ("L", "M")]
        found: list[str] = []
        for name in possible:
            reason = await self._insisted(name)
            if reason:
                found.append(f"{name}: {reason}")
        reason = await self._strange(possible)
        return (*found, reason) if reason else tuple(found)

    async def _insisted(self, name: str) -> str | None:
        """Ask about an order, several times if need be; return why that could not be found out."""
        for wait in (*ASK_AGAIN, None):
            try:
                await self._asked(name)
            except OutcomeUnknownError as error:
                return str(error)
            except TransientError as error:
                if wait is None:
                    return f"the broker could not be asked: {error}"
                await self._services.clock.sleep_until(self._services.clock.now() + wait)
            else:
                return None
        return None

    async def _strange(self, possible: Sequence[str]) -> str | None:
        """Say so when the task has sent orders that it would not send now: sizes or slices have changed since."""
        known = set(possible)
        try:
            states = await self._services.broker.orders()
        except (TransientError, OutcomeUnknownError) as error:
            return f"the broker could not be asked for its orders: {error}"
        names = [state.order.client_order_id for state in states]
        others = [name for name in names if name.startswith(f"{self._prefix}:") and name not in known]
        if not others:
            return None
        return f"{', '.join(others)}: sent by the lost attempt, and today's desk would send others in its place"

    async def _ask_about_unknown(self) -> list[str]:
        """Ask once more about the orders that were unclear when they were sent; return what still is, in words."""
        left: list[str] = []
        for name, part in list(self._unknown.items()):
            try:
                there = await self._asked(name)
            except (TransientError, OutcomeUnknownError) as error:
                left.append(str(error))
                continue
            del self._unknown[name]
            if not there:
                self._refuse_lost(part, name)
        return left

    async def _at_once(self, parts: Sequence[_Part]) -> None:
        for part in parts:
            if part.trade.limit_price is not None:
                await self._send(part, "L", part.quantity, part.trade.limit_price)
            else:
                await self._send(part, "M", part.quantity)

    async def _patiently(self, parts: Sequence[_Part], end: datetime) -> None:
        """Limit orders until ``end``, then market orders for what was not filled; a trade's own limit stays."""
        patient: list[_Part] = []
        for part in parts:
            if part.trade.limit_price is not None:
                await self._send(part, "L", part.quantity, part.trade.limit_price)
            elif await self._send_near_the_quote(part):
                patient.append(part)
        await self._follow([part.name + "L" for part in patient], end)
        for part in patient:
            name = part.name + "L"
            if self._states[name].status.open:
                await self._cancel(name)
            state = self._states[name]
            in_time = self._services.clock.now() < self._schedule.end
            if state.status is OrderStatus.CANCELLED and state.remaining and in_time:
                await self._send(part, "M", state.remaining)

    async def _send_near_the_quote(self, part: _Part) -> bool:
        """Send the limit order of a part; ``False``: there is no quote, or nothing to reduce, and it is refused."""
        there = await self._asked_before(part, "L")
        if there is not False:
            return there is True
        symbol = part.trade.symbol
        quote = await self._services.market_data.quote(symbol) if symbol in self._services.market_data.symbols else None
        if quote is None:
            self._refuse(part, "no price is known now")
            return False
        tick = self._services.desk.instrument(symbol).tick_size
        price = max(tick, to_tick(quote.price * (1 + part.trade.side.sign * TOWARDS), tick))
        return await self._send(part, "L", part.quantity, price)

    async def _send(self, part: _Part, suffix: str, quantity: Decimal, limit_price: Decimal | None = None) -> bool:
        """Send an order unless the broker has one of that id: then an earlier attempt sent it, and it counts.

        ``False``: the trade may only reduce and there is nothing left to reduce, or the broker's answer was lost and it
        knows of no such order: then it is refused; or nobody can tell, and it is asked about at the end.
        """
        name = part.name + suffix
        there = await self._asked_before(part, suffix)
        if there is not False:
            return there is True
        async with self._sending:
            if part.trade.reduce_only:
                quantity = min(quantity, await self._reducible(part.trade))
                if quantity <= 0:
                    self._refuse(part, "nothing is left to reduce")
                    return False
            order = Order(
                client_order_id=name,
                symbol=part.trade.symbol,
                side=part.trade.side,
                quantity=quantity,
                type=OrderType.MARKET if limit_price is None else OrderType.LIMIT,
                limit_price=limit_price,
            )
            try:
                self._states[name] = await self._services.broker.submit(order)
            except OutcomeUnknownError:
                there = await self._asked_before(part, suffix)
                if there is not False:
                    return there is True
                self._refuse_lost(part, name)
                return False
        return True

    async def _asked_before(self, part: _Part, suffix: str) -> bool | None:
        """Whether the broker has the order; ``None``: nobody can tell, and it is asked about again at the end."""
        try:
            return await self._asked(part.name + suffix)
        except OutcomeUnknownError:
            self._unknown[part.name + suffix] = part
            return None

    async def _asked(self, name: str) -> bool:
        """Whether the broker has an order of this id; if it does, note what became of it."""
        state = await self._services.broker.order(name)
        if state is not None:
            self._states[name] = state
        return state is not None

    async def _reducible(self, trade: PlannedTrade) -> Decimal:
        """How much of the position an order on this side can still take away: what open ones do not take already."""
        held = (await self._services.broker.account()).position(trade.symbol)
        if held is None or held.quantity * trade.side.sign > 0:
            return Decimal(0)
        open_orders = await self._services.broker.orders(open_only=True)
        busy = [s for s in open_orders if s.order.symbol == trade.symbol and s.order.side is trade.side]
        return abs(held.quantity) - sum((state.remaining for state in busy), Decimal(0))

    async def _cancel(self, name: str) -> None:
        """Cancel an order; a lost answer is asked for again by another attempt, since cancelling twice is harmless."""
        try:
            self._states[name] = await self._services.broker.cancel(name)
        except OutcomeUnknownError as error:
            raise TransientError(f"whether {name} was cancelled is not known: {error}") from error

    def _refuse_lost(self, part: _Part, name: str) -> None:
        self._refuse(part, f"the broker's answer was lost, and it knows of no order {name}: not sent again")

    def _refuse(self, part: _Part, reason: str) -> None:
        self.refused.append({"symbol": part.trade.symbol, "side": part.trade.side.value, "reason": reason})

    async def _follow(self, names: Sequence[str], until: datetime) -> None:
        """Ask after the orders every minute until none of them is open or it is ``until``.

        A broker that cannot be reached is asked again a minute later: hours of asking outlast any number of attempts.
        """
        while any(self._states[name].status.open for name in names):
            now = self._services.clock.now()
            if now >= until:
                return
            await self._services.clock.sleep_until(min(now + POLL, until))
            for name in names:
                if self._states[name].status.open:
                    with suppress(TransientError, OutcomeUnknownError):
                        await self._asked(name)

    def _open(self) -> list[str]:
        return [name for name, state in self._states.items() if state.status.open]

    def _sliced(self, trades: Iterable[PlannedTrade]) -> list[list[_Part]]:
        """The parts of each slice; a trade of fewer lots than slices has none in the last ones.

        No slice is so small that the least commission would eat it.
        """
        slices: list[list[_Part]] = [[] for _ in range(self._schedule.slices)]
        legs: dict[str, int] = {}
        for trade in trades:
            leg = legs[trade.symbol] = legs.get(trade.symbol, 0) + 1
            traded = self._services.desk.instrument(trade.symbol)
            least = self._services.desk.costs.commission_minimum * WORTH_ITS_COMMISSION
            value = trade.quantity * trade.reference_price * traded.multiplier
            most = self._schedule.slices if not least else min(self._schedule.slices, max(1, int(value / least)))
            whole = trade.type is OrderType.LIMIT
            quantities = (trade.quantity,) if whole else split_quantity(trade.quantity, most, traded.lot_size)
            for index, quantity in enumerate(quantities):
                name = f"{self._prefix}:{trade.symbol}:{leg}.{index + 1}"
                slices[index].append(_Part(name=name, trade=trade, quantity=quantity))
        return slices

    async def _started(self, slices: list[list[_Part]]) -> datetime:
        """When the first attempt began: what it sent tells, so that a later one keeps to the same times."""
        for part in slices[0]:
            for suffix in ("L", "M"):
                with suppress(OutcomeUnknownError):  # it is asked about when its turn comes
                    state = await self._services.broker.order(part.name + suffix)
                    if state is not None:
                        return state.submitted_at
        return self._services.clock.now()


def order_row(state: OrderState) -> JsonObject:
    """An order as results show it."""
    order = state.order
    return {
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.type.value,
        "limit_price": str(order.limit_price) if order.limit_price is not None else None,
        "quantity": str(order.quantity),
        "filled": str(state.filled_quantity),
        "average_price": str(state.average_price) if state.average_price is not None else None,
        "status": state.status.value,
        "reason": state.reason,
        "submitted_at": state.submitted_at.isoformat(),
    }
