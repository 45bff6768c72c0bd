"""Turn records into the rows of the journal, as tuples: what the hot path writes by the driver itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Generic, TypeAlias, TypeVar

import orjson

from orchestration.adapters.json_text import checked_text
from orchestration.domain.errors import DefinitionError
from orchestration.domain.records import RUN_ENDINGS, Record, RecordKind
from orchestration.domain.states import RunStatus

M = TypeVar("M")
"""How a database's driver wants a moment: SQLite's as text, PostgreSQL's as it is."""

EventRow: TypeAlias = tuple[str, int, str, M, str | None, str | None, str]
"""A row of `execution_events`, in the order of its columns."""

_RUN_KINDS = frozenset(kind.value for kind in (RecordKind.RUN_CREATED, RecordKind.RUN_STARTED, *RUN_ENDINGS))
_WHOLE = len('"2012-12-12T11:00:00.000001+00:00"')


@dataclass(slots=True)
class Rows(Generic[M]):
    """What one append writes: rows of the journal, and what follows in the rows of their runs."""

    events: list[EventRow[M]] = field(default_factory=list)
    created: list[tuple[str, str, str, M]] = field(default_factory=list)
    """Id, name, status, moment."""
    started: list[tuple[str, M, str]] = field(default_factory=list)
    """Status, moment, id."""
    ended: list[tuple[str, M, str]] = field(default_factory=list)
    """Status, moment, id."""

    def add(self, other: "Rows[M]") -> None:
        """Put the rows of another append behind these."""
        self.events += other.events
        self.created += other.created
        self.started += other.started
        self.ended += other.ended


def rows_of(records: Sequence[Record], moment: Callable[[datetime], M]) -> Rows[M]:
    """Return the rows of ``records``; ``moment`` makes the driver's form of one.

    Raises `DefinitionError` for a run that is created without a name, a moment without a zone, data that are no JSON.
    """
    rows: Rows[M] = Rows()
    add = rows.events.append
    last, stored = None, None  # records of one turn share their moment: it is turned into text once
    for record in records:
        if record.at is not last or stored is None:
            last, stored = record.at, moment(record.at)
        kind = record.kind._value_  # not `value`: that costs a call a row
        data = checked_text(record.data, record)
        add((record.run_id, record.sequence, kind, stored, record.stage, record.task, data))
        if kind in _RUN_KINDS:
            _follow(rows, record, stored)
    return rows


def _follow(rows: Rows[M], record: Record, at: M) -> None:
    run_id = record.run_id
    if record.kind is RecordKind.RUN_CREATED:
        name = record.data.get("name")
        if not isinstance(name, str):
            raise DefinitionError(f"run {run_id} has no name; put it into its first record's data as 'name'")
        rows.created.append((run_id, name, RunStatus.PENDING.value, at))
    elif record.kind is RecordKind.RUN_STARTED:
        rows.started.append((RunStatus.RUNNING.value, at, run_id))
    else:
        rows.ended.append((RUN_ENDINGS[record.kind].value, at, run_id))


def utc(at: datetime) -> datetime:
    """Return ``at`` in UTC; raises `DefinitionError` when it has no zone."""
    if at.tzinfo is UTC:
        return at
    if at.tzinfo is None:
        raise DefinitionError(f"the moment {at.isoformat()} has no zone; give an aware one, in UTC")
    return at.astimezone(UTC)


def moment_text(at: datetime) -> str:
    """Return ``at`` as SQLAlchemy keeps a `DateTime` in SQLite: ``2012-12-12 11:00:00.000001``, in UTC."""
    text = orjson.dumps(utc(at)).decode()  # a third of what `isoformat` costs
    return f"{text[1:11]} {text[12:27] if len(text) == _WHOLE else text[12:20] + '.000000'}"


def missing(rows: Rows[M], stored: Sequence[tuple[object, ...] | None]) -> Rows[M] | None:
    """Return what of ``rows`` is not there yet; ``stored`` has for each event what is there in its place.

    ``None`` when nothing of them is there, or when something is there with other contents.
    """
    rest: Rows[M] = Rows()
    for event, found in zip(rows.events, stored, strict=True):
        if found is None:
            rest.events.append(event)
        elif found != event:
            return None
    if len(rest.events) == len(rows.events):
        return None
    follow = {(event[0], event[2]) for event in rest.events if event[2] in _RUN_KINDS}
    rest.created = [row for row in rows.created if (row[0], RecordKind.RUN_CREATED.value) in follow]
    rest.started = [row for row in rows.started if (row[2], RecordKind.RUN_STARTED.value) in follow]
    ended = {run_id for run_id, kind in follow if RecordKind(kind) in RUN_ENDINGS}
    rest.ended = [row for row in rows.ended if row[2] in ended]
    return rest


def taken_by(events: Sequence[EventRow[M]]) -> str:
    """Return what it means that a row of ``events`` could not be added."""
    return (
        f"a record of {runs_of(events)} is there already with other contents, or the run is unknown (it begins with "
        f"{RecordKind.RUN_CREATED}); read its records again: somebody else carries this run out"
    )


def runs_of(events: Sequence[EventRow[M]]) -> str:
    """Return the runs of ``events``, for a message."""
    names = list(dict.fromkeys(event[0] for event in events))
    return f"run {', '.join(names[:5])}{'' if len(names) < 6 else f' and {len(names) - 5} more'}"
