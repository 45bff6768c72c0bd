"""The exchange (simulated): a process of its own that outlives the desks that trade on it, and counts what arrives.

``python -m checks.simulated_exchange SOCKET`` answers one request a line, in JSON, on a Unix socket, and orders to
itself (`Manners`, what it has seen) on ``SOCKET.control``. It uses the standard library only.
"""

import asyncio
import json
import random  # noqa: TID251 (a stand-in's manners, no money)
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

Json = dict[str, Any]

PRICE = Decimal(100)
LONGEST_LINE = 64 * 1024 * 1024


@dataclass(slots=True)
class Manners:
    """How the exchange behaves; all durations in seconds, drawn evenly from nothing up to what is given.

    ``lose_replies`` is the share of orders that it takes without that anybody hears of it. ``take_after_s`` lies
    between the arrival of an order and the moment from which it is known. Fills are told ``tell_fills_after_s`` after
    they changed the position; ``repeat_fills`` tells each of them twice. ``away``: nobody answers.
    """

    lose_replies: float = 0.0
    answer_after_s: float = 0.0
    take_after_s: float = 0.0
    fill_after_s: float = 0.0
    tell_fills_after_s: float = 0.0
    repeat_fills: bool = False
    away: bool = False


@dataclass(slots=True)
class Exchange:
    """Its book. ``arrivals`` counts the submissions of each client order id, whether they changed anything or not."""

    draw: random.Random
    manners: Manners = field(default_factory=Manners)
    arrivals: Counter[str] = field(default_factory=Counter)
    orders: dict[str, Json] = field(default_factory=dict)
    fills: list[tuple[float, Json]] = field(default_factory=list)
    positions: dict[str, Decimal] = field(default_factory=dict)
    lost_replies: int = 0
    conflicts: list[str] = field(default_factory=list)

    async def submit(self, order: Json) -> Json | None:
        """Take an order, or return what is known of its id; ``None``: the reply is lost."""
        name = order["client_order_id"]
        self.arrivals[name] += 1
        if self.manners.take_after_s:
            await asyncio.sleep(self.draw.uniform(0.0, self.manners.take_after_s))  # noqa: TID251 (a stand-in's delay)
        there = self.orders.get(name)
        if there is None:
            there = self.orders[name] = {
                "order": order, "status": "accepted", "submitted_at": _now(), "updated_at": _now(),
                "filled_quantity": "0", "average_price": None, "reason": None,
            }  # fmt: skip
            self._fill_later(name, 1)
        elif there["order"] != order:
            self.conflicts.append(name)
        if self.draw.random() < self.manners.lose_replies:
            self.lost_replies += 1
            return None
        return {"state": there}

    async def answer(self, request: Json) -> Json | None:
        """Answer a desk; ``None``: it never hears."""
        match request["do"]:
            case "submit":
                found = await self.submit(request["order"])
            case "order":
                found = {"state": self.orders.get(request["id"])}
            case "cancel":
                found = {"state": self._cancel(request["id"])}
            case "orders":
                states = [state for state in self.orders.values() if not request["open_only"] or _is_open(state)]
                found = {"states": states}
            case "fills":
                found = {"fills": self._told()}
            case "account":
                found = {"positions": {symbol: str(held) for symbol, held in self.positions.items() if held}}
            case other:
                found = {"error": f"no such request: {other}"}
        if self.manners.answer_after_s:
            await asyncio.sleep(self.draw.uniform(0.0, self.manners.answer_after_s))  # noqa: TID251 (as above)
        return found

    async def control(self, request: Json) -> Json:
        """Do what its keeper says, and tell what it has seen."""
        for name, value in request.get("manners", {}).items():
            setattr(self.manners, name, value)
        return {
            "arrivals": self.arrivals, "orders": self.orders, "conflicts": self.conflicts,
            "lost_replies": self.lost_replies, "fills": len(self.fills),
            "positions": {symbol: str(held) for symbol, held in self.positions.items()},
        }  # fmt: skip

    def _cancel(self, name: str) -> Json | None:
        state = self.orders.get(name)
        if state is not None and _is_open(state):
            state |= {"status": "cancelled", "updated_at": _now(), "reason": "cancelled by its sender"}
        return state

    def _fill_later(self, name: str, number: int) -> None:
        wait = self.manners.fill_after_s
        if wait:
            asyncio.get_running_loop().call_later(self.draw.uniform(0.0, wait), self._fill, name, number)
        else:
            self._fill(name, number)

    def _fill(self, name: str, number: int) -> None:
        """Execute the first half of an order, or what is left of it."""
        state = self.orders[name]
        if not _is_open(state):
            return
        order, filled = state["order"], Decimal(state["filled_quantity"])
        left = Decimal(order["quantity"]) - filled
        quantity = left // 2 if number == 1 and left >= 2 else left
        filled += quantity
        done = filled == Decimal(order["quantity"])
        sign = 1 if order["side"] == "buy" else -1
        self.positions[order["symbol"]] = self.positions.get(order["symbol"], Decimal()) + sign * quantity
        state |= {
            "status": "filled" if done else "partially_filled", "updated_at": _now(),
            "filled_quantity": str(filled), "average_price": str(PRICE),
        }  # fmt: skip
        fill = {
            "fill_id": f"{name}/{number}", "client_order_id": name, "symbol": order["symbol"], "side": order["side"],
            "quantity": str(quantity), "price": str(PRICE), "at": _now(),
        }  # fmt: skip
        loop = asyncio.get_running_loop()
        self.fills.append((loop.time() + self.draw.uniform(0.0, self.manners.tell_fills_after_s), fill))
        if not done:
            self._fill_later(name, number + 1)

    def _told(self) -> list[Json]:
        now = asyncio.get_running_loop().time()
        told = [fill for due, fill in self.fills if due <= now]
        return [fill for fill in told for _ in range(2)] if self.manners.repeat_fills else told


Answer = Callable[[Json], Awaitable[Json | None]]


class Door:
    """Where requests come in; open between `open` and `close`."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self._path = path
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        """Let requests in."""
        if self._server is None:
            self._path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=LONGEST_LINE)

    async def close(self) -> None:
        """Refuse new callers, and hang up on those who are there."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            self._path.unlink(missing_ok=True)
            for writer in self._writers:
                writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                found = await self._answer(json.loads(line))
                if found is None:
                    break
                writer.write(json.dumps(found).encode() + b"\n")
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            return  # the caller was killed, or this is the end
        finally:
            self._writers.discard(writer)
            writer.close()


async def serve(path: Path, seed: str) -> None:
    """Answer until SIGTERM."""
    exchange = Exchange(random.Random(seed))  # noqa: S311 (a stand-in's manners, no secrets)
    desks = Door(path, exchange.answer)

    async def control(request: Json) -> Json:
        found = await exchange.control(request)
        await (desks.close() if exchange.manners.away else desks.open())
        return found

    keeper = Door(path.with_name(f"{path.name}.control"), control)
    await desks.open()
    await keeper.open()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await desks.close()
    await keeper.close()


def _is_open(state: Json) -> bool:
    return state["status"] in {"accepted", "partially_filled"}


def _now() -> str:
    return datetime.now(UTC).isoformat()  # noqa: TID251 (an exchange has a clock of its own)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "1"))
