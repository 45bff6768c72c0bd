"""The light desk that the crash checks kill: an engine, a store, an account at the exchange, and no pandas.

What it does leaves marks in a file beside the store, one line each, so that a check can see what really happened. A
mark survives the process that made it; it need not survive the machine.
"""

import asyncio
import os
import random  # noqa: TID251 (pauses and sizes of made-up work, no money)
import signal
import sys
import time  # noqa: TID251 (how long a start took is measured from outside the process)
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from checks.crash_broker import ExchangeClient
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
from orchestration.domain.errors import OutcomeUnknownError, StoreUnavailableError, TransientError
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.orders import Order, OrderState, Side
from orchestration.domain.reconciliation import Reconciled
from orchestration.engine.engine import WorkflowEngine
from orchestration.ports.broker import Broker
from orchestration.system.clock import WallClock

SYMBOLS = ("AAPL", "IBM", "MSFT")
TASK_LIMIT_S = 60.0
ASKED_FOR_S = 20.0
"""So long a lost order is asked about before the task counts as unknown."""
HEAVY = {"pandas", "numpy", "fastapi", "alembic"}

Data = Mapping[str, Any]


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


class Marks:
    """Appends lines; one system call each, so that a line is there whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def add(self, *words: object) -> None:
        """Add a line."""
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())

    def about(self, verb: str, data: Data, *words: object) -> None:
        """Add a line about an attempt."""
        execution = data["execution"]
        self.add(verb, execution["id"], execution["task"], execution["attempt"], execution["fencing_token"], *words)


class Collector:
    """Works without effects; some tasks fail a few times first."""

    def __init__(self, marks: Marks, draw: random.Random) -> None:
        self._marks = marks
        self._draw = draw

    async def execute_collect(self, data: Data) -> Any:
        """Take a moment."""
        self._marks.about("none", data)
        if data.get("deadly"):
            os.kill(os.getpid(), signal.SIGKILL)
        await _pause(self._draw.uniform(0.0, 0.02))
        if data["execution"]["attempt"] <= data.get("failures", 0):
            raise TransientError("not yet")
        return {"inputs": sorted(data["inputs"])}


class Clerk:
    """Changes the world once a task: its effect is a mark. It can tell afterwards whether it did."""

    def __init__(self, marks: Marks, path: Path, draw: random.Random) -> None:
        self._marks = marks
        self._path = path
        self._draw = draw

    async def execute_file(self, data: Data) -> Any:
        """File something."""
        self._marks.about("execute", data)
        await _pause(self._draw.uniform(0.0, 0.03))
        self._marks.about("effect", data)
        await _pause(self._draw.uniform(0.0, 0.03))
        return {"filed": data["execution"]["task"]}

    async def reconcile_file(self, data: Data) -> Reconciled:
        """Look whether it was filed."""
        execution = data["execution"]
        there = f"\neffect {execution['id']} {execution['task']} " in "\n" + self._path.read_text()
        self._marks.about("reconcile", data, "done" if there else "not_done")
        return Reconciled.done({"filed": execution["task"]}) if there else Reconciled.not_done()


class Stranger:
    """Changes the world and can't tell afterwards: what was lost must never run again."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks

    async def execute_guess(self, data: Data) -> Any:
        """Do something that nobody can look up."""
        self._marks.about("execute", data)
        await _pause(0.005)
        self._marks.about("effect", data)
        return {}


class Trader:
    """Sends an order a leg, the id made of run, task and leg, and follows them until they are filled."""

    def __init__(self, marks: Marks, broker: Broker) -> None:
        self._marks = marks
        self._broker = broker

    async def execute_send(self, data: Data) -> Any:
        """Send every leg; the broker is asked first, by `RecordedBroker`, where an earlier attempt sent one."""
        self._marks.about("execute", data)
        for order in _legs(data):
            state = await self._broker.submit(order)
            if state.reason:
                raise RuntimeError(f"{order.client_order_id}: {state.status}: {state.reason}")
        for order in _legs(data):
            while (found := await self._asked(order.client_order_id)) is None or found.status.open:
                await _pause(0.02)
        return {"orders": [order.client_order_id for order in _legs(data)]}

    async def reconcile_send(self, data: Data) -> Reconciled:
        """Ask about every leg, for as long as that makes sense."""
        try:
            found = [await self._asked(order.client_order_id) for order in _legs(data)]
        except (TransientError, OutcomeUnknownError) as error:
            self._marks.about("reconcile", data, "unknown")
            return Reconciled.unknown(str(error))
        done = all(state is not None and not state.status.open for state in found)
        self._marks.about("reconcile", data, "done" if done else "not_done")
        if done:
            return Reconciled.done({"orders": [order.client_order_id for order in _legs(data)]})
        return Reconciled.not_done(f"{sum(state is not None for state in found)} legs are there")

    async def _asked(self, name: str) -> OrderState | None:
        until = time.monotonic() + ASKED_FOR_S
        while True:
            try:
                return await self._broker.order(name)
            except (TransientError, OutcomeUnknownError):
                if time.monotonic() > until:
                    raise
            await _pause(0.05)


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
    processes again and again until there are none, and nothing is left to do. ``wanted`` are the runs to begin, if they are to be others.
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
            await _pause(0.1)


async def created(engine: WorkflowEngine, wanted: Data, ticket: str) -> str:
    """Create a run for ``ticket``, which must not get two, as soon as the store takes it."""
    while True:
        try:
            return await engine.create_workflow({**wanted, "labels": {"ticket": ticket}})
        except StoreUnavailableError:
            await _pause(0.05)


async def _recover(engine: WorkflowEngine, marks: Marks, group: asyncio.TaskGroup) -> None:
    """Go on with what dead processes left."""
    while True:
        try:
            recovered = await engine.recover()
        except StoreUnavailableError:
            await _pause(0.05)
            continue
        break
    for one in recovered:
        if one.state is not None:
            marks.add("taken", one.run_id, one.token, os.getpid())
            group.create_task(_carry_out(engine, marks, one.run_id))


async def _carry_out(engine: WorkflowEngine, marks: Marks, run_id: str) -> None:
    result = await engine.execute_workflow(run_id)
    marks.add("ended", run_id, result["status"])


def definition(draw: random.Random) -> dict[str, Any]:
    """A run of everything: a fan-out, a chain, tasks with effects, orders of several legs, one that is retried."""
    orders = [_order_task(f"orders{number}", draw) for number in range(draw.randint(1, 2))]
    wide = [_task(f"wide{number}", "collector", "collect") for number in range(draw.randint(2, 6))]
    chain = [_task(f"chain{n}", "collector", "collect", [f"chain{n - 1}"] if n else []) for n in range(3)]
    moody = _task("moody", "collector", "collect", failures=draw.randint(1, 2), retry_delays=[0.01, 0.03])
    filed = _task("filed", "clerk", "file", ["wide0"], effects="external")
    again = _task("filed_again", "clerk", "file", ["filed"], effects="external")
    guess = _task("guess", "stranger", "guess", ["wide1"], effects="external")
    orders[0]["dependencies"] = ["chain0"]
    last = _task("last", "collector", "collect", ["filed_again", "chain2", "moody", *(o["name"] for o in orders)])
    tasks = [*wide, *chain, moody, filed, again, guess, *orders]
    return {"name": "crash", "stages": {"work": {"tasks": tasks}, "after": {"tasks": [last]}}}


def _task(name: str, agent: str, kind: str, needs: Sequence[str] = (), **rest: Any) -> dict[str, Any]:
    task_data = {key: rest.pop(key) for key in ("failures", "legs") if key in rest}
    return {
        "name": name, "agent": agent, "task_type": kind, "task_data": task_data, "dependencies": list(needs),
        "priority": "critical" if kind == "send" else "medium", **rest,
    }  # fmt: skip


def _order_task(name: str, draw: random.Random) -> dict[str, Any]:
    legs = [
        {"symbol": draw.choice(SYMBOLS), "side": draw.choice(["buy", "sell"]), "quantity": draw.randint(1, 9)}
        for _ in range(draw.randint(1, 3))
    ]
    return _task(name, "trade_execution", "send", legs=legs)


def _legs(data: Data) -> list[Order]:
    execution = data["execution"]
    return [
        Order(
            client_order_id=f"{execution['id']}:{execution['task']}:{number}",
            symbol=leg["symbol"],
            side=Side(leg["side"]),
            quantity=Decimal(leg["quantity"]),
        )
        for number, leg in enumerate(data["legs"], 1)
    ]


def _teller(marks: Marks) -> Any:
    async def tell(event: OrchestrationEvent, data: Data) -> None:
        marks.add("told", data["execution_id"], data["task"])

    return tell


async def _pause(seconds: float) -> None:
    await asyncio.sleep(seconds)  # noqa: TID251 (made-up work takes real time)


DEADLY: Data = {
    "name": "deadly",
    "tasks": [{"name": "bomb", "agent": "collector", "task_type": "collect", "task_data": {"deadly": True}}],
}
