"""The files of a report, as a reader and a browser meet them."""

import csv
import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest

from agents.report.contents import Report
from agents.report.write import write_report
from orchestration.domain.orders import Side
from tests.report_sample import closed_report, quiet_report, sample_range, sample_report

VOID = {"meta", "input", "br", "hr", "img", "link"}
REPORTS: dict[str, Callable[[], Report]] = {
    "one day": sample_report,
    "three days": lambda: sample_range(3),
    "seven days": lambda: sample_range(7),
    "closed": closed_report,
    "no orders": quiet_report,
}


class Reader(HTMLParser):
    """Keeps what is open, every id and everything that points somewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        self.ids += [values["id"]] if "id" in values else []
        self.targets += [values[key] for key in ("href", "src", "xlink:href", "action", "srcset") if key in values]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"line {self.getpos()[0]}"


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def page_of(report: Report, folder: Path) -> str:
    return write_report(report, folder).read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", REPORTS)
def test_the_page_is_well_formed_and_its_ids_are_unique(kind: str, tmp_path: Path) -> None:
    reader = read(page_of(REPORTS[kind](), tmp_path))
    assert reader.open == []
    assert len(reader.ids) == len(set(reader.ids))


@pytest.mark.parametrize("kind", REPORTS)
def test_the_page_points_nowhere_but_into_itself(kind: str, tmp_path: Path) -> None:
    page = page_of(REPORTS[kind](), tmp_path)
    reader = read(page)
    assert {target[:1] for target in reader.targets} <= {"#"}
    assert {target[1:] for target in reader.targets} <= set(reader.ids)
    assert "://" not in page
    assert set(re.findall(r"url\((.)", page)) <= {"#"}
    assert "@import" not in page


def test_whatever_a_symbol_is_called_it_is_text(tmp_path: Path) -> None:
    page = page_of(sample_report(symbol="<script>alert(1)</script>"), tmp_path)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert page.count("<script>") == 1


def test_the_same_report_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write_report(sample_report(), tmp_path / name) for name in ("a", "b"))
    for name in ("report.html", "trades.csv", "equity.csv"):
        assert (first.parent / name).read_bytes() == (second.parent / name).read_bytes()


def test_trades_in_the_csv_are_the_fills_and_lead_to_the_cash(tmp_path: Path) -> None:
    report = sample_range(2)
    write_report(report, tmp_path)
    with (tmp_path / "trades.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["fill_id"] for row in rows] == [fill.fill_id for fill in report.trades]
    assert [row["date"] for row in rows] == ["2012-12-03"] * 8 + ["2012-12-04"] * 8
    moved = sum(Side(row["side"]).sign * Decimal(row["value"]) + Decimal(row["commission"]) for row in rows)
    assert report.account_start.cash - moved == report.days[-1].account.cash


def test_the_equity_csv_begins_before_the_first_day_and_ends_with_the_last_account(tmp_path: Path) -> None:
    report = sample_range(3)
    write_report(report, tmp_path)
    with (tmp_path / "equity.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["equity"] == "1000000.00"
    assert Decimal(rows[-1]["equity"]) == report.days[-1].account.equity
    assert [row["at"] for row in rows] == sorted({row["at"] for row in rows})
    peak = Decimal(0)
    for row in rows:
        peak = max(peak, Decimal(row["equity"]))
        assert abs(Decimal(row["drawdown"]) - (Decimal(row["equity"]) / peak - 1)) < Decimal("1e-8")


def test_an_option_s_value_counts_its_multiplier(tmp_path: Path) -> None:
    report = replace(sample_report(), multipliers={"IBM": Decimal(100)})
    fill = report.trades[0]
    assert report.value(fill) == fill.quantity * fill.price * 100


def test_a_closed_day_says_why_and_what_comes_next(tmp_path: Path) -> None:
    page = page_of(closed_report(), tmp_path)
    assert "Hurricane Sandy" in page
    assert "the next session is 2012-10-31" in page
    assert "<svg" not in page
    assert (tmp_path / "trades.csv").read_text().count("\n") == 1


def test_a_day_without_orders_says_so(tmp_path: Path) -> None:
    assert "No order was sent." in page_of(quiet_report(), tmp_path)


def test_twenty_days_stay_under_a_megabyte(tmp_path: Path) -> None:
    assert write_report(sample_range(20), tmp_path).stat().st_size < 1_000_000


def test_one_day_stays_about_two_hundred_kilobytes(tmp_path: Path) -> None:
    assert write_report(sample_report(), tmp_path).stat().st_size < 250_000


def test_up_to_five_days_are_drawn_and_more_are_not(tmp_path: Path) -> None:
    assert page_of(sample_range(2), tmp_path / "short").count("<svg") == 1 + 2 * 6
    assert page_of(sample_range(6), tmp_path / "long").count("<svg") == 1


def test_a_failure_leaves_the_old_report_and_no_scraps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = page_of(sample_report(), tmp_path)
    whole = Path.write_text

    def full_disk(self: Path, *args: str, **options: str) -> int:
        if "report" in self.name:
            raise OSError("no space left")
        return whole(self, *args, **options)

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_report(quiet_report(), tmp_path)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == old
    assert sorted(path.name for path in tmp_path.iterdir()) == ["equity.csv", "report.html", "trades.csv"]


def test_a_report_without_days_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one day"):
        replace(sample_report(), days=())
