"""Serve live sessions from the sample's last full year, so that a desk has prices to work with today."""

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from orchestration.adapters.markets.paths import draw_path
from orchestration.adapters.markets.price_history import PriceHistory
from orchestration.adapters.markets.sessions import DAY, session_at, session_on
from orchestration.domain.bars import Bar, Quote, Tick
from orchestration.domain.errors import DefinitionError, nearest
from orchestration.domain.session import Session
from orchestration.ports.clock import Clock
from orchestration.ports.randomness import Randomness
from orchestration.ports.trading_calendar import TradingCalendar

FIRST, LAST = date(2012, 3, 1), date(2013, 2, 28)
"""The year that is replayed; after its last day comes its first."""
PATHS_KEPT = 32
_WEEK = timedelta(days=7)


def replayed_date(on: date, recorded: Sequence[date]) -> date:
    """Return the one of ``recorded`` (sorted dates of one year that begins with a month's first) to show on ``on``.

    It is the same weekday of the same month, by its ordinal in the month; where nothing is recorded then (a holiday, a
    fifth Friday that the month did not have), the next date that is, after the last one the first.
    """
    year = recorded[0].year if on.month >= recorded[0].month else recorded[0].year + 1
    first = date(year, on.month, 1)
    same = first + timedelta(days=(on.weekday() - first.weekday()) % 7) + (on.day - 1) // 7 * _WEEK
    return recorded[bisect_left(recorded, same) % len(recorded)]


class ReplayedMarket:
    """`MarketData` that shows on each session the prices of another date, see `replayed_date`.

    A session's path is drawn within its own hours: on a shorter one the whole day is drawn into less time, and its
    open, high, low and close are always the recorded ones. The daily bars before a session are those that came before
    the replayed date, one after the other under the dates of the sessions before, so that what is made of them is true
    to the sample. They change when the next session's date begins (by the exchange's time zone): a price may then jump,
    where the sample's days did not follow each other.
    """

    def __init__(
        self, history: PriceHistory, *, calendar: TradingCalendar, clock: Clock, randomness: Randomness
    ) -> None:
        self._history = history
        self._calendar = calendar
        self._clock = clock
        self._randomness = randomness
        self._bars = {s: {bar.date: bar for bar in history.bars(s)} for s in history.symbols}
        self._dates = sorted({on for bars in self._bars.values() for on in bars})
        self._year = self._dates[bisect_left(self._dates, FIRST) : bisect_right(self._dates, LAST)]
        self._paths: OrderedDict[tuple[str, Session], tuple[Tick, ...]] = OrderedDict()

    @property
    def source(self) -> str:
        """What it says of its prices, with the date that is replayed now."""
        seed = getattr(self._randomness, "seed", None)
        by = "" if seed is None else f" (seed {seed})"
        shown = self.replayed(self._current().date)
        return f"{self._history.description}, replayed from {shown}; intraday paths synthetic{by}"

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol of the history, sorted."""
        return self._history.symbols

    def replayed(self, on: date) -> date:
        """The date whose prices are shown on the session ``on``."""
        return replayed_date(on, self._year)

    def span(self, symbol: str) -> tuple[date, date]:
        """From the oldest bar, under the date that it has now, to the end of the calendar: there is always a replay."""
        oldest = min(self._bars[self._known(symbol)])
        first = next((session for session, on in self._backwards() if on <= oldest), None)
        return first.date if first else self._calendar.span[0], self._calendar.span[1]

    def has_prices(self, symbol: str, on: date) -> bool:
        """Whether ``on`` is a session and ``symbol`` has a price on the date that is replayed then."""
        known = symbol in self._bars and session_on(self._calendar, on) is not None
        return known and self.replayed(on) in self._bars[symbol]

    def daily_history(self, symbol: str, *, before: date, count: int) -> tuple[Bar, ...]:
        """The bars that came before the replayed date, under the dates of sessions that have closed."""
        bars, now = self._bars[self._known(symbol)], self._clock.now()
        oldest, found = min(bars), list[Bar]()
        for session, on in self._backwards():
            if len(found) >= count or on < oldest:
                break
            if session.date < before and session.closes_at <= now and on in bars:
                found.append(_dated(bars[on], session.date))
        return tuple(reversed(found))

    async def daily_bars(self, symbol: str, *, count: int, before: date | None = None) -> tuple[Bar, ...]:
        """As `daily_history`; today's among them once the session has closed."""
        return self.daily_history(symbol, before=before or date.max, count=count)

    async def ticks(self, symbol: str, *, after: datetime, until: datetime) -> tuple[Tick, ...]:
        """The ticks of every session that the span touches, each from the date that is replayed on it."""
        self._known(symbol)
        until, found = min(until, self._clock.now()), list[Tick]()
        on = after.date() - 2 * DAY
        while after < until and on <= until.date() + 2 * DAY:
            session = session_on(self._calendar, on)
            if session and session.opens_at <= until and after < session.closes_at:
                path = self._path(symbol, session)
                found.extend(path[bisect_right(path, after, key=_moment) : bisect_right(path, until, key=_moment)])
            on += DAY
        return tuple(found)

    async def quote(self, symbol: str) -> Quote | None:
        """The latest tick of the session under way, else the close of the last bar."""
        now = self._clock.now()
        session = session_at(self._calendar, now)
        path = self._path(self._known(symbol), session) if session else ()
        made = bisect_right(path, now, key=_moment)
        if made:
            return Quote(symbol=symbol, price=path[made - 1].price, at=path[made - 1].at, synthetic=True)
        last = self.daily_history(symbol, before=date.max, count=1)
        ended = session_on(self._calendar, last[0].date) if last else None
        return Quote(symbol=symbol, price=last[0].close, at=ended.closes_at, synthetic=False) if ended else None

    def _known(self, symbol: str) -> str:
        if symbol not in self._bars:
            raise DefinitionError(f"no prices for the symbol {symbol!r}{nearest(symbol, self.symbols)}")
        return symbol

    def _current(self) -> Session:
        """The session that began last, or whose date has come."""
        now = self._clock.now()
        today = now.astimezone(self._calendar.timezone).date()
        following = session_on(self._calendar, today + DAY)
        if following and following.opens_at <= now:
            return following
        return self._calendar.previous_session(today + DAY)

    def _backwards(self) -> Iterator[tuple[Session, date]]:
        """The current session and those before it, latest first, each with the date that stands for it now."""
        session = self._current()
        index = bisect_left(self._dates, self.replayed(session.date))
        while index >= 0:
            yield session, self._dates[index]
            index -= 1
            if session.date <= self._calendar.span[0]:
                return
            try:
                session = self._calendar.previous_session(session.date)
            except DefinitionError:  # the calendar begins here
                return

    def _path(self, symbol: str, session: Session) -> tuple[Tick, ...]:
        """The ticks of ``session``, the same every time; none where the replayed date has no price of ``symbol``."""
        on = self.replayed(session.date)
        bar = self._bars[symbol].get(on)
        if bar is None:
            return ()
        key = symbol, session
        if key not in self._paths:
            draws = self._randomness.stream(f"path:{symbol}:{on.isoformat()}")
            self._paths[key] = draw_path(bar, session, draws, self._history.tick_size(symbol))
            if len(self._paths) > PATHS_KEPT:
                self._paths.popitem(last=False)
        self._paths.move_to_end(key)
        return self._paths[key]


def _dated(bar: Bar, on: date) -> Bar:
    return Bar(
        symbol=bar.symbol, date=on, open=bar.open, high=bar.high, low=bar.low, close=bar.close, volume=bar.volume
    )


def _moment(tick: Tick) -> datetime:
    return tick.at
