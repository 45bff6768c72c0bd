"""The user's own prices: a folder with one CSV file a symbol, daily or with a time of day."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from orchestration.adapters.markets.csv_rows import SCALE, Rows, read_rows
from orchestration.adapters.markets.price_history import enclosing_bar
from orchestration.adapters.markets.sessions import session_at
from orchestration.domain.bars import Bar, Tick
from orchestration.domain.errors import DefinitionError
from orchestration.domain.session import Session
from orchestration.ports.trading_calendar import TradingCalendar

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """The rows later than ``after`` (in microseconds since 1970, UTC) became known at ``at`` and not before."""

    after: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """One symbol's rows; ``days`` are the rows of each session of an intraday file, ``None`` for a daily one."""

    rows: Rows
    bars: tuple[Bar, ...]
    days: dict[date, range] | None
    late: tuple[Late, ...] = ()


class CsvPrices:
    """Every ``*.csv`` of a folder; the file's name is the symbol, in capitals.

    All files are read and checked at once, so that a wrong one is known before a day starts. A file with several rows
    on one date is intraday: a row's time is the start of what it sums up, rows outside the sessions are not used, and
    the rows of a session make its daily bar.
    """

    def __init__(self, folder: Path, *, calendar: TradingCalendar, read: bool = True) -> None:
        """With ``read`` false nothing is read: whoever makes it puts the files in."""
        self._folder = folder
        self._calendar = calendar
        self._files: dict[str, _File] = {}
        for path in csv_files(folder) if read else ():
            self.put(path, read_rows(path, calendar.timezone))

    def put(self, path: Path, rows: Rows, late: Sequence[Late] = ()) -> None:
        """Take ``rows`` for the symbol of ``path``, in the place of those it had; the same ones again may have grown.

        ``late``, in order, says which of them became known after their own time. Raises `DefinitionError` and changes
        nothing when none of them lies within a session.
        """
        symbol = path.stem.upper()
        known = self._files.get(symbol)
        if rows.intraday:
            grown = known if known is not None and known.rows is rows and known.days is not None else None
            file = _intraday(symbol, rows, self._calendar, late, grown)
        else:
            file = _daily(symbol, rows)
        if not file.bars:
            raise DefinitionError(
                f"{path}: no row lies within a session of {self._calendar.code}; check times and zone"
            )
        self._files[symbol] = file

    @property
    def description(self) -> str:
        """The folder, and the columns of its files that are not read."""
        unread = sorted({name for file in self._files.values() for name in file.rows.unread})
        also = f" (columns not read: {', '.join(unread)})" if unread else ""
        return f"prices from {self._folder}{also}"

    @property
    def symbols(self) -> tuple[str, ...]:
        """The names of the files."""
        return tuple(sorted(self._files))

    def bars(self, symbol: str) -> tuple[Bar, ...]:
        """The daily bars, oldest first."""
        return self._files[symbol].bars

    def recorded_intraday(self, symbol: str) -> bool:
        """Whether the symbol's file has a time of day."""
        return self._files[symbol].days is not None

    def tick_size(self, symbol: str) -> Decimal:
        """As fine as the file's finest price, between 0.01 and 0.000001."""
        return self._files[symbol].rows.tick_size

    def ticks(self, symbol: str, session: Session) -> tuple[Tick, ...] | None:
        """Four ticks a row, a quarter of the row's length apart: open, the two extremes, close.

        A row that rises is taken to have made its low first; a row of one price is one tick. Its length is the
        shortest time between two rows of the file, or what is left until the close. Nothing of a row is shown before
        the row's time, and nothing of one that became known late before that.
        """
        file = self._files[symbol]
        if file.days is None:
            return None
        found: list[Tick] = []
        for index in file.days.get(session.date, range(0)):
            ticks = _row_ticks(file.rows, index, session.closes_at)
            known = bisect_left(file.late, file.rows.at[index], key=_after)
            if known:
                seen = min(file.late[known - 1].at, session.closes_at)
                ticks = [replace(tick, at=max(tick.at, seen)) for tick in ticks]
            found.extend(ticks)
        return tuple(found)


def csv_files(folder: Path) -> list[Path]:
    """Return the CSV files of ``folder``, sorted. Raises `DefinitionError` when there is none, or two of one symbol."""
    if not folder.is_dir():
        raise DefinitionError(
            f"{folder} is no folder; give one that holds a CSV file for each symbol, such as AAPL.csv"
        )
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".csv" and path.is_file())
    except OSError as error:
        raise DefinitionError(f"{folder} cannot be read: {error.strerror}") from error
    if not files:
        raise DefinitionError(f"{folder} holds no CSV file; put one there for each symbol, such as AAPL.csv")
    seen: set[str] = set()
    for path in files:
        symbol = path.stem.upper()
        if symbol in seen:
            raise DefinitionError(f"{path}: there are two files for {symbol}; keep one")
        seen.add(symbol)
    return files


def _price(rows: Rows, scaled: int) -> Decimal:
    return Decimal(scaled).scaleb(-SCALE).quantize(rows.tick_size)


def _bar(symbol: str, on: date, rows: Rows, part: range) -> Bar:
    def cut(column: Sequence[int]) -> Sequence[int]:
        return column[part.start : part.stop]

    return enclosing_bar(
        symbol=symbol,
        on=on,
        open_=_price(rows, rows.open[part.start]),
        high=_price(rows, max(cut(rows.high))),
        low=_price(rows, min(cut(rows.low))),
        close=_price(rows, rows.close[part.stop - 1]),
        volume=sum(cut(rows.volume)),
    )


def _daily(symbol: str, rows: Rows) -> _File:
    bars = tuple(
        _bar(symbol, date.fromordinal(ordinal), rows, range(index, index + 1))
        for index, ordinal in enumerate(rows.ordinal)
    )
    return _File(rows=rows, bars=bars, days=None)


def _intraday(symbol: str, rows: Rows, calendar: TradingCalendar, late: Sequence[Late], grown: _File | None) -> _File:
    """Return what ``rows`` make; of those that have ``grown``, all but the last day is taken over."""
    days: dict[date, range] = dict(grown.days or {}) if grown else {}
    begin = days.popitem()[1].start if days else 0
    bars = grown.bars[: len(days)] if grown else ()
    kept = len(days)
    session: Session | None = None
    for index in range(begin, len(rows.at)):
        moment = _moment(rows, index)
        if session is None or not session.opens_at <= moment < session.closes_at:
            session = session_at(calendar, moment)
        if session is None or not session.is_open(moment):
            continue
        start = days[session.date].start if session.date in days else index
        days[session.date] = range(start, index + 1)
    new = tuple(_bar(symbol, on, rows, part) for on, part in list(days.items())[kept:])
    return _File(rows=rows, bars=(*bars, *new), days=days, late=tuple(late))


def _after(late: Late) -> int:
    return late.after


def _moment(rows: Rows, index: int) -> datetime:
    return _EPOCH + rows.at[index] * _MICROSECOND


def _row_ticks(rows: Rows, index: int, closes_at: datetime) -> list[Tick]:
    open_, close = rows.open[index], rows.close[index]
    low, high = rows.low[index], rows.high[index]
    at, volume = _moment(rows, index), rows.volume[index]
    length = min(rows.shortest, closes_at - at)
    if low == high:
        return [Tick(at=at, price=_price(rows, close), volume=volume)]
    way = (open_, low, high, close) if close >= open_ else (open_, high, low, close)
    share = volume // 4
    volumes = (share, share, share, volume - 3 * share)
    return [
        Tick(at=at + quarter * length / 4, price=_price(rows, price), volume=part)
        for quarter, (price, part) in enumerate(zip(way, volumes, strict=True))
    ]
