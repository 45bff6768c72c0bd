"""What `plan` and `simulate` print."""

import io
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from orchestration.domain.json_value import JsonObject
from orchestration.telemetry.summary import print_plan, print_summary
from tests.report_sample import closed_report, sample_plan, sample_summary


def printed(show: object, value: JsonObject, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    show(console, value)  # type: ignore[operator]  # one of the two functions of the module
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_line_of_a_plan_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, printed(print_plan, sample_plan(), width).splitlines())) <= width


def test_off_a_terminal_there_are_no_colours() -> None:
    assert "\x1b" not in printed(print_plan, sample_plan()) + printed(print_summary, sample_summary())


def test_a_recurring_task_takes_one_line_with_its_rhythm() -> None:
    text = printed(print_plan, sample_plan())
    assert "every 5 min, 54 times" in text
    assert text.count("market_monitoring") == 1


def test_a_plan_gives_stage_times_of_the_exchange_and_in_utc() -> None:
    text = printed(print_plan, sample_plan())
    assert "06:00 to 09:30 (11:00Z to 14:30Z)" in text
    assert "Times are America/New_York" in text


def test_the_caller_s_time_zone_goes_before_the_plan_s() -> None:
    console = Console(file=io.StringIO(), width=80)
    print_plan(console, sample_plan(), ZoneInfo("Europe/London"))
    assert isinstance(console.file, io.StringIO)
    assert "11:00 to 14:30 (11:00Z to 14:30Z)" in console.file.getvalue()


def test_a_plan_says_why_what_is_left_out_and_what_to_beware_of() -> None:
    text = printed(print_plan, sample_plan(), 120)
    assert "[FOMC]" in text
    assert "FOMC statement at 12:30 New York and press conference at 14:15" in text
    assert "earnings_review: no name of the desk reports on this day" in text
    assert "Warning: earnings.csv is not there" in text
    assert "no new orders 12:15 to 12:45 (17:15Z to 17:45Z): FOMC statement at 12:30" in text


def test_a_task_names_what_it_waits_for_and_the_kind_of_day_it_belongs_to() -> None:
    text = printed(print_plan, sample_plan(), 120)
    assert "after technical_analysis, macro_assessment" in text
    assert "for FOMC" in text


def test_a_closed_day_names_the_next_session() -> None:
    text = printed(print_plan, {"calendar": "XNYS", "days": [closed_report().days[0].plan]})
    assert "Hurricane Sandy" in text
    assert "the next one is 2012-10-31" in text


def test_days_stand_apart_and_an_undated_stage_says_so() -> None:
    stage: JsonObject = {"name": "later", "starts_at": None, "ends_at": None, "tasks": []}
    day: JsonObject = {"date": "someday", "day_types": ["standard"], "early_close": False, "stages": [stage]}
    text = printed(print_plan, {"calendar": "XNYS", "days": [day, day]})
    assert text.count("follows the stage before  no tasks") == 2
    assert "\n\nsomeday" in text


def test_the_times_of_a_plan_without_a_zone_are_utc_alone() -> None:
    plan = {**sample_plan(), "timezone": None}
    assert "11:00Z  market_data_collection" in printed(print_plan, plan)


def test_a_summary_accounts_for_tasks_orders_and_equity() -> None:
    text = printed(print_summary, sample_summary())
    assert "Wed 2012-12-12  [FOMC]  failed (simulated)" in text
    assert "83: 81 completed, 1 failed, 1 skipped" in text
    assert "3: 2 filled, 1 rejected" in text
    assert "1,000,830.12" in text
    assert "Simulated 1 day in 1.43 s." in text


def test_the_path_and_the_hash_are_never_broken() -> None:
    days = sample_summary()["days"]
    assert isinstance(days, list)
    path = "/home/desk/" + "a-long-folder/" * 12 + "report.html"
    text = printed(print_summary, {"days": [{**days[0], "report": path}]})
    assert path in text
    assert "4f2c9b1e" * 8 in text


def test_a_closed_day_s_summary_has_no_tasks_and_no_orders() -> None:
    day: JsonObject = {"date": "2012-10-29", "day_types": ["market_closed"], "status": "market_closed", "equity": None}
    text = printed(print_summary, {"days": [day, day], "wall_s": None})
    assert "market closed (simulated)" in text
    assert "orders     none" in text
    assert "equity" not in text
    assert "Simulated 2 days." in text


def test_a_name_with_markup_is_printed_as_it_is() -> None:
    moment = f"{datetime(2012, 12, 12, 15, tzinfo=UTC):%Y-%m-%dT%H:%M:%SZ}"
    task: JsonObject = {"name": "[red]x[/red]", "agent": "a", "priority": "high", "starts_at": moment}
    stage: JsonObject = {"name": "intraday", "tasks": [task]}
    assert "[red]x[/red]" in printed(print_plan, {"days": [{"date": "2012-12-12", "stages": [stage]}]})
