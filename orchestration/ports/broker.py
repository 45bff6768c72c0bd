"""Where orders go."""

from typing import Protocol

from orchestration.domain.orders import Account, Fill, Order, OrderState


class Broker(Protocol):
    """Takes orders and tells what became of them.

    Every call may raise `TransientError` when the broker could not be reached and nothing happened, and
    `OutcomeUnknownError` when it may have.
    """

    @property
    def name(self) -> str:
        """What people call it; a simulated one says so, such as ``paper (simulated)``."""

    async def submit(self, order: Order) -> OrderState:
        """Send ``order``; a refusal is an answer (`OrderStatus.REJECTED` with a reason), not an error.

        The same client order id again changes nothing and returns the first one's state; with other contents it
        raises `DefinitionError`.
        """

    async def cancel(self, client_order_id: str) -> OrderState:
        """Cancel what is not filled yet; an order that has ended is returned as it is.

        Raises `DefinitionError` for an unknown id.
        """

    async def order(self, client_order_id: str) -> OrderState | None:
        """What became of an order, or ``None`` when the broker never got it."""

    async def orders(self, *, open_only: bool = False) -> tuple[OrderState, ...]:
        """All orders of the account, oldest first."""

    async def fills(self) -> tuple[Fill, ...]:
        """All fills of the account, oldest first."""

    async def account(self) -> Account:
        """Cash and positions now."""
