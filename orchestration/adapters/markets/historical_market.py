"""Show recorded prices to the desk as if they came live: never later than the clock's now."""

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date, datetime

from orchestration.adapters.markets.paths import draw_path
from orchestration.adapters.markets.price_history import PriceHistory
from orchestration.adapters.markets.sessions import DAY, session_on
from orchestration.domain.bars import Bar, Quote, Tick
from orchestration.domain.errors import DefinitionError, nearest
from orchestration.domain.session import Session
from orchestration.ports.clock import Clock
from orchestration.ports.randomness import Randomness
from orchestration.ports.trading_calendar import TradingCalendar

PATHS_KEPT = 32
"""Days of one symbol that are kept drawn: enough for a desk's day, and the same memory after a month as after a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
    """The bars of one symbol on dates with a session, and those dates beside them for bisecting."""

    dates: tuple[date, ...]
    bars: tuple[Bar, ...]


class HistoricalMarketData:
    """`MarketData` over a `PriceHistory`: bars of closed sessions, paths up to now, and drawn ones named as such.

    Bars on dates that are no session of ``calendar`` are not used.
    """

    def __init__(
        self, history: PriceHistory, *, calendar: TradingCalendar, clock: Clock, randomness: Randomness
    ) -> None:
        self._history = history
        self._calendar = calendar
        self._clock = clock
        self._randomness = randomness
        self._sessions: dict[date, Session | None] = {}
        self._series: dict[str, _Series] = {}
        self._paths: OrderedDict[tuple[str, date], tuple[Tick, ...]] = OrderedDict()

    @property
    def source(self) -> str:
        """The history's own words, and what of the days' paths is drawn."""
        drawn = [symbol for symbol in self.symbols if not self._history.recorded_intraday(symbol)]
        seed = getattr(self._randomness, "seed", None)
        by = "" if seed is None else f" (seed {seed})"
        if not drawn:
            return f"{self._history.description}; intraday prices as recorded"
        names = "" if len(drawn) == len(self.symbols) else f" of {', '.join(drawn)}"
        return f"{self._history.description}; intraday paths{names} synthetic{by}"

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol of the history, sorted."""
        return self._history.symbols

    def span(self, symbol: str) -> tuple[date, date]:
        """The first and the last date with a bar, whatever the calendar says of them."""
        bars = self._history.bars(self._known(symbol))
        return bars[0].date, bars[-1].date

    def has_prices(self, symbol: str, on: date) -> bool:
        """Whether there is a session on that date and a bar of ``symbol`` for it; an unknown symbol has none."""
        if symbol not in self.symbols:
            return False
        dates = self._usable(symbol).dates
        index = bisect_left(dates, on)
        return index < len(dates) and dates[index] == on

    def daily_history(self, symbol: str, *, before: date, count: int) -> tuple[Bar, ...]:
        """As `daily_bars`: a plan made ahead knows no more of the days between than anybody else."""
        series = self._usable(symbol)
        end = min(self._closed(series), bisect_left(series.dates, before))
        return series.bars[max(0, end - max(0, count)) : end]

    async def daily_bars(self, symbol: str, *, count: int, before: date | None = None) -> tuple[Bar, ...]:
        """The last ``count`` bars of sessions that have closed by now and are dated before ``before``."""
        return self.daily_history(symbol, before=before or date.max, count=count)

    async def ticks(self, symbol: str, *, after: datetime, until: datetime) -> tuple[Tick, ...]:
        """The ticks of every session that the span touches; the span ends now at the latest."""
        series = self._usable(symbol)
        until = min(until, self._clock.now())
        if until <= after:
            return ()
        found: list[Tick] = []
        first = bisect_left(series.dates, after.date() - 2 * DAY)
        for index in range(first, bisect_right(series.dates, until.date() + 2 * DAY)):
            session = self._session(series.dates[index])
            if session and session.opens_at <= until and after < session.closes_at:
                path = self._path(series.bars[index], session)
                start = bisect_right(path, after, key=_moment)
                found.extend(path[start : bisect_right(path, until, key=_moment)])
        return tuple(found)

    async def quote(self, symbol: str) -> Quote | None:
        """The latest tick of a session under way, else the latest close."""
        series = self._usable(symbol)
        now = self._clock.now()
        closed = self._closed(series)
        if closed < len(series.dates):
            session = self._session(series.dates[closed])
            if session and session.opens_at <= now:
                path = self._path(series.bars[closed], session)
                made = bisect_right(path, now, key=_moment)
                if made:
                    tick = path[made - 1]
                    synthetic = not self._history.recorded_intraday(symbol)
                    return Quote(symbol=symbol, price=tick.price, at=tick.at, synthetic=synthetic)
        if not closed:
            return None
        bar, ended = series.bars[closed - 1], self._session(series.dates[closed - 1])
        return Quote(symbol=symbol, price=bar.close, at=ended.closes_at, synthetic=False) if ended else None

    def _known(self, symbol: str) -> str:
        if symbol not in self.symbols:
            raise DefinitionError(f"no prices for the symbol {symbol!r}{nearest(symbol, self.symbols)}")
        return symbol

    def _session(self, on: date) -> Session | None:
        if on not in self._sessions:
            self._sessions[on] = session_on(self._calendar, on)
        return self._sessions[on]

    def _usable(self, symbol: str) -> _Series:
        series = self._series.get(symbol)
        if series is None:
            bars = tuple(bar for bar in self._history.bars(self._known(symbol)) if self._session(bar.date))
            series = _Series(dates=tuple(bar.date for bar in bars), bars=bars)
            self._series[symbol] = series
        return series

    def _closed(self, series: _Series) -> int:
        """How many of the bars belong to sessions that have closed by now."""
        now = self._clock.now()
        count = bisect_right(series.dates, now.date() + 2 * DAY)
        while count and (session := self._session(series.dates[count - 1])) and session.closes_at > now:
            count -= 1
        return count

    def _path(self, bar: Bar, session: Session) -> tuple[Tick, ...]:
        """The ticks of one day, recorded or drawn; a day is drawn the same every time it is asked for."""
        key = (bar.symbol, bar.date)
        path = self._paths.get(key)
        if path is None:
            path = self._history.ticks(bar.symbol, session)
            if path is None:
                draws = self._randomness.stream(f"path:{bar.symbol}:{bar.date.isoformat()}")
                path = draw_path(bar, session, draws, self._history.tick_size(bar.symbol))
            self._paths[key] = path
            if len(self._paths) > PATHS_KEPT:
                self._paths.popitem(last=False)
        else:
            self._paths.move_to_end(key)
        return path


def _moment(tick: Tick) -> datetime:
    return tick.at
