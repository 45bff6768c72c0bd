"""Workloads that want a process of their own: a very large run, and one that is killed half-way."""

import asyncio
import gc
import json
import signal
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any

from tests.benchmarks.bare_loop import fan_out
from tests.benchmarks.engine_loads import check, definition, open_engine

ROOT = Path(__file__).parents[2]
TASKS, LARGE, TRACED = 1_000, 100_000, 20_000


def large_run(tasks: int = LARGE) -> dict[str, float]:
    """W6 in a fresh process: ``seconds`` from submission to end."""
    return _probe("large", str(tasks))


def traced_run(tasks: int = TRACED) -> dict[str, float]:
    """How many bytes a task execution allocates at its peak, beyond what the stored definition has (``bytes_a_task``).

    Every allocation is traced, which makes it slow: of a smaller run, in a process of its own.
    """
    return _probe("traced", str(tasks))


def killed_run(folder: str) -> dict[str, float]:
    """W7: kill -9 in the middle of W1, start again, go on to the end.

    ``seconds`` runs from the end of the new process's imports; ``lost`` and ``doubled`` are counted in the journal.
    """
    with subprocess.Popen(
        [sys.executable, "-m", __name__, "victim", folder], cwd=ROOT, stdout=subprocess.PIPE
    ) as first:
        if first.stdout is None:
            raise AssertionError("no pipe")
        first.stdout.readline()  # it says so when a third of the tasks are done
        first.send_signal(signal.SIGKILL)
    return _probe("successor", folder)


def _probe(*arguments: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", __name__, *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


async def _large(tasks: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as place:
        async with open_engine(place) as (engine, _):
            began = time.perf_counter()
            check(await engine.execute_workflow(await engine.create_workflow(definition("large", fan_out(tasks)))))
            return {"seconds": time.perf_counter() - began}


async def _traced(tasks: int) -> dict[str, float]:
    tracemalloc.start()
    with tempfile.TemporaryDirectory() as place:
        async with open_engine(place) as (engine, _):
            run_id = await engine.create_workflow(definition("traced", fan_out(tasks)))
            await engine.create_workflow(definition("small", fan_out(1)))  # so that nothing holds the last commit's
            gc.collect()
            tracemalloc.reset_peak()
            base, _ = tracemalloc.get_traced_memory()
            result = await engine.execute_workflow(run_id)
            _, peak = tracemalloc.get_traced_memory()
            check(result)
            return {"bytes_a_task": (peak - base) / tasks}


async def _victim(folder: str) -> None:
    async with open_engine(folder) as (engine, _):
        run_id = await engine.create_workflow(definition("killed", fan_out(TASKS)))
        ended = 0

        def count(event: object, data: Any) -> None:
            nonlocal ended
            ended += getattr(event, "value", None) == "task_completed"
            if ended == TASKS // 3:
                print("now", flush=True)  # noqa: T201 (whoever kills waits for this line)

        engine.observe(count)
        await engine.execute_workflow(run_id)
        await asyncio.Event().wait()  # should the signal come late, there is something to kill all the same


async def _successor(folder: str) -> dict[str, float]:
    began = time.perf_counter()
    async with open_engine(folder) as (engine, _):
        [found] = await engine.recover()
        check(await engine.execute_workflow(found.run_id))
        seconds = time.perf_counter() - began
        records = await engine.run_store.records(found.run_id)
        ends = [r.task for r in records if r.kind.value == "task_completed"]
        left = 0 if found.state is None else sum(not task.status.ended for task in found.state.tasks.values())
        return {
            "seconds": seconds,
            "records": len(records),
            "lost": TASKS - len(set(ends)),
            "doubled": len(ends) - len(set(ends)),
            "left": left,
        }


def main() -> None:
    """Be one of the processes."""
    role, argument = sys.argv[1:]
    if role == "victim":
        asyncio.run(_victim(argument))
        return
    roles = {"large": lambda: _large(int(argument)), "traced": lambda: _traced(int(argument))}
    found = asyncio.run(roles.get(role, lambda: _successor(argument))())
    print(json.dumps(found))  # noqa: T201 (for the process that asked)


if __name__ == "__main__":
    main()
