"""How two plans differ, and what is left of a day."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.domain.json_value import JsonValue
from orchestration.domain.records import Record, RecordKind
from orchestration.domain.states import RunStatus
from tests.calendars import WeekdayCalendar
from workflows.desk_files.fomc import read_fomc
from workflows.plan_changes import CALLER_CANCELLED, EarlierRun, carried_result, continued, difference, goes_on
from workflows.trading_day.day_plan import DayPlan
from workflows.trading_day.overlays import load_overlays
from workflows.trading_day.planner import DaySettings, plan_day

DAY = date(2012, 12, 10)
OVERLAYS, FOMC = load_overlays(), read_fomc()


def plan(on: date = DAY, *, closes: int = 21, volatility: float | None = 0.2, prices: bool = True) -> DayPlan:
    calendar = WeekdayCalendar(closes=time(closes))
    return plan_day(
        on,
        calendar=calendar,
        fomc=FOMC,
        overlays=OVERLAYS,
        desk_symbols=["AAPL"],
        usable_symbols=["AAPL"] if prices else [],
        volatility=volatility,
        settings=DaySettings(),
    )


PLAN = plan()
NAMES = [task.name for task in PLAN.tasks]


def test_equal_plans_do_not_differ() -> None:
    assert difference(PLAN, plan()) == ()


def test_another_date_is_all_that_needs_saying() -> None:
    assert difference(PLAN, plan(date(2012, 12, 12))) == ("the next day is 2012-12-12 (fomc) instead of 2012-12-10",)


def test_an_earlier_close_names_hours_stages_and_tasks() -> None:
    lines = difference(PLAN, plan(closes=18))
    assert "close: 2012-12-10T18:00:00Z instead of 2012-12-10T21:00:00Z" in lines
    assert any(
        line.startswith("stage close: 2012-12-10T17:00:00Z to 2012-12-10T18:00:00Z instead of") for line in lines
    )
    assert any(line.startswith("task market_monitoring: every 5 min, 18 times, from") for line in lines)
    assert not any("@" in line for line in lines)


def test_a_wilder_day_names_its_kind_the_new_task_and_the_tighter_rhythm() -> None:
    lines = difference(PLAN, plan(volatility=0.9))
    assert "day types: high_volatility instead of standard" in lines
    assert any(line.startswith("task high_volatility_assessment: new, from the start of its stage") for line in lines)
    assert any(line.startswith("task risk_monitoring: every 2 min") for line in lines)


def test_another_detail_of_a_task_names_the_task() -> None:
    first = PLAN.stages[0]
    tasks = (replace(first.tasks[0], task_data={"depth": 2}), *first.tasks[1:])
    other = replace(PLAN, stages=(replace(first, tasks=tasks), *PLAN.stages[1:]))
    assert difference(PLAN, other) == ("task data_collection: its details are different",)


def test_prices_that_are_gone_name_what_is_left_out_and_the_warning() -> None:
    lines = difference(PLAN, plan(prices=False))
    assert "left out: execute_trades: new, no usable prices" in lines
    assert any(line.startswith("warning: no symbol of the desk has a usable price") for line in lines)
    assert any(line.startswith("warning gone: ") for line in difference(plan(prices=False), PLAN))


def test_a_closed_day_has_no_hours() -> None:
    closed = replace(PLAN, session=None, stages=())
    assert "open: none: the exchange is closed instead of 2012-12-10T14:30:00Z" in difference(PLAN, closed)


def test_a_restriction_is_named() -> None:
    fomc = plan(date(2012, 12, 12))
    (first, *_) = difference(replace(fomc, restrictions=()), fomc)
    assert first.startswith("restriction: no_new_orders from 2012-12-12T17:15:00Z to")


def test_a_difference_in_words_alone_is_still_said() -> None:
    assert difference(PLAN, replace(PLAN, reason="else")) == (
        "only what is announced or given as a reason is different",
    )


@given(st.sampled_from([PLAN, plan(closes=18), plan(volatility=0.9), plan(prices=False), plan(date(2012, 12, 12))]))
def test_whatever_differs_has_a_line(other: DayPlan) -> None:
    assert bool(difference(PLAN, other)) is (other != PLAN)


# -- what is left of a day


def earlier(
    done: Mapping[str, JsonValue] | None = None, unknown: set[str] | None = None, ended: dict[str, str] | None = None
) -> EarlierRun:
    return EarlierRun(execution_id="e1", results=done or {}, ended=ended or {}, unknown=frozenset(unknown or set()))


def reasons(left: DayPlan) -> dict[str, str]:
    return {skipped.name: skipped.reason for skipped in left.skipped}


def test_what_is_done_is_left_out_and_what_needs_it_gets_its_result() -> None:
    left = continued(PLAN, [earlier({"generate_trades": {"trades": []}, "risk_assessment": {"ok": True}})])
    assert reasons(left.plan)["generate_trades"] == "done in execution e1"
    task = next(task for task in left.plan.tasks if task.name == "validate_trades")
    assert task.dependencies == ("generate_trades@earlier", "risk_assessment@earlier")
    assert left.carried == {"generate_trades@earlier": {"trades": []}, "risk_assessment@earlier": {"ok": True}}
    assert left.executions == ("e1",)


def test_an_unknown_outcome_is_named_and_what_needs_it_is_left_out_too() -> None:
    left = continued(PLAN, [earlier(unknown={"generate_trades"})])
    said = reasons(left.plan)
    assert said["generate_trades"] == "its outcome is unknown: see execution e1"
    assert said["validate_trades"].startswith("it needs generate_trades, which is left out (its outcome is unknown")
    assert {"execute_trades", "position_check"} <= said.keys()
    assert "market_analysis" not in said


def test_what_failed_before_is_not_tried_again() -> None:
    left = continued(PLAN, [earlier(ended={"portfolio_review": "it failed in execution e1: broken"})])
    assert reasons(left.plan)["portfolio_review"] == "it failed in execution e1: broken"
    assert "risk_assessment" in reasons(left.plan)


def test_what_a_second_run_has_done_counts_more_than_how_it_broke_off_in_the_first() -> None:
    second = EarlierRun(execution_id="e2", results={"generate_trades": 1}, ended={}, unknown=frozenset())
    left = continued(PLAN, [earlier(ended={"generate_trades": "it expired in execution e1"}), second])
    assert reasons(left.plan)["generate_trades"] == "done in execution e2"
    assert left.executions == ("e1", "e2")


names = st.sets(st.sampled_from(NAMES), max_size=len(NAMES))


@given(done=names, unknown=names, failed=names)
def test_every_task_is_left_to_do_or_left_out_with_a_reason_and_none_waits_for_what_never_comes(
    done: set[str], unknown: set[str], failed: set[str]
) -> None:
    failed, unknown = failed - done, unknown - done - failed
    run = earlier(dict.fromkeys(sorted(done)), unknown, dict.fromkeys(sorted(failed), "it failed"))
    left = continued(PLAN, [run])
    kept = {task.name for task in left.plan.tasks}
    out = reasons(left.plan)
    assert kept | (out.keys() & set(NAMES)) == set(NAMES)
    assert not kept & out.keys()
    assert not kept & (done | unknown | failed)
    assert all(out.values())
    available = kept | left.carried.keys()
    assert {name for task in left.plan.tasks for name in task.dependencies} <= available


def test_a_plan_of_which_nothing_is_done_stays_as_it_is() -> None:
    left = continued(PLAN, [earlier()])
    assert left.plan == PLAN
    assert left.to_definition(PLAN.to_definition()) == PLAN.to_definition()


def test_the_results_come_in_a_stage_before_all_others() -> None:
    left = continued(PLAN, [earlier({"generate_trades": 1, "risk_assessment": 2})])
    stages = left.to_definition(left.plan.to_definition())["stages"]
    assert next(iter(stages)) == "earlier"
    assert stages["earlier"]["tasks"][0]["params"] == {"result": 1}
    assert carried_result(2) == 2


ENDED = Record(
    run_id="e1",
    sequence=9,
    kind=RecordKind.RUN_CANCELLED,
    at=datetime(2012, 12, 10, tzinfo=UTC) + timedelta(hours=15),
    data={"reason": "enough"},
)


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (RunStatus.RUNNING, "", False),
        (RunStatus.INTERRUPTED, "", True),
        (RunStatus.COMPLETED, "", False),
        (RunStatus.FAILED, "", False),
        (RunStatus.CANCELLED, "enough", False),
        (RunStatus.CANCELLED, CALLER_CANCELLED, True),
    ],
)
def test_a_day_goes_on_after_a_crash_or_an_orderly_stop(status: RunStatus, reason: str, expected: bool) -> None:
    assert goes_on(status, [ENDED._replace(data={"reason": reason})]) is expected
