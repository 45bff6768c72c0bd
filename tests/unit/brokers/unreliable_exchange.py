"""An exchange that outlives processes, and the bad line to it: answers are lost, fills come late, processes die."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from orchestration.domain.errors import DefinitionError, OutcomeUnknownError, TransientError
from orchestration.domain.orders import Account, Fill, Order, OrderState, OrderStatus, Position, Side
from orchestration.ports.clock import Clock
from orchestration.ports.order_log import OrderEntry, OrderLog
from tests.unit.brokers.watched_broker import ProcessKilledError

PRICE = Decimal(10)


class Exchange:
    """What is really so. It takes an order again that comes again, and counts how often each came.

    ``rejected`` are symbols that it refuses. ``on_the_way`` are orders that arrive at a moment still to come. Fills in
    ``untold`` have happened, and nobody has been told yet.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.arrivals: Counter[str] = Counter()
        self.states: dict[str, OrderState] = {}
        self.fills: list[Fill] = []
        self.untold: list[Fill] = []
        self.positions: dict[str, Decimal] = {}
        self.rejected: set[str] = set()
        self.on_the_way: list[tuple[datetime, Order]] = []

    def arrive(self, order: Order) -> OrderState:
        now, name = self.clock.now(), order.client_order_id
        self.arrivals[name] += 1
        refused = order.symbol in self.rejected
        self.states[name] = OrderState(
            order=order,
            status=OrderStatus.REJECTED if refused else OrderStatus.ACCEPTED,
            submitted_at=now,
            updated_at=now,
            reason="told to refuse" if refused else None,
        )
        return self.states[name]

    def let_arrive(self) -> None:
        now = self.clock.now()
        due = [order for at, order in self.on_the_way if at <= now]
        self.on_the_way = [(at, order) for at, order in self.on_the_way if at > now]
        for order in due:
            self.arrive(order)

    def fill(self, name: str, quantity: int, *, told: bool = True) -> None:
        state = self.states[name]
        filled = state.filled_quantity + quantity
        status = OrderStatus.FILLED if filled == state.order.quantity else OrderStatus.PARTIALLY_FILLED
        self.states[name] = replace(
            state, status=status, filled_quantity=filled, average_price=PRICE, updated_at=self.clock.now()
        )
        self.execute(name, state.order.symbol, state.order.side, quantity, told=told)

    def execute(self, name: str, symbol: str, side: Side, quantity: int, *, told: bool = True) -> None:
        """Something was traded, under an order that need not be known here."""
        fill = Fill(
            fill_id=f"f{len(self.fills) + len(self.untold)}",
            client_order_id=name,
            symbol=symbol,
            side=side,
            quantity=Decimal(quantity),
            price=PRICE,
            commission=Decimal(0),
            at=self.clock.now(),
        )
        (self.fills if told else self.untold).append(fill)
        self.transfer(symbol, side.sign * quantity)

    def transfer(self, symbol: str, quantity: int) -> None:
        """Change a position without a fill."""
        self.positions[symbol] = self.positions.get(symbol, Decimal(0)) + quantity
        if not self.positions[symbol]:
            del self.positions[symbol]

    def tell(self) -> None:
        self.fills += self.untold
        self.untold.clear()


class Life:
    """The life of a process: after ``steps`` more steps it is over; ``None``: it goes on."""

    def __init__(self, steps: int | None = None) -> None:
        self.steps = steps

    def step(self) -> None:
        if self.steps is not None:
            self.steps -= 1
            if self.steps < 0:
                raise ProcessKilledError


class Line:
    """A process's line to an `Exchange`; every call is a step before it is carried out, and one before its answer.

    ``down``: nobody answers. ``faults`` are used up by orders, one each: ``drop`` loses the answer, ``lose`` the order,
    ``delay`` the answer, while the order arrives ``delay`` later, ``break`` raises what no broker should, ``cut`` takes
    the line down behind the order. ``repeat``: each fill is told twice.
    """

    name = "exchange"

    def __init__(self, exchange: Exchange, life: Life | None = None) -> None:
        self.exchange = exchange
        self.life = life or Life()
        self.down = False
        self.faults: list[str] = []
        self.repeat = False
        self.delay = timedelta(seconds=5)
        self.asked: list[str] = []

    def _enter(self) -> None:
        self.life.step()
        if self.down:
            raise TransientError("the line is down")
        self.exchange.let_arrive()

    async def submit(self, order: Order) -> OrderState:
        self._enter()
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "delay":
            self.exchange.on_the_way.append((self.exchange.clock.now() + self.delay, order))
        if fault in {"delay", "lose"}:
            raise OutcomeUnknownError("the answer was lost")
        state = self.exchange.arrive(order)
        self.life.step()
        self.down = fault == "cut"
        if fault in {"drop", "cut"}:
            raise OutcomeUnknownError("the answer was lost")
        if fault == "break":
            raise ValueError("the answer makes no sense")
        return state

    async def cancel(self, client_order_id: str) -> OrderState:
        self._enter()
        state = self.exchange.states.get(client_order_id)
        if state is None:
            raise DefinitionError(f"there is no order {client_order_id!r} to cancel")
        if state.status.open:
            state = self.exchange.states[client_order_id] = replace(state, status=OrderStatus.CANCELLED)
        self.life.step()
        return state

    async def order(self, client_order_id: str) -> OrderState | None:
        self.asked.append(client_order_id)
        self._enter()
        return self.exchange.states.get(client_order_id)

    async def orders(self, *, open_only: bool = False) -> tuple[OrderState, ...]:
        self._enter()
        return tuple(s for s in self.exchange.states.values() if s.status.open or not open_only)

    async def fills(self) -> tuple[Fill, ...]:
        self._enter()
        return tuple(self.exchange.fills) * (2 if self.repeat else 1)

    async def account(self) -> Account:
        self._enter()
        positions = [
            Position(symbol=symbol, quantity=quantity, average_price=PRICE, price=PRICE)
            for symbol, quantity in sorted(self.exchange.positions.items())
        ]
        return Account(at=self.exchange.clock.now(), cash=Decimal(1_000_000), positions=tuple(positions))


class MortalLog:
    """An `OrderLog` that is kept by the store, seen from a process that may die before or after it has been kept."""

    def __init__(self, log: OrderLog, life: Life) -> None:
        self._log = log
        self._life = life

    async def append(self, entries: Sequence[OrderEntry]) -> Sequence[OrderEntry]:
        self._life.step()
        there = await self._log.append(entries)
        self._life.step()
        return there

    async def entries(self) -> Sequence[OrderEntry]:
        self._life.step()
        return await self._log.entries()
