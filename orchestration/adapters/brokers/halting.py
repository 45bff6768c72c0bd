"""The switch that halts a desk: holds the halt, keeps it, and brings about what its level asks for."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from itertools import count

from orchestration.adapters.brokers.gate import GatedBroker
from orchestration.domain.errors import StoreUnavailableError
from orchestration.domain.halts import Halt, HaltLevel, LeftToDo, require_reason
from orchestration.domain.orders import Order, OrderState, OrderStatus, Position, Side
from orchestration.domain.restrictions import opening
from orchestration.ports.broker import Broker
from orchestration.ports.clock import Clock
from orchestration.ports.halt_store import HaltStore

_log = logging.getLogger(__name__)

BeforeResume = Callable[[str, str], Awaitable[None]]
"""Takes the reason, and who resumes."""


class HaltSwitch:
    """Halts and resumes the desk behind ``gate``, whose ``halt`` must ask this switch's `current`.

    Made by `HaltSwitch.open`. A halt holds in memory before anything else happens, so the gate refuses from the moment
    `halt` is called; then it is kept, then carried out. Whatever a call cannot bring about, because it fails, is
    cancelled or its process dies, `carry_out` does later; it may be called at any time and sends nothing twice.
    """

    def __init__(
        self,
        *,
        store: HaltStore,
        gate: GatedBroker,
        clock: Clock,
        current: Halt | None,
        before_resume: BeforeResume | None = None,
    ) -> None:
        self._store = store
        self._before_resume = before_resume
        self._gate = gate
        self._clock = clock
        self._current = current
        self._left: tuple[LeftToDo, ...] = ()
        self._unkept: list[Halt] = []
        """Halts that the store has not confirmed, oldest first."""
        self._writing = asyncio.Lock()
        self._acting = asyncio.Lock()

    @classmethod
    async def open(
        cls, *, store: HaltStore, gate: GatedBroker, clock: Clock, before_resume: BeforeResume | None = None
    ) -> "HaltSwitch":
        """Load the halt that ``store`` holds; `carry_out` is the caller's to call.

        ``before_resume`` is told why and by whom a halt is about to be lifted; if it raises, the halt goes on.
        """
        current = await store.current()
        if current:
            _log.warning("%s; it still holds", current)
        return cls(store=store, gate=gate, clock=clock, current=current, before_resume=before_resume)

    @property
    def current(self) -> Halt | None:
        """The halt that holds."""
        return self._current

    @property
    def left(self) -> tuple[LeftToDo, ...]:
        """What the last `carry_out` left to do."""
        return self._left

    async def halt(self, level: HaltLevel, reason: str, by: str) -> Halt:
        """Halt, in the place of the halt that holds, if one does; return once its level has been acted upon.

        What could not be done yet is in `left`. Raises `DefinitionError` for an empty reason, and
        `StoreUnavailableError` when the halt holds and was carried out but could not be kept.
        """
        halt = Halt(level=level, reason=reason, at=self._clock.now(), by=by)
        self._current = halt
        self._unkept.append(halt)
        _log.warning("%s", halt)
        failures: list[LeftToDo] = []
        with _failures_to(failures, "the store"):
            await self._keep()
        await self.carry_out()
        if failures and halt in self._unkept:
            raise StoreUnavailableError(
                f"the halt {level} holds in this process, but it was not kept and a restart would forget it; "
                f"mend the store: it is tried again when the halt is next carried out ({failures[0].reason})"
            )
        return halt

    async def resume(self, reason: str, by: str) -> None:
        """Lift the halt, once that is kept; orders that closing positions has sent stay as they are.

        A halt that comes meanwhile holds. Without a halt only the audit row is added. Raises `DefinitionError` for an
        empty reason, `StoreUnavailableError` when it could not be kept, and what ``before_resume`` raises: then the
        halt goes on.
        """
        require_reason(reason, "resume")
        lifted, at, due = self._current, self._clock.now(), tuple(self._unkept)
        if self._before_resume is not None:
            await self._before_resume(reason, by)
        async with self._writing:
            await self._write(due)
            await self._store.resume(reason=reason, at=at, by=by)
            if self._current is lifted:
                self._current, self._left = None, ()
        _log.warning("resumed by %s: %s (%s)", by, reason, lifted or "no halt held")

    async def carry_out(self) -> tuple[LeftToDo, ...]:
        """Do what the halt asks for and is not done yet, and return what is left.

        To be called after a start and after each opening of the exchange: until then it takes no orders. Nothing
        raises here: what fails is logged and left. A position is left as long as the order that closes it is open.
        """
        async with self._acting:
            while True:
                halt = self._current
                left = await self._act(halt) if halt else ()
                if self._current is halt:
                    self._left = left
                    return left

    async def _act(self, halt: Halt) -> tuple[LeftToDo, ...]:
        left: list[LeftToDo] = []
        with _failures_to(left, "the store"):
            await self._keep()
        if halt.level is not HaltLevel.NO_NEW_ORDERS:
            # An order on its way has its answer first: none can arrive behind the cancellations.
            async with self._gate.exclusively() as broker:
                actions = _Actions(broker=broker, halt=halt, holds=lambda: self._current is halt, left=left)
                with _failures_to(left, "the broker"):
                    await actions.carry_out()
        return tuple(left)

    async def _keep(self) -> None:
        due = tuple(self._unkept)
        async with self._writing:
            await self._write(due)

    async def _write(self, due: Sequence[Halt]) -> None:
        """Keep those of ``due`` that are not kept yet; what came after them waits for its own turn."""
        for halt in due:
            if halt in self._unkept:
                if await self._store.current() != halt:  # a cancelled attempt may have kept it
                    await self._store.halt(halt)
                self._unkept.remove(halt)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Actions:
    """What ``halt`` does at a broker, for as long as ``holds``: one that is replaced or lifted stops half-way."""

    broker: Broker
    halt: Halt
    holds: Callable[[], bool]
    left: list[LeftToDo]
    """What is not done goes here; one failure does not keep the rest from being done."""

    async def carry_out(self) -> None:
        for state in await self._doomed():
            if self.holds():
                with _failures_to(self.left, f"order {state.order.client_order_id}"):
                    await self._cancel(state.order)
        if self.halt.level is not HaltLevel.FLATTEN:
            return
        busy = {state.order.symbol for state in await self._doomed()}
        for position in (await self.broker.account()).positions:
            if self.holds():
                with _failures_to(self.left, f"position {position.symbol}"):
                    await self._close(position, busy=position.symbol in busy)

    async def _doomed(self) -> tuple[OrderState, ...]:
        """The open orders that the level cancels; those that close positions for this very halt are not among them."""
        open_orders = await self.broker.orders(open_only=True)
        if self.halt.level is HaltLevel.CANCEL_ALL:
            return open_orders
        held = {position.symbol: position.quantity for position in (await self.broker.account()).positions}
        if self.halt.level is HaltLevel.CLOSE_ONLY:
            return opening(open_orders, held)
        own = tuple(s for s in open_orders if s.order.client_order_id.startswith(_prefix(self.halt)))
        stale = opening(own, held)
        return tuple(state for state in open_orders if state not in own or state in stale)

    async def _cancel(self, order: Order) -> None:
        name = order.client_order_id
        after = await self.broker.cancel(name)
        _log.warning("halt %s: order %s to %s: %s", self.halt.level, name, _wording(order), after.status)
        if after.status.open:
            self.left.append(LeftToDo(subject=f"order {name}", reason="its cancellation is under way"))

    async def _close(self, position: Position, *, busy: bool) -> None:
        """Close ``position``, unless another order (``busy``) could still change it."""
        if busy:
            reason = "another order for it is still open"
        else:
            state = await self._closing(position)
            if state.status is OrderStatus.FILLED:
                return
            name = state.order.client_order_id
            reason = (
                f"{name} is open: {state.remaining} not filled yet"
                if state.status.open
                else f"{name} was {state.status}: {state.reason}"
            )
        self.left.append(LeftToDo(subject=f"position {position.symbol}", reason=reason))

    async def _closing(self, position: Position) -> OrderState:
        """The order that closes ``position``: the open one, else a new one.

        Ids are counted by what the broker knows, so that another process goes on with the same ones. An ended order is
        spent: a refused one (the exchange was closed), an expired one, or one filled for an earlier quantity.
        """
        first = f"{_prefix(self.halt)}{position.symbol}"
        name, numbers = first, count(2)
        while (known := await self.broker.order(name)) is not None:
            if known.status.open:
                return known
            name = f"{first}:{next(numbers)}"
        order = Order(
            client_order_id=name,
            symbol=position.symbol,
            side=Side.SELL if position.quantity > 0 else Side.BUY,
            quantity=abs(position.quantity),
        )
        state = await self.broker.submit(order)
        _log.warning("halt %s: order %s to %s: %s", self.halt.level, name, _wording(order), state.status)
        return state


def _prefix(halt: Halt) -> str:
    """How the ids of the closing orders of ``halt`` begin; its moment tells halts apart."""
    return f"halt-{halt.at.astimezone(UTC).isoformat().replace('+00:00', 'Z')}:"


def _wording(order: Order) -> str:
    return f"{order.side} {order.quantity} {order.symbol}"


@contextmanager
def _failures_to(left: list[LeftToDo], subject: str) -> Iterator[None]:
    """Log what fails inside and leave ``subject`` to do, so that the rest is done all the same."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 (whatever fails for one order must not keep the others from being done)
        _log.warning("a halt's work on %s failed: %s", subject, error, exc_info=True)
        left.append(LeftToDo(subject=subject, reason=str(error) or type(error).__name__))
