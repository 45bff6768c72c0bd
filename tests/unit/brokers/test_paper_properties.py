"""Whatever is sent, and however often anybody looks, the book is right and the same."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.adapters.brokers.paper import PaperBroker
from orchestration.domain.desk import Costs, Desk
from orchestration.domain.orders import Order, OrderStatus, OrderType, Side
from tests.unit.brokers.scripted_market import CLOSE, Room, path

LENGTH = 12
COSTS = Costs(
    slippage_bps=Decimal(20), commission_per_unit=Decimal("0.03"), commission_minimum=Decimal(1), participation=0.3
)
Points = list[tuple[float, str, int]]


@dataclass(frozen=True)
class Plan:
    """Two paths, what is sent or cancelled before each minute, and whether the desk may be short."""

    aapl: Points
    ibm: Points
    sent: dict[int, list[Order]]
    cancelled: dict[int, list[str]]
    short: bool


@st.composite
def points(draw: st.DrawFn) -> Points:
    steps = [(draw(st.integers(900, 1100)), draw(st.integers(0, 60))) for _ in range(LENGTH)]
    return [(minute, str(Decimal(price).scaleb(-2)), volume) for minute, (price, volume) in enumerate(steps)]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    sent: defaultdict[int, list[Order]] = defaultdict(list)
    cancelled: defaultdict[int, list[str]] = defaultdict(list)
    for number in range(draw(st.integers(1, 8))):
        kind = draw(st.sampled_from(OrderType))
        price = Decimal(draw(st.integers(900, 1100))).scaleb(-2)
        minute = draw(st.integers(0, LENGTH - 1))
        wanted = Order(
            client_order_id=f"o{number}",
            symbol=draw(st.sampled_from(["AAPL", "IBM"])),
            side=draw(st.sampled_from(Side)),
            quantity=Decimal(draw(st.integers(1, 60))),
            type=kind,
            limit_price=price if kind is OrderType.LIMIT else None,
            stop_price=price if kind is OrderType.STOP else None,
        )
        sent[minute].append(wanted)
        if draw(st.integers(0, 3)) == 0:
            cancelled[draw(st.integers(minute, LENGTH - 1))].append(wanted.client_order_id)
    return Plan(aapl=draw(points()), ibm=draw(points()), sent=sent, cancelled=cancelled, short=draw(st.booleans()))


def room_for(plan: Plan) -> Room:
    desk = Desk(symbols=("AAPL", "IBM"), cash=Decimal(1500), costs=COSTS, short=plan.short)
    return Room(*plan.aapl, others={"IBM": path(*plan.ibm)}, desk=desk)


async def play(plan: Plan, *, looks: bool = False, restarts: bool = False) -> tuple[Room, PaperBroker]:
    """Send everything at its time; with ``looks`` ask all along, with ``restarts`` begin from the ledger each time."""
    room = room_for(plan)
    broker = await room.broker()
    for minute in range(LENGTH):
        if looks:
            for part in (0.25, 0.5):
                room.at(minute - 1 + part)
                await broker.fills()
        room.at(minute)
        if restarts:
            broker = await room.broker()
        for wanted in plan.sent.get(minute, ()):
            await broker.submit(wanted)
        for name in plan.cancelled.get(minute, ()):
            await broker.cancel(name)
    room.clock.moment = CLOSE
    return room, broker


@given(plan=plans())
@settings(max_examples=60, deadline=None)
def test_cash_and_positions_reconcile_with_the_fills(plan: Plan) -> None:
    async def main() -> None:
        room, broker = await play(plan)
        fills, account = await broker.fills(), await broker.account()
        cash = room.desk.cash
        held: defaultdict[str, Decimal] = defaultdict(Decimal)
        for fill in fills:
            cash -= fill.side.sign * fill.quantity * fill.price + fill.commission
            held[fill.symbol] += fill.side.sign * fill.quantity
        assert account.cash == cash
        assert {p.symbol: p.quantity for p in account.positions} == {s: q for s, q in held.items() if q}
        for state in await broker.orders():
            own = [fill for fill in fills if fill.client_order_id == state.order.client_order_id]
            assert state.filled_quantity == sum(fill.quantity for fill in own)
            assert (state.status is OrderStatus.FILLED) == (state.remaining == 0)
            assert not state.status.open
            assert all(state.submitted_at < fill.at < CLOSE for fill in own)
            limit = state.order.limit_price
            assert all(limit is None or state.order.side.sign * (fill.price - limit) <= 0 for fill in own)
        if not room.desk.short:
            assert all(quantity >= 0 for quantity in held.values())

    asyncio.run(main())


@given(plan=plans())
@settings(max_examples=60, deadline=None)
def test_looking_often_or_starting_again_changes_nothing(plan: Plan) -> None:
    async def main() -> None:
        books = []
        for looks, restarts in ((False, False), (True, False), (False, True), (True, True)):
            room, broker = await play(plan, looks=looks, restarts=restarts)
            await broker.account()
            books.append(await room.ledger.entries())
        assert books[0] == books[1] == books[2] == books[3]

    asyncio.run(main())


@given(plan=plans())
@settings(max_examples=40, deadline=None)
def test_a_tick_gives_no_more_than_its_share(plan: Plan) -> None:
    async def main() -> None:
        _, broker = await play(plan)
        taken: defaultdict[tuple[str, float], Decimal] = defaultdict(Decimal)
        fills = await broker.fills()
        for fill in fills:
            taken[fill.symbol, fill.at.timestamp()] += fill.quantity
        room = room_for(plan)
        room.clock.moment = CLOSE
        for symbol in ("AAPL", "IBM"):
            for tick in await room.market.ticks(symbol, after=CLOSE.replace(hour=0), until=CLOSE):
                share = max(tick.volume * 3 // 10, 1 if tick.volume else 0)
                assert taken[symbol, tick.at.timestamp()] <= share

    asyncio.run(main())
