"""The portfolio manager's other half: watching limits and taking risk off, for a statement, an expiry or a breach."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from agents.base import BaseAgent
from agents.book import cut_quantities, expiring_positions, position_rows, read_book, totals
from agents.economist import CALM
from agents.histories import prices_now
from agents.targets import HEADROOM, limits_of
from agents.task_data import (
    TaskData,
    answer,
    execution_of,
    input_of,
    last_day_of,
    listed,
    number,
    number_or_none,
    session_date,
)
from agents.trade_rows import trade_rows
from orchestration.domain.json_value import JsonObject
from orchestration.domain.orders import Account, Position, Side
from orchestration.quant.expirations import PIN_DISTANCE, pin_risk
from orchestration.quant.risk import breaches, reducing_trades
from orchestration.quant.rounding import significant, whole_lots
from orchestration.quant.sizing import Trade, split_order


class Reductions(BaseAgent):
    """Tasks that watch positions and make them smaller."""

    async def execute_risk_monitoring(self, task_data: TaskData) -> JsonObject:
        """Compare equity and exposures with the limits; where one is passed, propose trades that end that."""
        book = await read_book(self.services, session_date(task_data, self.services))
        limits = limits_of(task_data, self.services.desk.limits)
        found = breaches(book.account, limits, book.loss)
        trades = reducing_trades(book.account, limits, found, self.services.desk.instrument, book.pending)
        return answer(
            "risk_monitoring",
            method="the account at the last prices against the limits and against the previous closes",
            conclusion=f"{'; '.join(str(b) for b in found)}." if found else "All limits are kept.",
            **totals(book),
            breaches=[
                {
                    "limit": b.limit,
                    "symbol": b.symbol,
                    "value": significant(b.value),
                    "allowed": significant(b.allowed),
                }
                for b in found
            ],
            trades=trade_rows(trades),
        )

    async def execute_position_check(self, task_data: TaskData) -> JsonObject:
        """Say what would be held overnight, whether it keeps the limits, and which orders are still open."""
        book = await read_book(self.services, session_date(task_data, self.services))
        found = breaches(book.account, limits_of(task_data, self.services.desk.limits), book.loss)
        priced = await prices_now(self.services.market_data, [p.symbol for p in book.account.positions])
        unpriced = [p.symbol for p in book.account.positions if p.symbol not in priced]
        state = "; ".join(str(b) for b in found) or "all limits are kept"
        return answer(
            "position_check",
            method="the broker's positions and open orders against the limits",
            conclusion=f"{len(book.account.positions)} positions, {len(book.open_orders)} open orders; {state}.",
            **totals(book),
            positions=position_rows(book),
            open_orders=[s.order.client_order_id for s in book.open_orders],
            breaches=[str(b) for b in found],
            unusable=[{"symbol": symbol, "reason": "no price is known now"} for symbol in unpriced],
        )

    async def execute_exposure_cut(self, task_data: TaskData) -> JsonObject:
        """Scale every long position down to ``keep`` (that of `fomc_preview`, else 0.5) of itself, in whole lots."""
        preview = number_or_none(input_of(task_data, "fomc_preview") or {}, "keep")
        keep = number(task_data, "keep", 0.5 if preview is None else preview, low=0.0, high=1.0)
        account = await self.services.broker.account()
        longs = [p for p in account.positions if p.quantity > 0]
        trades: list[Trade] = []
        for held in longs:
            lot = self.services.desk.instrument(held.symbol).lot_size
            cut = held.quantity - whole_lots(held.quantity * Decimal(repr(keep)), lot)
            trades += self._orders(task_data, account, held, cut, f"keep {keep:.0%} of {held.quantity}")
        names = list(dict.fromkeys(trade.symbol for trade in trades))
        return answer(
            "exposure_cut",
            method=f"every long position x {keep:g}, rounded down to whole lots",
            conclusion=f"Cut to {keep:.0%}: {listed(names)}." if names else "There is no long position to cut.",
            keep=keep,
            trades=trade_rows(trades),
        )

    async def execute_post_statement_adjustment(self, task_data: TaskData) -> JsonObject:
        """Buy back what was sold before the statement if that moved the basket by one daily volatility at most.

        What was sold is read from the broker's fills of the run's `exposure_cut…` tasks.
        """
        analysis = input_of(task_data, "statement_analysis")
        book = await read_book(self.services, session_date(task_data, self.services))
        lost = book.loss > limits_of(task_data, self.services.desk.limits).daily_loss
        cut = cut_quantities(await self.services.broker.fills(), execution_of(task_data).run_id)
        sigmas = number_or_none(analysis, "move_in_sigmas") if analysis is not None else None
        restore = sigmas is not None and abs(sigmas) <= CALM and not lost
        trades: list[JsonObject] = []
        if sigmas is None:
            conclusion = "Stay cut: how the statement moved prices is not known."
        elif lost:
            conclusion = f"Stay cut: the day has lost {book.loss:.2%}, and nothing is bought."
        elif not restore:
            conclusion = f"Stay cut: the basket moved {sigmas:+.1f} ordinary days since the statement."
        elif not cut:
            conclusion = "The move is ordinary, and nothing was cut that could be restored."
        else:
            trades = await self._undo(task_data, cut)
            names = list(dict.fromkeys(str(trade["symbol"]) for trade in trades))
            conclusion = f"The move is ordinary ({sigmas:+.1f} days): buy back {listed(names, 'nothing')}."
        return answer(
            "post_statement_adjustment",
            method=f"restore what was cut where the move since the statement is within {CALM:g} daily volatility",
            conclusion=conclusion,
            stance="restored" if restore else "cut",
            cut={symbol: str(quantity) for symbol, quantity in cut.items()},
            trades=trades,
        )

    async def execute_close_expiring_positions(self, task_data: TaskData) -> JsonObject:
        """Close every position whose instrument expires before the next session; with ``underlying``, those on it."""
        on = session_date(task_data, self.services)
        account = await self.services.broker.account()
        until = last_day_of(task_data, self.services)
        found = expiring_positions(account, self.services.desk, on, until, task_data.get("underlying"))
        trades: list[Trade] = []
        for one in found:
            reason = f"expires on {one.expires_on}"
            trades += self._orders(task_data, account, one.position, abs(one.position.quantity), reason)
        names = [one.position.symbol for one in found]
        return answer(
            "close_expiring_positions",
            method=f"positions whose instrument's expires_on is {until} or before, closed whole",
            conclusion=f"Close {listed(names)}." if found else "Nothing expires.",
            trades=trade_rows(trades),
        )

    async def execute_pin_risk_check(self, task_data: TaskData) -> JsonObject:
        """Say how far the underlyings of expiring positions are from the strikes."""
        on = session_date(task_data, self.services)
        account = await self.services.broker.account()
        until = last_day_of(task_data, self.services)
        found = expiring_positions(account, self.services.desk, on, until, task_data.get("underlying"))
        underlyings = [one.instrument.underlying for one in found if one.instrument.underlying is not None]
        prices = await prices_now(self.services.market_data, underlyings)
        risks = [pin_risk(one.instrument, prices[u]) for one in found if (u := one.instrument.underlying) in prices]
        known = [risk for risk in risks if risk is not None]
        near = [risk.symbol for risk in known if risk.at_risk]
        judged = {risk.symbol for risk in known}
        blind = [one.position.symbol for one in found if one.position.symbol not in judged]
        return answer(
            "pin_risk_check",
            method=f"distance of the underlying's last price from the strike; at risk within {PIN_DISTANCE:.0%} of it",
            conclusion=f"At risk of being pinned: {listed(near)}." if found else "Nothing expires.",
            risks=[
                {
                    "symbol": r.symbol,
                    "underlying": r.underlying,
                    "strike": str(r.strike),
                    "price": str(r.price),
                    "distance": significant(r.distance),
                    "at_risk": r.at_risk,
                }
                for r in known
            ],
            unusable=[{"symbol": s, "reason": "no strike, underlying or price is known"} for s in blind],
        )

    def _orders(
        self, task_data: TaskData, account: Account, held: Position, quantity: Decimal, reason: str
    ) -> Sequence[Trade]:
        """What makes ``held`` smaller by ``quantity``, split as the limit of one order asks."""
        if quantity <= 0:
            return ()
        side = Side.SELL if held.quantity > 0 else Side.BUY
        trade = Trade(
            symbol=held.symbol, side=side, quantity=quantity, price=held.price, reason=reason, reduce_only=True
        )
        limits = limits_of(task_data, self.services.desk.limits)
        instrument = self.services.desk.instrument(held.symbol)
        parts, _ = split_order(trade, instrument, equity=account.equity, per_order=limits.per_order, reducing=True)
        return parts

    async def _undo(self, task_data: TaskData, cut: Mapping[str, Decimal]) -> list[JsonObject]:
        """The trades that buy back ``cut`` at today's prices; a name without a price is left out."""
        account = await self.services.broker.account()
        limits = limits_of(task_data, self.services.desk.limits)
        trades: list[Trade] = []
        for symbol, price in (await prices_now(self.services.market_data, sorted(cut))).items():
            reason = "restore what was cut before the statement"
            trade = Trade(symbol=symbol, side=Side.BUY, quantity=cut[symbol], price=price, reason=reason)
            parts, _ = split_order(
                trade,
                self.services.desk.instrument(symbol),
                equity=account.equity,
                per_order=limits.per_order * HEADROOM,
                reducing=False,
            )
            trades += parts
        return trade_rows(trades)
