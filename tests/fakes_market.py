"""A market with given bars and prices, and a broker that fills at once or as told: real ones, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from orchestration.domain.bars import Bar, Quote, Tick
from orchestration.domain.errors import DefinitionError, OutcomeUnknownError
from orchestration.domain.orders import Account, Fill, Order, OrderState, OrderStatus, OrderType, Position, Side
from orchestration.ports.clock import Clock

TODAY = date(2012, 12, 12)


def weekdays(count: int, before: date = TODAY) -> list[date]:
    """The last ``count`` weekdays before a date, oldest first."""
    days: list[date] = []
    day = before
    while len(days) < count:
        day -= timedelta(days=1)
        if day.weekday() < 5:
            days.append(day)
    return days[::-1]


def bars(symbol: str, closes: Sequence[float], before: date = TODAY) -> tuple[Bar, ...]:
    """Daily bars with these closes on the last weekdays before a date; highs and lows one percent away."""
    made = []
    for day, close in zip(weekdays(len(closes), before), closes, strict=True):
        price = Decimal(str(round(close, 2)))
        high, low = price * Decimal("1.01"), price * Decimal("0.99")
        made.append(Bar(symbol=symbol, date=day, open=price, high=high, low=low, close=price, volume=1_000_000))
    return tuple(made)


class FixedMarket:
    """Knows the bars it was given, and prices that the test sets; ``ticks_of`` holds paths."""

    def __init__(
        self, history: Mapping[str, Sequence[Bar]], *, today: date = TODAY, closed: Sequence[str] = ()
    ) -> None:
        self.history = {symbol: tuple(one) for symbol, one in history.items()}
        self.prices: dict[str, Decimal] = {}
        self.ticks_of: dict[str, tuple[Tick, ...]] = {}
        self.closed = set(closed)
        self.today = today
        self.asked_bars = 0
        self.quoted_at = datetime(2012, 12, 12, 15, tzinfo=UTC)

    @property
    def source(self) -> str:
        return "a test's own prices"

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(sorted(self.history))

    def _known(self, symbol: str) -> tuple[Bar, ...]:
        if symbol not in self.history:
            raise DefinitionError(f"no prices of {symbol!r}")
        return self.history[symbol]

    def span(self, symbol: str) -> tuple[date, date]:
        known = self._known(symbol)
        return known[0].date, max(known[-1].date, self.today)

    def has_prices(self, symbol: str, on: date) -> bool:
        return bool(symbol in self.history and symbol not in self.closed)

    def daily_history(self, symbol: str, *, before: date, count: int) -> tuple[Bar, ...]:
        return tuple(bar for bar in self._known(symbol) if bar.date < before)[-count:]

    async def daily_bars(self, symbol: str, *, count: int, before: date | None = None) -> tuple[Bar, ...]:
        known = tuple(bar for bar in self._known(symbol) if before is None or bar.date < before)
        found = known[-count:] if count else ()
        self.asked_bars += len(found)
        return found

    async def ticks(self, symbol: str, *, after: datetime, until: datetime) -> tuple[Tick, ...]:
        self._known(symbol)
        return tuple(tick for tick in self.ticks_of.get(symbol, ()) if after < tick.at <= until)

    async def quote(self, symbol: str) -> Quote | None:
        known = self._known(symbol)
        price = self.prices.get(symbol) or (known[-1].close if known else None)
        if price is None:
            return None
        return Quote(symbol=symbol, price=price, at=self.quoted_at, synthetic=False)


class FakeBroker:
    """Fills market orders at once at the market's price, and limit orders only if ``fill_limits``.

    ``reject`` names symbols whose orders are refused; ``lose`` names symbols whose orders arrive while the answer is
    lost; ``most`` is the most that one order fills at once, the rest coming with the next look at it.
    """

    def __init__(self, market: FixedMarket, clock: Clock, cash: Decimal = Decimal(1_000_000)) -> None:
        self.market = market
        self.clock = clock
        self.cash = cash
        self.fill_limits = True
        self.fill_markets = True
        self.reject: set[str] = set()
        self.lose: set[str] = set()
        self.most: Decimal | None = None
        self.commission = Decimal("1.00")
        self.multipliers: dict[str, Decimal] = {}
        self.submitted: list[tuple[datetime, Order]] = []
        self._states: dict[str, OrderState] = {}
        self._fills: list[Fill] = []

    @property
    def name(self) -> str:
        return "fake (in memory)"

    async def submit(self, order: Order) -> OrderState:
        known = self._states.get(order.client_order_id)
        if known is not None:
            if known.order != order:
                raise DefinitionError(f"{order.client_order_id} was used for another order")
            return known
        now = self.clock.now()
        self.submitted.append((now, order))
        state = OrderState(order=order, status=OrderStatus.ACCEPTED, submitted_at=now, updated_at=now)
        if order.symbol in self.reject:
            state = replace(state, status=OrderStatus.REJECTED, reason="told to refuse")
        self._states[order.client_order_id] = state
        await self._work(order.client_order_id)
        if order.symbol in self.lose:
            self.lose.discard(order.symbol)
            raise OutcomeUnknownError("the answer was lost")
        return self._states[order.client_order_id]

    async def _work(self, name: str) -> None:
        state = self._states[name]
        fills = self.fill_limits if state.order.type is OrderType.LIMIT else self.fill_markets
        if not state.status.open or not fills:
            return
        quote = await self.market.quote(state.order.symbol)
        assert quote is not None
        quantity = min(state.remaining, self.most) if self.most is not None else state.remaining
        self.book(state.order.symbol, state.order.side, quantity, quote.price, name)
        done = state.filled_quantity + quantity
        status = OrderStatus.FILLED if done == state.order.quantity else OrderStatus.PARTIALLY_FILLED
        self._states[name] = replace(
            state, status=status, filled_quantity=done, average_price=quote.price, updated_at=self.clock.now()
        )

    def book(
        self, symbol: str, side: Side, quantity: Decimal, price: Decimal, name: str, at: datetime | None = None
    ) -> None:
        """Add a fill, as an order of this ``name`` would have had."""
        fill = Fill(
            fill_id=f"f{len(self._fills) + 1}",
            client_order_id=name,
            symbol=symbol,
            side=side,
            quantity=quantity,
            price=price,
            commission=self.commission,
            at=at or self.clock.now(),
        )
        self._fills.append(fill)

    def give(self, symbol: str, quantity: int, price: float, at: datetime | None = None) -> None:
        """Have a position bought (or sold short) by an order that is done."""
        side = Side.BUY if quantity > 0 else Side.SELL
        amount, paid = abs(Decimal(quantity)), Decimal(str(price))
        name = f"before:{len(self._fills) + 1}"
        when = at or self.clock.now()
        order = Order(client_order_id=name, symbol=symbol, side=side, quantity=amount)
        self._states[name] = OrderState(
            order=order,
            status=OrderStatus.FILLED,
            submitted_at=when,
            updated_at=when,
            filled_quantity=amount,
            average_price=paid,
        )
        self.book(symbol, side, amount, paid, name, when)

    async def cancel(self, client_order_id: str) -> OrderState:
        if client_order_id not in self._states:
            raise DefinitionError(f"no order {client_order_id}")
        state = self._states[client_order_id]
        if state.status.open:
            state = replace(state, status=OrderStatus.CANCELLED, reason="cancelled", updated_at=self.clock.now())
            self._states[client_order_id] = state
        return state

    async def order(self, client_order_id: str) -> OrderState | None:
        if client_order_id in self._states:
            await self._work(client_order_id)
        return self._states.get(client_order_id)

    async def orders(self, *, open_only: bool = False) -> tuple[OrderState, ...]:
        return tuple(state for state in self._states.values() if state.status.open or not open_only)

    async def fills(self) -> tuple[Fill, ...]:
        return tuple(self._fills)

    async def account(self) -> Account:
        quantities: dict[str, Decimal] = {}
        opened: dict[str, Decimal] = {}
        cash = self.cash
        for fill in self._fills:
            signed = fill.side.sign * fill.quantity
            quantities[fill.symbol] = quantities.get(fill.symbol, Decimal(0)) + signed
            opened.setdefault(fill.symbol, fill.price)
            cash -= signed * fill.price * self.multipliers.get(fill.symbol, Decimal(1)) + fill.commission
        positions = []
        for symbol in sorted(quantities):
            if quantities[symbol]:
                quote = await self.market.quote(symbol) if symbol in self.market.symbols else None
                positions.append(
                    Position(
                        symbol=symbol,
                        quantity=quantities[symbol],
                        average_price=opened[symbol],
                        price=quote.price if quote else opened[symbol],
                        multiplier=self.multipliers.get(symbol, Decimal(1)),
                    )
                )
        return Account(at=self.clock.now(), cash=cash, positions=tuple(positions))
