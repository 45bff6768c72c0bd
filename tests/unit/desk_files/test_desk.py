"""``desk.yaml`` says what the desk trades, with how much money, under which limits."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from orchestration.domain.desk import Weighting
from orchestration.domain.errors import DefinitionError
from workflows.desk_files.desk import FOLDERS, TEMPLATE, DeskFile, init_home, read_desk

PRICED = ("AAPL", "IBM", "MSFT")


def desk(home: Path, text: str, *, available: tuple[str, ...] | None = PRICED) -> DeskFile:
    (home / "desk.yaml").write_text(text, encoding="utf-8")
    return read_desk(home, available=available)


def test_the_template_is_valid_and_says_what_holds_without_it(tmp_path: Path) -> None:
    assert desk(tmp_path, TEMPLATE) == read_desk(None, available=PRICED)


def test_the_template_without_its_marks_shows_valid_symbols_and_instruments(tmp_path: Path) -> None:
    """A user who takes away the ``#`` before an example gets what the example says."""
    marked = [line.removeprefix("# ") for line in TEMPLATE.splitlines()]
    shown = [line for line in marked if line.startswith(("symbols:", "instruments:", "  AAPL12"))]
    found = desk(tmp_path, "\n".join(shown), available=None).desk
    assert found.symbols == ("AAPL", "GOOG", "IBM", "MSFT")
    option = found.instrument("AAPL121222C00550000")
    assert (option.underlying, option.expires_on, option.strike, option.multiplier) == (
        "AAPL", date(2012, 12, 21), Decimal(550), Decimal(100),
    )  # fmt: skip


def test_the_template_names_every_field(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as error:
        desk(tmp_path, "nothing_like_it: 1\n")
    known = str(error.value).rpartition("known: ")[2].split(", ")
    assert {f"{name}:" for name in known} <= set(TEMPLATE.replace("#", " ").split())


def test_every_field_is_read(tmp_path: Path) -> None:
    read = desk(
        tmp_path,
        """
        symbols: [IBM, AAPL, IBM]
        cash: 250000.50
        limits: {gross: 0.8, per_name: 0.2, per_order: 0.05, daily_loss: 0.01}
        weighting: risk_parity
        short: true
        costs: {slippage_bps: 0.1, commission_per_unit: 0, commission_minimum: 0, participation: 1}
        high_volatility: 0.3
        fomc: {before_statement: 30, after_statement: 0, press_conference: 45.5}
        days: {fomc: {limit_scale: 0.25}}
        """,
    )
    found = read.desk
    assert found.symbols == ("IBM", "AAPL")
    assert found.cash == Decimal("250000.50")
    assert (found.limits.gross, found.limits.per_name, found.limits.per_order, found.limits.daily_loss) == (
        0.8, 0.2, 0.05, 0.01,
    )  # fmt: skip
    assert (found.weighting, found.short, found.high_volatility) == (Weighting.RISK_PARITY, True, 0.3)
    assert (found.costs.slippage_bps, found.costs.commission_minimum, found.costs.participation) == (
        Decimal("0.1"), Decimal(0), 1.0,
    )  # fmt: skip
    assert read.fomc.before_statement == timedelta(minutes=30)
    assert read.fomc.press_conference == timedelta(minutes=45, seconds=30)
    assert read.limit_scales == {"high_volatility": 0.5, "fomc": 0.25}


@pytest.mark.parametrize("text", ["", "# nothing but words\n"])
def test_an_empty_file_means_the_defaults(tmp_path: Path, text: str) -> None:
    assert desk(tmp_path, text) == read_desk(None, available=PRICED)


def test_without_symbols_the_desk_trades_whatever_has_prices() -> None:
    assert read_desk(None, available=PRICED).desk.symbols == PRICED
    assert read_desk(None).desk.symbols == ()


def test_symbols_that_are_given_win_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "desk.yaml").write_text("symbols: [AAPL]\n", encoding="utf-8")
    assert read_desk(tmp_path, symbols=("MSFT",), available=PRICED).desk.symbols == ("MSFT",)


def test_a_given_symbol_without_prices_is_refused_with_the_nearest() -> None:
    with pytest.raises(DefinitionError, match=r"^'APPL' has no prices; did you mean 'AAPL'\?$"):
        read_desk(None, symbols=("APPL",), available=PRICED)


def test_whoever_does_not_know_the_prices_takes_any_symbol() -> None:
    assert read_desk(None, symbols=("APPL",)).desk.symbols == ("APPL",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("simbols: [AAPL]", "there is no field 'simbols'; did you mean 'symbols'?"),
        ("limits: {per_nam: 0.2}", "limits: there is no field 'per_nam'; did you mean 'per_name'?"),
        ("fomc: {before: 15}", "fomc: there is no field 'before'"),
        ("symbols: [APPL]", "symbols: 'APPL' has no prices; did you mean 'AAPL'?"),
        ("symbols: []", "symbols: it is empty"),
        ("symbols: AAPL", "symbols: write a list here"),
        ("instruments: {IBMX: {multiplier: 100}}", "instruments: 'IBMX' has no prices"),
        ("instruments: {IBM: {rihgt: call}}", "there is no field 'rihgt'; did you mean 'right'?"),
        ("instruments: {IBM: {right: buy}}", "instruments.IBM.right: input should be 'call' or 'put'"),
        ("cash: lots", "cash: input should be a valid decimal (given: 'lots')"),
        ("cash: 0", "cash: input should be greater than 0"),
        ("limits: {gross: 0}", "limits.gross: input should be greater than 0"),
        ("weighting: equally", "weighting: input should be 'equal', 'inverse_volatility' or 'risk_parity'"),
        ("high_volatility: .inf", "high_volatility: input should be a finite number"),
        ("costs: {participation: 1.5}", "costs.participation: input should be less than or equal to 1"),
        ("days: {fomcs: {limit_scale: 1}}", "days.fomcs: input should be 'standard', 'fomc'"),
        ("days: {fomc: {limit_scale: 2}}", "days.fomc.limit_scale: input should be less than or equal to 1"),
        ("days: {fomc: {limit_scale: 0}}", "days.fomc.limit_scale: input should be greater than or equal to 0.01"),
        ("[AAPL]", "input should be a valid dictionary"),
        ("cash: 1\ncash: 2", "line 2, column 1: 'cash' is given twice"),
        ("symbols: [AAPL", "line 1, column 15: "),
    ],
)
def test_what_is_wrong_is_named_with_file_and_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DefinitionError) as error:
        desk(tmp_path, text)
    assert str(tmp_path / "desk.yaml") in str(error.value)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "desk.yaml").mkdir()
    with pytest.raises(DefinitionError, match=r"desk\.yaml cannot be read: "):
        read_desk(tmp_path)


def test_a_new_home_has_its_folders_and_the_template(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    made = init_home(home)
    assert all(new for _, new in made)
    assert {path for path, _ in made} == {home, *(home / name for name in FOLDERS), home / "desk.yaml"}
    assert yaml.safe_load((home / "desk.yaml").read_text(encoding="utf-8"))["cash"] == 1_000_000


def test_a_home_that_is_there_keeps_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "desk.yaml").write_text("cash: 5\n", encoding="utf-8")
    (tmp_path / "days").mkdir()
    made = dict(init_home(tmp_path))
    assert (tmp_path / "desk.yaml").read_text(encoding="utf-8") == "cash: 5\n"
    assert {path.name for path, new in made.items() if not new} == {tmp_path.name, "days", "desk.yaml"}


def test_a_home_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(DefinitionError, match=r"can't be written to .*choose a --home that can"):
        init_home(tmp_path / "file")
