"""The portfolio manager: what is held, what should be, and the trades between the two."""

from typing import ClassVar

from agents.base import BaseAgent
from agents.book import Book, cut_quantities, position_rows, read_book, totals
from agents.histories import YEAR, histories, prices_now, usable_symbols
from agents.reductions import Reductions
from agents.signals import indicators_of, rank, regime_of, signal_of
from agents.targets import DEFAULT_BUDGET, HEADROOM, limits_of, limits_row, target_weights
from agents.task_data import (
    TaskData,
    answer,
    execution_of,
    input_of,
    last_day_of,
    listed,
    mapping,
    number,
    number_or_none,
    rows,
    session_date,
    symbols_of,
)
from agents.trade_rows import dropped_rows, trade_rows
from orchestration.domain.desk import RiskLimits
from orchestration.domain.json_value import JsonObject
from orchestration.domain.orders import Side
from orchestration.quant.risk import breaches
from orchestration.quant.rounding import significant, significant_or_none
from orchestration.quant.sizing import SMALLEST_TRADE, WORTH_ITS_COMMISSION, size
from orchestration.quant.volatility import WINDOW, realised_volatility

DRIFT = 0.02
"""Share of equity by which a weight may leave its target before it is worth trading."""


class PortfolioManager(Reductions, BaseAgent):
    """Decides how much of what."""

    name: ClassVar[str] = "portfolio_manager"

    async def execute_portfolio_review(self, task_data: TaskData) -> JsonObject:
        """Say what is held, what it is worth, and how much of the equity is at work."""
        book = await read_book(self.services, session_date(task_data, self.services))
        held = [p.symbol for p in book.account.positions]
        return answer(
            "portfolio_review",
            method="the broker's account, marked at the last known prices; the day began at the previous closes",
            conclusion=f"Equity {book.account.equity:,.2f}, {book.exposure.gross:.1%} of it at work in {listed(held)}.",
            **totals(book),
            positions=position_rows(book),
            open_orders=len(book.open_orders),
        )

    async def execute_risk_assessment(self, task_data: TaskData) -> JsonObject:
        """State the day's limits (times ``limit_scale``), the room under them, and each name's volatility."""
        book = await read_book(self.services, session_date(task_data, self.services))
        limits = limits_of(task_data, self.services.desk.limits)
        found = breaches(book.account, limits, book.loss)
        names = symbols_of(task_data, self.services)
        usable, unusable = await usable_symbols(
            self.services.market_data, names, session_date(task_data, self.services)
        )
        table: list[JsonObject] = [
            {
                "symbol": symbol,
                "volatility": significant_or_none(realised_volatility(history.closes)),
                "weight": significant(book.exposure.weights.get(symbol, 0.0)),
                "headroom": significant(max(0.0, limits.per_name - abs(book.exposure.weights.get(symbol, 0.0)))),
            }
            for symbol, history in (await histories(self.services.market_data, usable, 2 * WINDOW)).items()
        ]
        room = max(0.0, limits.gross - book.exposure.gross)
        broken = f"; passed: {'; '.join(str(b) for b in found)}" if found else ", no limit is passed"
        return answer(
            "risk_assessment",
            method=f"limits of desk.yaml x limit_scale against exposures; volatility of {WINDOW} daily log returns",
            conclusion=f"{room:.0%} of equity may still be put to work{broken}.",
            limits=limits_row(limits),
            headroom=significant(room),
            breaches=[str(b) for b in found],
            symbols=table,
            unusable=unusable,
        )

    async def execute_generate_trades(self, task_data: TaskData) -> JsonObject:
        """Weigh the names worth owning by the desk's rule, within limits and risk budget, and trade towards that."""
        book = await read_book(self.services, session_date(task_data, self.services))
        limits = limits_of(task_data, self.services.desk.limits)
        opportunities = input_of(task_data, "opportunity_identification")
        if opportunities is None:
            return answer(
                "generate_trades",
                method="nothing was worked out",
                conclusion="No trades: opportunity_identification left no result, so what is held stays.",
                trades=[],
                target_weights={},
                dropped=[],
                unusable=[],
            )
        weights, unusable = await self._weights(task_data, opportunities, limits)
        return await self._towards(task_data, "generate_trades", weights, book, limits, unusable)

    async def execute_rebalance(self, task_data: TaskData) -> JsonObject:
        """Trade the names whose weight left its target by ``drift`` (0.02 of equity) or more.

        Targets are those of `generate_trades` or else of `opportunity_identification` among the inputs, else the
        signals are worked out anew. What was sold before a statement is not bought back here: that is for
        `post_statement_adjustment` to decide.
        """
        book = await read_book(self.services, session_date(task_data, self.services))
        limits = limits_of(task_data, self.services.desk.limits)
        drift = number(task_data, "drift", DRIFT, low=0.0, high=1.0)
        earlier = mapping(input_of(task_data, "generate_trades") or {}, "target_weights")
        unusable: list[JsonObject] = []
        if earlier:
            weights = {s: w for s in sorted(earlier) if (w := number_or_none(earlier, s)) is not None}
        else:
            opportunities = input_of(task_data, "opportunity_identification") or await self._opportunities(task_data)
            weights, unusable = await self._weights(task_data, opportunities, limits)
        cut = cut_quantities(await self.services.broker.fills(), execution_of(task_data).run_id)
        actual = book.exposure.weights
        drifts = {s: significant(actual.get(s, 0.0) - w) for s, w in weights.items()}
        chosen = {s: w for s, w in weights.items() if abs(drifts[s]) >= drift and not (s in cut and drifts[s] < 0)}
        result = await self._towards(task_data, "rebalance", chosen, book, limits, unusable)
        shown: JsonObject = {**result, "drifts": drifts, "kept_cut": sorted(cut)}
        kept = f"; {listed(sorted(cut))} stay cut for the statement" if cut else ""
        return shown if chosen else {**shown, "conclusion": f"No name is {drift:.0%} of equity off its target{kept}."}

    async def _weights(
        self, task_data: TaskData, opportunities: JsonObject, limits: RiskLimits
    ) -> tuple[dict[str, float], list[JsonObject]]:
        """Target weights of every ranked name with a price: zero for those that should be flat.

        What can be traded today for the last time has none: nothing is opened in it, and closing it is for
        `close_expiring_positions`.
        """
        candidates = rows(opportunities, "candidates")
        ranked = tuple(str(row.get("symbol")) for row in candidates)
        on = session_date(task_data, self.services)
        usable, unusable = await usable_symbols(self.services.market_data, ranked, on)
        until, instrument = last_day_of(task_data, self.services), self.services.desk.instrument
        ending = [s for s in usable if (day := instrument(s).expires_on) is not None and day <= until]
        usable = [s for s in usable if s not in ending]
        unusable += [{"symbol": s, "reason": f"expires on {instrument(s).expires_on}"} for s in ending]
        longs = [s for row in candidates if row.get("direction") == "long" and (s := str(row.get("symbol"))) in usable]
        budget = number_or_none(opportunities, "risk_budget")
        if budget is None:
            budget = number_or_none(input_of(task_data, "macro_assessment") or {}, "risk_budget")
        found = await histories(self.services.market_data, longs, YEAR)
        weights = target_weights(
            longs,
            found,
            weighting=self.services.desk.weighting,
            limits=limits,
            budget=DEFAULT_BUDGET if budget is None else budget,
        )
        return {symbol: weights.get(symbol, 0.0) for symbol in sorted(usable)}, unusable

    async def _opportunities(self, task_data: TaskData) -> JsonObject:
        """What the analysts would say now, from the same signals."""
        on = session_date(task_data, self.services)
        usable, _ = await usable_symbols(self.services.market_data, symbols_of(task_data, self.services), on)
        found = await histories(self.services.market_data, usable)
        regime = regime_of(found)
        signals = [signal_of(history, indicators_of(history)) for history in found.values()]
        ranked, _ = rank(signals, regime.momentum_share)
        return {"candidates": [c.row() for c in ranked], "risk_budget": significant(regime.risk_budget)}

    async def _towards(
        self,
        task_data: TaskData,
        task_type: str,
        weights: dict[str, float],
        book: Book,
        limits: RiskLimits,
        unusable: list[JsonObject],
    ) -> JsonObject:
        """The trades that lead to ``weights``; after the daily loss only those that sell."""
        prices = await prices_now(self.services.market_data, sorted(weights))
        unpriced = [symbol for symbol in weights if symbol not in prices]
        least = self.services.desk.costs.commission_minimum * WORTH_ITS_COMMISSION
        sizing = size(
            {s: w for s, w in weights.items() if s in prices},
            account=book.account,
            prices=prices,
            instrument=self.services.desk.instrument,
            per_order=limits.per_order * HEADROOM,
            pending=book.pending,
            least=least,
        )
        stopped = book.loss > limits.daily_loss
        trades = [t for t in sizing.trades if t.side is Side.SELL or not stopped]
        names = list(dict.fromkeys(f"{t.side.value} {t.symbol}" for t in trades))
        lost = f" The day has lost {book.loss:.2%}: nothing is bought." if stopped else ""
        return answer(
            task_type,
            method=(
                f"{self.services.desk.weighting.value.replace('_', ' ')} weights over a year of daily log returns x "
                f"risk budget, {HEADROOM:.0%} of the limits at most; whole lots; trades of {SMALLEST_TRADE:.1%} of "
                f"equity and of {least:f} or more"
            ),
            conclusion=f"Trades: {listed(names, 'none needed')}.{lost}",
            trades=trade_rows(trades),
            target_weights={symbol: significant(weight) for symbol, weight in weights.items()},
            dropped=dropped_rows(sizing.dropped),
            unusable=[*unusable, *({"symbol": s, "reason": "no price is known now"} for s in unpriced)],
        )
