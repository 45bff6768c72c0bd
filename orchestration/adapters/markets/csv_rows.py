"""Read and check one CSV file of prices; whatever is wrong is named with file, line and column."""

import csv
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from zoneinfo import ZoneInfo

from orchestration.domain.errors import DefinitionError, nearest

SCALE = 6
"""Prices are kept as whole millionths, so that a year of minutes takes megabytes and not hundreds of them."""
_LARGEST = Decimal(10) ** 12
_DATE_NAMES = ("date", "datetime", "date/time", "timestamp", "time")
_PRICES = ("open", "high", "low", "close")
_ADJUSTED = ("adj_close", "adj close", "adjusted_close")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _column() -> "array[int]":
    return array("q")


@dataclass(slots=True, kw_only=True)
class Rows:
    """One file by columns: ``at`` in microseconds since 1970 (UTC), ``ordinal`` the date as written, prices scaled.

    ``intraday``: some date has several rows. ``unread`` are columns that nothing is made of.
    """

    at: "array[int]" = field(default_factory=_column)
    ordinal: "array[int]" = field(default_factory=_column)
    open: "array[int]" = field(default_factory=_column)
    high: "array[int]" = field(default_factory=_column)
    low: "array[int]" = field(default_factory=_column)
    close: "array[int]" = field(default_factory=_column)
    volume: "array[int]" = field(default_factory=_column)
    tick_size: Decimal = Decimal("0.01")
    unread: tuple[str, ...] = ()
    intraday: bool = False
    shortest: timedelta = timedelta(days=1)


def read_rows(path: Path, timezone: ZoneInfo) -> Rows:
    """Read ``path``; a time without an offset is one of ``timezone``. Raises `DefinitionError`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(path, file, timezone)
    except OSError as error:
        raise DefinitionError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DefinitionError(f"{path} is not text in UTF-8 (byte {error.start}); save it as CSV in UTF-8") from error


class RowsReader:
    """Reads the text of one file, whole or in pieces of whole lines; ``rows`` is what they amount to so far."""

    def __init__(self, path: Path, timezone: ZoneInfo) -> None:
        self.rows = Rows()
        self._path = path
        self._timezone = timezone
        self._columns: _Columns | None = None
        self._line = 0
        self._decimals = 2

    @property
    def has_header(self) -> bool:
        """Whether the line that names the columns was there."""
        return self._columns is not None

    def feed(self, text: Iterable[str]) -> None:
        """Add the rows in ``text``. Raises `DefinitionError`, and then nothing of it is added."""
        rows, lines = self.rows, _Lines(self._path, text, self._line)
        before = len(rows.at), rows.intraday, rows.shortest, rows.tick_size, self._decimals
        try:
            for line, cells in lines:
                if self._columns is None:
                    self._columns = _columns(self._path, line, cells)
                    rows.unread = self._columns.unread
                else:
                    self._add(line, cells, self._columns)
        except DefinitionError:
            count, rows.intraday, rows.shortest, rows.tick_size, self._decimals = before
            for column in (rows.at, rows.ordinal, rows.open, rows.high, rows.low, rows.close, rows.volume):
                del column[count:]
            raise
        rows.tick_size = Decimal(1).scaleb(-min(self._decimals, SCALE))
        self._line = lines.number

    def _add(self, line: int, cells: list[str], columns: "_Columns") -> None:
        width = len(columns.places)
        if len(cells) != width:
            raise DefinitionError(f"{self._path}, line {line}: {len(cells)} cells under {width} column names")
        row = _Row(path=self._path, line=line, cells=cells, columns=columns.places)
        _add_moment(self.rows, row, columns.moment, self._timezone)
        self._decimals = max(self._decimals, _add_prices(self.rows, row, columns.adjusted))


class _Lines:
    """The lines of a reader that are not blank, each with its number, after ``number`` lines that came before."""

    def __init__(self, path: Path, text: Iterable[str], number: int) -> None:
        self._path = path
        self._before = number
        self._reader = csv.reader(text, strict=True)

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> tuple[int, list[str]]:
        while True:
            try:
                row = next(self._reader)
            except csv.Error as error:
                raise DefinitionError(f"{self._path}, line {self.number}: no CSV: {error}") from error
            if any(cell.strip() for cell in row):
                return self.number, row

    @property
    def number(self) -> int:
        return self._before + self._reader.line_num


def _read(path: Path, file: Iterable[str], timezone: ZoneInfo) -> Rows:
    reader = RowsReader(path, timezone)
    reader.feed(file)
    check_rows(path, reader)
    return reader.rows


def check_rows(path: Path, reader: RowsReader) -> None:
    """Raise `DefinitionError` unless ``reader`` has found column names and a row."""
    if not reader.has_header:
        raise DefinitionError(
            f"{path} is empty; its first line names the columns: date, open, high, low, close, volume"
        )
    if not reader.rows.at:
        raise DefinitionError(f"{path} has column names and no row below them")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    places: Mapping[str, int]
    moment: Sequence[str]
    adjusted: str | None
    unread: tuple[str, ...]


def _columns(path: Path, line: int, header: Sequence[str]) -> _Columns:
    names = [name.strip().lower() for name in header]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise DefinitionError(f"{path}, line {line}: two columns are called {name!r}; keep one")
    moment = tuple(name for name in _DATE_NAMES if name in names)
    if "date" in moment and "time" in moment:
        moment = ("date", "time")
    moment = moment if moment == ("date", "time") else moment[:1]
    for name in (() if moment else ("date",)) + (*_PRICES, "volume"):
        if name not in names:
            raise DefinitionError(f"{path}, line {line}: column {name} is missing{nearest(name, names)}")
    adjusted = next((name for name in _ADJUSTED if name in names), None)
    read = {*moment, *_PRICES, "volume", adjusted}
    unread = tuple(name for name in names if name not in read)
    return _Columns(
        places={name: index for index, name in enumerate(names)}, moment=moment, adjusted=adjusted, unread=unread
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    path: Path
    line: int
    cells: Sequence[str]
    columns: Mapping[str, int]

    def wrong(self, column: str, problem: str) -> DefinitionError:
        return DefinitionError(f"{self.path}, line {self.line}, column {column}: {problem}")

    def text(self, column: str) -> str:
        return self.cells[self.columns[column]].strip()

    def number(self, column: str) -> Decimal:
        text = self.text(column)
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise self.wrong(column, f"{text!r} is not a number") from None
        if not number.is_finite():
            raise self.wrong(column, f"{text!r} is not a number")
        if number < 0:
            raise self.wrong(column, f"{text} is negative")
        if number > _LARGEST:
            raise self.wrong(column, f"{text} is too large")
        return number


def _add_moment(rows: Rows, row: _Row, names: Sequence[str], timezone: ZoneInfo) -> None:
    column = names[0]
    text = "T".join(row.text(name) for name in names)
    try:
        written = datetime.fromisoformat(text)
    except ValueError:
        raise row.wrong(column, f"{text!r} is no ISO date such as 2012-12-31 or 2012-12-31T09:30") from None
    moment = written if written.tzinfo else written.replace(tzinfo=timezone)
    at = (moment.astimezone(UTC) - _EPOCH) // _MICROSECOND
    ordinal = written.toordinal()
    if rows.at:
        if at == rows.at[-1]:
            raise row.wrong(column, f"{text} is there twice; keep one row")
        if at < rows.at[-1]:
            raise row.wrong(column, f"{text} is earlier than the row before; sort the rows, oldest first")
        if ordinal == rows.ordinal[-1]:
            rows.intraday = True
        rows.shortest = min(rows.shortest, (at - rows.at[-1]) * _MICROSECOND)
    rows.at.append(at)
    rows.ordinal.append(ordinal)


def _add_prices(rows: Rows, row: _Row, adjusted: str | None) -> int:
    """Add the prices and the volume, adjusted if there is an adjusted close; return how many decimals they need."""
    prices = {name: row.number(name) for name in _PRICES}
    for name, price in prices.items():
        if price.quantize(Decimal(1).scaleb(-SCALE)) <= 0:
            raise row.wrong(name, f"{row.text(name)} is no price: prices are positive")
    if prices["high"] < prices["low"]:
        raise row.wrong("high", f"{prices['high']} is below the low {prices['low']}")
    for name in ("open", "close"):
        if not prices["low"] <= prices[name] <= prices["high"]:
            raise row.wrong(name, f"{prices[name]} is outside the range {prices['low']} to {prices['high']}")
    volume = row.number("volume")
    if adjusted:
        target = row.number(adjusted)
        if not target:
            raise row.wrong(adjusted, "0 is no price: prices are positive")
        factor = target / prices["close"]
        prices = {name: price * factor for name, price in prices.items()}
        prices["close"] = target
        volume /= factor
    for name, column in (("open", rows.open), ("high", rows.high), ("low", rows.low), ("close", rows.close)):
        column.append(int(prices[name].scaleb(SCALE).to_integral_value()))
    rows.volume.append(int(volume.to_integral_value()))
    return max(_decimals(row.text(name)) for name in (*_PRICES, *((adjusted,) if adjusted else ())))


def _decimals(text: str) -> int:
    exponent = Decimal(text).normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0
