"""Analytics and reporting: what the days have earned, the day in words, and the state of the house."""

from datetime import date
from decimal import Decimal, InvalidOperation
from typing import ClassVar

from agents.base import BaseAgent
from agents.equity import Past, past_of
from agents.quant.performance import performance
from agents.task_data import TaskData, answer, inputs_of, listed, rows, session_date, symbols_of
from orchestration.domain.errors import DefinitionError
from orchestration.domain.json_value import JsonObject
from orchestration.domain.orders import OrderStatus
from orchestration.quant.rounding import money, significant


class AnalyticsReporting(BaseAgent):
    """Looks back."""

    name: ClassVar[str] = "analytics_reporting"

    async def execute_performance_analysis(self, task_data: TaskData) -> JsonObject:
        """Work out return, volatility, Sharpe, drawdown, turnover, win rate, and what each symbol has earned.

        The equity curve is ``equity_history`` ([{date, equity}]) where given, else it follows from fills and closes.
        """
        past, closes = await self._past(task_data)
        curve = _given_curve(task_data) or past.curve
        figures = performance([(day, float(equity)) for day, equity in curve if equity > 0])
        mean = sum((equity for _, equity in curve), Decimal(0)) / len(curve) if curve else Decimal(0)
        closing = sum(holding.trades for holding in past.holdings.values())
        wins = sum(holding.wins for holding in past.holdings.values())
        attribution: list[JsonObject] = [
            {
                "symbol": symbol,
                "profit": str(money(holding.profit(closes.get(symbol)))),
                "realised": str(money(holding.realised)),
                "commission": str(money(holding.commission)),
            }
            for symbol, holding in sorted(past.holdings.items())
        ]
        if figures.total_return is None:
            conclusion = f"{len(curve)} day of equity is known: figures need two or more."
        else:
            drawdown = f"{figures.max_drawdown:.2%}"
            conclusion = f"{figures.total_return:+.2%} over {figures.days - 1} days, drawdown {drawdown}."
        if past.waiting:
            conclusion += f" {past.waiting} fills since the last close are not in it yet."
        return answer(
            "performance_analysis",
            method=(
                "equity at each session's close from fills and daily closes; figures by empyrical, annualised with 252 "
                "sessions; attribution at average cost after commissions; win rate over the fills that closed"
            ),
            conclusion=conclusion,
            days=figures.days,
            total_return=figures.total_return,
            volatility=figures.volatility,
            sharpe=figures.sharpe,
            max_drawdown=figures.max_drawdown,
            best_day=figures.best_day,
            worst_day=figures.worst_day,
            winning_days=figures.winning_days,
            turnover=significant(float(past.traded / mean)) if mean > 0 else None,
            win_rate=significant(wins / closing) if closing else None,
            attribution=attribution,
            equity_curve=[{"date": str(day), "equity": str(equity)} for day, equity in curve],
        )

    async def execute_report_generation(self, task_data: TaskData) -> JsonObject:
        """Put what the inputs concluded, and what is held, into a page of Markdown."""
        on = session_date(task_data, self.services)
        account = await self.services.broker.account()
        lines = [f"# {on}", "", f"Prices: {self.services.market_data.source}.", "", "## What was concluded", ""]
        inputs = inputs_of(task_data)
        for name, result in inputs:
            said = "no result" if result is None else str(result.get("conclusion", "no conclusion"))
            lines.append(f"- {name.replace('_', ' ')}: {said}")
        if not inputs:
            lines.append("- nothing was handed over")
        lines += ["", "## What is held", "", "| symbol | quantity | price | value |", "|---|---:|---:|---:|"]
        lines += [f"| {p.symbol} | {p.quantity} | {p.price} | {money(p.value)} |" for p in account.positions]
        lines += [f"| cash | | | {money(account.cash)} |", f"| equity | | | {money(account.equity)} |", ""]
        missing = [name for name, result in inputs if result is None]
        return answer(
            "report_generation",
            method="the conclusions of the tasks that this one depends on, and the broker's account",
            conclusion=f"A page on {on}: equity {money(account.equity):,}, {len(account.positions)} positions.",
            markdown="\n".join(lines),
            missing=missing,
        )

    async def execute_system_maintenance(self, task_data: TaskData) -> JsonObject:
        """Count orders and fills, name the oldest open order, and say how many days of prices are left."""
        on = session_date(task_data, self.services)
        market = self.services.market_data
        orders = await self.services.broker.orders()
        fills = await self.services.broker.fills()
        still_open = [state for state in orders if state.status.open]
        rejected = sum(state.status is OrderStatus.REJECTED for state in orders)
        known = set(market.symbols)
        last = {s: market.span(s)[1] for s in symbols_of(task_data, self.services) if s in known}
        left = {symbol: max(0, (day - on).days) for symbol, day in last.items()}
        ending = [symbol for symbol, days in left.items() if days == 0]
        return answer(
            "system_maintenance",
            method="counts over the broker's orders and fills; calendar days from today to the last date with a price",
            conclusion=(
                f"{len(orders)} orders and {len(fills)} fills are kept, {len(still_open)} orders are open; "
                f"prices end today: {listed(ending)}."
            ),
            orders=len(orders),
            rejected=rejected,
            fills=len(fills),
            open_orders=len(still_open),
            oldest_open_order=still_open[0].order.client_order_id if still_open else None,
            days_of_prices_left=left,
        )

    async def _past(self, task_data: TaskData) -> tuple[Past, dict[str, Decimal]]:
        """The account's past, and the last close of each symbol in it."""
        market = self.services.market_data
        account = await self.services.broker.account()
        fills = await self.services.broker.fills()
        on = session_date(task_data, self.services)
        zone = self.services.timezone
        first = fills[0].at.astimezone(zone).date() if fills else on
        known = set(market.symbols)
        names = sorted({*(f.symbol for f in fills), *symbols_of(task_data, self.services)} & known)
        bars = [await market.daily_bars(symbol, count=(on - first).days + 2) for symbol in names]
        closes = {one[0].symbol: {bar.date: bar.close for bar in one} for one in bars if one}
        last = {one[-1].symbol: one[-1].close for one in bars if one}
        return past_of(account, fills, closes, self.services.desk, zone), last


def _given_curve(task_data: TaskData) -> list[tuple[date, Decimal]]:
    curve = []
    for index, row in enumerate(rows(task_data, "equity_history")):
        try:
            curve.append((date.fromisoformat(str(row["date"])), Decimal(str(row["equity"]))))
        except (KeyError, ValueError, InvalidOperation):
            text = f"equity_history[{index}] is {dict(row)!r}; write {{'date': '2012-12-12', 'equity': '1000000.00'}}"
            raise DefinitionError(text) from None
    return curve
