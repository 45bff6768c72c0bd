"""The operator's ``calendar.yaml``: closures and early closes that the package does not know yet."""

from datetime import date, time
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from orchestration.days.overrides import Closure, EarlyClose, Override
from orchestration.domain.errors import DefinitionError
from workflows.desk_files.checked_file import checked, local_time, read_yaml

Reason = Annotated[str, Field(min_length=1)]


class _Closure(BaseModel):
    model_config = ConfigDict(extra="forbid")

    date: date
    reason: Reason
    calendar: str | None = None


class _EarlyClose(BaseModel):
    model_config = ConfigDict(extra="forbid")

    date: date
    close: Annotated[time, BeforeValidator(local_time)]
    reason: Reason
    calendar: str | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    closures: list[_Closure] = []
    early_closes: list[_EarlyClose] = []


def read_calendar_overrides(path: Path) -> tuple[Override, ...]:
    """Return what ``path`` says, in order of date; nothing when the file does not exist.

    Its form: ``closures: [{date, reason}]`` and ``early_closes: [{date, close: "13:00", reason}]``, the close in the
    exchange's time; ``calendar`` limits an entry to one exchange. Raises `DefinitionError` naming file and place.
    """
    if not path.exists():
        return ()
    content = checked(path, _File, read_yaml(path))
    found: list[Override] = [
        Closure(date=row.date, reason=row.reason, calendar=row.calendar) for row in content.closures
    ]
    found += [
        EarlyClose(date=row.date, close=row.close, reason=row.reason, calendar=row.calendar)
        for row in content.early_closes
    ]
    seen: set[tuple[date, str | None]] = set()
    for override in found:
        key = (override.date, override.calendar)
        if key in seen:
            raise DefinitionError(f"{path}: {override.date} is named twice; keep one entry for it")
        seen.add(key)
    return tuple(sorted(found, key=lambda o: (o.date, o.calendar or "")))
