"""The engine's own workloads, beside those of the bare loop: the same graphs, the same no-op, the engine's real store."""

import asyncio
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.migration import upgrade
from orchestration.adapters.sql.run_store import SqlRunStore
from orchestration.engine.engine import WorkflowEngine
from orchestration.system.clock import WallClock
from orchestration.telemetry.metrics import Metrics
from orchestration.telemetry.statistics import Statistics
from tests.benchmarks.bare_loop import Graph, chain, fan_out, layered

CONCURRENCY = 50


class Worker:
    """Does nothing, as the bare loop's ``no_op`` does."""

    async def execute_no_op(self, task_data: Mapping[str, Any]) -> dict[str, Any]:
        return {"n": 1, "ok": True}


class Settings:
    max_concurrent_tasks = CONCURRENCY
    workflow_timeout = 86_400


def definition(name: str, graph: Graph, *, priority: str = "MEDIUM") -> dict[str, Any]:
    """Return ``graph`` as a workflow of no-ops."""
    names: dict[Hashable, str] = {task: str(task) for task in graph}
    return {
        "name": name,
        "tasks": [
            {
                "name": names[task],
                "agent": "worker",
                "task_type": "no_op",
                "priority": priority,
                "dependencies": [names[need] for need in needs],
            }
            for task, needs in graph.items()
        ],
    }


@asynccontextmanager
async def engine(folder: str, agents: Mapping[str, object] | None = None) -> AsyncIterator[WorkflowEngine]:
    """An engine over a fresh SQLite store in ``folder``, with metrics and statistics listening."""
    logging.getLogger("orchestration").setLevel(logging.INFO)
    async with Database(f"sqlite:///{Path(folder) / 'belltower.db'}") as database:
        await upgrade(database)
        made = WorkflowEngine(agents or {"worker": Worker()}, Settings(), run_store=SqlRunStore(database))
        made.observe(Metrics(WallClock(), mode="paper", version="0"))
        made.observe(Statistics())
        async with made:
            yield made


async def one_run(engine: WorkflowEngine, name: str, graph: Graph) -> None:
    result = await engine.execute_workflow(await engine.create_workflow(definition(name, graph)))
    if result["status"] != "completed" or any(t["status"] != "completed" for t in result["tasks"].values()):
        raise AssertionError(f"{name} ended as {result['status']}")


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
    """Wall seconds of one workload, from the submission to the last result, on a fresh store in ``folder``."""

    async def go() -> float:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            async with engine(place) as made:
                began = time.perf_counter()
                await WORKLOADS[name](made)
                return time.perf_counter() - began

    return asyncio.run(go())
