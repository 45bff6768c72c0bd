"""The sample that comes with the house: real daily bars of five shares, adjusted in all columns."""

from datetime import date
from decimal import Decimal
from importlib import import_module
from pathlib import Path

from orchestration.adapters.markets.csv_prices import CsvPrices
from orchestration.adapters.markets.exchange_calendar import open_calendar
from orchestration.adapters.markets.historical_market import HistoricalMarketData
from orchestration.adapters.markets.price_history import PriceHistory, enclosing_bar
from orchestration.domain.bars import Bar, Tick
from orchestration.domain.session import Session
from orchestration.ports.clock import Clock
from orchestration.ports.market_data import MarketData
from orchestration.ports.randomness import Randomness
from orchestration.ports.trading_calendar import TradingCalendar
from orchestration.system.randomness import SeededRandomness

SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
TICK = Decimal("0.01")


class SamplePrices:
    """bokeh_sampledata's daily bars.

    The source adjusts its ``adj_close`` for splits and dividends and no other column: here the other prices are
    multiplied, and volumes divided, by ``adj_close / close`` of their day, so that a split is no crash. Prices are
    rounded to the cent. A symbol's bars are made when they are first asked for.
    """

    def __init__(self) -> None:
        self._bars: dict[str, tuple[Bar, ...]] = {}

    @property
    def description(self) -> str:
        """What every output says of these prices."""
        return "bokeh_sampledata daily bars, adjusted"

    @property
    def symbols(self) -> tuple[str, ...]:
        """The five shares of the sample."""
        return SYMBOLS

    def bars(self, symbol: str) -> tuple[Bar, ...]:
        """All bars of one share, oldest first."""
        if symbol not in self._bars:
            self._bars[symbol] = _adjusted(symbol)
        return self._bars[symbol]

    def ticks(self, symbol: str, session: Session) -> tuple[Tick, ...] | None:
        """The sample knows nothing of what happened inside a day."""
        return None

    def recorded_intraday(self, symbol: str) -> bool:
        """The sample has daily bars only."""
        return False

    def tick_size(self, symbol: str) -> Decimal:
        """A cent."""
        return TICK


def open_market_data(
    *,
    clock: Clock,
    calendar: TradingCalendar | None = None,
    randomness: Randomness | None = None,
    data: Path | None = None,
) -> MarketData:
    """The prices in the folder ``data``, or those of the sample when there is none; the plug-in `sample`.

    Without a calendar it is New York's, without randomness the seed is 0. Raises `DefinitionError` naming file, line
    and column for a folder that cannot be used.
    """
    calendar = calendar or open_calendar("XNYS", clock=clock)
    randomness = randomness or SeededRandomness(0)
    history: PriceHistory = SamplePrices() if data is None else CsvPrices(data, calendar=calendar)
    return HistoricalMarketData(history, calendar=calendar, clock=clock, randomness=randomness)


def _adjusted(symbol: str) -> tuple[Bar, ...]:
    stocks = import_module("bokeh_sampledata.stocks")  # reads its file on import: not before somebody asks for a price
    columns = getattr(stocks, symbol)
    names = ("date", "open", "high", "low", "close", "volume", "adj_close")
    bars: list[Bar] = []
    for on, open_, high, low, close, volume, adjusted in zip(*(columns[name] for name in names), strict=True):
        factor = adjusted / close
        bar = enclosing_bar(
            symbol=symbol,
            on=date.fromisoformat(on),
            open_=_cents(open_ * factor),
            high=_cents(high * factor),
            low=_cents(low * factor),
            close=_cents(adjusted),
            volume=round(volume / factor),
        )
        bars.append(bar)
    return tuple(bars)


def _cents(price: float) -> Decimal:
    return Decimal(f"{price:.2f}")
