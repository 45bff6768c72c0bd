"""The engine's workloads, those of the bare loop: the same graphs, the same no-op, the engine's real store."""

import asyncio
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from orchestration.adapters.brokers import halting
from orchestration.adapters.brokers.gate import GatedBroker
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.migration import upgrade
from orchestration.adapters.sql.run_store import SqlRunStore
from orchestration.domain.halts import HaltLevel
from orchestration.domain.orders import OrderStatus
from orchestration.engine.engine import WorkflowEngine
from orchestration.system.clock import WallClock
from orchestration.system.collector import held_collector
from orchestration.system.switching import switch_sooner
from orchestration.telemetry.metrics import Metrics
from orchestration.telemetry.statistics import Statistics
from tests.benchmarks.bare_loop import Graph, chain, fan_out, layered
from tests.unit.brokers.halted_floor import Floor
from tests.unit.brokers.scripted_market import order

CONCURRENCY = 50
QUEUED = 10_000
LOW_TASK_S = 0.02
"""What the LOW work of the CRITICAL benchmark takes: it waits, as agents do that ask a model or a broker."""


class Worker:
    """Does what the bare loop's ``no_op`` does, or a little more."""

    def __init__(self) -> None:
        self.started: asyncio.Future[float] | None = None

    async def execute_no_op(self, task_data: Mapping[str, Any]) -> dict[str, Any]:
        return {"n": 1, "ok": True}

    async def execute_wait(self, task_data: Mapping[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(LOW_TASK_S)
        return {"n": 1, "ok": True}

    async def execute_note_start(self, task_data: Mapping[str, Any]) -> None:
        if self.started is not None:
            self.started.set_result(time.perf_counter())


class Settings:
    max_concurrent_tasks = CONCURRENCY
    workflow_timeout = 86_400


def definition(name: str, graph: Graph, *, task_type: str = "no_op", priority: str = "MEDIUM") -> dict[str, Any]:
    """Return ``graph`` as a workflow."""
    tasks = [
        {
            "name": str(task),
            "agent": "worker",
            "task_type": task_type,
            "priority": priority,
            "dependencies": [str(need) for need in needs],
        }
        for task, needs in graph.items()
    ]
    return {"name": name, "tasks": tasks}


@asynccontextmanager
async def open_engine(folder: str) -> AsyncIterator[tuple[WorkflowEngine, Worker]]:
    """An engine over the SQLite store in ``folder``, counted by metrics and statistics as in the daemon."""
    logging.getLogger("orchestration").setLevel(logging.INFO)
    logging.getLogger(halting.__name__).setLevel(logging.ERROR)
    switch_sooner()  # as the daemon does, and so does what follows
    async with Database(f"sqlite:///{Path(folder) / 'belltower.db'}") as database:
        await upgrade(database)
        with held_collector() as collect_again:
            collect_again()
        worker = Worker()
        engine = WorkflowEngine({"worker": worker}, Settings(), run_store=SqlRunStore(database))
        engine.observe(Metrics(WallClock(), mode="paper", version="0"))
        engine.observe(Statistics())
        async with engine:
            yield engine, worker


def check(result: Mapping[str, Any]) -> None:
    """Raise `AssertionError` unless every task was completed."""
    left = [name for name, task in result["tasks"].items() if task["status"] != "completed"]
    if left or result["status"] != "completed":
        raise AssertionError(f"{result['name']} is {result['status']}, {len(left)} tasks are not completed")


async def one_run(engine: WorkflowEngine, name: str, graph: Graph) -> None:
    check(await engine.execute_workflow(await engine.create_workflow(definition(name, graph))))


async def many_runs(engine: WorkflowEngine, runs: int = 500, length: int = 5) -> None:
    workflow = chain(length)
    await asyncio.gather(*(one_run(engine, "chain", workflow) for _ in range(runs)))


WORKLOADS = {
    "W1": lambda engine: one_run(engine, "fan-out", fan_out()),
    "W2": lambda engine: one_run(engine, "chain", chain()),
    "W3": lambda engine: one_run(engine, "layers", layered()),
    "W4": many_runs,
}


def run(name: str, *, folder: str | None = None) -> float:
    """Wall seconds of one workload on a fresh store, from the submission of the definition to the last result."""

    async def go() -> float:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            async with open_engine(place) as (engine, _):
                began = time.perf_counter()
                await WORKLOADS[name](engine)  # type: ignore[no-untyped-call]  # lambdas have no types
                return time.perf_counter() - began

    return asyncio.run(go())


async def _start(engine: WorkflowEngine, worker: Worker, priority: str) -> float:
    """Seconds from a submission to the start of its body."""
    worker.started = asyncio.get_running_loop().create_future()
    began = time.perf_counter()
    run_id = await engine.create_workflow(definition("now", {0: []}, task_type="note_start", priority=priority))
    caller = asyncio.create_task(engine.execute_workflow(run_id))
    waited = await worker.started - began
    await caller
    return waited


def start_latencies(times: int = 200, *, folder: str | None = None) -> list[float]:
    """W5: from a submission on an idle engine to the start of its body."""

    async def go() -> list[float]:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            async with open_engine(place) as (engine, worker):
                found = []
                for _ in range(times):
                    found.append(await _start(engine, worker, "MEDIUM"))
                    await asyncio.sleep(0.002)
                return found

    return asyncio.run(go())


def critical_latencies(times: int = 200, *, folder: str | None = None) -> tuple[list[float], int]:
    """From the submission of a CRITICAL task to the start of its body, behind queued LOW ones; and how many those were.

    Every slot is taken all the time; what was still queued at the end is returned with the figures.
    """

    async def go() -> tuple[list[float], int]:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            async with open_engine(place) as (engine, worker):
                low = definition("low", fan_out(QUEUED), task_type="wait", priority="LOW")
                run_id = await engine.create_workflow(low)
                caller = asyncio.create_task(engine.execute_workflow(run_id))
                await asyncio.sleep(0.5)
                found = []
                for _ in range(times):
                    found.append(await _start(engine, worker, "CRITICAL"))
                    await asyncio.sleep(0.002)
                queued = engine.queued
                await engine.cancel(run_id, "measured")
                await caller
                return found, queued

    return asyncio.run(go())


def halt_latencies(times: int = 50, *, folder: str | None = None) -> list[float]:
    """From a halt of another thread to the first order that is refused for it, while no-ops fill the loop."""

    async def halted(switch: halting.HaltSwitch, gate: GatedBroker, number: int) -> float:
        halting = asyncio.create_task(switch.halt(HaltLevel.NO_NEW_ORDERS, "measured", "bench"))
        await asyncio.sleep(0)
        state = await gate.submit(order(f"refused-{number}"))
        refused_at = time.perf_counter()
        if state.status is not OrderStatus.REJECTED or "measured" not in str(state.reason):
            raise AssertionError(f"the order was not refused for the halt: {state}")
        await halting
        await switch.resume("measured", "bench")
        return refused_at

    def ask(loop: asyncio.AbstractEventLoop, switch: halting.HaltSwitch, gate: GatedBroker) -> list[float]:
        found = []
        for number in range(times):
            time.sleep(0.01)  # so that the halts are spread over the load
            began = time.perf_counter()
            found.append(asyncio.run_coroutine_threadsafe(halted(switch, gate, number), loop).result() - began)
        return found

    async def go() -> list[float]:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            async with open_engine(place) as (engine, _):
                switch, gate, _ = await Floor().start()
                run_id = await engine.create_workflow(definition("busy", fan_out(QUEUED), priority="LOW"))
                caller = asyncio.create_task(engine.execute_workflow(run_id))
                found = await asyncio.to_thread(ask, asyncio.get_running_loop(), switch, gate)
                if caller.done():
                    raise AssertionError("the load ended before the measuring did")
                await engine.cancel(run_id, "measured")
                await caller
                return found

    return asyncio.run(go())
