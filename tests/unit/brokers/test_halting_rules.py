"""Under any sequence of halts, resumes and orders, nothing that the level forbids reaches the broker."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.desk import build_agents
from agents.trade_execution import TradeExecution
from orchestration.domain.bars import Quote
from orchestration.domain.halts import Halt, HaltLevel
from orchestration.domain.json_value import JsonObject
from orchestration.domain.orders import Fill, Order, OrderState, OrderType, Side
from tests.doubles import ManualClock
from tests.unit.brokers.halted_floor import DAYS, Floor, held
from tests.unit.brokers.scripted_market import OPEN, ScriptedMarket, path
from tests.unit.brokers.watched_broker import WatchedBroker

LENGTH = 10
SYMBOLS = ["AAPL", "IBM"]
CLOSING = "halt-"


@dataclass(frozen=True)
class Act:
    """Something done in a minute, ``turns`` turns of the loop after the others of that minute were begun."""

    what: HaltLevel | Order | str
    turns: int


@st.composite
def orders(draw: st.DrawFn) -> Order:
    kind = draw(st.sampled_from(OrderType))
    price = Decimal(draw(st.integers(990, 1010))).scaleb(-2)
    return Order(
        client_order_id="numbered when it is sent",
        symbol=draw(st.sampled_from(SYMBOLS)),
        side=draw(st.sampled_from(Side)),
        quantity=Decimal(draw(st.integers(1, 40))),
        type=kind,
        limit_price=price if kind is OrderType.LIMIT else None,
        stop_price=price if kind is OrderType.STOP else None,
    )


ACTS = st.builds(
    Act,
    what=st.one_of(orders(), orders(), st.sampled_from(HaltLevel), st.sampled_from(["resume", "carry out"])),
    turns=st.integers(0, 12),
)
PLANS = st.lists(st.lists(ACTS, max_size=5), min_size=LENGTH, max_size=LENGTH)
TICKS = st.lists(
    st.tuples(st.integers(990, 1010), st.integers(0, 30)).map(lambda one: (str(Decimal(one[0]).scaleb(-2)), one[1])),
    min_size=LENGTH,
    max_size=LENGTH,
)


class UnhurriedMarket(ScriptedMarket):
    """Lets others have their turn before it answers."""

    async def quote(self, symbol: str) -> Quote | None:
        await asyncio.sleep(0)
        return await super().quote(symbol)


class Guard(WatchedBroker):
    """Sees the halt that holds when an order arrives, and judges the order by rules of its own."""

    async def submit(self, order: Order) -> OrderState:
        halt = self.switch.current
        if halt and not order.client_order_id.startswith(CLOSING):
            assert halt.level not in {HaltLevel.CANCEL_ALL, HaltLevel.FLATTEN}, order
            position = (await self.held()).get(order.symbol, Decimal(0))
            working = [
                one.remaining
                for one in await self.inner.orders(open_only=True)
                if (one.order.symbol, one.order.side) == (order.symbol, order.side)
            ]
            assert position * order.side.sign < 0, order
            assert order.quantity + sum(working) <= abs(position), order
        return await super().submit(order)

    async def held(self) -> dict[str, Decimal]:
        return {position.symbol: position.quantity for position in (await self.inner.account()).positions}


class GuardedFloor(Floor):
    broker_class = Guard

    def __init__(self, aapl: list[tuple[str, int]], ibm: list[tuple[str, int]]) -> None:
        super().__init__()
        paths = [path(*((minute + 0.5, *tick) for minute, tick in enumerate(one))) for one in (aapl, ibm)]
        before = path((-1, "10", 1))
        market = UnhurriedMarket(self.room.clock, {s: before + one for s, one in zip(SYMBOLS, paths, strict=True)})
        self.room.market = market


def allowed(fill: Fill, position: Decimal, halt: Halt | None) -> bool:
    """Whether a level that was brought about lets ``fill`` happen to ``position``."""
    if halt is None or halt.level is HaltLevel.NO_NEW_ORDERS:
        return True
    shrinks = position * fill.side.sign < 0 and fill.quantity <= abs(position)
    match halt.level:
        case HaltLevel.CLOSE_ONLY:
            return shrinks
        case HaltLevel.FLATTEN:
            return shrinks and fill.client_order_id.startswith(CLOSING)
        case _:
            return False


@given(plan=PLANS, aapl=TICKS, ibm=TICKS)
@settings(max_examples=150, deadline=None)
def test_nothing_that_the_level_forbids_reaches_the_broker_or_happens(
    plan: list[list[Act]], aapl: list[tuple[str, int]], ibm: list[tuple[str, int]]
) -> None:
    async def main() -> None:
        floor = GuardedFloor(aapl, ibm)
        switch, gate, broker = await floor.start()
        in_force: list[Halt | None] = []
        numbers = count()

        async def do(act: Act) -> None:
            for _ in range(act.turns):
                await asyncio.sleep(0)
            match act.what:
                case HaltLevel():
                    await switch.halt(act.what, f"number {next(numbers)}", "cli")
                case Order():
                    await gate.submit(replace(act.what, client_order_id=f"o{next(numbers)}"))
                case "resume":
                    await switch.resume("mended", "cli")
                case _:
                    await switch.carry_out()

        for minute, acts in enumerate(plan):
            floor.room.at(minute)
            await asyncio.gather(*map(do, acts))
            assert await floor.store.current() == switch.current
            in_force.append(switch.current)
        audited = sum(isinstance(act.what, HaltLevel) or act.what == "resume" for acts in plan for act in acts)
        assert len(await floor.store.audit()) == audited

        floor.room.at(LENGTH)
        positions: defaultdict[str, Decimal] = defaultdict(Decimal)
        for fill in await broker.fills():
            halt = in_force[int((fill.at - OPEN) / timedelta(minutes=1))]
            assert allowed(fill, positions[fill.symbol], halt), (fill, halt)
            positions[fill.symbol] += fill.side.sign * fill.quantity
        if switch.current and switch.current.level is HaltLevel.FLATTEN:
            left = {one.subject for one in await switch.carry_out()}
            assert left == {f"position {symbol}" for symbol, quantity in positions.items() if quantity}

    asyncio.run(main())


class AppointedClock(ManualClock):
    """Stops at an appointed moment on its way and does what was appointed for it."""

    def __init__(self, now: datetime) -> None:
        super().__init__(now)
        self.appointments: dict[datetime, Callable[[], Awaitable[object]]] = {}

    async def sleep_until(self, when: datetime) -> None:
        for moment in sorted(at for at in self.appointments if at <= when):
            await super().sleep_until(moment)
            await self.appointments.pop(moment)()
        await super().sleep_until(when)


@pytest.mark.parametrize("level", HaltLevel)
async def test_a_halt_during_execute_trades_refuses_its_next_slice(level: HaltLevel) -> None:
    floor = Floor()
    clock = AppointedClock(OPEN)
    floor.room.clock = clock
    floor.room.market = ScriptedMarket(clock, {"AAPL": path(*DAYS), "IBM": path(*DAYS)})
    switch, gate, inner = await floor.start()
    agents = build_agents(
        market_data=floor.room.market,
        broker=gate,
        clock=clock,
        desk=floor.room.desk,
        timezone=ZoneInfo("America/New_York"),
    )
    clock.appointments[OPEN + timedelta(minutes=7)] = lambda: switch.halt(level, "odd fills", "cli")
    trade: JsonObject = {"symbol": "AAPL", "side": "buy", "quantity": "30", "reference_price": "10"}
    execution: JsonObject = {
        "id": "run",
        "task": "execute_trades",
        "attempt": 1,
        "deadline": None,
        "session": "2012-12-12",
    }
    task: JsonObject = {
        "inputs": {"validate_trades": {"approved": [trade]}},
        "execution": execution,
        "slices": 3,
        "within_minutes": 15,
    }
    trader = agents["trade_execution"]
    assert isinstance(trader, TradeExecution)
    result = await trader.execute_execute_trades(task)
    ours = [one.client_order_id for one in inner.submitted if not one.client_order_id.startswith("halt-")]
    assert ours == ["run:execute_trades:AAPL:1.1L", "run:execute_trades:AAPL:1.2L"]
    reason = f"halt {level} since 2012-12-12T14:37:00Z by cli: odd fills"
    refused = result["refused"]
    assert isinstance(refused, list)
    assert [row["reason"] for row in refused] == [reason]
    assert await held(inner) == ({} if level is HaltLevel.FLATTEN else {"AAPL": 20})
