"""The data files: what they say, and one line for whatever is wrong in them."""

import json
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest

from orchestration.days.earnings import EarningsReport, When
from orchestration.days.overrides import Closure, EarlyClose
from orchestration.domain.errors import DefinitionError
from workflows.desk_files.calendar_overrides import read_calendar_overrides
from workflows.desk_files.earnings import read_earnings
from workflows.desk_files.fomc import SHIPPED, read_fomc


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_our_fomc_file_covers_2006_to_2028_with_its_meetings_in_order() -> None:
    found = read_fomc()
    assert (found.first, found.last, found.file) == (date(2006, 1, 1), date(2028, 1, 31), "fomc.json")
    assert len(found.meetings) == 177
    assert [m.decision for m in found.meetings if m.cancelled] == [date(2020, 3, 18)]
    assert [m.statement for m in found.meetings] == sorted(m.statement for m in found.meetings)


def test_a_meeting_s_times_are_those_of_washington() -> None:
    meeting = next(m for m in read_fomc().meetings if m.decision == date(2012, 12, 12))
    assert meeting.statement == datetime(2012, 12, 12, 17, 30, tzinfo=UTC)
    assert meeting.press_conference == datetime(2012, 12, 12, 19, 15, tzinfo=UTC)
    assert meeting.projections


@pytest.mark.parametrize(
    ("on", "statement"),
    [
        (date(2020, 3, 3), datetime(2020, 3, 3, 15, tzinfo=UTC)),
        (date(2020, 3, 15), datetime(2020, 3, 15, 21, tzinfo=UTC)),
        (date(2008, 1, 9), None),
    ],
)
def test_surprises_are_kept_also_without_a_time(on: date, statement: datetime | None) -> None:
    assert [s.statement for s in read_fomc().surprises if s.date == on] == [statement]


def changed_fomc(folder: Path, **changes: object) -> Path:
    content: dict[str, Any] = json.loads(SHIPPED.read_text())
    content["meetings"] = content["meetings"][:2]
    content["unscheduled"] = []
    meeting = content["meetings"][1]
    for key, value in changes.items():
        target = content if key in {"timezone", "coverage", "covrage"} else meeting
        target[key] = value
    return written(folder, "fomc.json", json.dumps(content))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"statement_et": "2pm"}, r"fomc.json: meetings\[1\].statement_et: write a time of day as HH:MM"),
        ({"statement_at": "14:00"}, r"meetings\[1\]: there is no field 'statement_at'; did you mean 'statement_et'\?"),
        ({"covrage": []}, r"fomc.json: there is no field 'covrage'; did you mean 'coverage'\?"),
        ({"weekday": "Sun"}, r"meetings\[1\]: weekday is Sun, but 2006-03-28 is a Tue"),
        ({"start": "2006-04-01"}, "start 2006-04-01 is after the decision 2006-03-28"),
        ({"status": "moved"}, r"meetings\[1\].status: .*'cancelled' \(given: 'moved'\)"),
        ({"timezone": "Mars/Olympus"}, "timezone: no time zone has that name"),
        ({"coverage": ["2006-01-01"]}, "coverage"),
    ],
)
def test_a_wrong_fomc_file_is_named_with_the_place(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        read_fomc(changed_fomc(tmp_path, **changes))


def test_a_file_that_is_no_json_or_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"fomc.json: not JSON: .*line 1"):
        read_fomc(written(tmp_path, "fomc.json", "{"))
    with pytest.raises(DefinitionError, match=r"none.json cannot be read: No such file"):
        read_fomc(tmp_path / "none.json")
    (tmp_path / "latin.json").write_bytes(b"\xe9")
    with pytest.raises(DefinitionError, match="not UTF-8"):
        read_fomc(tmp_path / "latin.json")


CALENDAR = """
closures:
  - {date: 2026-12-01, reason: day of mourning}
early_closes:
  - {date: 2026-11-30, close: 13:00, reason: storm, calendar: XNYS}
"""


def test_the_operator_s_calendar_is_read_in_order_of_date(tmp_path: Path) -> None:
    assert read_calendar_overrides(written(tmp_path, "calendar.yaml", CALENDAR)) == (
        EarlyClose(date=date(2026, 11, 30), close=time(13), reason="storm", calendar="XNYS"),
        Closure(date=date(2026, 12, 1), reason="day of mourning"),
    )


def test_a_home_without_files_or_with_empty_ones_has_no_overrides(tmp_path: Path) -> None:
    assert read_calendar_overrides(tmp_path / "calendar.yaml") == ()
    assert read_calendar_overrides(written(tmp_path, "calendar.yaml", "# nothing\n")) == ()
    assert read_earnings(tmp_path / "earnings.csv") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("closure: []", r"calendar.yaml: there is no field 'closure'; did you mean 'closures'\?"),
        ("closures: [{date: 2026-12-01}]", r"closures\[0\].reason: field required"),
        ("closures: [{date: 2026-13-01, reason: x}]", r"calendar.yaml"),
        ("early_closes: [{date: 2026-12-01, close: 1pm, reason: x}]", r"early_closes\[0\].close: write a time of day"),
        ("early_closes: [{date: 2026-12-01, close: '13:00', reasn: x}]", r"early_closes\[0\]"),
        ("closures: []\nclosures: []", r"calendar.yaml, line 2, column 1: 'closures' is given twice"),
        ("closures: [", r"calendar.yaml, line 1"),
        ("closures: \x00", r"calendar.yaml: .*special characters"),
        (
            "closures: [{date: 2026-12-01, reason: x}]\nearly_closes: [{date: 2026-12-01, close: '13:00', reason: x}]",
            "2026-12-01 is named twice; keep one entry",
        ),
    ],
)
def test_a_wrong_calendar_is_named_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        read_calendar_overrides(written(tmp_path, "calendar.yaml", text))


def test_earnings_are_read_in_any_order_of_columns_and_sorted_by_date(tmp_path: Path) -> None:
    text = "Date,when,symbol\n2012-10-25,after,AAPL\n\n2012-10-16,BEFORE , IBM\n"
    found = read_earnings(written(tmp_path, "earnings.csv", text))
    assert found
    assert found.file == "earnings.csv"
    assert found.reports == (
        EarningsReport(symbol="IBM", date=date(2012, 10, 16), when=When.BEFORE),
        EarningsReport(symbol="AAPL", date=date(2012, 10, 25), when=When.AFTER),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: write the column symbol once"),
        ("symbol,date,wen\n", r"line 1: there is no column 'wen'; did you mean 'when'\?"),
        ("symbol,date,when\nAAPL,25.10.2012,after\n", r"line 2, column date: '25.10.2012' is no date"),
        ("symbol,date,when\nAAPL,2012-10-25,late\n", "line 2, column when: it is 'late'; write before or after"),
        ("symbol,date,when\n,2012-10-25,after\n", "line 2, column symbol: it is empty"),
        ("symbol,date,when\n\nAAPL,2012-10-25\n", "line 3: 2 columns instead of 3"),
        (
            "symbol,date,when\nAAPL,2012-10-25,after\nAAPL,2012-10-25,before\n",
            "line 3, column symbol: AAPL is named twice on 2012-10-25",
        ),
    ],
)
def test_a_wrong_line_of_earnings_is_named_with_file_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=f"earnings.csv, {message}"):
        read_earnings(written(tmp_path, "earnings.csv", text))
