"""Records for the stores' tests, and where they begin."""

from datetime import UTC, datetime, timedelta

from orchestration.domain.json_value import JsonObject
from orchestration.domain.records import Record, RecordKind

START = datetime(2012, 12, 12, 11, 0, 0, 1, tzinfo=UTC)


def created(run_id: str, *, name: str = "a day", after: timedelta = timedelta(0)) -> Record:
    return Record(run_id=run_id, sequence=1, kind=RecordKind.RUN_CREATED, at=START + after, data={"name": name})


def record(run_id: str, sequence: int, kind: RecordKind = RecordKind.MARKET_EVENT, **data: object) -> Record:
    values: JsonObject = data  # type: ignore[assignment]  # what is no JSON value is what some tests are about
    return Record(run_id=run_id, sequence=sequence, kind=kind, at=START + timedelta(seconds=sequence), data=values)
