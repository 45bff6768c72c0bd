"""The plan is right on the days that calendars get wrong, driven from the files of known answers."""

import json
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from orchestration.adapters.markets.exchange_calendar import ExchangeCalendar, open_calendar
from orchestration.days.expirations import is_vix_expiration
from orchestration.days.fomc import FomcSchedule
from tests.doubles import ManualClock
from workflows.desk_files.fomc import read_fomc
from workflows.trading_day.day_plan import DayPlan
from workflows.trading_day.overlays import Overlays, load_overlays
from workflows.trading_day.planner import plan_day

DATA = Path(__file__).parents[1] / "data"
DAYS: list[dict[str, Any]] = json.loads((DATA / "tricky_days.json").read_text())["days"]
EXPIRATIONS: dict[str, Any] = json.loads((DATA / "expirations_moved.json").read_text())


@cache
def calendar(code: str) -> ExchangeCalendar:
    return open_calendar(code, clock=ManualClock(datetime(2026, 11, 21, tzinfo=UTC)))


@cache
def schedule() -> FomcSchedule:
    return read_fomc()


@cache
def overlays() -> Overlays:
    return load_overlays()


def planned(on: str, code: str = "XNYS") -> DayPlan:
    return plan_day(
        date.fromisoformat(on), calendar=calendar(code), fomc=schedule(), overlays=overlays(), volatility=0.2
    )


def utc(text: str | None) -> str | None:
    return text.replace("+00:00", "Z") if text else None


@pytest.mark.parametrize("day", DAYS, ids=[day["date"] for day in DAYS])
def test_a_tricky_day_is_planned_as_the_file_says(day: dict[str, Any]) -> None:
    plan = planned(day["date"])
    shown = plan.to_json()
    assert plan.date.strftime("%a") == day["weekday"]
    assert shown["is_session"] is day["xnys_session"]
    assert shown["open"] == utc(day["open_utc"])
    assert shown["close"] == utc(day["close_utc"])
    assert shown["early_close"] is day["early_close"]
    assert shown["next_session"] == day["next_session"]
    assert shown["previous_session"] == day["previous_session"]
    assert ("early_close" in plan.day_types) is day["early_close"]
    assert ("monthly_expiration" in plan.day_types) is day["equity_monthly_expiry"]
    assert ("quarterly_expiration" in plan.day_types) is day["triple_witching"]
    assert ("vix_expiration" in plan.day_types) is day["vix_monthly_expiry"]
    assert ("fomc" in plan.day_types) is day["fomc_decision"]
    assert bool(plan.stages) is day["xnys_session"]
    if plan.session:
        zone = plan.session.timezone
        assert f"{plan.session.opens_at.astimezone(zone):%H:%M}" == day.get("open_ny", "09:30")
        assert f"{plan.session.closes_at.astimezone(zone):%H:%M}" == day.get("close_ny", "16:00")
        next_month = plan.next_session is not None and plan.next_session.month != plan.date.month
        assert next_month is day["last_session_of_month"]


@pytest.mark.parametrize("day", DAYS, ids=[day["date"] for day in DAYS])
def test_london_keeps_its_own_hours_on_a_tricky_day(day: dict[str, Any]) -> None:
    shown = planned(day["date"], "XLON").to_json()
    assert shown["is_session"] is day.get("xlon_session", True)
    assert shown["open"] == utc(day.get("xlon_open_utc"))
    assert shown["close"] == utc(day.get("xlon_close_utc"))


@pytest.mark.parametrize("day", [d for d in DAYS if "fomc_statement_utc" in d], ids=lambda d: str(d["date"]))
def test_the_statement_is_announced_at_its_instant(day: dict[str, Any]) -> None:
    said = [a for a in planned(day["date"]).announcements if a.data["kind"] == "fomc_statement"]
    assert [a.at.isoformat() for a in said] == [day["fomc_statement_utc"]]


@pytest.mark.parametrize("day", [d for d in DAYS if d["fomc_cancelled"]], ids=lambda d: str(d["date"]))
def test_a_cancelled_meeting_restricts_and_announces_nothing(day: dict[str, Any]) -> None:
    plan = planned(day["date"])
    assert plan.restrictions == ()
    assert "fomc_statement" not in {a.data["kind"] for a in plan.announcements}


@pytest.mark.parametrize("day", [d for d in DAYS if d["fomc_unscheduled"]], ids=lambda d: str(d["date"]))
def test_an_unscheduled_statement_is_no_day_type(day: dict[str, Any]) -> None:
    assert day["date"] in {s.date.isoformat() for s in schedule().surprises}
    assert "fomc" not in planned(day["date"]).day_types


@pytest.mark.parametrize("row", EXPIRATIONS["vix_expirations"], ids=lambda row: str(row["expiry"]))
def test_the_vix_expires_when_the_file_says(row: dict[str, Any]) -> None:
    plan = planned(row["expiry"])
    assert "vix_expiration" in plan.day_types
    assert plan.date.strftime("%a") == row["weekday"]


def test_the_vix_expires_on_no_other_day() -> None:
    known = {row["expiry"] for row in EXPIRATIONS["vix_expirations"]}
    found = set()
    on = date(2014, 12, 31)
    while (on := calendar("XNYS").next_session(on).date) < date(2031, 1, 1):
        if is_vix_expiration(calendar("XNYS"), on):
            found.add(on.isoformat())
    assert found == known


@pytest.mark.parametrize("row", EXPIRATIONS["quarterly_triple_witching"], ids=lambda row: str(row["date"]))
def test_quarterly_expirations_fall_on_the_dates_of_the_file(row: dict[str, Any]) -> None:
    plan = planned(row["date"])
    assert {"monthly_expiration", "quarterly_expiration"} <= set(plan.day_types)
    assert (plan.date.strftime("%a") == "Thu") is row["moved"]


@pytest.mark.parametrize("row", EXPIRATIONS["moved"], ids=lambda row: str(row["expiry"]))
def test_an_expiration_moves_before_a_holiday(row: dict[str, Any]) -> None:
    assert "monthly_expiration" in planned(row["expiry"]).day_types
    assert ("quarterly_expiration" in planned(row["expiry"]).day_types) is row["triple_witching"]
    assert planned(row["third_friday"]).day_types == ("market_closed",)


@pytest.mark.parametrize(
    ("on", "code", "day_types"),
    [
        ("2012-11-23", "XNYS", ("early_close",)),
        ("2012-10-29", "XNYS", ("market_closed",)),
        ("2012-12-12", "XNYS", ("fomc",)),
        ("2012-12-21", "XNYS", ("monthly_expiration", "quarterly_expiration")),
        ("2026-06-18", "XNYS", ("monthly_expiration", "quarterly_expiration")),
        ("2012-12-19", "XNYS", ("vix_expiration",)),
        ("2012-12-11", "XNYS", ("standard",)),
        ("2012-11-23", "XLON", ("standard",)),
        ("2012-10-29", "XLON", ("standard",)),
        ("2012-12-12", "XLON", ("fomc",)),
        ("2013-03-20", "XLON", ("fomc",)),  # New York is on summer time already: the statement comes an hour sooner
        ("2013-05-01", "XLON", ("standard",)),
        ("2012-12-21", "XLON", ("standard",)),
        ("2026-06-18", "XLON", ("standard",)),
        ("2012-11-23", "XTKS", ("market_closed",)),
        ("2012-10-29", "XTKS", ("standard",)),
        ("2012-12-12", "XTKS", ("standard",)),
        ("2012-12-13", "XTKS", ("standard",)),
        ("2012-12-21", "XTKS", ("standard",)),
        ("2026-06-18", "XTKS", ("standard",)),
        ("2012-11-23", "24/7", ("standard",)),
        ("2012-10-29", "24/7", ("standard",)),
        ("2012-12-12", "24/7", ("fomc",)),
        ("2012-12-21", "24/7", ("standard",)),
        ("2026-06-18", "24/7", ("standard",)),
    ],
)
def test_a_date_is_of_these_kinds_on_this_exchange(on: str, code: str, day_types: tuple[str, ...]) -> None:
    assert planned(on, code).day_types == day_types


def test_the_stages_of_an_early_close_hang_on_the_close() -> None:
    stages = {s.name: (f"{s.starts_at:%H:%M}", f"{s.ends_at:%H:%M}") for s in planned("2012-11-23").stages}
    assert stages == {
        "pre_market": ("11:00", "14:30"),
        "market_open": ("14:30", "15:30"),
        "intraday": ("15:30", "17:00"),
        "close": ("17:00", "18:00"),
        "post_market": ("18:00", "20:00"),
    }


def test_the_statement_of_december_2012_comes_at_half_past_twelve_in_new_york() -> None:
    plan = planned("2012-12-12")
    assert plan.reason == "FOMC statement at 17:30Z (12:30 in New York)"
    windows = [(f"{r.starts_at:%H:%M}", f"{r.ends_at:%H:%M}") for r in plan.restrictions]
    assert windows == [("17:15", "17:45"), ("19:15", "20:15")]


def test_london_leaves_out_what_would_trade_after_its_close() -> None:
    plan = planned("2012-12-12", "XLON")
    skipped = {task.name: task.reason for task in plan.skipped}
    assert skipped["post_statement_adjustment"] == "20:15Z is outside the day's stages"
    cut = next(task for task in plan.tasks if task.name == "exposure_cut_execution")
    assert (f"{cut.starts_at:%H:%M}", f"{cut.deadline:%H:%M}") == ("16:00", "16:30")


def test_recurring_work_pauses_while_tokyo_has_lunch() -> None:
    names = {task.name for task in planned("2012-12-12", "XTKS").tasks}
    assert {"risk_monitoring@02:25Z", "risk_monitoring@03:30Z"} <= names
    assert not names & {"risk_monitoring@02:30Z", "risk_monitoring@03:00Z", "risk_monitoring@03:25Z"}
