"""The work that the crash checks give their desks: agents that leave marks, and runs of everything that there is.

A mark is a line in a file beside the store. It survives the process that made it; it need not survive the machine.
"""

import asyncio
import os
import random  # noqa: TID251 (pauses and sizes of made-up work, no money)
import signal
import time  # noqa: TID251 (how long a broker is asked)
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from orchestration.domain.errors import OutcomeUnknownError, TransientError
from orchestration.domain.orders import Order, OrderState, Side
from orchestration.domain.reconciliation import Reconciled
from orchestration.ports.broker import Broker

SYMBOLS = ("AAPL", "IBM", "MSFT")
ASKED_FOR_S = 20.0
"""So long a lost order is asked about before the task counts as unknown."""

Data = Mapping[str, Any]


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
        await pause(self._draw.uniform(0.0, 0.02))
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
        await pause(self._draw.uniform(0.0, 0.03))
        self._marks.about("effect", data)
        await pause(self._draw.uniform(0.0, 0.03))
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
        await pause(0.005)
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
                await pause(0.02)
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
            await pause(0.05)


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


async def pause(seconds: float) -> None:
    await asyncio.sleep(seconds)  # noqa: TID251 (made-up work takes real time)


DEADLY: Data = {
    "name": "deadly",
    "tasks": [{"name": "bomb", "agent": "collector", "task_type": "collect", "task_data": {"deadly": True}}],
}
