"""Stage files laid over each other, and what is refused in them."""

from datetime import timedelta
from pathlib import Path

import pytest

from orchestration.days.day_types import DayType
from orchestration.domain.errors import DefinitionError
from orchestration.domain.states import Effects, TaskPriority
from workflows.trading_day.overlays import MergedDay, TaskSpec, load_overlays

WORK = {
    "junior_analyst": {"data_collection", "market_analysis", "market_monitoring"},
    "economist": {"macro_assessment", "fomc_preview", "statement_analysis", "volatility_assessment"},
    "senior_analyst": {
        "opportunity_identification",
        "validate_trades",
        "earnings_analysis",
        "expiration_review",
        "next_day_preparation",
    },
    "portfolio_manager": {
        "portfolio_review",
        "risk_assessment",
        "generate_trades",
        "risk_monitoring",
        "rebalance",
        "exposure_cut",
        "post_statement_adjustment",
        "close_expiring_positions",
        "pin_risk_check",
        "position_check",
    },
    "trade_execution": {"execute_trades", "order_tracking", "cancel_open_orders", "reconcile_positions"},
    "analytics_reporting": {"performance_analysis", "report_generation", "system_maintenance"},
}
TASK_TYPES = {agent: frozenset(work) for agent, work in WORK.items()}


def merged(folder: Path | None, *types: DayType) -> MergedDay:
    return load_overlays(folder, TASK_TYPES).merged(types)


def task(day: MergedDay, name: str) -> TaskSpec:
    return next(spec for spec in day.tasks if spec.name == name)


def wrote(folder: Path, day_type: str, text: str) -> Path:
    (folder / f"{day_type}.yaml").write_text(text)
    return folder


def test_our_files_are_one_for_each_day_type_and_ask_for_what_the_six_agents_do() -> None:
    assert [layer.day_type for layer in load_overlays(None, TASK_TYPES).layers] == [
        DayType.STANDARD,
        *sorted(set(DayType) - {DayType.STANDARD}),
    ]


def test_the_standard_day_is_there_on_every_day() -> None:
    names = {spec.name for spec in merged(None).tasks}
    assert {"market_analysis", "execute_trades", "report_generation"} <= names
    assert names < {spec.name for spec in merged(None, DayType.FOMC).tasks}


def test_kinds_combine() -> None:
    day = merged(None, DayType.MONTHLY_EXPIRATION, DayType.QUARTERLY_EXPIRATION, DayType.HIGH_VOLATILITY)
    assert task(day, "expiration_review").task_data == {"quarterly": True}
    assert task(day, "risk_monitoring").every == timedelta(minutes=2)
    assert task(day, "generate_trades").opens_positions


def test_a_user_s_file_adds_changes_and_takes_away(tmp_path: Path) -> None:
    text = """
    lengths: {pre_market: 1h30m}
    stages:
      post_market:
        tasks: [{name: thank_you, agent: my_agent, task_type: mail}]
    change:
      execute_trades: {timeout: 60, task_data: {slices: 8}, dependencies: []}
      risk_monitoring: {every: null, priority: low}
    remove: {system_maintenance: the data centre does it}
    """
    day = load_overlays(wrote(tmp_path, "standard", text)).merged(())
    assert day.lengths.pre_market == timedelta(minutes=90)
    assert day.lengths.close == timedelta(hours=1)
    assert task(day, "thank_you").effects is None
    orders = task(day, "execute_trades")
    assert (orders.timeout_s, orders.dependencies, orders.effects) == (60, (), Effects.ORDERS)
    assert orders.task_data == {"slices": 8, "within_minutes": 40}
    assert (task(day, "risk_monitoring").every, task(day, "risk_monitoring").priority) == (None, TaskPriority.LOW)
    assert "system_maintenance" not in {spec.name for spec in day.tasks}
    (removal,) = day.removals
    assert removal.reason == "taken away by standard.yaml: the data centre does it"


def test_the_user_s_word_is_the_last_one(tmp_path: Path) -> None:
    wrote(tmp_path, "standard", "change: {risk_monitoring: {every: 10m}}")
    assert task(merged(tmp_path, DayType.HIGH_VOLATILITY), "risk_monitoring").every == timedelta(minutes=10)


def test_what_is_said_of_a_task_that_the_day_lacks_means_nothing(tmp_path: Path) -> None:
    wrote(tmp_path, "earnings", "change: {exposure_cut: {priority: low}}\nremove: {fomc_preview: not today}")
    assert merged(tmp_path, DayType.EARNINGS).removals == ()
    day = merged(tmp_path, DayType.EARNINGS, DayType.FOMC)
    assert task(day, "exposure_cut").priority is TaskPriority.LOW
    assert [removal.name for removal in day.removals] == ["fomc_preview"]


def test_a_closed_day_keeps_what_is_marked_and_what_is_its_own(tmp_path: Path) -> None:
    assert merged(None, DayType.MARKET_CLOSED).tasks == ()
    wrote(tmp_path, "standard", "change: {system_maintenance: {on_closed_days: true}}\nremove: {data_collection: x}")
    wrote(tmp_path, "market_closed", "tasks: [{name: review, agent: a, task_type: t, starts: open}]")
    day = load_overlays(tmp_path).merged([DayType.MARKET_CLOSED])
    assert [spec.name for spec in day.tasks] == ["system_maintenance", "review"]
    assert day.removals == ()


def test_a_folder_that_is_not_there_is_no_overlay(tmp_path: Path) -> None:
    assert load_overlays(tmp_path / "days").layers == load_overlays().layers


NEW = "stages: {intraday: {tasks: [{name: new, agent: economist, task_type: macro_assessment%s}]}}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (NEW % ", prioritty: high", r"tasks\[0\]: there is no field 'prioritty'; did you mean 'priority'\?"),
        (NEW % ", priority: urgent", r"stages.intraday.tasks\[0\].priority: .*'urgent'"),
        (NEW % ", starts: strat+5m", r"tasks\[0\].starts: .*'strat' is no anchor; did you mean 'start'\?"),
        (NEW % ", every: 5", r"tasks\[0\].every: '5' is no length"),
        (NEW % ", timeout: 0", r"tasks\[0\].timeout: .*greater than 0"),
        (NEW % ", task_data: {a: .nan}", r"tasks\[0\].task_data: task_data.a is"),
        (NEW % ", task_data: {a: 2012-12-12}", r"task_data.a is a date"),
        (
            NEW % ", dependencies: [data_colection]",
            r"new.dependencies: no task is called 'data_colection'; did you mean",
        ),
        (NEW % ", effects: money", r"tasks\[0\].effects"),
        ("stages: {intradya: {}}", r"stages.intradya: .*'intraday'"),
        ("stage: {}", r"there is no field 'stage'; did you mean 'stages'\?"),
        ("change: {rebalence: {}}", r"change: no task is called 'rebalence'; did you mean 'rebalance'\?"),
        ("remove: {rebalence: x}", r"remove: no task is called 'rebalence'"),
        ("remove: {rebalance: ''}", r"remove.rebalance: .*at least 1 character"),
        ("change: {rebalance: {evry: 5m}}", r"change.rebalance: there is no field 'evry'; did you mean 'every'\?"),
        ("change: {rebalance: {agent: null}}", r"change.rebalance.agent: it is empty"),
        ("change: {rebalance: {dependencies: [x]}}", r"change.rebalance.dependencies: no task is called 'x'"),
        ("change: {rebalance: {task_type: rebalnce}}", r"cannot do 'rebalnce'; did you mean 'rebalance'\?"),
        ("change: {rebalance: {agent: economist}}", r"economist cannot do 'rebalance'"),
        ("change: {exposure_cut: {starts: start+5m}}", r"change.exposure_cut.starts: start is a stage's"),
        ("tasks: [{agent: economist, task_type: macro_assessment}]", r"tasks\[0\]: macro_assessment needs starts"),
        ("tasks: [{name: x, agent: economis, task_type: y, starts: open}]", r"did you mean 'economist'\?"),
        (NEW.replace("new", "rebalance") % "", "there is a task 'rebalance' already; change it under change"),
        (NEW.replace("name: new", "name: new@1") % "", r"tasks\[0\].name"),
        ("day_type: fomc", "day_type is fomc, but the file is named standard.yaml"),
        ("lengths: {close: long}", "lengths.close: 'long' is no length"),
        ("[]", "input should be a valid dictionary"),
    ],
)
def test_a_wrong_overlay_is_refused_with_file_place_and_remedy(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message) as refused:
        load_overlays(wrote(tmp_path, "standard", text), TASK_TYPES)
    assert str(tmp_path / "standard.yaml") in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_named_after_no_day_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"named after a day type; did you mean 'standard'\?"):
        load_overlays(wrote(tmp_path, "standart", ""))


def test_a_yml_file_is_not_quietly_passed_over(tmp_path: Path) -> None:
    (tmp_path / "fomc.yml").write_text("")
    with pytest.raises(DefinitionError, match=r"fomc.yml is not read: rename it to fomc.yaml"):
        load_overlays(tmp_path)
