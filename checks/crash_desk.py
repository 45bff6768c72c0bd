"""The light desk that the crash checks kill: an engine, a store, an account at the exchange, and no pandas.

What it does leaves marks: see `crash_work`.
"""

import asyncio
import os
import random  # noqa: TID251 (pauses and sizes of made-up work, no money)
import sys
import time  # noqa: TID251 (how long a start took is measured from outside the process)
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from checks.crash_broker import ExchangeClient
from checks.crash_work import SYMBOLS, Clerk, Collector, Data, Marks, Stranger, Trader, definition, pause
from checks.simulated_exchange import PRICE
from orchestration.adapters.brokers.gate import GatedBroker
from orchestration.adapters.brokers.halting import HaltSwitch
from orchestration.adapters.brokers.reconciliation import BrokerReconciliation
from orchestration.adapters.brokers.recorded import RecordedBroker
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.halt_store import SqlHaltStore
from orchestration.adapters.sql.migration import upgrade
from orchestration.adapters.sql.order_log import SqlOrderLog
from orchestration.adapters.sql.run_store import SqlRunStore
from orchestration.domain.bars import Bar, Quote, Tick
from orchestration.domain.desk import RiskLimits
from orchestration.domain.errors import StoreUnavailableError
from orchestration.domain.events import OrchestrationEvent
from orchestration.engine.engine import WorkflowEngine
from orchestration.system.clock import WallClock

TASK_LIMIT_S = 600.0
"""Longer than anything is stopped for: a task that runs into its limit is tried again unasked."""
HEAVY = {"pandas", "numpy", "fastapi", "alembic"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a desk lives: the folder of its store, the file of its marks, the exchange's socket."""

    home: Path
    marks: Path
    exchange: Path

    @property
    def url(self) -> str:
        """The address of its store."""
        return f"sqlite:///{self.home / 'belltower.db'}"


class FlatMarket:
    """Every symbol costs the same, always."""

    source = "made up"
    symbols = SYMBOLS

    def span(self, symbol: str) -> tuple[date, date]:
        """For ever."""
        return date.min, date.max

    def has_prices(self, symbol: str, on: date) -> bool:
        """Always."""
        return symbol in SYMBOLS

    def daily_history(self, symbol: str, *, before: date, count: int) -> tuple[Bar, ...]:
        """None is known."""
        return ()

    async def daily_bars(self, symbol: str, *, count: int, before: date | None = None) -> tuple[Bar, ...]:
        """None is known."""
        return ()

    async def ticks(self, symbol: str, *, after: datetime, until: datetime) -> tuple[Tick, ...]:
        """None is made."""
        return ()

    async def quote(self, symbol: str) -> Quote | None:
        """The price."""
        return Quote(symbol=symbol, price=PRICE, at=WallClock().now(), synthetic=True)


@asynccontextmanager
async def light_desk(place: Place, marks: Marks, draw: random.Random, **settings: Any) -> AsyncIterator[WorkflowEngine]:
    """The desk, which has been compared with the exchange as far as that could be reached."""
    clock = WallClock()

    def report(message: str) -> None:
        sys.stderr.write(f"{message}\n")

    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(place.url))
        await upgrade(database)
        recorded = RecordedBroker(
            ExchangeClient(place.exchange),
            log=SqlOrderLog(database, account="exchange"),
            clock=clock,
            report=report,
            authoritative_after=timedelta(seconds=settings.pop("authoritative_after_s", 0.0)),
        )
        gate = GatedBroker(
            recorded,
            clock=clock,
            limits=RiskLimits(),
            market_data=FlatMarket(),
            restrictions=lambda: (),
            halt=lambda: switch.current,
        )
        halts = SqlHaltStore(database)
        switch = await HaltSwitch.open(store=halts, gate=gate, clock=clock)
        agents = {
            "collector": Collector(marks, draw),
            "clerk": Clerk(marks, place.marks, draw),
            "stranger": Stranger(marks),
            "trade_execution": Trader(marks, gate),
        }
        # A process that is killed every second must not count as killed by its tasks.
        config = SimpleNamespace(
            max_concurrent_tasks=8, max_retries=10_000, default_task_timeout=TASK_LIMIT_S,
            workflow_timeout=100_000, retry_base_delay=0.05, retry_max_delay=0.2,
        )  # fmt: skip
        for name, value in settings.items():
            setattr(config, name, value)
        engine = WorkflowEngine(agents, config, run_store=SqlRunStore(database), clock=clock)
        await stack.enter_async_context(engine)
        await engine.register_event_handler(OrchestrationEvent.TASK_COMPLETED, _teller(marks))
        reconciliation = BrokerReconciliation(recorded, switch=switch, halts=halts, clock=clock, report=report)
        await stack.enter_async_context(reconciliation)
        yield engine


async def live(
    place: Place,
    *,
    seed: str,
    born: float,
    new_runs: int | None,
    at_once: int = 2,
    stay: bool = False,
    wanted: Data | None = None,
    **settings: Any,
) -> None:
    """Live one life: go on with what dead processes left, then begin runs until killed, or ``new_runs`` of them.

    ``born`` is when the process was asked for, by the machine's monotonic clock. ``stay``: look for runs of dead
    processes again and again until there are none, and nothing is left to do.
    ``wanted`` are the runs to begin, if they are to be others.
    """
    draw, marks = random.Random(seed), Marks(place.marks)  # noqa: S311 (made-up work)
    async with light_desk(place, marks, draw, **settings) as engine, asyncio.TaskGroup() as group:
        await _recover(engine, marks, group)
        marks.add("up", round(time.monotonic() - born, 4), os.getpid())
        if loaded := HEAVY & set(sys.modules):
            raise AssertionError(f"a light desk loads {sorted(loaded)}")
        begun = 0
        going: set[asyncio.Task[None]] = set()
        while new_runs is None or begun < new_runs:
            while len(going) >= at_once:
                _, going = await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
            begun += 1
            run_id = await created(engine, wanted or definition(draw), f"{seed}/{begun}")
            marks.add("created", run_id)
            going.add(group.create_task(_carry_out(engine, marks, run_id)))
        while stay and await engine.run_store.unfinished():
            await _recover(engine, marks, group)
            await pause(0.1)


async def created(engine: WorkflowEngine, wanted: Data, ticket: str) -> str:
    """Create a run for ``ticket``, which must not get two, as soon as the store takes it."""
    while True:
        try:
            return await engine.create_workflow({**wanted, "labels": {"ticket": ticket}})
        except StoreUnavailableError:
            await pause(0.05)


async def _recover(engine: WorkflowEngine, marks: Marks, group: asyncio.TaskGroup) -> None:
    """Go on with what dead processes left."""
    while True:
        try:
            recovered = await engine.recover()
        except StoreUnavailableError:
            await pause(0.05)
            continue
        break
    for one in recovered:
        if one.state is not None:
            marks.add("taken", one.run_id, one.token, os.getpid())
            group.create_task(_carry_out(engine, marks, one.run_id))


async def _carry_out(engine: WorkflowEngine, marks: Marks, run_id: str) -> None:
    result = await engine.execute_workflow(run_id)
    marks.add("ended", run_id, result["status"])


def _teller(marks: Marks) -> Any:
    async def tell(event: OrchestrationEvent, data: Data) -> None:
        marks.add("told", data["execution_id"], data["task"])

    return tell
