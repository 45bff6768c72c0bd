"""A broker that writes down what it is about to send before it sends it, and never sends what it is unsure of twice."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from orchestration.adapters.brokers.order_entries import absent, intended, unknown
from orchestration.adapters.brokers.order_notes import OrderNotes
from orchestration.adapters.brokers.order_record import KnownOrder, describe
from orchestration.domain.errors import DefinitionError, OutcomeUnknownError, TransientError
from orchestration.domain.orders import Account, Fill, Order, OrderState
from orchestration.ports.broker import Broker
from orchestration.ports.clock import Clock
from orchestration.ports.order_log import OrderLog

NOT_COMPARED = (
    "positions and open orders have not been compared with the broker yet: no order is sent before; it is tried again"
)
ASK_AGAIN = (timedelta(seconds=0.5), timedelta(seconds=1), timedelta(seconds=2))
"""The waits between the questions about one order before its outcome counts as unknown."""
AT_ONCE = timedelta(0)


def _nobody(_message: str) -> None:
    """Tell nobody."""


class RecordedBroker:
    """A `Broker` around ``inner`` that keeps a desk's own record in ``log``.

    An order is sent only after its intent is kept. Whatever comes between the intent and the answer (an error, a
    cancellation, the end of the process) leaves the intent open; the same id again then asks ``inner`` instead of
    sending. Only when ``inner`` says that it never got the order is it sent again, under the same id, and only because
    the caller asked again. That ``inner`` does not know an order counts as "never got it" once ``authoritative_after``
    has passed since it was meant to be sent (``None``: never). What stays unknown is `OutcomeUnknownError`, told to
    ``report``, and asked about again by `resolve_unknown`.

    Unless it is made ``compared``, every order is refused with `TransientError` until `allow_orders` is called.
    """

    def __init__(
        self,
        inner: Broker,
        *,
        log: OrderLog,
        clock: Clock,
        report: Callable[[str], None] = _nobody,
        compared: bool = False,
        authoritative_after: timedelta | None = AT_ONCE,
    ) -> None:
        self.inner = inner
        self.notes = OrderNotes(log, clock=clock, report=report)
        self._clock = clock
        self._compared = compared
        self._authoritative_after = authoritative_after
        self._under_way: set[str] = set()
        self._sending = asyncio.Lock()

    @property
    def name(self) -> str:
        """The inner broker's."""
        return self.inner.name

    @property
    def compared(self) -> bool:
        """Whether orders are let through."""
        return self._compared

    def allow_orders(self) -> None:
        """Let orders through from now on."""
        self._compared = True

    @asynccontextmanager
    async def standing_still(self) -> AsyncIterator[None]:
        """Keep orders from being sent meanwhile; those under way have their answer first."""
        async with self._sending:
            yield

    async def submit(self, order: Order) -> OrderState:
        """Write ``order`` down, send it, and note the answer; one at a time.

        Raises `OutcomeUnknownError` when nobody can tell whether the broker has it, and `TransientError` when it
        certainly has not. Cancelling leaves the intent open.
        """
        async with self._sending:
            if not self._compared:
                raise TransientError(NOT_COMPARED)
            record = await self.notes.record()
            name = order.client_order_id
            known = record.orders.get(name)
            if known is None and not await self.notes.keep(intended(order, 1, self._clock.now())):
                known = record.orders[name]
            if known is not None:
                state = await self._found_out(known)
                if state is not None:
                    return _same(state, order)
                if not await self.notes.keep(intended(order, known.sends + 1, self._clock.now())):
                    raise TransientError(f"another process is sending {describe(order)}: ask for it again")
            return await self._send(record.orders[name])

    async def cancel(self, client_order_id: str) -> OrderState:
        """Cancel with the inner broker, and note what became of it."""
        state = await self.inner.cancel(client_order_id)
        await self._see(state)
        return state

    async def order(self, client_order_id: str) -> OrderState | None:
        """What became of an order; ``None``: it was never meant to be sent, or the broker never got it.

        Raises `OutcomeUnknownError` where the broker knows nothing of it and that proves nothing.
        """
        state = await self.inner.order(client_order_id)
        if state is not None:
            await self._see(state)
            return state
        known = (await self.notes.record()).orders.get(client_order_id)
        if known is None:
            return None
        doubt = self._doubt(known)
        if doubt:
            raise OutcomeUnknownError(_wording(known, doubt))
        return known.state

    async def orders(self, *, open_only: bool = False) -> tuple[OrderState, ...]:
        """The inner broker's orders."""
        states = await self.inner.orders(open_only=open_only)
        await self._see(*states)
        return states

    async def fills(self) -> tuple[Fill, ...]:
        """The inner broker's fills."""
        fills = await self.inner.fills()
        with suppress(TransientError):  # the record is behind then, and the answer is right all the same
            await self.notes.see_fills(fills)
        return fills

    async def account(self) -> Account:
        """The inner broker's account."""
        return await self.inner.account()

    async def resolve_unknown(self) -> Sequence[KnownOrder]:
        """Ask once about every order whose outcome is not known, and return those that stay so. Nothing is sent."""
        async with self._sending:
            return await self.ask_about_unknown()

    async def ask_about_unknown(self) -> Sequence[KnownOrder]:
        """Do what `resolve_unknown` does; for a caller for whom orders stand still."""
        record = await self.notes.record()
        for known in record.unresolved():
            with suppress(OutcomeUnknownError):
                await self._found_out(known, waits=())
        await self.notes.note()
        return record.unresolved()

    async def _send(self, known: KnownOrder) -> OrderState:
        order, name = known.order, known.order.client_order_id
        self._under_way.add(name)
        try:
            state = await self.inner.submit(order)
        except (TransientError, DefinitionError):
            raise  # nothing happened
        except Exception as error:
            self._under_way.discard(name)
            reason = str(error) or type(error).__name__
            await self.notes.note([unknown(name, known.sends, self._clock.now(), reason)])
            found = await self._found_out(known)
            if found is None:
                raise TransientError(
                    f"the broker never got {describe(order)}: nothing happened, and it may be sent again ({reason})"
                ) from error
            return found
        finally:
            self._under_way.discard(name)
        await self._see(state)
        return state

    async def _found_out(self, known: KnownOrder, waits: Sequence[timedelta] = ASK_AGAIN) -> OrderState | None:
        """What the broker, asked again after each of ``waits``, says became of an order; ``None``: it never got it.

        Raises `OutcomeUnknownError` when that can't be found out.
        """
        state, doubt = await self._asked(known)
        for wait in waits:
            if doubt is None:
                break
            await self._clock.sleep_until(self._clock.now() + wait)
            state, doubt = await self._asked(known)
        if doubt is None:
            return state
        self.notes.report_once(f"unknown|{known.order.client_order_id}|{known.sends}", _wording(known, doubt))
        await self.notes.note([unknown(known.order.client_order_id, known.sends, self._clock.now(), doubt)])
        raise OutcomeUnknownError(_wording(known, doubt))

    async def _asked(self, known: KnownOrder) -> tuple[OrderState | None, str | None]:
        """What the broker says now of an order, and why that answer proves nothing, if so."""
        name = known.order.client_order_id
        try:
            state = await self.inner.order(name)
        except (TransientError, OutcomeUnknownError) as error:
            return None, f"the broker could not be asked: {error}"
        if state is not None:
            await self._see(state)
            return state, None
        doubt = self._doubt(known)
        if doubt is None and known.state is None:
            await self.notes.note([absent(name, known.sends, self._clock.now())])
        return known.state, doubt

    def _doubt(self, known: KnownOrder) -> str | None:
        """Why it proves nothing that the broker does not know an order; ``None``: it proves that it is not there."""
        if known.order.client_order_id in self._under_way:
            return "it is on its way at this moment"
        if known.given_up:
            return "that it stays unknown was accepted; give the order another id"
        if known.state is not None:
            return "the broker took it, and now knows nothing of it" if known.state.status.open else None
        after = self._authoritative_after
        if after is None:
            return "the broker knows nothing of it, which proves nothing"
        if after and self._clock.now() < known.sent_at + after:
            return f"the broker knows nothing of it yet, which proves nothing within {after.total_seconds():g} s"
        return None

    async def _see(self, *states: OrderState) -> None:
        """Note what ``states`` tell; a record that falls behind catches up later, and spoils no answer."""
        with suppress(TransientError, OutcomeUnknownError):
            if await self.notes.see(states):
                await self.notes.see_fills(await self.inner.fills())


def _same(state: OrderState, order: Order) -> OrderState:
    if state.order != order:
        raise DefinitionError(
            f"the order id {order.client_order_id!r} belongs to another order "
            f"({state.order.side} {state.order.quantity} {state.order.symbol}); give this one an id of its own"
        )
    return state


def _wording(known: KnownOrder, doubt: str) -> str:
    return f"what became of order {describe(known.order)} is not known: {doubt}; it is asked about, never sent again"
