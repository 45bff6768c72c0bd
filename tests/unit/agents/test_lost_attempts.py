"""A process that dies while it trades: whatever the moment, the next one finds out what was sent and sends the rest."""

from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from agents.base import BaseAgent, Services
from agents.economist import Economist
from agents.trade_execution import TradeExecution
from orchestration.adapters.brokers.recorded import RecordedBroker
from orchestration.adapters.memory.order_log import MemoryOrderLog
from orchestration.domain.desk import Desk
from orchestration.domain.errors import DefinitionError, OutcomeUnknownError, TransientError
from orchestration.domain.json_value import JsonObject, JsonValue, to_json_value
from orchestration.domain.orders import Order, OrderState, OrderType
from orchestration.domain.reconciliation import Finding, Reconciled
from orchestration.ports.broker import Broker
from orchestration.ports.clock import Clock
from orchestration.ports.market_data import MarketData
from tests.doubles import ManualClock
from tests.unit.brokers.order_desk import OrderDesk
from tests.unit.brokers.scripted_market import FREE, OPEN, Room, ScriptedMarket, order, path
from tests.unit.brokers.unreliable_exchange import Exchange, Life, MortalLog
from tests.unit.brokers.watched_broker import ProcessKilledError, WatchedBroker

WANTED = {"AAPL": Decimal(10), "IBM": Decimal(6)}
TRADES: list[JsonValue] = [
    {"symbol": symbol, "side": "buy", "quantity": str(quantity), "reference_price": "10"}
    for symbol, quantity in WANTED.items()
]
TRADED = Desk(symbols=("AAPL", "IBM"), cash=Decimal(100_000), costs=FREE)


class FillingExchange(Exchange):
    """Fills market orders on arrival, limit orders by one unit, and tells nobody before the next fill."""

    def arrive(self, order: Order) -> OrderState:
        super().arrive(order)
        quantity = int(order.quantity) if order.type is OrderType.MARKET else 1
        self.tell()
        self.fill(order.client_order_id, quantity, told=False)
        return self.states[order.client_order_id]


def task_data(**more: JsonValue) -> JsonObject:
    execution: JsonObject = {
        "id": "run1",
        "workflow": "day",
        "stage": "market_open",
        "task": "execute_trades@15:35Z",
        "attempt": 1,
        "deadline": (OPEN + timedelta(minutes=60)).isoformat(),
        "fencing_token": 2,
    }
    return {
        "inputs": {"validate_trades": {"approved": TRADES}},
        "execution": execution,
        "slices": 2,
        "within_minutes": 20,
        **more,
    }


def trader(broker: Broker, clock: Clock, market: MarketData) -> TradeExecution:
    zone = ZoneInfo("America/New_York")
    return TradeExecution(Services(market_data=market, broker=broker, clock=clock, desk=TRADED, timezone=zone))


def prices(clock: Clock) -> ScriptedMarket:
    assert isinstance(clock, ManualClock)
    return ScriptedMarket(clock, {symbol: path((0, "10", 100)) for symbol in WANTED})


async def lost(desk: OrderDesk, steps: int) -> bool:
    """Have a process trade that dies after ``steps``; whether it did."""
    process = await desk.start(steps=steps)
    try:
        await trader(process.gate, desk.clock, prices(desk.clock)).execute_execute_trades(task_data())
    except ProcessKilledError:
        return True
    return False


async def test_a_process_that_dies_at_any_step_is_followed_by_one_that_sends_only_the_rest() -> None:
    steps, died = 0, True
    while died:
        desk = OrderDesk()
        desk.exchange = FillingExchange(desk.clock)
        died = await lost(desk, steps)
        process = await desk.start()
        agent = trader(process.gate, desk.clock, prices(desk.clock))
        answer = await agent.reconcile_execute_trades(task_data())
        assert answer.outcome is Finding.NOT_DONE
        assert answer.reason == "nothing was sent" or "goes on with them" in answer.reason
        assert to_json_value(answer.to_json()) == answer.to_json()
        result = await agent.execute_execute_trades(task_data())
        assert result["unfilled"] == []
        assert desk.exchange.positions == WANTED
        assert set(desk.exchange.arrivals.values()) == {1}
        desk.exchange.tell()
        assert (await desk.start()).switch.current is None
        steps += 1
    assert steps > 60  # it died at as many moments


@pytest.mark.parametrize("fault", ["drop", "lose", "break", "cut", "delay"])
async def test_answers_that_are_lost_double_nothing_and_lose_nothing(fault: str) -> None:
    desk = OrderDesk(authoritative_after=timedelta(seconds=10))
    desk.exchange = FillingExchange(desk.clock)
    process = await desk.start()
    process.line.repeat = True
    result: JsonObject = {}
    while not result:
        process.line.faults = ["", fault]
        agent = trader(process.gate, desk.clock, prices(desk.clock))
        try:
            result = await agent.execute_execute_trades(task_data())
        except (TransientError, OutcomeUnknownError):
            process = await desk.start()
            await desk.clock.sleep_until(desk.clock.now() + timedelta(seconds=11))
            agent = trader(process.gate, desk.clock, prices(desk.clock))
            answer = await agent.reconcile_execute_trades(task_data())
            assert answer.outcome is Finding.NOT_DONE
    assert set(desk.exchange.arrivals.values()) == {1}
    unfilled = result["unfilled"]
    assert isinstance(unfilled, list)
    left = {row["symbol"]: Decimal(str(row["quantity"])) for row in unfilled}
    assert left.keys() <= {"IBM"}  # an order that never came, or came too late to be worked on, is said so
    assert desk.exchange.positions == {symbol: wanted - left.get(symbol, 0) for symbol, wanted in WANTED.items()}


async def test_orders_that_nobody_can_tell_about_are_named_and_the_others_are_carried_out_all_the_same() -> None:
    desk = OrderDesk(authoritative_after=None)
    desk.exchange = FillingExchange(desk.clock)
    process = await desk.start()
    process.line.faults = ["lose"]
    agent = trader(process.gate, desk.clock, prices(desk.clock))
    with pytest.raises(OutcomeUnknownError, match=r"run1:execute_trades@15:35Z:AAPL:1\.1L"):
        await agent.execute_execute_trades(task_data())
    assert desk.exchange.positions == {"AAPL": Decimal(5), "IBM": Decimal(6)}
    answer = await agent.reconcile_execute_trades(task_data())
    assert answer.outcome is Finding.UNKNOWN
    assert answer.reason.startswith("run1:execute_trades@15:35Z:AAPL:1.1L: what became of order")
    assert "IBM" not in answer.reason


async def test_an_order_that_turns_up_while_the_others_are_worked_is_followed_like_them() -> None:
    desk = OrderDesk(authoritative_after=None)
    desk.exchange = FillingExchange(desk.clock)
    process = await desk.start()
    process.line.faults = ["delay"]
    process.line.delay = timedelta(minutes=5)
    agent = trader(process.gate, desk.clock, prices(desk.clock))
    result = await agent.execute_execute_trades(task_data())
    assert desk.exchange.positions == {
        "AAPL": Decimal(6),
        "IBM": Decimal(6),
    }  # a limit order alone, cancelled at the end
    assert result["unfilled"] == [{"symbol": "AAPL", "side": "buy", "quantity": "4"}]
    assert not [state for state in desk.exchange.states.values() if state.status.open]


async def test_a_broker_that_cannot_be_reached_is_an_unknown_outcome() -> None:
    desk = OrderDesk()
    process = await desk.start()
    process.line.down = True
    agent = trader(process.gate, desk.clock, prices(desk.clock))
    answer = await agent.reconcile_execute_trades(task_data())
    assert answer.outcome is Finding.UNKNOWN
    assert "could not be asked: the line is down" in answer.reason
    with pytest.raises(OutcomeUnknownError):
        await agent.execute_execute_trades(
            {**task_data(), "execution": {"id": "run1", "task": "t", "deadline": OPEN.isoformat()}}
        )


async def test_a_broker_that_answers_the_third_time_is_answer_enough() -> None:
    desk = OrderDesk()
    process = await desk.start()
    process.line.down = True
    sleep = desk.clock.sleep_until

    async def heal(when: object) -> None:
        process.line.down = len(process.line.asked) < 2
        await sleep(desk.clock.now() + timedelta(seconds=1))

    desk.clock.sleep_until = heal  # type: ignore[method-assign]  # the line comes back while it waits
    agent = trader(process.gate, desk.clock, prices(desk.clock))
    assert (await agent.reconcile_execute_trades(task_data())).outcome is Finding.NOT_DONE


async def test_orders_that_today_s_desk_would_not_send_need_a_person() -> None:
    desk = OrderDesk()
    process = await desk.start()
    await process.recorded.submit(order("run1:execute_trades@15:35Z:AAPL:1.9L", limit="10.00"))
    agent = trader(process.gate, desk.clock, prices(desk.clock))
    answer = await agent.reconcile_execute_trades(task_data())
    assert answer.outcome is Finding.UNKNOWN
    assert answer.reason.endswith(
        "AAPL:1.9L: sent by the lost attempt, and today's desk would send others in its place"
    )


async def test_past_the_deadline_what_was_done_is_the_result_and_what_is_open_is_ended_by_another_attempt() -> None:
    desk = OrderDesk()
    desk.exchange = FillingExchange(desk.clock)
    steps = 0
    while not [state for state in desk.exchange.states.values() if state.status.open]:
        desk = OrderDesk()
        desk.exchange = FillingExchange(desk.clock)
        assert await lost(desk, steps)
        steps += 1
    await desk.clock.sleep_until(OPEN + timedelta(minutes=60))
    process = await desk.start()
    agent = trader(process.gate, desk.clock, prices(desk.clock))
    assert (await agent.reconcile_execute_trades(task_data())).outcome is Finding.NOT_DONE
    result = await agent.execute_execute_trades(task_data())
    assert not [state for state in desk.exchange.states.values() if state.status.open]
    assert desk.exchange.positions == {"AAPL": Decimal(1)}
    refused = result["refused"]
    assert isinstance(refused, list)
    assert {row["reason"] for row in refused} == {"the deadline 15:30 UTC has passed"}
    answer = await agent.reconcile_execute_trades(task_data())
    assert answer.outcome is Finding.DONE
    assert isinstance(answer.result, dict)
    assert answer.result["filled"] == result["filled"]
    assert "and its deadline has passed" in answer.reason


@pytest.mark.parametrize("lives", range(0, 24, 2))
async def test_the_paper_broker_s_orders_survive_a_death_before_or_after_any_call(lives: int) -> None:
    points = tuple((minute, "10", 100) for minute in range(90))
    room = Room(*points, others={"IBM": path(*points)}, desk=TRADED)
    log = MemoryOrderLog()

    async def process(lives: int | None, steps: int | None) -> TradeExecution:
        inner = WatchedBroker(await room.broker())
        inner.lives = lives
        recorded = RecordedBroker(inner, log=MortalLog(log, Life(steps)), clock=room.clock, compared=True)
        return trader(recorded, room.clock, room.market)

    with pytest.raises(ProcessKilledError):
        await (await process(lives, None)).execute_execute_trades(task_data())
    with pytest.raises(ProcessKilledError):
        await (await process(None, lives % 7)).execute_execute_trades(task_data())
    agent = await process(None, None)
    assert (await agent.reconcile_execute_trades(task_data())).outcome is Finding.NOT_DONE
    result = await agent.execute_execute_trades(task_data())
    assert result["unfilled"] == []
    account = await agent.services.broker.account()
    assert {position.symbol: position.quantity for position in account.positions} == WANTED


async def test_what_only_reads_or_cancels_may_run_again_and_who_cannot_tell_says_so() -> None:
    desk = OrderDesk()
    process = await desk.start()
    agent = trader(process.gate, desk.clock, prices(desk.clock))
    assert (await agent.reconcile(task_data())).outcome is Finding.NOT_DONE
    answer = await Economist(agent.services).reconcile(task_data())
    assert answer == Reconciled.unknown("the agent 'economist' has no way to find out what the lost attempt did")


@pytest.mark.parametrize("name", ["reconcile", "reconcile_trade"])
def test_a_reconcile_that_is_no_coroutine_function_is_refused(name: str) -> None:
    with pytest.raises(DefinitionError, match=f"Wrong.{name} is not a coroutine function"):
        type("Wrong", (BaseAgent,), {name: lambda self, task_data: None})
