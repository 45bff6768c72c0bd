"""The senior analyst: what is worth owning, whether planned trades stand up, and what a special day means."""

import math
from typing import ClassVar

from agents.base import BaseAgent
from agents.book import expiring_positions, read_book
from agents.histories import histories, previous_closes, prices_now, usable_symbols
from agents.signals import LONG_ABOVE, indicators_of, rank, signals_from
from agents.targets import DEFAULT_BUDGET, limits_of
from agents.task_data import (
    TaskData,
    answer,
    input_of,
    last_day_of,
    listed,
    number_or_none,
    rows,
    session_date,
    symbols_of,
)
from agents.trade_check import PRICE_DRIFT, TradeCheck
from agents.trade_rows import planned_trades
from orchestration.domain.json_value import JsonObject
from orchestration.quant.regime import MOMENTUM_SHARE, Regime
from orchestration.quant.rounding import significant, significant_or_none, to_tick
from orchestration.quant.volatility import SESSIONS_A_YEAR, WINDOW, realised_volatility


class SeniorAnalyst(BaseAgent):
    """Ranks, checks, reviews."""

    name: ClassVar[str] = "senior_analyst"

    async def execute_opportunity_identification(self, task_data: TaskData) -> JsonObject:
        """Rank the names by momentum and mean reversion, mixed as the regime has it; long or flat."""
        analysis = input_of(task_data, "market_analysis")
        macro = input_of(task_data, "macro_assessment") or {}
        share = number_or_none(macro, "momentum_share")
        budget = number_or_none(macro, "risk_budget")
        known = share is not None and budget is not None
        mix = share if share is not None else MOMENTUM_SHARE[Regime.UNKNOWN]
        regime = str(macro.get("regime", Regime.UNKNOWN.value))
        ranked, unscored = rank(signals_from(analysis) if analysis is not None else [], mix)
        longs = [candidate.symbol for candidate in ranked if candidate.long]
        if analysis is None:
            conclusion = "Nothing can be ranked: market_analysis left no result."
        else:
            conclusion = f"Worth owning: {listed(longs)}, of {len(ranked)} ranked names in a {regime} market."
        note = "" if known else "; macro_assessment left no result, so both scores count alike"
        unusable = rows(analysis, "unusable") if analysis is not None else []
        return answer(
            "opportunity_identification",
            method=f"{mix:.0%} momentum and {1 - mix:.0%} mean reversion; long above {LONG_ABOVE:g}, else flat{note}",
            conclusion=conclusion,
            regime=regime,
            risk_budget=budget if budget is not None else DEFAULT_BUDGET,
            momentum_share=mix,
            candidates=[candidate.row() for candidate in ranked],
            unusable=[*unusable, *({"symbol": symbol, "reason": "history too short"} for symbol in unscored)],
        )

    async def execute_validate_trades(self, task_data: TaskData) -> JsonObject:
        """Check every planned trade against prices, lots and limits, and approve or reject it with a reason."""
        book = await read_book(self.services, session_date(task_data, self.services))
        desk = self.services.desk
        trades, missing = planned_trades(task_data)
        prices = await prices_now(self.services.market_data, tuple(dict.fromkeys(t.symbol for t, _ in trades)))
        limits = limits_of(task_data, desk.limits)
        check = TradeCheck(
            desk=desk, limits=limits, account=book.account, prices=prices, pending=book.pending, loss=book.loss
        )
        approved: list[JsonObject] = []
        rejected: list[JsonObject] = []
        for trade, row in trades:
            objection = check.objection(trade)
            if objection is None:
                approved.append(row)
            else:
                rejected.append({**row, "reason": objection})
        if not trades:
            conclusion = f"There is nothing to check{f': no result from {listed(missing)}' if missing else ''}."
        else:
            conclusion = f"{len(approved)} of {len(trades)} trades approved, {len(rejected)} rejected."
        return answer(
            "validate_trades",
            method=(
                f"each trade at the price now: within {PRICE_DRIFT:.0%} of its reference, whole lots, per order, per "
                "name and gross limits after it and all before it, no opening trade after a daily loss"
            ),
            conclusion=conclusion,
            approved=approved,
            rejected=rejected,
        )

    async def execute_earnings_analysis(self, task_data: TaskData) -> JsonObject:
        """Measure how the names that reported (``symbols``) moved since the previous close, in daily volatilities."""
        market = self.services.market_data
        on = session_date(task_data, self.services)
        usable, unusable = await usable_symbols(market, symbols_of(task_data, self.services), on)
        found = await histories(market, usable, 2 * WINDOW)
        now = await prices_now(market, usable)
        before = await previous_closes(market, usable, on)
        book = await read_book(self.services, on)
        table: list[JsonObject] = []
        surprising: list[str] = []
        for symbol in usable:
            if symbol not in now or symbol not in before:
                unusable.append({"symbol": symbol, "reason": "no price now or no previous close"})
                continue
            move = float(now[symbol] / before[symbol]) - 1.0
            yearly = realised_volatility(found[symbol].closes)
            sigmas = significant_or_none(move / yearly * math.sqrt(SESSIONS_A_YEAR)) if yearly else None
            if sigmas is not None and abs(sigmas) > 2:
                surprising.append(f"{symbol} ({sigmas:+.1f})")
            table.append(
                {
                    "symbol": symbol,
                    "move": significant(move),
                    "move_in_sigmas": sigmas,
                    "weight": significant(book.exposure.weights.get(symbol, 0.0)),
                }
            )
        return answer(
            "earnings_analysis",
            method=f"move since the previous close over daily volatility ({WINDOW} log returns); a surprise from 2 on",
            conclusion=f"Surprises, in ordinary days: {listed(surprising)}.",
            symbols=table,
            unusable=unusable,
        )

    async def execute_expiration_review(self, task_data: TaskData) -> JsonObject:
        """List the positions that expire before the next session, or should have; with ``underlying``, those on it."""
        on = session_date(task_data, self.services)
        account = await self.services.broker.account()
        until = last_day_of(task_data, self.services)
        found = expiring_positions(account, self.services.desk, on, until, task_data.get("underlying"))
        names = [e.position.symbol for e in found]
        return answer(
            "expiration_review",
            method=f"positions whose instrument's expires_on is {until} or before",
            conclusion=f"To be closed today: {listed(names)}." if found else "Nothing expires.",
            expiring=[
                {
                    "symbol": e.position.symbol,
                    "quantity": str(e.position.quantity),
                    "expires_on": str(e.expires_on),
                    "overdue": e.overdue,
                }
                for e in found
            ],
        )

    async def execute_next_day_preparation(self, task_data: TaskData) -> JsonObject:
        """For every name: its last close, and the range that one average true range around it makes."""
        market = self.services.market_data
        on = session_date(task_data, self.services)
        usable, unusable = await usable_symbols(market, symbols_of(task_data, self.services), on)
        account = await self.services.broker.account()
        levels: list[JsonObject] = []
        for symbol, history in (await histories(market, usable, 60)).items():
            atr = indicators_of(history).atr
            tick = self.services.desk.instrument(symbol).tick_size
            close = float(history.last_close)
            held = account.position(symbol)
            levels.append(
                {
                    "symbol": symbol,
                    "last_date": str(history.dates[-1]),
                    "close": str(history.last_close),
                    "low": str(to_tick(close - atr, tick)) if atr is not None else None,
                    "high": str(to_tick(close + atr, tick)) if atr is not None else None,
                    "held": str(held.quantity) if held else "0",
                }
            )
        return answer(
            "next_day_preparation",
            method="last close plus and minus ATR(14) by TA-Lib, from 60 daily bars",
            conclusion=f"Levels for {len(levels)} names; {len(account.positions)} positions are held overnight.",
            levels=levels,
            unusable=unusable,
        )
