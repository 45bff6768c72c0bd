"""A `Broker` over the simulated exchange's socket, and the hand with which a check steers that exchange."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time  # noqa: TID251 (a check waits for a process of its own)
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from checks.simulated_exchange import LONGEST_LINE, PRICE, Manners
from orchestration.domain.errors import DefinitionError, OrchestrationError, OutcomeUnknownError, TransientError
from orchestration.domain.orders import Account, Fill, Order, OrderState, OrderStatus, OrderType, Position, Side

CASH = Decimal(10_000_000_000)
START_LIMIT_S = 30.0


class ExchangeClient:
    """Asks the exchange; each call is a connection of its own, so that nothing outlives a call that went wrong."""

    def __init__(self, path: Path, *, patience_s: float = 5.0) -> None:
        self._path = path
        self._patience_s = patience_s

    @property
    def name(self) -> str:
        """What people call it."""
        return "exchange (simulated)"

    async def submit(self, order: Order) -> OrderState:
        """Send ``order``."""
        found = await self._ask({"do": "submit", "order": _written(order)})
        state = _state(found["state"])
        if state.order != order:
            raise DefinitionError(f"the exchange has another order {order.client_order_id!r}")
        return state

    async def cancel(self, client_order_id: str) -> OrderState:
        """Cancel what is left of an order."""
        found = (await self._ask({"do": "cancel", "id": client_order_id}))["state"]
        if found is None:
            raise DefinitionError(f"the exchange has no order {client_order_id!r}")
        return _state(found)

    async def order(self, client_order_id: str) -> OrderState | None:
        """What became of an order."""
        found = (await self._ask({"do": "order", "id": client_order_id}))["state"]
        return None if found is None else _state(found)

    async def orders(self, *, open_only: bool = False) -> tuple[OrderState, ...]:
        """All orders, oldest first."""
        return tuple(map(_state, (await self._ask({"do": "orders", "open_only": open_only}))["states"]))

    async def fills(self) -> tuple[Fill, ...]:
        """All fills, oldest first; some twice, if that is how the exchange behaves."""
        return tuple(map(_fill, (await self._ask({"do": "fills"}))["fills"]))

    async def account(self) -> Account:
        """Cash and positions."""
        held = (await self._ask({"do": "account"}))["positions"]
        positions = tuple(
            Position(symbol=symbol, quantity=Decimal(held[symbol]), average_price=PRICE, price=PRICE)
            for symbol in sorted(held)
        )
        return Account(at=datetime.now(UTC), cash=CASH, positions=positions)  # noqa: TID251 (the exchange's time)

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            reader, writer = await asyncio.open_unix_connection(self._path, limit=LONGEST_LINE)
        except OSError as error:
            raise TransientError(f"the exchange can't be reached: {error}") from error
        line = b""
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            async with asyncio.timeout(self._patience_s):  # noqa: TID251 (a connection's own patience)
                line = await reader.readline()
        except (OSError, TimeoutError) as error:
            raise _lost(request, f"the exchange did not answer: {error!r}") from error
        finally:
            writer.close()
        if not line.endswith(b"\n"):
            raise _lost(request, "the exchange hung up")
        found: dict[str, Any] = json.loads(line)
        return found


def _lost(request: dict[str, Any], reason: str) -> OrchestrationError:
    """What it means that an answer was lost: a question changes nothing."""
    return OutcomeUnknownError(reason) if request["do"] in {"submit", "cancel"} else TransientError(reason)


class ExchangeProcess:
    """The exchange between ``with`` and its end, and what its keeper may do."""

    def __init__(self, path: Path, manners: Manners | None = None, *, seed: str = "1") -> None:
        self.path = path
        self._manners = manners or Manners()
        self._seed = seed
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "ExchangeProcess":
        words = [sys.executable, "-m", "checks.simulated_exchange", str(self.path), self._seed]
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL)  # noqa: S603 (our own program)
        until = time.monotonic() + START_LIMIT_S
        while True:
            try:
                self.behave(self._manners)
            except OSError:  # nobody listens yet
                if self._process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError("the simulated exchange did not start") from None
                time.sleep(0.01)
            else:
                return self

    def __exit__(self, *exc_info: object) -> None:
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
            self._process.kill()
            self._process.wait()

    @property
    def _control(self) -> Path:
        return self.path.with_name(f"{self.path.name}.control")

    def behave(self, manners: Manners) -> None:
        """Have it behave like that from now on."""
        self._tell({"manners": asdict(manners)})

    def seen(self) -> dict[str, Any]:
        """What it has seen so far."""
        return self._tell({})

    def _tell(self, request: dict[str, Any]) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(60)
            line.connect(os.fspath(self._control))
            line.sendall(json.dumps(request).encode() + b"\n")
            found: dict[str, Any] = json.loads(line.makefile("rb").readline())
        return found


def _written(order: Order) -> dict[str, Any]:
    return {
        "client_order_id": order.client_order_id, "symbol": order.symbol, "side": order.side.value,
        "quantity": str(order.quantity), "type": order.type.value,
        "limit_price": None if order.limit_price is None else str(order.limit_price),
        "stop_price": None if order.stop_price is None else str(order.stop_price),
    }  # fmt: skip


def _order(data: dict[str, Any]) -> Order:
    return Order(
        client_order_id=data["client_order_id"],
        symbol=data["symbol"],
        side=Side(data["side"]),
        quantity=Decimal(data["quantity"]),
        type=OrderType(data["type"]),
        limit_price=None if data["limit_price"] is None else Decimal(data["limit_price"]),
        stop_price=None if data["stop_price"] is None else Decimal(data["stop_price"]),
    )


def _state(data: dict[str, Any]) -> OrderState:
    return OrderState(
        order=_order(data["order"]),
        status=OrderStatus(data["status"]),
        submitted_at=datetime.fromisoformat(data["submitted_at"]),
        updated_at=datetime.fromisoformat(data["updated_at"]),
        filled_quantity=Decimal(data["filled_quantity"]),
        average_price=None if data["average_price"] is None else Decimal(data["average_price"]),
        reason=data["reason"],
    )


def _fill(data: dict[str, Any]) -> Fill:
    return Fill(
        fill_id=data["fill_id"],
        client_order_id=data["client_order_id"],
        symbol=data["symbol"],
        side=Side(data["side"]),
        quantity=Decimal(data["quantity"]),
        price=Decimal(data["price"]),
        commission=Decimal(0),
        at=datetime.fromisoformat(data["at"]),
    )
