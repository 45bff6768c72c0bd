"""The examples of docs/reference/day-files.md work."""

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from orchestration.days.day_types import DayType
from tests.unit.days.fakes import WeekdayCalendar
from tests.unit.trading_day.test_overlays import TASK_TYPES
from workflows.desk_files.calendar_overrides import read_calendar_overrides
from workflows.desk_files.earnings import read_earnings
from workflows.desk_files.fomc import read_fomc
from workflows.trading_day.moments import Anchor
from workflows.trading_day.overlays import load_overlays
from workflows.trading_day.planner import plan_day
from workflows.trading_day.stage_file import StageFile, TaskRow

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "day-files.md").read_text()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with every file that the page shows."""
    (tmp_path / "days").mkdir()
    for name, text in re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE, re.DOTALL):
        (tmp_path / name).write_text(text)
    for text in re.findall(r"```csv\n(.*?)```", PAGE, re.DOTALL):
        (tmp_path / "earnings.csv").write_text(text)
    return tmp_path


def test_the_overlays_of_the_page_change_the_day_as_it_says(home: Path) -> None:
    overlays = load_overlays(home / "days", TASK_TYPES)
    fomc = read_fomc()
    day = plan_day(date(2012, 12, 11), calendar=WeekdayCalendar(), fomc=fomc, overlays=overlays, volatility=0.2)
    tasks = {task.name: task for task in day.tasks}
    assert day.stages[0].starts_at == datetime(2012, 12, 11, 12, 30, tzinfo=UTC)
    assert tasks["morning_letter"].starts_at == datetime(2012, 12, 11, 14, 15, tzinfo=UTC)
    assert {"macro_watch@15:30Z", "macro_watch@19:30Z", "order_tracking@15:40Z"} <= set(tasks)
    assert "order_tracking@15:35Z" not in tasks
    assert tasks["execute_trades"].task_data["slices"] == 8
    assert [(task.name, task.reason.split(": ")[1]) for task in day.skipped] == [
        ("system_maintenance", "the data centre does it at night")
    ]
    closed = plan_day(date(2012, 12, 15), calendar=WeekdayCalendar(), fomc=fomc, overlays=overlays)
    assert [task.name for task in closed.tasks] == ["weekend_reading"]


def test_the_other_files_of_the_page_are_read(home: Path) -> None:
    assert [override.date for override in read_calendar_overrides(home / "calendar.yaml")] == [
        date(2026, 12, 1),
        date(2026, 12, 2),
    ]
    reports = read_earnings(home / "earnings.csv")
    assert reports
    assert reports.span == (date(2012, 10, 16), date(2013, 1, 24))


@pytest.mark.parametrize("word", [*StageFile.model_fields, *TaskRow.model_fields, *Anchor, *DayType])
def test_the_page_explains_every_key_field_anchor_and_day_type(word: str) -> None:
    assert re.search(rf"`{word}[`+-]", PAGE)
