"""The user's own prices while they come in: a folder whose files grow, looked at again and again."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

from orchestration.adapters.markets.csv_prices import CsvPrices, Late, csv_files
from orchestration.adapters.markets.growing_file import GrowingFile
from orchestration.adapters.markets.historical_market import HistoricalMarketData
from orchestration.adapters.markets.sessions import session_at, session_on, trading_spans
from orchestration.domain.bars import Bar, Quote, Tick
from orchestration.domain.errors import DefinitionError
from orchestration.domain.session import Session
from orchestration.ports.clock import Clock
from orchestration.ports.randomness import Randomness
from orchestration.ports.trading_calendar import TradingCalendar

LOOK_EVERY_S = 1.0
"""How long what was found in the folder holds before somebody who asks for a price has it looked at again."""
STALE_AFTER = timedelta(minutes=15)
"""How long a price can be used while the exchange trades and no new one comes."""
LATE_KEPT = 1000


class GrowingCsvMarket:
    """`MarketData` over a folder of CSV files (see `CsvPrices`) to which rows are appended while it is used.

    What is wrong at the start raises `DefinitionError`; what becomes wrong later is told to ``report`` once, and the
    prices before it stay. A row that appears after its own time counts from when it was seen. While the exchange
    trades, a symbol without a new price for ``stale_after`` of trading has no quote.
    """

    def __init__(
        self,
        folder: Path,
        *,
        calendar: TradingCalendar,
        clock: Clock,
        randomness: Randomness,
        report: Callable[[str], None],
        stale_after: timedelta = STALE_AFTER,
    ) -> None:
        self._folder = folder
        self._calendar = calendar
        self._clock = clock
        self._randomness = randomness
        self._report = report
        self._stale_after = stale_after
        self._prices = CsvPrices(folder, calendar=calendar, read=False)
        self._files: dict[Path, GrowingFile] = {}
        self._late: dict[Path, list[Late]] = {}
        self._said: dict[Path, str] = {}
        for path in csv_files(folder):
            self._read(path, at_start=True)
        self._market = self._new_market()
        self._looked_s = clock.monotonic()

    @property
    def source(self) -> str:
        """The folder, and how long a price holds."""
        return f"{self._market.source}; as they come in, a price holds {self._stale_after.total_seconds() / 60:g} min"

    @property
    def symbols(self) -> tuple[str, ...]:
        """The names of the files that have been read."""
        return self._now().symbols

    def span(self, symbol: str) -> tuple[date, date]:
        """The first and the last date with a row by now."""
        return self._now().span(symbol)

    def has_prices(self, symbol: str, on: date) -> bool:
        """Whether there are prices of that date or, for a date whose prices are still to come, they may be expected.

        They are where the file has a time of day and has followed the last session that has closed.
        """
        market = self._now()
        if market.has_prices(symbol, on):
            return True
        if symbol not in market.symbols or not self._prices.recorded_intraday(symbol):
            return False
        session, last = session_on(self._calendar, on), self._prices.bars(symbol)[-1].date
        return session is not None and on > last >= self._last_closed(session).date

    def daily_history(self, symbol: str, *, before: date, count: int) -> tuple[Bar, ...]:
        """The bars of sessions that have closed."""
        return self._now().daily_history(symbol, before=before, count=count)

    async def daily_bars(self, symbol: str, *, count: int, before: date | None = None) -> tuple[Bar, ...]:
        """The bars of sessions that have closed."""
        return await self._now().daily_bars(symbol, count=count, before=before)

    async def ticks(self, symbol: str, *, after: datetime, until: datetime) -> tuple[Tick, ...]:
        """The prices that became known in the span."""
        return await self._now().ticks(symbol, after=after, until=until)

    async def quote(self, symbol: str) -> Quote | None:
        """The latest price; ``None`` also where it has grown old."""
        quote, now = await self._now().quote(symbol), self._clock.now()
        session = session_at(self._calendar, now)
        if quote is None or session is None or not session.is_open(now):
            return quote
        counts_from = quote.at
        if quote.at >= self._last_closed(session).closes_at:  # until the first price comes, the last close serves
            counts_from = max(quote.at, *(s.starts_at for s in trading_spans(session) if s.starts_at <= now))
        return quote if now - counts_from <= self._stale_after else None

    def _last_closed(self, session: Session) -> Session:
        """The last session before ``session`` that has closed by now."""
        found = self._calendar.previous_session(session.date)
        while found.closes_at > self._clock.now():
            found = self._calendar.previous_session(found.date)
        return found

    def _now(self) -> HistoricalMarketData:
        """The market with what is in the folder now."""
        if self._clock.monotonic() - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = self._clock.monotonic()
            if self._look():
                self._market = self._new_market()
        return self._market

    def _look(self) -> bool:
        try:
            paths = csv_files(self._folder)
        except DefinitionError as error:
            self._say(self._folder, str(error))
            return False
        self._said.pop(self._folder, None)
        for path in self._files.keys() - set(paths):
            self._say(path, f"{path} is gone; what was read of it stays in use, and grows old")
        changed = [self._read(path, at_start=False) for path in paths]
        return any(changed)

    def _read(self, path: Path, *, at_start: bool) -> bool:
        """Take in what is new in one file; whether anything was."""
        file = self._files.setdefault(path, GrowingFile(path, self._calendar.timezone))
        last = file.rows.at[-1] if file.rows.at else None
        try:
            if not file.look(self._clock.monotonic()):
                return False
            late = list(self._late.get(path, ()))
            if last is not None:
                late = [*(one for one in late if one.after < last), Late(after=last, at=self._clock.now())][-LATE_KEPT:]
            self._prices.put(path, file.rows, late)
        except DefinitionError as error:
            if at_start:
                raise
            self._say(path, f"{error}; the prices before it stay in use, and grow old")
            return False
        self._late[path] = late
        self._said.pop(path, None)
        return True

    def _say(self, path: Path, message: str) -> None:
        if self._said.get(path) != message:
            self._said[path] = message
            self._report(message)

    def _new_market(self) -> HistoricalMarketData:
        return HistoricalMarketData(
            self._prices, calendar=self._calendar, clock=self._clock, randomness=self._randomness
        )
