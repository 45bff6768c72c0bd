"""The gate before a broker: refuses what halts, restrictions and risk limits forbid, before the broker sees it."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

from orchestration.domain.bars import Instrument
from orchestration.domain.desk import RiskLimits
from orchestration.domain.halts import Halt
from orchestration.domain.orders import Account, Fill, Order, OrderState, OrderStatus
from orchestration.domain.restrictions import Restriction, halt_refusal, reduces, refusal
from orchestration.ports.broker import Broker
from orchestration.ports.clock import Clock
from orchestration.ports.market_data import MarketData

REFUSALS_KEPT = 1000
"""Refused orders that are remembered; the oldest go first."""


def _plain_share(symbol: str) -> Instrument:
    return Instrument(symbol=symbol)


def _no_halt() -> Halt | None:
    return None


class GatedBroker:
    """A `Broker` that asks before it passes an order on.

    What is refused comes back as rejected, with the reason, and never reaches ``inner``; the same id sent again is
    judged anew. An id that ``inner`` knows is a repeat and passes. Limits count open orders as if they had filled;
    what only reduces a position passes all limits and restrictions. ``instrument`` tells a symbol's multiplier,
    ``halt`` the halt that holds, asked again at the last moment before an order goes out, and ``scale`` what the limits
    are multiplied by now.
    """

    def __init__(
        self,
        inner: Broker,
        *,
        clock: Clock,
        limits: RiskLimits,
        market_data: MarketData,
        restrictions: Callable[[], Sequence[Restriction]],
        instrument: Callable[[str], Instrument] = _plain_share,
        halt: Callable[[], Halt | None] = _no_halt,
        scale: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self._inner = inner
        self._clock = clock
        self._limits = limits
        self._market = market_data
        self._restrictions = restrictions
        self._instrument = instrument
        self._halt = halt
        self._scale = scale
        self._refused: dict[str, OrderState] = {}
        self._lock = asyncio.Lock()

    @property
    def name(self) -> str:
        """The inner broker's."""
        return self._inner.name

    async def submit(self, order: Order) -> OrderState:
        """Pass ``order`` on, or refuse it; one at a time, so that two orders cannot use the same room."""
        async with self._lock:
            if await self._inner.order(order.client_order_id) is None:
                reason = await self._objection(order)
                if reason:
                    return self._refuse(order, reason)
            state = await self._inner.submit(order)
            self._refused.pop(order.client_order_id, None)
            return state

    @asynccontextmanager
    async def exclusively(self) -> AsyncIterator[Broker]:
        """Give the broker behind the gate while no order is on its way: those under way have their answer first."""
        async with self._lock:
            yield self._inner

    async def cancel(self, client_order_id: str) -> OrderState:
        """Cancel with the inner broker; a refused order is returned as it is."""
        return self._refused.get(client_order_id) or await self._inner.cancel(client_order_id)

    async def order(self, client_order_id: str) -> OrderState | None:
        """What became of an order, refused ones included."""
        return self._refused.get(client_order_id) or await self._inner.order(client_order_id)

    async def orders(self, *, open_only: bool = False) -> tuple[OrderState, ...]:
        """The inner broker's orders and the refused ones, oldest first."""
        inner = await self._inner.orders(open_only=open_only)
        if open_only or not self._refused:
            return inner
        return tuple(sorted((*inner, *self._refused.values()), key=lambda state: state.submitted_at))

    async def fills(self) -> tuple[Fill, ...]:
        """The inner broker's fills."""
        return await self._inner.fills()

    async def account(self) -> Account:
        """The inner broker's account."""
        return await self._inner.account()

    def _refuse(self, order: Order, reason: str) -> OrderState:
        now = self._clock.now()
        state = OrderState(order=order, status=OrderStatus.REJECTED, submitted_at=now, updated_at=now, reason=reason)
        self._refused.pop(order.client_order_id, None)
        self._refused[order.client_order_id] = state
        if len(self._refused) > REFUSALS_KEPT:
            del self._refused[next(iter(self._refused))]
        return state

    async def _objection(self, order: Order) -> str | None:
        account = await self._inner.account()
        open_orders = await self._inner.orders(open_only=True)
        held = _held(account, order.symbol)
        certain = held + sum(_signed(s) for s in open_orders if s.order.symbol == order.symbol and _same_way(s, order))
        objection = await self._unfit(order, certain, account, open_orders)
        # Asked last: a halt may have come during the questions above, and from here to the broker nothing waits.
        return halt_refusal(order, certain, self._halt()) or objection

    async def _unfit(
        self, order: Order, certain: Decimal, account: Account, open_orders: Sequence[OrderState]
    ) -> str | None:
        """Why restrictions and limits forbid ``order``, which meets the position ``certain``."""
        price = await self._price(order.symbol)
        if price is None:
            return f"{order.symbol} has no usable price"
        if reduces(order, certain):
            return None
        return refusal(order, certain, self._restrictions(), self._clock.now()) or await self._over_limit(
            order, price, account, open_orders
        )

    async def _over_limit(
        self, order: Order, price: Decimal, account: Account, open_orders: Sequence[OrderState]
    ) -> str | None:
        equity = account.equity
        if equity <= 0:
            return f"the account's equity is {equity:.2f}: nothing may be opened"
        exposures: defaultdict[str, Decimal] = defaultdict(Decimal)
        for position in account.positions:
            exposures[position.symbol] += position.value
        for state in open_orders:
            last = await self._price(state.order.symbol) or Decimal(0)
            exposures[state.order.symbol] += _signed(state) * last * self._multiplier(state.order.symbol)
        notional = order.quantity * price * self._multiplier(order.symbol)
        exposures[order.symbol] += order.side.sign * notional
        scale = self._scale()
        checks = (
            ("per_order", "this order", notional, self._limits.per_order * scale),
            ("per_name", order.symbol, abs(exposures[order.symbol]), self._limits.per_name * scale),
            ("gross", "gross exposure", sum(map(abs, exposures.values()), Decimal(0)), self._limits.gross * scale),
        )
        for limit, what, amount, share in checks:
            if amount > equity * Decimal(str(share)):
                return f"{limit} limit: {what} would be {amount / equity:.1%} of equity, {share:.1%} is allowed"
        return None

    async def _price(self, symbol: str) -> Decimal | None:
        if symbol not in self._market.symbols:
            return None
        quote = await self._market.quote(symbol)
        return quote.price if quote else None

    def _multiplier(self, symbol: str) -> Decimal:
        return self._instrument(symbol).multiplier


def _held(account: Account, symbol: str) -> Decimal:
    position = account.position(symbol)
    return position.quantity if position else Decimal(0)


def _signed(state: OrderState) -> Decimal:
    return state.order.side.sign * state.remaining


def _same_way(state: OrderState, order: Order) -> bool:
    return state.order.side is order.side
