"""The economist: what kind of market it is, and what a central bank's statement does to it."""

import math
from datetime import datetime, timedelta
from decimal import Decimal
from typing import ClassVar

from agents.base import BaseAgent
from agents.book import read_book
from agents.histories import histories, previous_closes, prices_now, usable_symbols
from agents.signals import regime_of
from agents.task_data import TaskData, answer, input_of, moment, number, session_date, symbols_of
from orchestration.domain.json_value import JsonObject
from orchestration.quant.regime import METHOD as REGIME
from orchestration.quant.rounding import significant, significant_or_none
from orchestration.quant.volatility import SESSIONS_A_YEAR, WINDOW, basket_volatility, realised_volatility

LOOK_BACK = timedelta(days=1)
"""How old the last tick before a statement may be; else the previous close counts, which is older."""
CALM = 1.0
"""Daily standard deviations within which a move after a statement is an ordinary one."""


class Economist(BaseAgent):
    """Judges the market as a whole."""

    name: ClassVar[str] = "economist"

    async def execute_macro_assessment(self, task_data: TaskData) -> JsonObject:
        """Name the regime and the share of the gross limit (0 to 1) that it deserves."""
        market = self.services.market_data
        wanted = symbols_of(task_data, self.services)
        usable, unusable = await usable_symbols(market, wanted, session_date(task_data, self.services))
        reading = regime_of(await histories(market, usable))
        return answer(
            "macro_assessment",
            method=f"{REGIME}; the regime's budget, scaled down in proportion above 20 % volatility",
            conclusion=f"The market is {reading.regime.value}: {reading.risk_budget:.0%} of the risk may be used.",
            regime=reading.regime.value,
            volatility=significant_or_none(reading.volatility),
            trend=significant_or_none(reading.trend),
            breadth=significant_or_none(reading.breadth),
            risk_budget=significant(reading.risk_budget),
            momentum_share=significant(reading.momentum_share),
            unusable=unusable,
        )

    async def execute_volatility_assessment(self, task_data: TaskData) -> JsonObject:
        """Judge the basket's realised volatility against the desk's threshold, and by how much to scale the limits."""
        market = self.services.market_data
        wanted = symbols_of(task_data, self.services)
        usable, unusable = await usable_symbols(market, wanted, session_date(task_data, self.services))
        found = await histories(market, usable, 2 * WINDOW)
        volatility = basket_volatility({symbol: history.by_date for symbol, history in found.items()})
        threshold = self.services.desk.high_volatility
        high = volatility is not None and volatility >= threshold
        scale = threshold / volatility if volatility is not None and high else 1.0
        if volatility is None:
            conclusion = f"Volatility cannot be judged: fewer than {WINDOW} common daily returns are known."
        else:
            side = "at or over" if high else "under"
            conclusion = f"Volatility is {volatility:.1%}, {side} the threshold of {threshold:.0%}."
        return answer(
            "volatility_assessment",
            method=f"std (ddof 1) of the last {WINDOW} daily log returns of the equal-weight basket x sqrt(252)",
            conclusion=conclusion,
            volatility=significant_or_none(volatility),
            threshold=threshold,
            high=high,
            limit_scale=significant(scale),
            symbols=[
                {"symbol": symbol, "volatility": significant_or_none(realised_volatility(history.closes))}
                for symbol, history in found.items()
            ],
            unusable=unusable,
        )

    async def execute_fomc_preview(self, task_data: TaskData) -> JsonObject:
        """Say what one ordinary daily move would do to what is held, and how much to ``keep`` into the statement."""
        on = session_date(task_data, self.services)
        book = await read_book(self.services, on)
        daily, _, unusable = await self._daily_volatility(task_data)
        keep = number(task_data, "keep", 0.5, low=0.0, high=1.0)
        at_stake = abs(book.exposure.net) * daily if daily is not None else None
        when = moment(task_data, "statement_at")
        due = f"at {when:%H:%M} UTC" if when else "today"
        stake = f"an ordinary day moves equity by {at_stake:.2%}" if at_stake is not None else "its moves are not known"
        return answer(
            "fomc_preview",
            method=f"net exposure x daily volatility of the equal-weight basket ({WINDOW} log returns / sqrt(252))",
            conclusion=f"The statement is due {due}; {stake}; keep {keep:.0%} of each long position into it.",
            statement_at=when.isoformat() if when else None,
            daily_volatility=significant_or_none(daily),
            net_exposure=significant(book.exposure.net),
            at_stake=significant_or_none(at_stake),
            keep=keep,
            unusable=unusable,
        )

    async def execute_statement_analysis(self, task_data: TaskData) -> JsonObject:
        """Measure the move since ``statement_at`` (its own, else the preview's, else the previous close) in sigmas."""
        market = self.services.market_data
        daily, usable, unusable = await self._daily_volatility(task_data)
        when = moment(task_data, "statement_at") or moment(input_of(task_data, "fomc_preview") or {}, "statement_at")
        before = await self._prices_before(usable, when, task_data)
        now = await prices_now(market, usable, since=when)
        moves = {s: significant(float(now[s] / before[s]) - 1.0) for s in usable if s in now and s in before}
        silent = [s for s in usable if s not in moves]
        mean = sum(moves.values()) / len(moves) if moves else None
        in_sigmas = significant_or_none(mean / daily) if mean is not None and daily else None
        since = f"the last price before {when:%Y-%m-%dT%H:%MZ}" if when else "the previous close"
        if in_sigmas is None:
            verdict, conclusion = "unknown", "The move cannot be judged: prices since or volatility are not known."
        else:
            verdict = "calm" if abs(in_sigmas) <= CALM else "rally" if in_sigmas > 0 else "sell_off"
            conclusion = f"The basket moved {mean:+.2%}, {in_sigmas:+.1f} ordinary days: {verdict.replace('_', '-')}."
        return answer(
            "statement_analysis",
            method=f"mean move of the symbols since {since}, over the basket's daily volatility ({WINDOW} log returns)",
            conclusion=conclusion,
            statement_at=when.isoformat() if when else None,
            move=significant_or_none(mean),
            daily_volatility=significant_or_none(daily),
            move_in_sigmas=in_sigmas,
            verdict=verdict,
            symbols=[{"symbol": symbol, "move": move} for symbol, move in moves.items()],
            unusable=[*unusable, *({"symbol": s, "reason": f"no price since {since}"} for s in silent)],
        )

    async def _daily_volatility(self, task_data: TaskData) -> tuple[float | None, list[str], list[JsonObject]]:
        market = self.services.market_data
        wanted = symbols_of(task_data, self.services)
        usable, unusable = await usable_symbols(market, wanted, session_date(task_data, self.services))
        found = await histories(market, usable, 2 * WINDOW)
        yearly = basket_volatility({symbol: history.by_date for symbol, history in found.items()})
        return (yearly / math.sqrt(SESSIONS_A_YEAR) if yearly is not None else None), usable, unusable

    async def _prices_before(
        self, symbols: list[str], when: datetime | None, task_data: TaskData
    ) -> dict[str, Decimal]:
        market = self.services.market_data
        before = await previous_closes(market, symbols, session_date(task_data, self.services))
        if when is not None:
            for symbol in symbols:
                ticks = await market.ticks(symbol, after=when - LOOK_BACK, until=when)
                if ticks:
                    before[symbol] = ticks[-1].price
        return before
