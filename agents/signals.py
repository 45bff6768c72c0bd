"""Scores and the regime of a set of symbols, and the ranking that follows: the same for every agent that asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agents.histories import History
from agents.task_data import number_or_none, rows
from orchestration.domain.json_value import JsonObject
from orchestration.quant.indicators import IndicatorSet, indicator_set
from orchestration.quant.regime import RegimeReading, read_regime
from orchestration.quant.rounding import significant, significant_or_none
from orchestration.quant.scores import combined_score, momentum_score, reversion_score
from orchestration.quant.volatility import realised_volatility

LONG_ABOVE = 0.05
"""The combined score from which a name is worth owning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """The scores (-1 to 1) and the annualised volatility of one symbol, rounded; ``None``: history too short."""

    symbol: str
    momentum: float | None
    reversion: float | None
    volatility: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A name with its combined score; ``long``: worth owning, else it should be flat."""

    symbol: str
    score: float
    long: bool
    signal: Signal

    def row(self) -> JsonObject:
        """The candidate as a result shows it."""
        return {
            "symbol": self.symbol,
            "score": self.score,
            "direction": "long" if self.long else "flat",
            "momentum": self.signal.momentum,
            "mean_reversion": self.signal.reversion,
            "volatility": self.signal.volatility,
        }


def indicators_of(history: History) -> IndicatorSet:
    """Return the indicators of one history."""
    return indicator_set(highs=history.highs, lows=history.lows, closes=history.closes)


def signal_of(history: History, indicators: IndicatorSet) -> Signal:
    """Return the scores of one history, rounded before anything is decided on them."""
    return Signal(
        symbol=history.symbol,
        momentum=significant_or_none(momentum_score(history.closes)),
        reversion=significant_or_none(reversion_score(history.closes, indicators.rsi)),
        volatility=significant_or_none(realised_volatility(history.closes)),
    )


def signals_from(result: JsonObject) -> list[Signal]:
    """Return the signals that a `market_analysis` result holds."""
    return [
        Signal(
            symbol=str(row.get("symbol")),
            momentum=number_or_none(row, "momentum"),
            reversion=number_or_none(row, "mean_reversion"),
            volatility=number_or_none(row, "volatility"),
        )
        for row in rows(result, "symbols")
    ]


def rank(signals: Sequence[Signal], momentum_share: float) -> tuple[list[Candidate], list[str]]:
    """Return the candidates, best first (ties by name), and the symbols without scores."""
    ranked: list[Candidate] = []
    unscored: list[str] = []
    for signal in signals:
        if signal.momentum is None or signal.reversion is None:
            unscored.append(signal.symbol)
            continue
        score = significant(combined_score(signal.momentum, signal.reversion, momentum_share))
        ranked.append(Candidate(symbol=signal.symbol, score=score, long=score > LONG_ABOVE, signal=signal))
    return sorted(ranked, key=lambda candidate: (-candidate.score, candidate.symbol)), unscored


def regime_of(found: Mapping[str, History]) -> RegimeReading:
    """Return the regime of the equal-weight basket of these histories."""
    return read_regime({symbol: history.by_date for symbol, history in found.items()})
