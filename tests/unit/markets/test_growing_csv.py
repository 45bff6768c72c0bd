"""A folder whose files grow. Sessions are 14:30 to 21:00 UTC; times in the files are New York's."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from orchestration.adapters.markets.growing_csv import GrowingCsvMarket
from orchestration.domain.errors import DefinitionError
from orchestration.system.randomness import SeededRandomness
from tests.calendars import WeekdayCalendar
from tests.doubles import ManualClock

HEADER = "date,open,high,low,close,volume\n"
TODAY = date(2012, 12, 12)
OPEN = datetime(2012, 12, 12, 14, 30, tzinfo=UTC)
CLOSE = datetime(2012, 12, 12, 21, tzinfo=UTC)


def row(day: int, hour: int, minute: int, price: float = 10) -> str:
    return f"2012-12-{day:02}T{hour:02}:{minute:02},{price},{price + 2},{price - 1},{price + 1},1000\n"


BEFORE = HEADER + "".join(row(day, *at) for day in (10, 11) for at in ((9, 30), (9, 31), (15, 59)))


class Folder:
    """A folder of prices, who reads it, and what was reported."""

    def __init__(self, path: Path, now: datetime = OPEN, text: str = BEFORE, calendar: WeekdayCalendar | None = None):
        self.path = path
        self.file = path / "AAPL.csv"
        self.file.write_text(text, encoding="utf-8")
        self.clock = ManualClock(now)
        self.told: list[str] = []
        self.market = GrowingCsvMarket(
            path,
            calendar=calendar or WeekdayCalendar(),
            clock=self.clock,
            randomness=SeededRandomness(7),
            report=self.told.append,
        )

    def append(self, text: str) -> None:
        with self.file.open("a", encoding="utf-8") as file:
            file.write(text)

    def later(self, **by: float) -> datetime:
        self.clock.moment += timedelta(**by)
        return self.clock.moment

    async def price(self) -> Decimal | None:
        quote = await self.market.quote("AAPL")
        return quote.price if quote else None


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


async def test_rows_that_are_appended_are_seen(folder: Folder) -> None:
    folder.later(minutes=1, seconds=2)
    folder.append(row(12, 9, 30, 20))
    assert await folder.price() == 21
    assert folder.told == []


async def test_the_folder_is_looked_at_once_a_second_at_most(folder: Folder) -> None:
    folder.later(minutes=1, seconds=2)
    assert await folder.price() == 11
    folder.append(row(12, 9, 30, 20))
    folder.later(seconds=0.5)
    assert await folder.price() == 11
    folder.later(seconds=0.5)
    assert await folder.price() == 21


async def test_a_row_that_comes_late_is_traded_on_when_it_comes(folder: Folder) -> None:
    seen = folder.later(minutes=1, seconds=2)
    folder.append(row(12, 9, 30, 20))
    ticks = await folder.market.ticks("AAPL", after=seen - timedelta(seconds=1), until=seen)
    assert [tick.at for tick in ticks] == [seen] * 4
    assert sum(tick.volume for tick in ticks) == 1000
    later = folder.later(minutes=1)
    folder.append(row(12, 9, 31, 30))
    ticks = await folder.market.ticks("AAPL", after=seen, until=later)
    assert [tick.at for tick in ticks] == [later] * 4
    assert [tick.price for tick in ticks] == [Decimal(price) for price in (30, 29, 32, 31)]
    assert len(await folder.market.ticks("AAPL", after=OPEN, until=later)) == 8


async def test_a_row_that_comes_after_the_close_counts_at_the_close(folder: Folder) -> None:
    folder.clock.moment = CLOSE + timedelta(seconds=5)
    folder.append(row(12, 15, 59, 20))
    ticks = await folder.market.ticks("AAPL", after=OPEN, until=folder.clock.moment)
    assert {tick.at for tick in ticks} == {CLOSE}
    (bar,) = await folder.market.daily_bars("AAPL", count=1)
    assert (bar.date, bar.close) == (TODAY, Decimal(21))


async def test_rows_that_were_there_at_the_start_keep_their_own_time(tmp_path: Path) -> None:
    folder = Folder(tmp_path, OPEN + timedelta(hours=1), BEFORE + row(12, 9, 30, 20))
    ticks = await folder.market.ticks("AAPL", after=OPEN - timedelta(seconds=1), until=CLOSE)
    assert ticks[0].at == OPEN


async def test_a_row_before_its_own_time_is_not_shown(folder: Folder) -> None:
    folder.later(minutes=1)
    folder.append(row(12, 12, 0, 20))
    assert await folder.price() == 11
    folder.clock.moment = OPEN + timedelta(hours=2, minutes=31)
    assert await folder.price() == 21


async def test_a_half_written_line_waits_until_it_is_whole(folder: Folder) -> None:
    folder.later(minutes=1, seconds=2)
    line = row(12, 9, 30, 20)
    folder.append(line[:25])
    assert await folder.price() == 11
    folder.later(seconds=5)
    folder.append(line[25:])
    assert await folder.price() == 21
    assert folder.told == []


async def test_a_last_line_without_an_end_counts_once_it_has_stood_for_a_minute(tmp_path: Path) -> None:
    folder = Folder(tmp_path, OPEN + timedelta(minutes=2), BEFORE + row(12, 9, 30, 20).rstrip("\n"))
    assert await folder.price() == 11
    folder.later(seconds=61)
    assert await folder.price() == 21
    folder.append("\n" + row(12, 9, 32, 30))
    folder.later(seconds=2)
    assert await folder.price() == 31
    assert folder.told == []


async def test_a_line_that_goes_on_after_it_counted_as_whole_is_read_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path, OPEN + timedelta(minutes=2), BEFORE + row(12, 9, 30, 20).rstrip("\n"))
    folder.later(seconds=61)
    assert await folder.price() == 21
    folder.append("000\n")
    folder.later(seconds=2)
    ticks = await folder.market.ticks("AAPL", after=OPEN - timedelta(seconds=1), until=CLOSE)
    assert sum(tick.volume for tick in ticks) == 1_000_000


async def test_a_wrong_line_is_told_once_and_the_prices_before_it_stay(folder: Folder) -> None:
    folder.later(minutes=1)
    folder.append(row(12, 9, 30, 20))
    assert await folder.price() == 21
    folder.later(minutes=1)
    folder.append("2012-12-12T09:31,x,1,1,1,1\n")
    assert await folder.price() == 21
    folder.later(seconds=90)
    assert await folder.price() == 21
    (message,) = folder.told
    assert f"{folder.file}, line 9, column open: 'x' is not a number" in message
    folder.file.write_text(BEFORE + row(12, 9, 30, 20) + row(12, 9, 31, 30), encoding="utf-8")
    folder.later(seconds=2)
    assert await folder.price() == 31
    assert len(folder.told) == 1


async def test_a_file_that_is_replaced_is_read_from_its_start(folder: Folder) -> None:
    other = folder.path / "new"
    other.write_text(BEFORE.replace("10,12,9,11", "50,52,49,51") + row(12, 9, 30, 60), encoding="utf-8")
    other.replace(folder.file)
    folder.later(minutes=1)
    assert await folder.price() == 61
    bars = await folder.market.daily_bars("AAPL", count=5)
    assert [bar.close for bar in bars] == [51, 51]


async def test_a_file_replaced_by_a_wrong_one_keeps_the_old_prices(folder: Folder) -> None:
    for number, wrong in enumerate(("", "nonsense\n", HEADER, HEADER.replace("open", "opne") + row(12, 9, 30)), 1):
        folder.file.write_text(wrong, encoding="utf-8")
        folder.later(seconds=2)
        assert await folder.price() == 11
        assert len(folder.told) == number
    folder.file.write_bytes(b"\xff\xfe\n")
    folder.later(seconds=2)
    assert await folder.price() == 11
    assert "not text in UTF-8" in folder.told[-1]


async def test_a_file_that_is_gone_is_told_and_its_prices_grow_old(folder: Folder) -> None:
    (folder.path / "IBM.csv").write_text(BEFORE, encoding="utf-8")
    folder.later(seconds=2)
    assert folder.market.symbols == ("AAPL", "IBM")
    folder.file.unlink()
    folder.later(seconds=2)
    assert await folder.price() == 11
    assert folder.told == [f"{folder.file} is gone; what was read of it stays in use, and grows old"]
    folder.later(minutes=20)
    assert await folder.price() is None


async def test_a_folder_that_is_gone_is_told_once(folder: Folder) -> None:
    folder.path.rename(folder.path.with_name("elsewhere"))
    folder.later(seconds=2)
    assert await folder.price() == 11
    folder.later(seconds=2)
    assert await folder.price() == 11
    assert len(folder.told) == 1
    assert "is no folder" in folder.told[0]


async def test_a_new_file_without_a_usable_row_is_told_and_counts_once_it_has_one(folder: Folder) -> None:
    path = folder.path / "IBM.csv"
    path.write_text(HEADER + row(9, 9, 30) + row(9, 9, 31), encoding="utf-8")  # a Sunday
    folder.later(seconds=2)
    assert "IBM" not in folder.market.symbols
    assert "no row lies within a session" in folder.told[0]
    path.write_text(HEADER + row(9, 9, 30) + row(9, 9, 31) + row(10, 9, 30), encoding="utf-8")
    folder.later(seconds=2)
    assert folder.market.symbols == ("AAPL", "IBM")


def test_what_is_wrong_at_the_start_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="line 2, column open"):
        Folder(tmp_path, text=HEADER + "2012-12-12,x,1,1,1,1\n")


def test_a_folder_that_is_not_there_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="is no folder"):
        GrowingCsvMarket(
            tmp_path / "none",
            calendar=WeekdayCalendar(),
            clock=ManualClock(),
            randomness=SeededRandomness(7),
            report=print,
        )


# -- old prices


async def test_in_a_session_a_price_is_usable_for_a_quarter_of_an_hour(folder: Folder) -> None:
    folder.later(minutes=15)
    assert await folder.price() == 11
    folder.later(seconds=1)
    assert await folder.price() is None
    folder.append(row(12, 9, 44, 20))
    folder.later(seconds=2)
    assert await folder.price() == 21
    folder.later(minutes=16)
    assert await folder.price() is None
    folder.clock.moment = CLOSE
    assert await folder.price() == 21


async def test_a_close_of_an_older_session_is_no_price_in_this_one(tmp_path: Path) -> None:
    folder = Folder(tmp_path, OPEN + timedelta(minutes=1), HEADER + row(10, 9, 30) + row(10, 15, 59))
    assert await folder.price() is None


async def test_after_a_break_prices_have_time_to_come_again(tmp_path: Path) -> None:
    calendar = WeekdayCalendar(pause=(time(16), time(17)))
    folder = Folder(tmp_path, OPEN, BEFORE + row(12, 10, 55, 20), calendar)
    for minutes, usable in ((90, True), (149, True), (151, True), (164, True), (166, False)):
        folder.clock.moment = OPEN + timedelta(minutes=minutes)
        assert (await folder.price() is not None) is usable


def test_a_day_to_come_has_prices_where_the_file_has_followed_so_far(folder: Folder) -> None:
    assert folder.market.has_prices("AAPL", TODAY)
    assert folder.market.has_prices("AAPL", date(2012, 12, 13))
    assert not folder.market.has_prices("AAPL", date(2012, 12, 15))
    assert not folder.market.has_prices("AAPL", date(2012, 12, 7))
    assert not folder.market.has_prices("IBM", TODAY)
    folder.clock.moment = CLOSE
    assert not folder.market.has_prices("AAPL", date(2012, 12, 13))
    folder.append(row(12, 15, 59))
    folder.later(seconds=2)
    assert folder.market.has_prices("AAPL", date(2012, 12, 13))
    assert folder.market.has_prices("AAPL", TODAY)


def test_daily_bars_alone_are_no_prices_for_a_day_to_come(tmp_path: Path) -> None:
    folder = Folder(tmp_path, text=HEADER + "2012-12-10,10,12,9,11,5\n2012-12-11,10,12,9,11,5\n")
    assert not folder.market.has_prices("AAPL", TODAY)
    assert folder.market.has_prices("AAPL", date(2012, 12, 11))
    folder.append("2012-12-12,10,12,9,11,5\n")
    folder.later(seconds=2)
    assert folder.market.has_prices("AAPL", TODAY)


async def test_span_history_and_source_come_from_the_files(folder: Folder) -> None:
    assert folder.market.span("AAPL") == (date(2012, 12, 10), date(2012, 12, 11))
    assert [bar.date.day for bar in folder.market.daily_history("AAPL", before=TODAY, count=9)] == [10, 11]
    assert folder.market.source.endswith("as they come in, a price holds 15 min")


async def test_growing_by_pieces_gives_what_reading_at_once_gives(tmp_path: Path) -> None:
    rows = [row(12, 9, 30 + minute, 20 + minute / 4) for minute in range(20)]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    grown = Folder(tmp_path / "a")
    for start in range(0, 20, 3):
        grown.append("".join(rows[start : start + 3]))
        grown.later(seconds=2)
        grown.market.span("AAPL")
    grown.clock.moment = CLOSE
    whole = Folder(tmp_path / "b", CLOSE, BEFORE + "".join(rows))
    assert await grown.market.daily_bars("AAPL", count=9) == await whole.market.daily_bars("AAPL", count=9)
