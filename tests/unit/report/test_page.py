"""What the page says."""

import re
from dataclasses import replace

import pytest

from agents.report.contents import Report
from agents.report.page import render
from orchestration.domain.json_value import JsonObject
from tests.report_sample import closed_report, sample_range, sample_report


@pytest.fixture(scope="module")
def page() -> str:
    return render(sample_report())


@pytest.mark.parametrize(
    "words",
    [
        "Wednesday, 12 December 2012",
        "FOMC statement at 12:30 New York and press conference at 14:15",
        "open <time",
        "81 completed",
        "8 fills, 1 refused",
        'title="' + "4f2c9b1e" * 8 + '"',
        "earnings.csv is not there: no earnings are known",
        "Synthetic path inside the real daily bar.",
        "no name of the desk reports on this day",
        "FinalError: no text of the statement",
        "TransientError: no price of MSFT yet",
        "no_new_orders until 2012-12-12T17:45:00Z: FOMC statement at 12:30",
        "smaller than one lot",
        "Buy IBM, GOOG and MSFT to 75 % gross by inverse volatility.",
        "every 5 min, 54 times",
        "GOOG moved 1.2 % in an hour.",
        "bokeh_sampledata, adjusted daily bars; intraday paths are synthetic",
        "limit 27.",
        "20.00\u202f%",
    ],
)
def test_the_page_says(page: str, words: str) -> None:
    assert words in page


def test_the_mode_is_in_the_title_and_on_the_page(page: str) -> None:
    assert "(simulated)</title>" in page
    assert '<span class="mode">simulated</span>' in page


def test_a_conclusion_links_to_what_it_was_made_from(page: str) -> None:
    anchor = re.search(r'id="(d20121212-t\d+)" class="task[^"]*">\s*<p class="name"><strong>Opportunity ranking', page)
    assert anchor
    assert f'<a href="#{anchor[1]}">Opportunity ranking</a>' in page


def test_every_drawing_has_a_title_a_description_and_the_page_s_colours(page: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) == 6
    for drawing in drawings:
        names = re.search(r'aria-labelledby="(\S+) (\S+)"', drawing)
        assert names
        assert f'<title id="{names[1]}">' in drawing
        assert f'<desc id="{names[2]}">' in drawing
        assert not re.search(r":\s*#[0-9a-f]{6}", drawing)
        assert "font-family" not in drawing


def test_tooltips_say_local_time_and_utc(page: str) -> None:
    assert "<title>Intraday: 10:30 to 15:00 (15:30Z to 20:00Z)</title>" in page
    assert "<title>No new orders, 12:15 to 12:45 (17:15Z to 17:45Z): FOMC statement at 12:30</title>" in page
    assert "<title>Market monitoring, every 5 min, 54 times: 54 completed</title>" in page
    assert re.search(r"<title>Buy 450 at [\d.]+, 09:33 \(14:33Z\)</title>", page)


def test_the_policy_of_the_page_allows_its_own_script_only(page: str) -> None:
    assert "default-src 'none'" in page
    assert re.search(r"script-src 'sha256-[\w+/=]{44}'", page)


def test_cash_that_no_fill_explains_is_shown() -> None:
    report = sample_report()
    assert "not from fills" not in render(report)
    day = report.days[0]
    richer = replace(day.account, cash=day.account.cash + 5)
    page = render(replace(report, days=(replace(day, account=richer),)))
    assert "<dt>not from fills</dt><dd>+5.00</dd>" in page


def test_a_range_begins_with_its_days() -> None:
    page = render(sample_range(3))
    assert "Mon 3 Dec 2012 to Wed 5 Dec 2012" in page
    assert page.count('<details class="day"') == 3
    assert "249 tasks" in page


def test_a_closed_day_of_a_range_is_a_row_and_nothing_more() -> None:
    closed = closed_report()
    report = replace(closed, days=(*closed.days, *sample_range(1).days))
    page = render(report)
    assert page.count('<details class="day"') == 1
    assert "Market closed: Hurricane Sandy" in page
    assert "1 session of" in page


def test_a_range_of_closed_days_has_no_chart() -> None:
    closed = closed_report()
    assert "<svg" not in render(replace(closed, days=closed.days * 2))


def changed(result: JsonObject) -> Report:
    report = sample_report()
    return replace(report, days=(replace(report.days[0], result=result),))


def test_tasks_that_never_ran_are_pending_and_tasks_of_nobody_s_plan_are_there() -> None:
    page = render(
        changed({"status": "interrupted", "tasks": {"surprise": {"status": "cancelled", "reason": "halted"}}})
    )
    assert "83 pending" in page
    assert "halted" in page
    assert "run interrupted" in page


def test_long_figures_are_cut() -> None:
    task: JsonObject = {"status": "completed", "result": {"rows": ["x" * 50] * 100}}
    assert "characters in all" in render(changed({"status": "completed", "tasks": {"technical_analysis": task}}))


def test_a_conclusion_that_keeps_changing_is_cut_with_its_last_word() -> None:
    tasks: dict[str, JsonObject] = {
        f"market_monitoring@{hour}:{minute:02}Z": {
            "status": "completed",
            "result": {"conclusion": f"{hour}:{minute:02} said"},
        }
        for hour in (16, 17)
        for minute in range(0, 60, 5)
    }
    page = render(changed({"status": "completed", "tasks": tasks}))
    assert "and 12 more changes of mind, the last: 17:55 said" in page
