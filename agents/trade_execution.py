"""Trade execution: sends what was approved, follows it, cancels it, and checks the broker's book."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import ClassVar

from agents.base import BaseAgent, Services
from agents.reconciliation import differences
from agents.task_data import TaskData, answer, execution_of, listed, number
from agents.trade_rows import PlannedTrade, approved_trades
from agents.working_orders import Schedule, WorkingOrders, order_row
from orchestration.domain.json_value import JsonObject
from orchestration.domain.orders import OrderState, OrderStatus, Side
from orchestration.domain.reconciliation import Reconciled

STALE_MINUTES = 30.0
PATIENCE = timedelta(minutes=30)
"""How long orders are followed where the task has no deadline."""


class TradeExecution(BaseAgent):
    """Talks to the broker."""

    name: ClassVar[str] = "trade_execution"

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._sending = asyncio.Lock()

    async def execute_execute_trades(self, task_data: TaskData) -> JsonObject:
        """Send the approved trades in ``slices`` (1) over ``within_minutes`` (0: at once) and follow them to their end.

        Every order's id is made of run, task, symbol and leg, and the broker is asked for it before it is sent, so that
        another attempt of the task sends nothing twice. Raises `OutcomeUnknownError`, when everything else has been
        followed to its end, for orders of which nobody can tell whether the broker has them.
        """
        trades, missing = approved_trades(task_data)
        work, schedule = self._work(task_data)
        if self.services.clock.now() < schedule.end:
            await work.carry_out(trades)
        else:
            await work.wind_up(trades)
        return _result(trades, missing, work, schedule)

    async def reconcile_execute_trades(self, task_data: TaskData) -> Reconciled:
        """Ask the broker about every order that the lost attempt may have sent.

        Once all of them are accounted for it is safe to run again: what is there is followed, and only the rest is
        sent. Past its deadline the task is done when none of them is open any more.
        """
        trades, missing = approved_trades(task_data)
        work, schedule = self._work(task_data)
        unclear = await work.unclear(trades)
        if unclear:
            return Reconciled.unknown("; ".join(unclear))
        if not work.states:
            return Reconciled.not_done("nothing was sent")
        there = f"{len(work.states)} orders of it are at the broker"
        if self.services.clock.now() >= schedule.end and not any(state.status.open for state in work.states):
            return Reconciled.done(_result(trades, missing, work, schedule), f"{there}, and its deadline has passed")
        return Reconciled.not_done(f"{there}, and another attempt goes on with them")

    async def reconcile(self, task_data: TaskData) -> Reconciled:
        """Every other task only reads, or cancels, which twice is as good as once."""
        return Reconciled.not_done("it sends no orders")

    def _work(self, task_data: TaskData) -> tuple[WorkingOrders, Schedule]:
        execution = execution_of(task_data)
        length = timedelta(minutes=number(task_data, "within_minutes", 0.0, low=0.0, high=1440.0))
        end = execution.deadline or self.services.clock.now() + length + PATIENCE
        schedule = Schedule(slices=int(number(task_data, "slices", 1, low=1, high=100)), length=length, end=end)
        prefix = f"{execution.run_id}:{execution.task}"
        return WorkingOrders(self.services, prefix=prefix, schedule=schedule, sending=self._sending), schedule

    async def execute_order_tracking(self, task_data: TaskData) -> JsonObject:
        """List the open orders, and those that nothing has happened to for ``stale_minutes`` (30)."""
        minutes = number(task_data, "stale_minutes", STALE_MINUTES, low=0.0, high=1440.0)
        now = self.services.clock.now()
        open_orders = await self.services.broker.orders(open_only=True)
        stale = [s for s in open_orders if now - s.updated_at >= timedelta(minutes=minutes)]
        return answer(
            "order_tracking",
            method=f"the broker's open orders; stale after {minutes:g} minutes without a change",
            conclusion=f"{len(open_orders)} orders are open, {len(stale)} of them stale.",
            open=[order_row(state) for state in open_orders],
            stale=[state.order.client_order_id for state in stale],
        )

    async def execute_cancel_open_orders(self, task_data: TaskData) -> JsonObject:
        """Cancel every open order."""
        ended = [
            await self.services.broker.cancel(state.order.client_order_id)
            for state in await self.services.broker.orders(open_only=True)
        ]
        cancelled = [state for state in ended if state.status is OrderStatus.CANCELLED]
        return answer(
            "cancel_open_orders",
            method="a cancellation for every order that the broker calls open",
            conclusion=f"{len(cancelled)} open orders cancelled." if ended else "No order was open.",
            orders=[order_row(state) for state in ended],
        )

    async def execute_reconcile_positions(self, task_data: TaskData) -> JsonObject:
        """Add up all fills and compare them, exactly, with the broker's positions, cash and orders."""
        broker = self.services.broker
        fills = await broker.fills()
        account = await broker.account()
        found = differences(self.services.desk, account, fills, await broker.orders())
        return answer(
            "reconcile_positions",
            method="the desk's starting cash and every fill added up, exactly, against the account and the orders",
            conclusion=(
                f"{len(found)} differences: {listed([str(d['what']) for d in found])}."
                if found
                else f"{len(fills)} fills agree with orders, cash and {len(account.positions)} positions."
            ),
            reconciled=not found,
            fills=len(fills),
            cash=str(account.cash),
            positions={p.symbol: str(p.quantity) for p in account.positions},
            differences=found,
        )


def _result(trades: Sequence[PlannedTrade], missing: list[str], work: WorkingOrders, schedule: Schedule) -> JsonObject:
    """What `execute_trades` leaves, from what became of its orders."""
    rows = [order_row(state) for state in work.states]
    refused = [*work.refused, *(row for row in rows if row["status"] == OrderStatus.REJECTED.value)]
    filled = [state for state in work.states if state.filled_quantity]
    unfilled = _unfilled(trades, work.states)
    if trades:
        names = list(dict.fromkeys(f"{s.order.side.value} {s.order.symbol}" for s in filled))
        left = listed([f"{side.value} {quantity} {symbol}" for (symbol, side), quantity in unfilled.items()])
        rest = f"; not filled: {left}" if unfilled else ""
        conclusion = f"{len(rows)} orders sent; filled: {listed(names)}; {len(refused)} refused{rest}."
    else:
        conclusion = f"Nothing to send{f': no result from {listed(missing)}' if missing else ''}."
    return answer(
        "execute_trades",
        method=schedule.method,
        conclusion=conclusion,
        orders=rows,
        filled=[
            {
                "symbol": state.order.symbol,
                "side": state.order.side.value,
                "quantity": str(state.filled_quantity),
                "average_price": str(state.average_price),
            }
            for state in filled
        ],
        unfilled=[
            {"symbol": symbol, "side": side.value, "quantity": str(quantity)}
            for (symbol, side), quantity in unfilled.items()
        ],
        refused=refused,
        missing=missing,
    )


def _unfilled(trades: Sequence[PlannedTrade], states: Iterable[OrderState]) -> dict[tuple[str, Side], Decimal]:
    """What was asked for and not done, by symbol and side, in the order of ``trades``."""
    left: dict[tuple[str, Side], Decimal] = {}
    for trade in trades:
        key = trade.symbol, trade.side
        left[key] = left.get(key, Decimal(0)) + trade.quantity
    for state in states:
        left[state.order.symbol, state.order.side] -= state.filled_quantity
    return {key: quantity for key, quantity in left.items() if quantity}
