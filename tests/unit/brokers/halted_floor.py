"""A desk with a halt switch, on a market that a test writes down."""

import asyncio
from datetime import datetime
from decimal import Decimal

from orchestration.adapters.brokers.gate import GatedBroker
from orchestration.adapters.brokers.halting import HaltSwitch
from orchestration.adapters.memory.halt_store import MemoryHaltStore
from orchestration.domain.desk import Desk, RiskLimits
from orchestration.domain.errors import StoreUnavailableError
from orchestration.domain.halts import Halt
from orchestration.domain.orders import Side
from orchestration.ports.broker import Broker
from tests.unit.brokers.scripted_market import FREE, Room, order, path
from tests.unit.brokers.watched_broker import WatchedBroker

NEXT_DAY = 24 * 60
DAYS = tuple((day * NEXT_DAY + minute, "10", 100) for day in range(3) for minute in range(30))
WIDE = RiskLimits(gross=100, per_name=100, per_order=100)
SELL, BUY = Side.SELL, Side.BUY


class FragileStore(MemoryHaltStore):
    """A store that can be made to fail, or to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.failing = False
        self.open = asyncio.Event()
        self.open.set()

    async def halt(self, halt: Halt) -> None:
        await self._pass()
        await super().halt(halt)

    async def resume(self, *, reason: str, at: datetime, by: str) -> None:
        await self._pass()
        await super().resume(reason=reason, at=at, by=by)

    async def _pass(self) -> None:
        await self.open.wait()
        if self.failing:
            raise StoreUnavailableError("the store /x has no room left on its disk")


class Floor:
    """A desk of two symbols that may be short, with its halt store; `start` is the start of a process."""

    broker_class = WatchedBroker

    def __init__(self) -> None:
        desk = Desk(symbols=("AAPL", "IBM"), cash=Decimal(100_000), costs=FREE, short=True)
        self.room = Room(*DAYS, others={"IBM": path(*DAYS)}, desk=desk)
        self.store = FragileStore()

    async def start(self) -> tuple[HaltSwitch, GatedBroker, WatchedBroker]:
        inner = self.broker_class(await self.room.broker())
        gate = GatedBroker(
            inner,
            clock=self.room.clock,
            limits=WIDE,
            market_data=self.room.market,
            restrictions=tuple,
            halt=lambda: switch.current,
        )
        switch = await HaltSwitch.open(store=self.store, gate=gate, clock=self.room.clock)
        inner.switch = switch
        return switch, gate, inner

    async def actions(self) -> list[str]:
        return [f"{row.action} {row.level}: {row.reason}" for row in await self.store.audit()][::-1]


async def invested(floor: Floor) -> tuple[HaltSwitch, GatedBroker, WatchedBroker]:
    """50 AAPL and -30 IBM, and four resting orders: one that opens and one that reduces of each."""
    switch, gate, inner = await floor.start()
    await gate.submit(order("long", quantity=50))
    await gate.submit(order("short", SELL, 30, symbol="IBM"))
    floor.room.at(1)
    await gate.submit(order("add", quantity=5, limit="5.00"))
    await gate.submit(order("reduce", SELL, 20, limit="20.00"))
    await gate.submit(order("add-short", SELL, 5, symbol="IBM", limit="20.00"))
    await gate.submit(order("reduce-short", quantity=10, symbol="IBM", limit="5.00"))
    inner.submitted.clear()
    return switch, gate, inner


async def held(broker: Broker) -> dict[str, int]:
    return {position.symbol: int(position.quantity) for position in (await broker.account()).positions}


async def resting(broker: Broker) -> set[str]:
    return {state.order.client_order_id for state in await broker.orders(open_only=True)}
