"""The file of FOMC meetings."""

import json
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator

from orchestration.days.fomc import FomcMeeting, FomcSchedule, FomcSurprise
from orchestration.domain.errors import DefinitionError
from workflows.desk_files.checked_file import checked, local_time, read_text

SHIPPED = Path(__file__).parent / "data" / "fomc.json"
"""The file that comes with the package."""

LocalTime = Annotated[time, BeforeValidator(local_time)]


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("no time zone has that name; write one like America/New_York") from None
    return name


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Meeting(_Model):
    start: date
    decision: date
    weekday: str
    statement_et: LocalTime
    press_conference_et: LocalTime | None
    sep: bool
    status: Literal["scheduled", "cancelled"]
    source: str

    @model_validator(mode="after")
    def _in_order(self) -> "_Meeting":
        if self.start > self.decision:
            raise ValueError(f"start {self.start} is after the decision {self.decision}")
        if self.weekday != f"{self.decision:%a}":
            raise ValueError(f"weekday is {self.weekday}, but {self.decision} is a {self.decision:%a}")
        return self


class _Surprise(_Model):
    date: date
    statement_et: LocalTime | None = None
    kind: str
    rate_decision: bool
    session: bool | None = None
    status: Literal["unscheduled"] = "unscheduled"
    source: str


class _File(_Model):
    coverage: tuple[date, date]
    timezone: Annotated[str, AfterValidator(_known_zone)]
    notes: tuple[str, ...] = ()
    meetings: tuple[_Meeting, ...]
    unscheduled: tuple[_Surprise, ...] = ()


def read_fomc(path: Path = SHIPPED) -> FomcSchedule:
    """Return the meetings and surprises that ``path`` names, in order of time.

    Its form: ``coverage`` (first and last date), ``timezone`` (of all its times), ``notes``, ``meetings`` (``start``,
    ``decision``, ``weekday``, ``statement_et``, ``press_conference_et``, ``sep``, ``status``, ``source``) and
    ``unscheduled``. Raises `DefinitionError` naming the file and the place in it.
    """
    try:
        raw: object = json.loads(read_text(path))
    except ValueError as error:
        raise DefinitionError(f"{path}: not JSON: {error}") from None
    content = checked(path, _File, raw)
    zone = ZoneInfo(content.timezone)
    return FomcSchedule(
        first=content.coverage[0],
        last=content.coverage[1],
        file=path.name,
        meetings=tuple(sorted((_meeting(m, zone) for m in content.meetings), key=lambda m: m.statement)),
        surprises=tuple(sorted((_surprise(s, zone) for s in content.unscheduled), key=lambda s: s.date)),
    )


def _meeting(row: _Meeting, zone: ZoneInfo) -> FomcMeeting:
    conference = row.press_conference_et
    return FomcMeeting(
        decision=row.decision,
        statement=_instant(row.decision, row.statement_et, zone),
        press_conference=_instant(row.decision, conference, zone) if conference else None,
        projections=row.sep,
        cancelled=row.status == "cancelled",
    )


def _surprise(row: _Surprise, zone: ZoneInfo) -> FomcSurprise:
    return FomcSurprise(
        date=row.date,
        statement=_instant(row.date, row.statement_et, zone) if row.statement_et else None,
        what=row.kind,
        rate_decision=row.rate_decision,
    )


def _instant(day: date, local: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, local, zone).astimezone(UTC)
