"""The plan of a day over a small calendar and stage files of the test's own."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from orchestration.days.earnings import EarningsReport, EarningsSchedule, When
from orchestration.days.fomc import FomcMeeting, FomcSchedule, FomcSurprise
from orchestration.domain.errors import DefinitionError
from tests.unit.days.fakes import WeekdayCalendar
from workflows.trading_day.day_plan import DayPlan, PlannedTask
from workflows.trading_day.overlays import load_overlays
from workflows.trading_day.planner import DaySettings, plan_day

WEDNESDAY = date(2012, 12, 12)
EARLY = date(2012, 12, 24)
CALENDAR = WeekdayCalendar("XNYS", date(2012, 12, 25), early=(EARLY,), last_year=2013)
MEETING = FomcMeeting(
    decision=WEDNESDAY,
    statement=datetime(2012, 12, 12, 17, 30, tzinfo=UTC),
    press_conference=datetime(2012, 12, 12, 19, 15, tzinfo=UTC),
)
SURPRISE = FomcSurprise(
    date=date(2012, 12, 11), statement=datetime(2012, 12, 11, 15, tzinfo=UTC), what="emergency cut", rate_decision=True
)
FOMC = FomcSchedule(
    first=date(2006, 1, 1), last=date(2028, 1, 31), file="fomc.json", meetings=(MEETING,), surprises=(SURPRISE,)
)
Plan = Callable[..., DayPlan]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Plan a day; ``files`` are the user's overlays by day type."""

    def planned(on: date = date(2012, 12, 11), files: dict[str, str] | None = None, **given: object) -> DayPlan:
        for day_type, text in (files or {}).items():
            (tmp_path / f"{day_type}.yaml").write_text(text)
        arguments: dict[str, object] = {"calendar": CALENDAR, "fomc": FOMC, "volatility": 0.2, **given}
        return plan_day(on, overlays=load_overlays(tmp_path), **arguments)  # type: ignore[arg-type]  # by name

    return planned


def task(plan: DayPlan, name: str) -> PlannedTask:
    return next(task for task in plan.tasks if task.name == name)


def names(plan: DayPlan, stage: str | None = None) -> set[str]:
    return {task.name for s in plan.stages if stage in {None, s.name} for task in s.tasks}


def skipped(plan: DayPlan) -> dict[str, str]:
    return {task.name: task.reason for task in plan.skipped}


def at(text: str, on: date = WEDNESDAY) -> datetime:
    return datetime.combine(on, time.fromisoformat(text), UTC)


def test_an_ordinary_day_leaves_nothing_out(plan: Plan) -> None:
    day = plan()
    assert day.day_types == ("standard",)
    assert day.reasons == {"standard": "an ordinary session"}
    assert (day.skipped, day.warnings, day.restrictions) == ((), (), ())
    assert (day.previous_session, day.next_session) == (date(2012, 12, 10), WEDNESDAY)


def test_every_dependency_is_planned_and_none_runs_in_a_later_stage(plan: Plan) -> None:
    for on in (date(2012, 12, 11), WEDNESDAY, date(2012, 12, 21), EARLY):
        day = plan(on, volatility=0.6)
        stages = {task.name: index for index, stage in enumerate(day.stages) for task in stage.tasks}
        assert len(stages) == len(day.tasks)
        for planned in day.tasks:
            assert all(stages[needed] <= stages[planned.name] for needed in planned.dependencies)


def test_every_task_starts_in_its_stage_and_before_its_deadline(plan: Plan) -> None:
    for on in (WEDNESDAY, date(2012, 12, 19), date(2012, 12, 21), EARLY):
        for stage in plan(on).stages:
            for planned in stage.tasks:
                assert stage.starts_at <= (planned.starts_at or stage.starts_at) < planned.deadline <= stage.ends_at


def test_a_recurring_task_becomes_occurrences_that_end_with_the_next(plan: Plan) -> None:
    day = plan(WEDNESDAY)
    first, last = task(day, "order_tracking@15:30Z"), task(day, "order_tracking@19:55Z")
    assert (first.starts_at, first.deadline) == (at("15:30"), at("15:35"))
    assert last.deadline == at("20:00")
    assert len([name for name in names(day) if name.startswith("order_tracking@")]) == 54


def test_between_two_of_one_period_the_same_moment_is_meant(plan: Plan) -> None:
    assert task(plan(), "risk_execution@16:05Z").dependencies == ("risk_monitoring@16:05Z",)


def test_a_dependant_means_the_latest_occurrence_that_starts_no_later(plan: Plan) -> None:
    text = """
    stages:
      intraday:
        tasks:
          - {name: look, agent: a, task_type: t, starts: start+12m, dependencies: [market_monitoring]}
          - {name: hourly, agent: a, task_type: t, every: 1h, dependencies: [rebalance]}
      close:
        tasks: [{name: sum_up, agent: a, task_type: t, dependencies: [market_monitoring, rebalance]}]
    """
    day = plan(files={"standard": text})
    assert task(day, "look").dependencies == ("market_monitoring@15:40Z",)
    assert task(day, "sum_up").dependencies == ("market_monitoring@19:55Z", "rebalance@19:00Z")
    assert task(day, "hourly@15:30Z").dependencies == ()
    assert task(day, "hourly@16:30Z").dependencies == ("rebalance@16:00Z",)


def test_a_statement_s_tasks_go_into_the_stages_that_hold_their_moments(plan: Plan) -> None:
    day = plan(WEDNESDAY)
    assert {"exposure_cut", "exposure_cut_execution", "statement_analysis"} <= names(day, "intraday")
    assert {"post_statement_adjustment", "post_statement_execution"} <= names(day, "close")
    cut = task(day, "exposure_cut_execution")
    assert (cut.starts_at, cut.deadline) == (at("16:45"), at("17:15"))
    assert task(day, "statement_analysis").starts_at == at("17:45")
    assert task(day, "post_statement_adjustment").starts_at == at("20:15")


def test_an_exposure_cut_that_would_come_too_late_is_pulled_before_the_close(plan: Plan) -> None:
    day = plan(WEDNESDAY, settings=DaySettings(market_close=time(12)))
    assert task(day, "exposure_cut").starts_at == at("16:30")
    assert skipped(day)["post_statement_execution"] == "20:15Z is outside the day's stages"


def test_what_would_open_positions_in_a_restricted_moment_is_left_out_with_its_execution(plan: Plan) -> None:
    change = "change: {rebalance: {every: 30m}, rebalance_execution: {every: 30m, opens_positions: false}}"
    day = plan(WEDNESDAY, files={"standard": change})
    reasons = skipped(day)
    assert reasons["rebalance@17:30Z"] == "no_new_orders from 17:15Z to 17:45Z: FOMC statement"
    assert reasons["rebalance_execution@17:30Z"] == "it needs rebalance, which is left out"
    assert reasons["rebalance@19:30Z"] == "no_new_orders from 19:15Z to 20:15Z: FOMC press conference"
    assert {"rebalance@17:00Z", "rebalance_execution@18:00Z"} <= names(day)


def test_order_work_goes_with_its_input_and_analysis_stays_without(plan: Plan) -> None:
    day = plan(files={"standard": "remove: {validate_trades: the desk trusts itself}"})
    assert skipped(day) == {
        "validate_trades": "taken away by standard.yaml: the desk trusts itself",
        "execute_trades": "it needs validate_trades, which is left out",
    }
    assert task(day, "position_check").dependencies == ()


def test_a_task_of_another_kind_of_day_is_no_lost_input(plan: Plan) -> None:
    day = plan(files={"standard": "change: {generate_trades: {dependencies: [fomc_preview, risk_assessment]}}"})
    assert task(day, "generate_trades").dependencies == ("risk_assessment",)


def test_without_usable_prices_no_order_task_is_planned(plan: Plan) -> None:
    day = plan(desk_symbols=["AAPL"], usable_symbols=[])
    assert {"execute_trades", "cancel_open_orders", "risk_execution@15:30Z"} <= set(skipped(day))
    assert set(skipped(day).values()) == {"no usable prices"}
    assert "orders" not in {task.effects for task in day.tasks}
    assert "generate_trades" in names(day)
    assert day.warnings == ("no symbol of the desk has a usable price on 2012-12-11: no order task runs",)


def test_symbols_without_a_price_are_named(plan: Plan) -> None:
    day = plan(desk_symbols=["IBM", "FB", "AAPL"], usable_symbols=["IBM"])
    assert day.warnings == ("without a usable price on 2012-12-11 and left out: AAPL, FB",)
    assert day.skipped == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("starts: end+5m", "20:05Z is outside the stage intraday, 15:30Z to 20:00Z"),
        ("starts: start+5m, deadline: start+5m", "its deadline 15:35Z is not after 15:35Z"),
        ("starts: fomc_statement-5m", "no FOMC statement comes in this session"),
        ("starts: fomc_press_conference+60m", "no FOMC press conference comes in this session"),
        ("starts: restrictions_end", "nothing is restricted in this session"),
        ("starts: end+30s, every: 5m", "20:00:30Z is outside 15:30Z to 20:00Z"),
        ("starts: start+5m, deadline: start, every: 5m", "15:35Z is outside the day"),
    ],
)
def test_a_task_whose_moment_cannot_be_reached_is_left_out_with_the_reason(plan: Plan, text: str, reason: str) -> None:
    task_text = f"stages: {{intraday: {{tasks: [{{name: new, agent: a, task_type: t, {text}}}]}}}}"
    assert skipped(plan(files={"standard": task_text})) == {"new": reason}


def test_orders_are_not_planned_for_hours_in_which_the_exchange_is_closed(plan: Plan) -> None:
    text = "tasks: [{name: late, agent: trade_execution, task_type: execute_trades, starts: close+5m}]"
    assert skipped(plan(files={"standard": text})) == {"late": "the exchange is closed at 21:05Z"}


def test_a_stage_for_which_a_short_session_leaves_no_time_takes_its_tasks_along(plan: Plan) -> None:
    day = plan(settings=DaySettings(market_close=time(11, 30)))
    assert "intraday" not in {stage.name for stage in day.stages}
    assert skipped(day)["rebalance"] == "the session leaves no time for the stage intraday"


def test_a_task_that_would_need_a_later_one_is_refused(plan: Plan) -> None:
    text = "stages: {pre_market: {tasks: [{name: early, agent: a, task_type: t, dependencies: [reconcile_positions]}]}}"
    with pytest.raises(
        DefinitionError, match="early in pre_market needs reconcile_positions, which runs later, in close"
    ):
        plan(files={"standard": text})


def test_expiring_positions_are_closed_before_the_last_hour_and_pins_watched_to_the_end(plan: Plan) -> None:
    day = plan(date(2012, 12, 21))
    closing = task(day, "close_expiring_execution")
    assert (closing.starts_at, closing.deadline) == (at("19:30", day.date), at("20:00", day.date))
    pins = sorted(name for name in names(day) if name.startswith("pin_risk_check"))
    assert (pins[0], pins[-1], len(pins)) == ("pin_risk_check@19:00Z", "pin_risk_check@20:45Z", 8)
    assert "pin_risk_check@20:00Z" in names(day, "close")


def test_high_volatility_tightens_the_watch_and_leaves_the_limits_to_the_desk(plan: Plan) -> None:
    day = plan(volatility=0.6)
    assert day.day_types == ("high_volatility",)
    assert all("limit_scale" not in planned.task_data for planned in day.tasks)
    assert task(day, "risk_execution@15:32Z").dependencies == ("risk_monitoring@15:32Z",)


def test_whoever_works_orders_has_until_the_deadline_and_a_minute_more(plan: Plan) -> None:
    day = plan(date(2012, 12, 12))
    working = [t for t in day.tasks if t.task_type == "execute_trades"]
    stages = {stage.name: stage.starts_at for stage in day.stages}
    for planned in working:
        start = planned.starts_at or stages["market_open"]
        assert planned.timeout_s == (planned.deadline - start).total_seconds() + 60


def test_what_opens_positions_is_done_before_a_window_and_what_reduces_goes_on(plan: Plan) -> None:
    day = plan(date(2012, 12, 12))  # no new orders from 17:15
    assert task(day, "rebalance_execution@17:00Z").deadline == at("17:15", day.date)
    assert task(day, "rebalance_execution@16:00Z").deadline == at("17:00", day.date)
    assert task(day, "risk_execution@17:10Z").deadline == at("17:15", day.date)
    assert task(day, "risk_execution@17:15Z").deadline == at("17:20", day.date)


def test_rebalancing_waits_for_what_the_risk_asked_for(plan: Plan) -> None:
    assert task(plan(), "rebalance@16:00Z").dependencies == ("risk_execution@16:00Z",)


def test_volatility_that_nobody_knows_is_a_warning(plan: Plan) -> None:
    day = plan(volatility=None)
    assert day.warnings == ("high_volatility was not judged: too few prices are known up to the session before",)


REPORTS = EarningsSchedule(
    file="earnings.csv",
    reports=(
        EarningsReport(symbol="AAPL", date=date(2012, 12, 11), when=When.AFTER),
        EarningsReport(symbol="IBM", date=WEDNESDAY, when=When.BEFORE),
    ),
)


def test_reports_restrict_the_name_and_are_analysed_once_they_are_out(plan: Plan) -> None:
    first = plan(earnings=REPORTS, desk_symbols=["AAPL", "IBM"])
    assert first.day_types == ("earnings",)
    assert task(first, "earnings_analysis").task_data == {"symbols": ["AAPL"]}
    assert "earnings_analysis" in names(first, "post_market")
    assert "earnings_analysis_before_open" not in names(first)
    assert {(r.reason.split()[0], r.symbols) for r in first.restrictions} == {
        ("AAPL", frozenset({"AAPL"})),
        ("IBM", frozenset({"IBM"})),
    }
    assert first.skipped == ()

    second = plan(WEDNESDAY, earnings=REPORTS, desk_symbols=["AAPL", "IBM"])
    assert second.day_types == ("earnings", "fomc")
    assert task(second, "earnings_analysis_before_open").task_data == {"symbols": ["IBM"]}
    assert "earnings_analysis" not in names(second)
    assert "earnings_analysis_before_open" in task(second, "generate_trades").dependencies


def test_an_early_close_is_announced_an_hour_ahead(plan: Plan) -> None:
    day = plan(EARLY)
    assert [(f"{a.at:%H:%M}", a.data["kind"]) for a in day.announcements] == [
        ("14:30", "open"),
        ("17:00", "early_close_ahead"),
        ("18:00", "close"),
    ]
    assert "rebalance@16:30Z" in names(day)


def test_a_day_announces_its_statement_and_its_expirations(plan: Plan) -> None:
    assert [a.data["kind"] for a in plan(WEDNESDAY).announcements] == ["open", "fomc_statement", "close"]
    kinds = [a.data["kind"] for a in plan(date(2012, 12, 21)).announcements]
    assert kinds == ["open", "expiration", "expiration", "close"]


def test_a_surprise_is_announced_only_where_history_is_replayed(plan: Plan) -> None:
    day = plan()
    assert "fomc" not in day.day_types
    said = day.to_definition(simulated_surprises=FOMC.surprises)["announcements"]
    assert said == [
        {"at": "2012-12-11T14:30:00Z", "kind": "open", "details": {"calendar": "XNYS"}},
        {
            "at": "2012-12-11T15:00:00Z",
            "kind": "fomc_statement",
            "details": {"scheduled": False, "what": "emergency cut", "rate_decision": True},
        },
        {"at": "2012-12-11T21:00:00Z", "kind": "close", "details": {"calendar": "XNYS"}},
    ]
    assert len(plan(WEDNESDAY).to_definition(simulated_surprises=FOMC.surprises)["announcements"]) == 3  # type: ignore[arg-type]  # a list


def test_a_closed_day_has_no_stages_and_a_reason(plan: Plan) -> None:
    day = plan(date(2012, 12, 25))
    assert (day.session, day.stages, day.day_types, day.reason) == (None, (), ("market_closed",), "holiday")
    assert (day.previous_session, day.next_session) == (EARLY, date(2012, 12, 26))
    shown = day.to_json()
    assert (shown["is_session"], shown["open"], shown["close"], shown["breaks"]) == (False, None, None, [])
    assert day.to_definition(simulated_surprises=FOMC.surprises)["stages"] == {}


def test_what_is_marked_for_closed_days_runs_at_its_usual_hours_and_sends_no_orders(plan: Plan) -> None:
    text = """
    change: {system_maintenance: {on_closed_days: true}, cancel_open_orders: {on_closed_days: true}}
    """
    own = "tasks: [{name: letter, agent: a, task_type: t, starts: open+1h, deadline: fomc_statement}]"
    day = plan(date(2012, 12, 15), files={"standard": text, "market_closed": own})
    (stage,) = day.stages
    assert (stage.name, stage.starts_at) == ("post_market", at("21:00", day.date))
    assert [task.name for task in stage.tasks] == ["system_maintenance"]
    assert skipped(day) == {
        "cancel_open_orders": "the exchange is closed",
        "letter": "no FOMC statement comes in this session",
    }
    assert day.session is None


def test_the_desk_s_hours_narrow_the_day(plan: Plan) -> None:
    settings = DaySettings(market_open=time(16), market_close=time(20), timezone=ZoneInfo("UTC"))
    shown = plan(settings=settings).to_json()
    assert (shown["open"], shown["close"]) == ("2012-12-11T16:00:00Z", "2012-12-11T20:00:00Z")


def test_an_early_close_before_the_desk_opens_is_a_closed_day(plan: Plan) -> None:
    settings = DaySettings(market_open=time(14), market_close=time(16))
    day = plan(EARLY, settings=settings)
    assert day.day_types == ("market_closed",)
    assert "leave nothing of the XNYS session" in day.reason
    assert plan(settings=settings).session


def test_hours_that_never_fit_are_refused(plan: Plan) -> None:
    with pytest.raises(DefinitionError, match="leave nothing of the XNYS session"):
        plan(settings=DaySettings(market_open=time(17), market_close=time(18)))


def test_the_end_of_the_calendar_is_in_sight(plan: Plan) -> None:
    assert plan(date(2013, 11, 1)).warnings == ()
    day = plan(date(2013, 12, 31))
    assert day.next_session is None
    assert day.warnings == ("the calendar of XNYS ends soon, on 2013-12-31: sessions after it are not known",)


def test_a_date_outside_a_data_file_is_planned_with_a_warning(plan: Plan) -> None:
    day = plan(date(2005, 12, 7))
    assert day.stages
    assert day.warnings == (
        "fomc.json covers 2006-01-01 to 2028-01-31: whether 2005-12-07 is an FOMC day is not known",
    )


def test_a_date_outside_the_calendar_is_refused(plan: Plan) -> None:
    with pytest.raises(DefinitionError, match="out of range"):
        plan(date(2003, 12, 7))


def test_a_plan_as_json_has_the_promised_fields(plan: Plan) -> None:
    shown = plan(WEDNESDAY, earnings=REPORTS, desk_symbols=["IBM"]).to_json()
    assert list(shown) == [
        *("date", "is_session", "open", "close", "breaks", "early_close", "day_types", "reason"),
        *("previous_session", "next_session", "stages", "skipped", "warnings"),
        *("restrictions", "announcements", "timezone"),
    ]
    assert shown["timezone"] == "America/New_York"
    first = shown["stages"][0]["tasks"][0]  # type: ignore[index,call-overload]  # JSON all the way down
    assert first == {
        "name": "data_collection",
        "agent": "junior_analyst",
        "task_type": "data_collection",
        "priority": "HIGH",
        "dependencies": [],
        "starts_at": None,
        "deadline": "2012-12-12T14:30:00Z",
        "day_type": "standard",
    }
    assert shown["restrictions"][-1] == {  # type: ignore[index]  # a list
        "level": "no_new_orders",
        "starts_at": "2012-12-11T11:00:00Z",
        "ends_at": "2012-12-12T14:30:00Z",
        "reason": "IBM reports earnings before the open on 2012-12-12",
        "symbols": ["IBM"],
    }


def test_a_plan_as_a_definition_leaves_out_what_is_not_said(plan: Plan) -> None:
    definition = plan().to_definition("Tuesday")
    assert definition["name"] == "Tuesday"
    stages = definition["stages"]
    assert isinstance(stages, dict)
    assert stages["pre_market"]["tasks"][3] == {
        "name": "portfolio_review",
        "agent": "portfolio_manager",
        "task_type": "portfolio_review",
        "task_data": {},
        "priority": "MEDIUM",
        "dependencies": [],
        "deadline": "2012-12-11T14:30:00Z",
    }
    orders = next(task for task in stages["market_open"]["tasks"] if task["name"] == "execute_trades")
    assert (orders["effects"], orders["deadline"]) == ("orders", "2012-12-11T15:25:00Z")
    assert plan().to_definition()["name"] == "XNYS 2012-12-11"


def test_stages_that_end_up_empty_are_shown_and_not_run(plan: Plan) -> None:
    gone = "{position_check: x, generate_trades: x, validate_trades: x, execute_trades: x}"
    day = plan(files={"standard": f"remove: {gone}"})
    assert [stage.name for stage in day.stages if not stage.tasks] == ["market_open"]
    assert "market_open" not in day.to_definition()["stages"]  # type: ignore[operator]  # a dict


def test_the_same_arguments_give_the_same_plan(plan: Plan) -> None:
    assert plan(WEDNESDAY) == plan(WEDNESDAY)


def test_a_custom_length_moves_the_stages(plan: Plan) -> None:
    day = plan(files={"standard": "lengths: {close: 30m, post_market: 3h}"})
    spans = {stage.name: stage.ends_at - stage.starts_at for stage in day.stages}
    assert (spans["close"], spans["post_market"]) == (timedelta(minutes=30), timedelta(hours=3))


def test_work_may_recur_on_a_closed_day_too(plan: Plan) -> None:
    own = "tasks: [{name: look, agent: a, task_type: t, starts: close-2h, every: 1h}]"
    day = plan(date(2012, 12, 15), files={"market_closed": own})
    assert names(day) == {"look@19:00Z", "look@20:00Z"}


def test_a_task_may_be_limited_to_days_with_reports(plan: Plan) -> None:
    files = {"standard": "change: {market_analysis: {reports: after}, earnings_analysis: {reports: null}}"}
    with_reports = plan(files=files, earnings=REPORTS, desk_symbols=["AAPL"])
    assert task(with_reports, "market_analysis").task_data == {"symbols": ["AAPL"]}
    assert task(with_reports, "earnings_analysis").task_data == {}
    assert "market_analysis" not in names(plan(WEDNESDAY, files=files, earnings=REPORTS, desk_symbols=["AAPL"]))
