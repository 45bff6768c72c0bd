"""A desk that outlives its processes: a store, an exchange, and what each process builds on them."""

from dataclasses import dataclass, field
from datetime import timedelta

from orchestration.adapters.brokers.gate import GatedBroker
from orchestration.adapters.brokers.halting import HaltSwitch
from orchestration.adapters.brokers.reconciliation import BrokerReconciliation
from orchestration.adapters.brokers.recorded import AT_ONCE, RecordedBroker
from orchestration.adapters.memory.halt_store import MemoryHaltStore
from orchestration.adapters.memory.order_log import MemoryOrderLog
from orchestration.domain.desk import RiskLimits
from orchestration.ports.clock import Clock
from orchestration.ports.halt_store import HaltStore
from orchestration.ports.order_log import OrderLog
from tests.doubles import ManualClock
from tests.unit.brokers.scripted_market import OPEN, ScriptedMarket, path
from tests.unit.brokers.unreliable_exchange import Exchange, Life, Line, MortalLog

WIDE = RiskLimits(gross=100, per_name=100, per_order=100)
SYMBOLS = ("AAPL", "IBM")


@dataclass(kw_only=True)
class Process:
    """What one process has: ``line`` is its way to the exchange, ``told`` what it reported."""

    life: Life
    line: Line
    recorded: RecordedBroker
    gate: GatedBroker
    switch: HaltSwitch
    reconciliation: BrokerReconciliation
    told: list[str]


@dataclass(kw_only=True)
class OrderDesk:
    """Call `start` for each process."""

    clock: Clock = field(default_factory=lambda: ManualClock(OPEN))
    authoritative_after: timedelta | None = AT_ONCE
    log: OrderLog = field(default_factory=MemoryOrderLog)
    halts: HaltStore = field(default_factory=MemoryHaltStore)
    exchange: Exchange = field(init=False)

    def __post_init__(self) -> None:
        self.exchange = Exchange(self.clock)

    async def start(self, *, compare: bool = True, steps: int | None = None) -> Process:
        """A new process, compared with the broker; its life may end after ``steps``."""
        life, told = Life(), list[str]()
        line = Line(self.exchange, life)
        recorded = RecordedBroker(
            line,
            log=MortalLog(self.log, life),
            clock=self.clock,
            report=told.append,
            authoritative_after=self.authoritative_after,
        )
        market = ScriptedMarket(ManualClock(OPEN), {symbol: path((0, "10", 100)) for symbol in SYMBOLS})
        gate = GatedBroker(
            recorded,
            clock=self.clock,
            limits=WIDE,
            market_data=market,
            restrictions=tuple,
            halt=lambda: switch.current,
        )
        switch = await HaltSwitch.open(
            store=self.halts,
            gate=gate,
            clock=self.clock,
            before_resume=lambda reason, by: reconciliation.accept(reason, by),
        )
        reconciliation = BrokerReconciliation(
            recorded, switch=switch, halts=self.halts, clock=self.clock, report=told.append
        )
        if compare:
            await reconciliation.compare()
        life.steps = steps
        return Process(
            life=life,
            line=line,
            recorded=recorded,
            gate=gate,
            switch=switch,
            reconciliation=reconciliation,
            told=told,
        )
