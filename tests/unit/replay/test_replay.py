"""`belltower replay`: a day is simulated again, any other run is decided again, and the first difference is shown."""

import asyncio
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agents.junior_analyst import JuniorAnalyst
from orchestration import cli
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.migration import upgrade
from orchestration.adapters.sql.run_store import SqlRunStore
from orchestration.config import TradingConfig
from orchestration.domain.errors import DefinitionError
from orchestration.domain.records import RecordKind
from orchestration.domain.states import TaskPriority
from orchestration.engine import core
from orchestration.engine.engine import WorkflowEngine
from orchestration.recipe import NAME, read_recipe
from orchestration.replay import ReplayResult, lines, replay
from orchestration.simulation import simulate
from orchestration.wiring import open_desk_calendar
from tests.unit.engine.world import Scripted, at_once, boom, staged, task
from workflows import daily_trading
from workflows.desk_files.desk import init_home
from workflows.trading_day import planner
from workflows.trading_day.day_plan import DayPlan

FRIDAY = date(2012, 11, 23)
"""A session that closes early."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> tuple[TradingConfig, str]:
    """A home in which that day was simulated, and the id of its run."""
    home = tmp_path_factory.mktemp("home")
    init_home(home)
    limits = {"market_analysis": 1}
    config = TradingConfig(home=home, symbols=("AAPL",), max_concurrent_tasks=4, task_type_limits=limits)
    simulate(config, open_desk_calendar(config), [FRIDAY], seed=3)
    [store] = home.glob("simulations/*/belltower.db")
    return config, asyncio.run(only_run(f"sqlite:///{store}"))


async def only_run(url: str) -> str:
    async with Database(url) as database:
        [run] = await SqlRunStore(database).runs()
        return run.run_id


def plain(desk: tuple[TradingConfig, str]) -> ReplayResult:
    """Replay by the settings of somebody who has set nothing."""
    return replay(TradingConfig(home=desk[0].home), desk[1])


def called(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli._guarded(lambda: cli.app(list(arguments), standalone_mode=False))
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_simulated_day_is_the_same_again(desk: tuple[TradingConfig, str]) -> None:
    found = plain(desk)
    assert found.whole_day
    assert found.replayed.difference is None
    assert found.replayed.same == len(found.recorded) > 100
    assert found.plan is not None
    assert (found.plan.date, found.plan.difference) == (FRIDAY, None)


def test_what_a_simulation_was_made_of_is_kept_with_it(desk: tuple[TradingConfig, str]) -> None:
    [folder] = (desk[0].home / "simulations").iterdir()
    recipe = read_recipe(folder)
    assert recipe is not None
    assert (recipe.dates, recipe.seed) == ((FRIDAY,), 3)
    kept = recipe.config
    assert (kept.symbols, kept.max_concurrent_tasks, kept.data, kept.calendar) == (("AAPL",), 4, "replay", "XNYS")
    assert kept.task_type_limits == {"market_analysis": 1}
    assert (folder / "desk.yaml").read_bytes() == (desk[0].home / "desk.yaml").read_bytes()
    assert "home" not in json.loads((folder / NAME).read_text())["settings"]


def test_what_the_desk_has_changed_since_makes_no_difference(desk: tuple[TradingConfig, str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(desk[0].home, home)
    (home / "desk.yaml").write_text("cash: 5\n")
    assert replay(TradingConfig(home=home), desk[1]).replayed.difference is None


def test_another_answer_of_an_agent_is_found_at_its_record(
    desk: tuple[TradingConfig, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    collect = JuniorAnalyst.execute_data_collection

    async def otherwise(self: JuniorAnalyst, task_data: Mapping[str, Any]) -> object:
        return {**(await collect(self, task_data)), "more": True}

    monkeypatch.setattr(JuniorAnalyst, "execute_data_collection", otherwise)
    found = plain(desk)
    difference = found.replayed.difference
    assert difference is not None
    assert difference.recorded is not None
    assert difference.recorded.kind is RecordKind.TASK_COMPLETED
    assert difference.recorded.task is not None
    assert difference.recorded.task.startswith("data_collection")
    assert difference.where == "data.result.more"
    assert difference.values == (None, True)
    assert list(difference.before) == list(found.recorded[found.replayed.same - 5 : found.replayed.same])
    code, out, _ = called("replay", desk[1], "--home", str(desk[0].home), capsys=capsys)
    assert code == 1
    assert "the first difference is data.result.more" in out
    assert "data.result.more = True" in out.splitlines()[-1]


def test_another_rule_of_the_planner_is_found_in_the_definition(
    desk: tuple[TradingConfig, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan_day = planner.plan_day

    def more_urgent(*arguments: Any, **named: Any) -> DayPlan:
        plan = plan_day(*arguments, **named)
        first = plan.stages[0]
        tasks = (replace(first.tasks[0], priority=TaskPriority.CRITICAL), *first.tasks[1:])
        return replace(plan, stages=(replace(first, tasks=tasks), *plan.stages[1:]))

    monkeypatch.setattr(daily_trading, "plan_day", more_urgent)
    found = plain(desk)
    difference = found.replayed.difference
    assert difference is not None
    assert difference.recorded is not None
    assert difference.recorded.sequence == 1
    assert difference.where == "data.definition.stages[0].tasks[0].priority"
    assert found.plan is not None
    assert found.plan.difference is not None
    assert "priority is 20 instead of" in found.plan.difference


def test_a_day_that_would_not_be_run_today_is_found(
    desk: tuple[TradingConfig, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan_day = planner.plan_day
    monkeypatch.setattr(
        daily_trading, "plan_day", lambda *arguments, **named: replace(plan_day(*arguments, **named), stages=())
    )
    found = plain(desk)
    assert found.replayed.difference is not None
    assert found.replayed.difference.today is None
    assert "recorded     1  " in "\n".join(lines(found))
    assert list(lines(found))[-1] == "today    nothing"


def test_the_command_line_says_that_nothing_differs(
    desk: tuple[TradingConfig, str], capsys: pytest.CaptureFixture[str]
) -> None:
    [store] = desk[0].home.glob("simulations/*/belltower.db")
    code, out, _ = called("replay", desk[1], "--store", str(store), "--json", capsys=capsys)
    document = json.loads(out)
    assert code == 0
    assert document["difference"] is None
    assert document["records"] == document["alike"]
    assert document["replayed"] == "day"
    assert document["plan"] == {"date": "2012-11-23", "difference": None}


def test_a_day_without_its_recipe_is_decided_again(desk: tuple[TradingConfig, str], tmp_path: Path) -> None:
    [store] = desk[0].home.glob("simulations/*/belltower.db")
    shutil.copy(store, tmp_path / "alone.db")
    found = replay(TradingConfig(home=tmp_path), desk[1], store=tmp_path / "alone.db")
    assert not found.whole_day
    assert found.replayed.difference is None
    assert found.plan is not None
    assert found.plan.difference is None


def test_a_run_that_two_stores_have_must_be_named_with_one(desk: tuple[TradingConfig, str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(desk[0].home, home)
    [folder] = (home / "simulations").iterdir()
    shutil.copytree(folder, folder.with_name(folder.name + "-2"))
    with pytest.raises(DefinitionError, match=r"several stores have a run .* --store \(.*-2/belltower\.db\)"):
        replay(TradingConfig(home=home), desk[1])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def live_run(home: Path, *, ends: bool = True) -> str:
    """A run by the wall clock, with a failure and a retry, in the home's own store."""

    async def main() -> str:
        async with Database(f"sqlite:///{home}/belltower.db") as database:
            await upgrade(database)
            agents = {"desk": Scripted(fine=at_once, boom=boom)}
            engine = WorkflowEngine(agents, SimpleNamespace(retry_base_delay=0.001), run_store=SqlRunStore(database))
            many = [task("fine", name=f"fine {n}") for n in range(60)]
            run_id = await engine.create_workflow(
                staged(*many, task("boom", "fine 1", max_retries=2, retry_delays=[0.001]), task("fine", "boom"))
            )
            if ends:
                await engine.execute_workflow(run_id)
            return run_id

    return asyncio.run(main())


def test_a_live_run_is_decided_again_to_the_microsecond(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = live_run(home)
    code, out, _ = called("replay", run_id, "--home", str(home), capsys=capsys)
    assert code == 0
    assert "its decisions were made again" in out
    assert "result   no difference" in out
    found = replay(TradingConfig(home=home), run_id)
    assert found.plan is None
    assert found.replayed.same == len(found.recorded) > 180


def test_a_live_run_that_today_would_be_another_one_says_where(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = live_run(home)
    monkeypatch.setattr(core, "retry_delay", lambda *_: 0.5)
    code, out, _ = called("replay", run_id, "--home", str(home), "--json", capsys=capsys)
    document = json.loads(out)
    assert code == 1
    assert document["difference"]["where"] == "data.delay_s"
    assert (document["difference"]["recorded_value"], document["difference"]["todays_value"]) == (0.001, 0.5)
    assert document["difference"]["recorded"]["task"] == "boom"
    assert len(document["difference"]["before"]) == 5


def test_wrong_requests_are_refused_with_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = live_run(home, ends=False)
    (home / "other.db").write_text("no database")
    for arguments, said in (
        (("nobody", "--home", str(home)), "there is no run 'nobody' in the home"),
        (("nobody", "--home", str(home / "empty")), "there is no run 'nobody' in the home"),
        ((run_id, "--home", str(home)), "has not ended: wait for it, or cancel it"),
        ((run_id, "--store", str(home / "gone.db")), "there is no store at"),
        ((run_id, "--store", str(home / "other.db")), "is no SQLite database"),
    ):
        code, out, err = called("replay", *arguments, capsys=capsys)
        assert (code, out) == (2, "")
        assert said in err
        assert err.count("\n") == 1
    assert not (home / "gone.db").exists()


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"version": 99}', '{"version": 1, "calendar": "XNYS"}'])
def test_a_recipe_that_cannot_be_read_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(DefinitionError, match=r"simulation\.json .*(restore it, or simulate|upgrade)"):
        read_recipe(tmp_path)
