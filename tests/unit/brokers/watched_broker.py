"""A paper broker that a test watches and interferes with."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from orchestration.adapters.brokers.halting import HaltSwitch
from orchestration.adapters.brokers.paper import PaperBroker
from orchestration.domain.orders import Account, Fill, Order, OrderState


class ProcessKilledError(BaseException):
    """Nothing runs behind it, as if the process were gone."""


class WatchedBroker:
    """Passes everything on to a paper broker.

    ``submitted`` is what was sent, ``calls`` every call with its order id. ``before`` holds something to do once,
    before the next call of that name; ``after_submit`` is done after each order, before its answer. ``failing`` are
    order ids whose calls fail, ``slow_to_cancel`` those whose cancellation is not heard of, ``hidden`` symbols whose
    positions are not shown. ``lives``: so many steps and the process is gone, before or after a call was carried out.
    """

    name = "watched"
    switch: HaltSwitch

    def __init__(self, inner: PaperBroker) -> None:
        self.inner = inner
        self.submitted: list[Order] = []
        self.calls: list[tuple[str, str]] = []
        self.before: dict[str, Callable[[], Awaitable[object]]] = {}
        self.after_submit: Callable[[], None] | None = None
        self.failing: set[str] = set()
        self.slow_to_cancel: set[str] = set()
        self.hidden: set[str] = set()
        self.lives: int | None = None

    async def submit(self, order: Order) -> OrderState:
        self.submitted.append(order)
        await self._enter("submit", order.client_order_id)
        state = await self.inner.submit(order)
        self._leave()
        if self.after_submit:
            self.after_submit()
            state = await self.inner.order(order.client_order_id) or state
        return state

    async def cancel(self, client_order_id: str) -> OrderState:
        await self._enter("cancel", client_order_id)
        if client_order_id in self.slow_to_cancel:
            state = await self.inner.order(client_order_id)
            assert state
            return state
        state = await self.inner.cancel(client_order_id)
        self._leave()
        return state

    async def order(self, client_order_id: str) -> OrderState | None:
        await self._enter("order", "")
        return await self.inner.order(client_order_id)

    async def orders(self, *, open_only: bool = False) -> tuple[OrderState, ...]:
        await self._enter("orders", "")
        return await self.inner.orders(open_only=open_only)

    async def fills(self) -> tuple[Fill, ...]:
        return await self.inner.fills()

    async def account(self) -> Account:
        await self._enter("account", "")
        account = await self.inner.account()
        return replace(account, positions=tuple(p for p in account.positions if p.symbol not in self.hidden))

    async def _enter(self, name: str, order_id: str) -> None:
        self.calls.append((name, order_id))
        self._leave()
        if order_id in self.failing:
            raise ConnectionError("the line to the broker is cut")
        if name in self.before:
            await self.before.pop(name)()

    def _leave(self) -> None:
        """One life less."""
        if self.lives is not None:
            if self.lives == 0:
                raise ProcessKilledError
            self.lives -= 1
