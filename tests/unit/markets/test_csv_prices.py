"""The user's own files: what is read, and how a wrong one is named."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from orchestration.adapters.markets.csv_prices import CsvPrices
from orchestration.domain.bars import Bar
from orchestration.domain.errors import DefinitionError
from orchestration.domain.session import Session
from tests.calendars import WeekdayCalendar

HEADER = "date,open,high,low,close,volume\n"
DAY = date(2012, 12, 12)


def read(folder: Path, text: str, name: str = "AAPL.csv") -> CsvPrices:
    (folder / name).write_text(text, encoding="utf-8")
    return CsvPrices(folder, calendar=WeekdayCalendar())


def prices_of(bar: Bar) -> list[Decimal]:
    return [bar.open, bar.high, bar.low, bar.close]


def decimals(text: str) -> list[Decimal]:
    return [Decimal(word) for word in text.split()]


def session() -> Session:
    found = WeekdayCalendar().session(DAY)
    assert found
    return found


def test_daily_rows_become_bars_under_the_files_name(tmp_path: Path) -> None:
    prices = read(tmp_path, "Date,Open,HIGH,low,Close,Volume\n2012-12-12,10,12,9.5,11,1000\n", "aapl.csv")
    (bar,) = prices.bars("AAPL")
    assert (bar.date, bar.volume) == (DAY, 1000)
    assert prices_of(bar) == decimals("10 12 9.5 11")
    assert prices.ticks("AAPL", session()) is None
    assert prices.tick_size("AAPL") == Decimal("0.01")


def test_a_daily_file_with_midnights_in_utc_keeps_its_dates(tmp_path: Path) -> None:
    prices = read(tmp_path, "timestamp,open,high,low,close,volume\n2012-12-12T00:00:00Z,10,12,9,11,1000\n")
    assert prices.bars("AAPL")[0].date == DAY


def test_fine_prices_keep_their_decimals(tmp_path: Path) -> None:
    prices = read(tmp_path, HEADER + "2012-12-12,1.30125,1.30500,1.29900,1.30010,5\n")
    assert prices.tick_size("AAPL") == Decimal("0.00001")
    assert prices.bars("AAPL")[0].open == Decimal("1.30125")


def test_an_adjusted_close_adjusts_the_row_and_other_columns_are_named(tmp_path: Path) -> None:
    text = "Date,Open,High,Low,Close,Adj Close,Volume,VWAP\n2012-12-12,10,12,8,10,5,1000,9\n"
    prices = read(tmp_path, text)
    (bar,) = prices.bars("AAPL")
    assert bar.volume == 2000
    assert prices_of(bar) == decimals("5 6 4 5")
    assert prices.description == f"prices from {tmp_path} (columns not read: vwap)"


INTRADAY = (
    "date,time,open,high,low,close,volume\n"
    "2012-12-12,09:25,1,1,1,1,7\n"
    "2012-12-12,09:30,10,12,9,11,100\n"
    "2012-12-12,09:35,11,11,11,11,50\n"
    "2012-12-12,15:58,11,13,8,9,40\n"
    "2012-12-12,16:00,99,99,99,99,7\n"
)


def test_rows_with_a_time_of_day_make_the_daily_bar_of_their_session(tmp_path: Path) -> None:
    """The times are New York's, and what lies before the open or at the close is not used."""
    (bar,) = read(tmp_path, INTRADAY).bars("AAPL")
    assert (bar.date, bar.volume) == (DAY, 190)
    assert prices_of(bar) == decimals("10 13 8 9")


def test_rows_with_a_time_of_day_are_the_ticks_of_that_day(tmp_path: Path) -> None:
    prices = read(tmp_path, INTRADAY)
    ticks = prices.ticks("AAPL", session())
    assert prices.recorded_intraday("AAPL")
    assert ticks
    assert [tick.price for tick in ticks] == [10, 9, 12, 11, 11, 11, 13, 8, 9]
    assert sum(tick.volume for tick in ticks) == 190
    assert ticks[0].at == datetime(2012, 12, 12, 14, 30, tzinfo=UTC)
    assert ticks[4].at == datetime(2012, 12, 12, 14, 35, tzinfo=UTC)
    moments = [tick.at for tick in ticks]
    assert moments == sorted(set(moments))
    assert moments[-1] < session().closes_at


def test_a_session_without_rows_has_no_ticks(tmp_path: Path) -> None:
    other = WeekdayCalendar().session(date(2012, 12, 13))
    assert other
    assert read(tmp_path, INTRADAY).ticks("AAPL", other) == ()


def test_a_row_whose_time_has_an_offset_is_taken_by_it(tmp_path: Path) -> None:
    text = HEADER + "2012-12-12T14:30:00+00:00,10,10,10,10,1\n2012-12-12T15:31:00+01:00,11,11,11,11,1\n"
    ticks = read(tmp_path, text).ticks("AAPL", session())
    assert ticks
    assert [tick.at.minute for tick in ticks] == [30, 31]


WRONG = {
    "": "AAPL.csv is empty; its first line names the columns",
    HEADER: "has column names and no row below them",
    "date,open,high,low,close,volum\n2012-12-12,1,1,1,1,1\n": "line 1: column volume is missing; did you mean 'volum'?",
    "open,high,low,close,volume\n1,1,1,1,1\n": "line 1: column date is missing",
    "date,open,open,high,low,close,volume\n": "line 1: two columns are called 'open'",
    HEADER + "2012-12-12,ten,12,9,11,1\n": "line 2, column open: 'ten' is not a number",
    HEADER + "2012-12-12,10,12,9,11,\n": "line 2, column volume: '' is not a number",
    HEADER + "2012-12-12,10,nan,9,11,1\n": "line 2, column high: 'nan' is not a number",
    HEADER + "2012-12-12,10,12,-9,11,1\n": "line 2, column low: -9 is negative",
    HEADER + "2012-12-12,0,12,0,11,1\n": "line 2, column open: 0 is no price",
    HEADER + "2012-12-12,1e13,1e13,9,11,1\n": "line 2, column open: 1e13 is too large",
    HEADER + "2012-12-12,10,8,9,9,1\n": "line 2, column high: 8 is below the low 9",
    HEADER + "2012-12-12,10,12,9,13,1\n": "line 2, column close: 13 is outside the range 9 to 12",
    HEADER + "12/12/2012,10,12,9,11,1\n": "line 2, column date: '12/12/2012' is no ISO date",
    HEADER + "2012-12-12,10,12,9,11,1\n\n2012-12-12,10,12,9,11,1\n": "line 4, column date: 2012-12-12 is there twice",
    HEADER + "2012-12-12,10,12,9,11,1\n2012-12-11,10,12,9,11,1\n": "line 3, column date: 2012-12-11 is earlier than",
    HEADER + "2012-12-12,10,12,9,11\n": "line 2: 5 cells under 6 column names",
    HEADER + '2012-12-12,"10,12,9,11,1\n': "no CSV",
    "date,open,high,low,close,adj_close,volume\n2012-12-12,1,1,1,1,0,1\n": "line 2, column adj_close: 0 is no price",
    HEADER + "2012-12-12T03:00,1,1,1,1,1\n2012-12-12T04:00,1,1,1,1,1\n": "no row lies within a session of TEST",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_file_is_named_with_line_and_column(text: str, tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as raised:
        read(tmp_path, text)
    assert str(tmp_path / "AAPL.csv") in str(raised.value)
    assert WRONG[text] in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "AAPL.csv").write_bytes(HEADER.encode() + b"\xff\xfe")
    with pytest.raises(DefinitionError, match=r"AAPL\.csv is not text in UTF-8"):
        CsvPrices(tmp_path, calendar=WeekdayCalendar())


def test_a_folder_without_prices_is_named(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="holds no CSV file"):
        CsvPrices(tmp_path, calendar=WeekdayCalendar())
    with pytest.raises(DefinitionError, match="is no folder"):
        CsvPrices(tmp_path / "missing", calendar=WeekdayCalendar())


def test_two_files_for_one_symbol_are_refused(tmp_path: Path) -> None:
    (tmp_path / "aapl.csv").write_text(HEADER + "2012-12-12,1,1,1,1,1\n")
    with pytest.raises(DefinitionError, match="two files for AAPL"):
        read(tmp_path, HEADER + "2012-12-12,1,1,1,1,1\n")
