"""Whatever is sent, dropped, delayed, filled late or twice, and whenever processes die: the books agree in the end."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestration.adapters.brokers.order_record import OrderRecord
from orchestration.adapters.brokers.recorded import AT_ONCE
from orchestration.domain.errors import OrchestrationError
from orchestration.domain.orders import OrderState, Side
from tests.unit.brokers.order_desk import SYMBOLS, OrderDesk, Process
from tests.unit.brokers.scripted_market import order
from tests.unit.brokers.watched_broker import ProcessKilledError

T = TypeVar("T")
FAULTS = st.sampled_from(["", "", "", "drop", "lose", "break", "cut"])
STEPS = st.none() | st.integers(0, 12)
PICK = st.integers(0, 10**6)


class Orders(RuleBasedStateMachine):
    """Processes that come and go between one store and one exchange that takes an order again if it comes again."""

    authoritative_after: timedelta | None = AT_ONCE
    faults = FAULTS
    process: Process

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.desk = OrderDesk(authoritative_after=self.authoritative_after)
        self.names: list[str] = []
        self.acknowledged: dict[str, OrderState] = {}
        self.transfers = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Do ``work`` in the process; one that is killed on the way is followed by another."""
        try:
            return self.runner.run(self._tried(work))
        except ProcessKilledError:
            self.process = self.runner.run(self.desk.start())
            return None

    async def _tried(self, work: Coroutine[Any, Any, T]) -> T | None:
        with suppress(OrchestrationError):
            return await work
        return None

    def teardown(self) -> None:
        self.runner.close()

    @initialize()
    def begin(self) -> None:
        self.process = self.runner.run(self.desk.start())

    @rule(symbol=st.sampled_from(SYMBOLS), side=st.sampled_from(Side), quantity=st.integers(1, 5), data=st.data())
    def send(self, symbol: str, side: Side, quantity: int, data: st.DataObject) -> None:
        """Send a new order."""
        self.names.append(f"run:task:{symbol}:{len(self.names)}.1M")
        self._submit(self.names[-1], symbol, side, quantity, data)

    @precondition(lambda self: self.names)
    @rule(pick=PICK, side=st.sampled_from(Side), quantity=st.integers(1, 5), data=st.data())
    def send_again(self, pick: int, side: Side, quantity: int, data: st.DataObject) -> None:
        """Send under an id that was used, often with other contents, as a task does whose limit follows the quote."""
        name = self.names[pick % len(self.names)]
        self._submit(name, name.split(":")[2], side, quantity, data)

    def _submit(self, name: str, symbol: str, side: Side, quantity: int, data: st.DataObject) -> None:
        fault = data.draw(self.faults, label="fault")
        self.process.line.faults = [fault] if fault else []
        self.process.life.steps = data.draw(STEPS, label="steps to live")
        state = self.run(self.process.gate.submit(order(name, side, quantity, symbol=symbol)))
        self.process.life.steps = None
        if state is not None and not str(state.reason).startswith("halt "):
            self.acknowledged[name] = state

    @precondition(lambda self: self.names)
    @rule(pick=PICK, steps=STEPS)
    def cancel(self, pick: int, steps: int | None) -> None:
        self.process.life.steps = steps
        self.run(self.process.gate.cancel(self.names[pick % len(self.names)]))
        self.process.life.steps = None

    @rule(pick=PICK, told=st.booleans())
    def fill(self, pick: int, told: bool) -> None:
        """Fill a part of an open order; who did it may be told at once or late."""
        resting = [name for name, state in self.desk.exchange.states.items() if state.status.open]
        if resting:
            self.desk.exchange.fill(resting[pick % len(resting)], 1, told=told)

    @rule()
    def tell(self) -> None:
        self.desk.exchange.tell()

    @rule(repeat=st.booleans(), down=st.booleans())
    def line(self, repeat: bool, down: bool) -> None:
        self.process.line.repeat, self.process.line.down = repeat, down

    @rule(symbol=st.sampled_from(SYMBOLS))
    def trade_by_hand(self, symbol: str) -> None:
        self.desk.exchange.execute("by hand", symbol, Side.BUY, 1)

    @rule(pick=PICK, symbol=st.sampled_from(SYMBOLS))
    def order_by_hand(self, pick: int, symbol: str) -> None:
        name = f"hand-{pick}"
        if name not in self.desk.exchange.states:
            self.desk.exchange.arrive(order(name, symbol=symbol, quantity=3))

    @rule(symbol=st.sampled_from(SYMBOLS))
    def move_a_position(self, symbol: str) -> None:
        """Something changes a position that no fill will ever explain."""
        self.desk.exchange.transfer(symbol, 1)

    @rule(seconds=st.integers(1, 20))
    def wait(self, seconds: int) -> None:
        self.runner.run(self.desk.clock.sleep_until(self.desk.clock.now() + timedelta(seconds=seconds)))
        self.desk.exchange.let_arrive()

    @rule(steps=STEPS)
    def look(self, steps: int | None) -> None:
        self.process.life.steps = steps
        self.run(self.process.gate.orders())
        self.run(self.process.gate.fills())
        self.run(self.process.recorded.resolve_unknown())
        self.process.life.steps = None

    @rule(steps=STEPS)
    def start_again(self, steps: int | None) -> None:
        """A new process, which may die while it compares."""
        self.process = self.runner.run(self.desk.start(compare=False))
        self.process.life.steps = steps
        self.run(self.process.reconciliation.compare())
        self.process.life.steps = None

    @rule()
    def resume(self) -> None:
        self.run(self.process.switch.resume("looked at", "api"))

    @rule()
    def settle(self) -> None:
        """Everything heals; then nothing is unknown, and the record holds what the exchange holds."""
        self.wait(20)
        self.desk.exchange.tell()
        self.process = self.runner.run(self.desk.start())
        halted = self.process.switch.current
        if halted:
            self.runner.run(self.process.switch.resume("looked at", "api"))
        again = self.process = self.runner.run(self.desk.start())
        assert again.switch.current is None
        assert list(again.reconciliation.differences) == []
        record = self.record()
        exchange = self.desk.exchange
        assert record.positions == exchange.positions
        assert not [known for known in record.unresolved() if known.order.client_order_id not in exchange.states]
        assert {name for name in exchange.states if name.startswith("run:")} <= {
            name for name, known in record.orders.items() if known.ours
        }
        for known in record.open():
            assert exchange.states[known.order.client_order_id].status.open

    def record(self) -> OrderRecord:
        return OrderRecord(self.runner.run(self._entries()))

    async def _entries(self) -> Any:
        return await self.desk.log.entries()

    @invariant()
    def no_order_is_at_the_exchange_twice(self) -> None:
        assert all(times == 1 for times in self.desk.exchange.arrivals.values())

    @invariant()
    def none_that_was_acknowledged_is_lost(self) -> None:
        for name, state in self.acknowledged.items():
            assert self.desk.exchange.states[name].order == state.order

    @invariant()
    def nothing_is_there_that_was_not_meant(self) -> None:
        meant = {
            str(entry.data["client_order_id"]) for entry in self.runner.run(self._entries()) if "send" in entry.data
        }
        assert {name for name in self.desk.exchange.states if name.startswith("run:")} <= meant


class LateOrders(Orders):
    """Orders whose answers were lost may arrive seconds later; the broker's word counts after that."""

    authoritative_after = timedelta(seconds=10)
    faults = FAULTS | st.just("delay")


class DoubtfulOrders(Orders):
    """The broker's word that it does not know an order never counts."""

    authoritative_after = None
    faults = FAULTS | st.just("delay")


_FEW = settings(max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TestOrders = Orders.TestCase
TestLateOrders = LateOrders.TestCase
TestDoubtfulOrders = DoubtfulOrders.TestCase
TestOrders.settings = TestLateOrders.settings = TestDoubtfulOrders.settings = _FEW
