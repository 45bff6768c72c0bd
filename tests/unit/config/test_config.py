"""The settings: where each comes from, what goes first, and what is refused."""

import logging
from datetime import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from orchestration import config as module
from orchestration.config import TradingConfig, environment_name
from orchestration.domain.errors import DefinitionError


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A working folder, a home and an environment in which nothing is said yet; returns the home."""
    for field in TradingConfig.model_fields:
        monkeypatch.delenv(environment_name(field), raising=False)
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    home.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(module, "default_home", lambda: home)
    return home


def test_the_environment_wins_over_the_working_folder_over_the_home_over_the_default(
    monkeypatch: pytest.MonkeyPatch, nowhere: Path
) -> None:
    found = [TradingConfig(home=nowhere).max_retries]
    (nowhere / ".env").write_text("MAX_RETRIES=4\n", encoding="utf-8")
    found.append(TradingConfig(home=nowhere).max_retries)
    Path(".env").write_text("MAX_RETRIES=5\n", encoding="utf-8")
    found.append(TradingConfig(home=nowhere).max_retries)
    monkeypatch.setenv("MAX_RETRIES", "6")
    found.append(TradingConfig(home=nowhere).max_retries)
    found.append(TradingConfig(home=nowhere, max_retries=7).max_retries)
    assert found == [3, 4, 5, 6, 7]


def test_the_env_file_of_the_default_home_counts_too(nowhere: Path) -> None:
    (nowhere / ".env").write_text("BELLTOWER_CALENDAR=XLON\n", encoding="utf-8")
    assert TradingConfig().calendar == "XLON"


@pytest.mark.parametrize("place", ["environment", "file"])
def test_the_home_may_be_named_in_the_environment_or_in_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / ".env").write_text("BELLTOWER_CALENDAR=XTKS\n", encoding="utf-8")
    if place == "environment":
        monkeypatch.setenv("BELLTOWER_HOME", str(other))
    else:
        Path(".env").write_text(f"BELLTOWER_HOME={other}\n", encoding="utf-8")
    read = TradingConfig()
    assert (read.home, read.calendar) == (other, "XTKS")


def test_a_home_does_not_say_where_the_home_is(nowhere: Path) -> None:
    (nowhere / ".env").write_text("BELLTOWER_HOME=elsewhere\n", encoding="utf-8")
    with pytest.raises(DefinitionError, match="BELLTOWER_HOME can't be set here"):
        TradingConfig(home=nowhere)


def test_a_home_that_is_the_working_folder_may_name_itself(monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
    monkeypatch.chdir(nowhere)
    (nowhere / ".env").write_text(f"BELLTOWER_HOME={nowhere}\n", encoding="utf-8")
    assert TradingConfig().home == nowhere


def test_the_users_home_folder_is_not_the_desks(monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
    monkeypatch.setenv("HOME", "/somewhere/else")
    monkeypatch.setenv("SYMBOLS", "XXX")
    read = TradingConfig(home=nowhere)
    assert (read.home, read.symbols) == (nowhere, None)


@pytest.mark.parametrize("place", ["environment", "here", "home"])
def test_an_unknown_name_of_ours_is_refused_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, nowhere: Path, place: str
) -> None:
    if place == "environment":
        monkeypatch.setenv("BELLTOWER_CALENDER", "XLON")
    else:
        (Path(".env") if place == "here" else nowhere / ".env").write_text("BELLTOWER_CALENDER=XLON\n")
    with pytest.raises(DefinitionError, match=r"^BELLTOWER_CALENDER is no setting; did you mean 'BELLTOWER_CALENDAR'"):
        TradingConfig(home=nowhere)


def test_a_near_miss_of_a_name_without_prefix_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, nowhere: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MAX_CONCURENT_TASKS", "9")
    monkeypatch.setenv("SOMETHING_ELSE", "9")
    with caplog.at_level(logging.WARNING):
        assert TradingConfig(home=nowhere).max_concurrent_tasks == 5
    said = [record.getMessage() for record in caplog.records]
    assert said == ["MAX_CONCURENT_TASKS is no setting and is ignored; did you mean MAX_CONCURRENT_TASKS?"]


def test_other_names_are_kept_for_workflows(monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
    monkeypatch.setenv("API_TOKEN", "from the environment")
    (nowhere / ".env").write_text("API_TOKEN=from the home\nAPI_URL=there\n", encoding="utf-8")
    kept = TradingConfig(home=nowhere).environment
    assert (kept["API_TOKEN"], kept["API_URL"]) == ("from the environment", "there")


def test_settings_are_not_changed_once_they_are_read(nowhere: Path) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TradingConfig(home=nowhere).max_retries = 9  # type: ignore[misc]  # that it is frozen is what is tried


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MAX_CONCURRENT_TASKS", "0", "MAX_CONCURRENT_TASKS (setting 'max_concurrent_tasks'): input should be greater"),
        ("MAX_RETRIES", "x", "MAX_RETRIES (setting 'max_retries'): input should be a valid integer"),
        ("TIMEZONE", "Mars", "TIMEZONE (setting 'timezone'): 'Mars' is no time zone; write one like America/New_York"),
        ("TIMEZONE", "", "TIMEZONE (setting 'timezone'): '' is no time zone"),
        ("MARKET_OPEN_TIME", "half past nine", "MARKET_OPEN_TIME (setting 'market_open_time'): "),
        ("LOG_LEVEL", "LOUD", "LOG_LEVEL (setting 'log_level'): input should be 'DEBUG', 'INFO'"),
        ("BELLTOWER_MODE", "papr", "BELLTOWER_MODE (setting 'mode'): input should be 'paper' or 'live'"),
        ("BELLTOWER_SYMBOLS", " , ", "BELLTOWER_SYMBOLS (setting 'symbols'): it names no symbol"),
    ],
)
def test_a_wrong_value_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, nowhere: Path, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(DefinitionError) as error:
        TradingConfig(home=nowhere)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_a_wrong_argument_is_named_with_the_nearest(nowhere: Path) -> None:
    with pytest.raises(DefinitionError, match=r"^'max_retry' is no setting; did you mean 'max_retries'\?$"):
        TradingConfig(home=nowhere, max_retry=1)


def test_an_env_file_that_is_no_text_is_named(nowhere: Path) -> None:
    (nowhere / ".env").write_bytes(b"\xff\xfe\x00\x9f")
    with pytest.raises(DefinitionError, match=r"\.env can't be read"):
        TradingConfig(home=nowhere)


@pytest.mark.parametrize("given", ["aapl, IBM ,", ["aapl", "IBM"]])
def test_symbols_are_a_list_with_commas_in_capitals(nowhere: Path, given: object) -> None:
    assert TradingConfig(home=nowhere, symbols=given).symbols == ("AAPL", "IBM")


def test_a_symbol_list_of_another_kind_is_refused(nowhere: Path) -> None:
    with pytest.raises(DefinitionError, match="BELLTOWER_SYMBOLS"):
        TradingConfig(home=nowhere, symbols=3)


def test_hours_are_unset_unless_they_are_said(nowhere: Path) -> None:
    read = TradingConfig(home=nowhere)
    assert (read.market_open_time, read.market_close_time, read.timezone) == (None, None, None)
    assert TradingConfig(home=nowhere, market_open_time="10:15").market_open_time == time(10, 15)


def test_ours_have_a_prefix_and_those_of_003_have_none() -> None:
    names = {field: environment_name(field) for field in TradingConfig.model_fields}
    assert names["max_retries"] == "MAX_RETRIES"
    assert {field for field, name in names.items() if name.startswith("BELLTOWER_")} == {
        "home", "calendar", "mode", "data", "symbols", "host", "port", "allow_public", "metrics_token_file",
        "database_url", "history_days", "agent_limits", "task_type_limits",
    }  # fmt: skip


def test_limits_are_names_with_numbers(monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
    monkeypatch.setenv("BELLTOWER_AGENT_LIMITS", "economist=2, senior_analyst = 1")
    assert TradingConfig().agent_limits == {"economist": 2, "senior_analyst": 1}


@pytest.mark.parametrize("given", ["economist", "economist=none", "economist=0", "=2"])
def test_a_wrong_limit_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch, nowhere: Path, given: str) -> None:
    monkeypatch.setenv("BELLTOWER_AGENT_LIMITS", given)
    with pytest.raises(DefinitionError, match="BELLTOWER_AGENT_LIMITS"):
        TradingConfig()


def test_the_store_is_in_the_home_unless_its_address_is_said(nowhere: Path) -> None:
    assert TradingConfig(home=nowhere).store_url == f"sqlite:///{nowhere / 'belltower.db'}"
    assert TradingConfig(home=nowhere, database_url="postgresql://desk@db/desk").store_url.startswith("postgresql://")
