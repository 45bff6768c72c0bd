"""The junior analyst: what prices there are, what the indicators say of them, and what moves during the day."""

from typing import ClassVar

from agents.base import BaseAgent
from agents.histories import histories, previous_closes, prices_now, usable_symbols
from agents.signals import indicators_of, signal_of
from agents.task_data import TaskData, answer, input_of, listed, number, session_date, symbols_of
from orchestration.domain.json_value import JsonObject
from orchestration.quant.indicators import METHOD as INDICATORS
from orchestration.quant.rounding import significant
from orchestration.quant.scores import MOMENTUM_METHOD, REVERSION_METHOD

ALERT_MOVE = 0.03
"""The share by which a price has to leave the previous close to be worth a word."""


class JuniorAnalyst(BaseAgent):
    """Collects prices, works out indicators, watches."""

    name: ClassVar[str] = "junior_analyst"

    async def execute_data_collection(self, task_data: TaskData) -> JsonObject:
        """Say which of the symbols can be traded today, how much history each has, and its last close."""
        market = self.services.market_data
        on = session_date(task_data, self.services)
        usable, unusable = await usable_symbols(market, symbols_of(task_data, self.services), on)
        found = await histories(market, usable)
        table: list[JsonObject] = [
            {"symbol": h.symbol, "bars": len(h.dates), "last_date": str(h.dates[-1]), "last_close": str(h.last_close)}
            for h in found.values()
        ]
        left_out = f"; left out: {listed([str(row['symbol']) for row in unusable])}" if unusable else ""
        return answer(
            "data_collection",
            method=f"daily bars of sessions that have closed, up to a year, and a price on {on}, from {market.source}",
            conclusion=f"{len(usable)} of {len(usable) + len(unusable)} symbols can be traded{left_out}.",
            source=market.source,
            usable=usable,
            unusable=unusable,
            symbols=table,
        )

    async def execute_market_analysis(self, task_data: TaskData) -> JsonObject:
        """Work out the indicators and the two scores of every symbol that `data_collection` found usable."""
        market = self.services.market_data
        wanted = symbols_of(task_data, self.services)
        usable, unusable = await usable_symbols(market, wanted, session_date(task_data, self.services))
        collected = input_of(task_data, "data_collection")
        if collected is not None:
            allowed = collected.get("usable")
            allowed = allowed if isinstance(allowed, list | tuple) else []
            unusable += [
                {"symbol": symbol, "reason": "not usable by data_collection"}
                for symbol in usable
                if symbol not in allowed
            ]
            usable = [symbol for symbol in usable if symbol in allowed]
        table: list[JsonObject] = []
        for symbol, history in (await histories(market, usable)).items():
            indicators = indicators_of(history)
            signal = signal_of(history, indicators)
            table.append(
                {
                    "symbol": symbol,
                    "close": str(history.last_close),
                    "momentum": signal.momentum,
                    "mean_reversion": signal.reversion,
                    "volatility": signal.volatility,
                    "indicators": indicators.rounded(),
                }
            )
        scored = [row for row in table if row["momentum"] is not None and row["mean_reversion"] is not None]
        up = [str(row["symbol"]) for row in scored if isinstance(m := row["momentum"], float) and m > 0]
        return answer(
            "market_analysis",
            method=f"{INDICATORS}; {MOMENTUM_METHOD}; {REVERSION_METHOD}",
            conclusion=f"Momentum is up in {listed(up, 'no name')}, of {len(scored)} with enough history.",
            symbols=table,
            unusable=unusable,
        )

    async def execute_market_monitoring(self, task_data: TaskData) -> JsonObject:
        """Compare prices with the previous closes and name what moved by ``alert_move`` (0.03) or more."""
        market = self.services.market_data
        threshold = number(task_data, "alert_move", ALERT_MOVE, low=0.0, high=1.0)
        wanted = symbols_of(task_data, self.services)
        now = await prices_now(market, wanted)
        before = await previous_closes(market, wanted, session_date(task_data, self.services))
        moves: list[JsonObject] = []
        alerts: list[str] = []
        for symbol in wanted:
            if symbol in now and symbol in before:
                move = significant(float(now[symbol] / before[symbol]) - 1.0)
                moves.append({"symbol": symbol, "price": str(now[symbol]), "move": move})
                if abs(move) >= threshold:
                    alerts.append(f"{symbol} {move:+.1%}")
        unusable = [symbol for symbol in wanted if symbol not in now or symbol not in before]
        return answer(
            "market_monitoring",
            method=f"last price against the previous session's close; an alert from {threshold:.1%} on",
            conclusion=f"{listed(alerts)} since yesterday's close." if alerts else "Nothing moved unusually.",
            moves=moves,
            alerts=alerts,
            unusable=[{"symbol": symbol, "reason": "no price now or no previous close"} for symbol in unusable],
        )
