"""The command line: exit codes, one line for whatever is wrong, and nothing half-written."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from orchestration import cli, simulation, wiring
from orchestration.config import TradingConfig, environment_name
from orchestration.domain.errors import DefinitionError, StoreUnavailableError
from tests.desk import exchange

STAGE_FILE = "stages:\n  pre_market:\n    tasks:\n      - {name: mine, agent: AGENT, task_type: TYPE}\n"
WRONG_ROW = "date,open,high,low,close,volume\n2012-12-12,1,2,x,1,10\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command came to."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def belltower(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Runs a command as the process would, in a folder of its own, with calendars that are built once."""
    for field in TradingConfig.model_fields:
        monkeypatch.delenv(environment_name(field), raising=False)
    monkeypatch.chdir(tmp_path)
    built = wiring.open_desk_calendar

    def open_once(config: TradingConfig) -> object:
        own = config.calendar != "XNYS" or (config.home / "calendar.yaml").exists()
        return built(config) if own else exchange("XNYS")

    monkeypatch.setattr(wiring, "open_desk_calendar", open_once)
    monkeypatch.setattr(cli, "configure_logs", lambda *_, **__: None)  # it would hold on to this test's streams

    def run(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["belltower", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return Said(code=end.value.code, out=said.out, err=said.err)

    return run


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_without_a_command_it_shows_what_there_is(belltower: Command) -> None:
    said = belltower()
    assert said.code == 0
    assert all(command in said.out for command in ("init", "plan", "simulate"))


def test_it_tells_its_version(belltower: Command) -> None:
    assert belltower("--version") == Said(code=0, out=f"belltower {version('belltower')}\n", err="")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["plam"], "No such command 'plam'"),
        (["plan"], "Missing argument 'DATE'"),
        (["plan", "2012-12-12", "--calender", "XLON"], "No such option: --calender"),
        (["plan", "12.12.2012"], "'12.12.2012' is no date; write it as YYYY-MM-DD"),
        (["plan", "2012-02-30"], "'2012-02-30' is no date"),
        (["plan", "2012-12-12", "--until", "2012-12-11"], "the range ends on 2012-12-11, before it begins"),
        (["plan", "2012-12-12", "--until", "2032-12-12"], "longer than five years: give a shorter range"),
        (["plan", "1889-01-02"], "1889-01-02 is out of range: the calendar of XNYS covers 1990-01-01 to "),
        (["plan", "2012-12-12", "--calendar", "XNYX"], "no calendar is called 'XNYX'; did you mean 'XNYS'?"),
        (["simulate"], "Missing option '--date'"),
        (["simulate", "--date", "2012-12-12", "--seed", "-1"], "Invalid value for '--seed'"),
        (["simulate", "--date", "1999-12-10"], "1999-12-10 is out of range: the prices of AAPL, FB, GOOG, IBM, MSFT"),
        (["simulate", "--date", "2013-02-28", "--until", "2013-03-04"], "2013-03-04 is out of range: the prices of"),
        (["simulate", "--date", "2012-12-12", "--symbols", "APPL"], "'APPL' has no prices; did you mean 'AAPL'?"),
        (["simulate", "--date", "2012-12-12", "--symbols", ","], "it names no symbol"),
        (["simulate", "--date", "2012-12-12", "--calendar", "XNYX"], "no calendar is called 'XNYX'"),
        (["simulate", "--date", "2012-12-12", "--data", "nowhere"], "nowhere is no folder; give one that holds"),
    ],
)
def test_a_wrong_request_is_one_line_and_leaves_nothing_behind(
    belltower: Command, tmp_path: Path, words: list[str], said: str
) -> None:
    home = ["--home", "home"] if len(words) > 2 else []
    found = belltower(*words, *home)
    assert (found.code, found.out) == (2, "")
    assert found.err.startswith("belltower: ")
    assert said in found.err
    assert found.err.count("\n") == 1
    assert files(tmp_path) == set()


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("desk.yaml", "simbols: [AAPL]", "desk.yaml: there is no field 'simbols'; did you mean 'symbols'?"),
        ("desk.yaml", "symbols: [AAPL", "desk.yaml, line 1, column 15: "),
        ("calendar.yaml", "closure: []", "calendar.yaml: there is no field 'closure'; did you mean 'closures'?"),
        ("earnings.csv", "symbol,date,wen\n", "earnings.csv, line 1: there is no column 'wen'; did you mean 'when'?"),
        ("days/standart.yaml", "{}", "standart.yaml: a stage file is named after a day type; did you mean 'standard'?"),
        (
            "days/standard.yaml",
            STAGE_FILE.replace("AGENT", "economist").replace("TYPE", "macro_asessment"),
            "mine.task_type: economist cannot do 'macro_asessment'; did you mean 'macro_assessment'?",
        ),
        (
            "days/fomc.yaml",
            STAGE_FILE.replace("AGENT", "econimist").replace("TYPE", "macro_assessment"),
            "mine.agent: 'econimist' is not known; did you mean 'economist'?",
        ),
        (".env", "MAX_RETRIES=often", "MAX_RETRIES (setting 'max_retries'): input should be a valid integer"),
        (".env", "BELLTOWER_CALENDER=XLON", "BELLTOWER_CALENDER is no setting; did you mean 'BELLTOWER_CALENDAR'?"),
        (
            ".env",
            "BELLTOWER_MODE=live",
            "BELLTOWER_MODE (setting 'mode'): there is no live broker yet: leave it at paper",
        ),
    ],
)
@pytest.mark.parametrize("words", [["plan", "2012-12-12"], ["simulate", "--date", "2012-12-12"]])
def test_a_wrong_file_of_the_home_is_one_line_and_nothing_is_written(
    belltower: Command, tmp_path: Path, words: list[str], file: str, text: str, said: str
) -> None:
    (tmp_path / "home" / "days").mkdir(parents=True)
    (tmp_path / "home" / file).write_text(text, encoding="utf-8")
    before = files(tmp_path)
    found = belltower(*words, "--home", "home")
    assert (found.code, found.out) == (2, "")
    assert said in found.err
    assert found.err.count("\n") == 1
    assert files(tmp_path) == before


def test_a_wrong_data_file_is_named_with_line_and_column(belltower: Command, tmp_path: Path) -> None:
    (tmp_path / "prices").mkdir()
    (tmp_path / "prices" / "AAPL.csv").write_text(WRONG_ROW, encoding="utf-8")
    found = belltower("simulate", "--date", "2012-12-12", "--data", "prices", "--home", "home")
    assert found.code == 2
    assert found.err == "belltower: prices/AAPL.csv, line 2, column low: 'x' is not a number\n"
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("spoiled", ["home", "home/reports", "home/simulations"])
def test_a_home_that_cannot_be_written_is_refused_before_anything_runs(
    belltower: Command, tmp_path: Path, spoiled: str
) -> None:
    (tmp_path / spoiled).parent.mkdir(exist_ok=True)
    (tmp_path / spoiled).write_text("a file where a folder should be", encoding="utf-8")
    before = files(tmp_path)
    found = belltower("simulate", "--date", "2012-12-12", "--home", "home")
    assert (found.code, found.out) == (2, "")
    assert found.err.endswith(f"{spoiled} can't be written to; choose a --home that can\n")
    assert found.err.count("\n") == 1
    assert files(tmp_path) == before


def test_init_makes_a_home_and_keeps_what_is_there(belltower: Command, tmp_path: Path) -> None:
    assert belltower("init", "--home", "home").code == 0
    (tmp_path / "home" / "desk.yaml").write_text("cash: 5\n", encoding="utf-8")
    again = belltower("init", "--home", "home")
    assert again.code == 0
    assert all(line.startswith("kept  ") for line in again.out.splitlines())
    assert (tmp_path / "home" / "desk.yaml").read_text(encoding="utf-8") == "cash: 5\n"


def test_init_refuses_a_home_that_is_a_file(belltower: Command, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("", encoding="utf-8")
    found = belltower("init", "--home", "home")
    assert (found.code, found.out) == (2, "")
    assert "home can't be written to" in found.err


def test_a_plan_as_json_is_one_document_and_nothing_else(belltower: Command, tmp_path: Path) -> None:
    found = belltower("plan", "2012-11-22", "--until", "2012-11-24", "--json", "--home", "home")
    document = json.loads(found.out)
    assert (found.code, found.err, document["calendar"]) == (0, "", "XNYS")
    assert [(day["date"], day["day_types"]) for day in document["days"]] == [
        ("2012-11-22", ["market_closed"]),
        ("2012-11-23", ["early_close"]),
        ("2012-11-24", ["market_closed"]),
    ]
    assert files(tmp_path) == set()


def test_a_plan_for_people_says_why(belltower: Command) -> None:
    found = belltower("plan", "2012-11-23", "--home", "home")
    assert (found.code, found.err) == (0, "")
    assert "the exchange closes early" in found.out


def test_a_day_after_the_recorded_ones_is_planned_by_the_prices_that_are_replayed_then(belltower: Command) -> None:
    [day] = json.loads(belltower("plan", "2016-06-09", "--json", "--home", "home").out)["days"]
    assert day["warnings"] == []
    assert "execute_trades" in {task["name"] for stage in day["stages"] for task in stage["tasks"]}


def test_a_simulation_as_json_is_one_document_and_nothing_else(belltower: Command, tmp_path: Path) -> None:
    found = belltower("simulate", "--date", "2012-11-23", "--symbols", "goog", "--json", "--home", "home")
    document = json.loads(found.out)
    assert found.code == 0
    [day] = document["days"]
    assert set(document) == {"days", "wall_s"}
    assert set(day) == {
        "date", "day_types", "status", "tasks", "stages", "orders", "equity", "report", "event_log_sha256",
    }  # fmt: skip
    assert {order["symbol"] for order in day["orders"]} == {"GOOG"}
    assert (tmp_path / day["report"]).is_file()


def test_a_simulation_for_people_ends_in_a_summary_and_the_path_of_the_report(
    belltower: Command, tmp_path: Path
) -> None:
    found = belltower("simulate", "--date", "2012-12-15", "--home", "home")
    assert (found.code, found.err) == (0, "")
    assert "market closed" in found.out
    [report] = (tmp_path / "home" / "reports").rglob("report.html")
    assert report.relative_to(tmp_path).as_posix() in found.out


def test_a_second_simulation_of_a_day_has_a_folder_of_its_own(belltower: Command, tmp_path: Path) -> None:
    for _ in range(2):
        assert belltower("simulate", "--date", "2012-12-15", "--json", "--home", "home").code == 0
    made = sorted(path.name for path in (tmp_path / "home" / "simulations").iterdir())
    assert made == ["2012-12-15_XNYS_seed-1", "2012-12-15_XNYS_seed-1-2"]


def given_up(status: str) -> Callable[..., dict[str, Any]]:
    def simulate(config: object, calendar: object, dates: list[date], **_: object) -> dict[str, Any]:
        return {"days": [{"date": str(day), "status": status} for day in dates], "wall_s": 0.1}

    return simulate


@pytest.mark.parametrize(("status", "code"), [("completed", 0), ("market_closed", 0), ("failed", 1), ("cancelled", 1)])
def test_a_day_that_did_not_end_well_is_exit_code_one(
    belltower: Command, monkeypatch: pytest.MonkeyPatch, status: str, code: int
) -> None:
    monkeypatch.setattr(simulation, "simulate", given_up(status))
    found = belltower("simulate", "--date", "2012-12-12", "--json", "--home", "home")
    assert (found.code, json.loads(found.out)["days"][0]["status"]) == (code, status)


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (StoreUnavailableError("the disk is full"), 1, "the disk is full"),
        (DefinitionError("it says\nno"), 2, "it says no"),
        (ExceptionGroup("days", [ExceptionGroup("a day", [DefinitionError("no such task")])]), 2, "no such task"),
        (OSError(28, "No space left on device"), 1, "[Errno 28] No space left on device"),
        (KeyboardInterrupt(), 1, "stopped"),
    ],
)
def test_what_goes_wrong_on_the_way_is_one_line_too(
    capsys: pytest.CaptureFixture[str], raised: BaseException, code: int, said: str
) -> None:
    def command() -> None:
        raise raised

    assert cli._guarded(command) == code
    assert capsys.readouterr().err == f"belltower: {said}\n"


@pytest.mark.parametrize("raised", [ValueError("ours"), ExceptionGroup("days", [ValueError("ours")])])
def test_a_mistake_of_our_own_keeps_its_trace(raised: Exception) -> None:
    def command() -> None:
        raise raised

    with pytest.raises(type(raised)):
        cli._guarded(command)


def test_the_module_is_the_command(tmp_path: Path) -> None:
    """``python -m orchestration`` in a process of its own: the one way in which a user meets it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BELLTOWER_")}
    asked = subprocess.run(
        [sys.executable, "-m", "orchestration", "plan", "yesterday"],
        capture_output=True, text=True, cwd=tmp_path, env=environment, check=False,
    )  # fmt: skip
    assert (asked.returncode, asked.stdout) == (2, "")
    assert asked.stderr == "belltower: 'yesterday' is no date; write it as YYYY-MM-DD, such as 2012-12-12\n"
