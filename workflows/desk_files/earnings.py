"""The home's ``earnings.csv``: which name reports when."""

import csv
from datetime import date
from pathlib import Path

from orchestration.days.earnings import EarningsReport, EarningsSchedule, When
from orchestration.domain.errors import DefinitionError, nearest
from workflows.desk_files.checked_file import read_text

COLUMNS = ("symbol", "date", "when")


def read_earnings(path: Path) -> EarningsSchedule | None:
    """Return the reports that ``path`` names, in order of date and symbol; ``None`` when the file does not exist.

    A first line names the columns ``symbol``, ``date`` (ISO 8601) and ``when`` (``before`` or ``after``), in any
    order. Raises `DefinitionError` naming file, line and column.
    """
    if not path.exists():
        return None
    rows = csv.reader(read_text(path).splitlines())
    header = [name.strip().lower() for name in next(rows, [])]
    for name in header:
        if name not in COLUMNS:
            raise DefinitionError(f"{path}, line 1: there is no column {name!r}{nearest(name, COLUMNS)}")
    for name in COLUMNS:
        if header.count(name) != 1:
            raise DefinitionError(f"{path}, line 1: write the column {name} once; the columns are {','.join(COLUMNS)}")
    found: dict[tuple[date, str], EarningsReport] = {}
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        line = rows.line_num
        if len(row) != len(header):
            raise DefinitionError(f"{path}, line {line}: {len(row)} columns instead of {len(header)}")
        report = _report(f"{path}, line {line}", {k: v.strip() for k, v in zip(header, row, strict=True)})
        if found.setdefault((report.date, report.symbol), report) is not report:
            raise DefinitionError(
                f"{path}, line {line}, column symbol: {report.symbol} is named twice on {report.date}"
            )
    return EarningsSchedule(file=path.name, reports=tuple(found[key] for key in sorted(found)))


def _report(where: str, cells: dict[str, str]) -> EarningsReport:
    if not cells["symbol"]:
        raise DefinitionError(f"{where}, column symbol: it is empty; write the name that reports, such as AAPL")
    try:
        on = date.fromisoformat(cells["date"])
    except ValueError:
        raise DefinitionError(f"{where}, column date: {cells['date']!r} is no date; write it like 2012-10-25") from None
    if cells["when"].lower() not in {when.value for when in When}:
        raise DefinitionError(f"{where}, column when: it is {cells['when']!r}; write before or after")
    return EarningsReport(symbol=cells["symbol"], date=on, when=When(cells["when"].lower()))
