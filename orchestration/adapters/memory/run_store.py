"""A journal in memory: for simulations and tests, gone with its process."""

from collections.abc import Sequence
from dataclasses import replace

from orchestration.adapters.json_text import from_text, to_text
from orchestration.domain.errors import DefinitionError
from orchestration.domain.records import RUN_ENDINGS, Record, RecordKind, RunSummary
from orchestration.domain.states import RunStatus


class MemoryRunStore:
    """The `RunStore` that keeps nothing beyond its own life; it refuses what a durable one refuses."""

    def __init__(self) -> None:
        self._records: dict[str, dict[int, Record]] = {}
        self._summaries: dict[str, RunSummary] = {}

    async def append(self, records: Sequence[Record]) -> None:
        """Keep ``records``, or none of them when one is refused; the caller's data are copied."""
        summaries: dict[str, RunSummary] = {}
        added: dict[str, dict[int, Record]] = {}
        for record in records:
            run_id, sequence = record.run_id, record.sequence
            if sequence in self._records.get(run_id, {}) or sequence in added.get(run_id, {}):
                raise DefinitionError(
                    f"run {run_id} already has a record {sequence}; "
                    "read its records again: somebody else carries this run out"
                )
            summary = _summary_after(summaries.get(run_id) or self._summaries.get(run_id), record)
            summaries[run_id] = summary
            data = from_text(to_text(record.data, f"run {run_id}, record {sequence}: data"))
            added.setdefault(run_id, {})[sequence] = replace(record, data=data)
        self._summaries.update(summaries)
        for run_id, new in added.items():
            self._records.setdefault(run_id, {}).update(new)

    async def records(self, run_id: str) -> Sequence[Record]:
        """All records of a run in sequence."""
        return [record for _, record in sorted(self._records.get(run_id, {}).items())]

    async def unfinished(self) -> Sequence[str]:
        """The runs that have not ended, oldest first."""
        return [run.run_id for run in self._oldest_first() if not run.status.ended]

    async def runs(self, *, limit: int = 100) -> Sequence[RunSummary]:
        """The newest ``limit`` runs, newest first."""
        return self._oldest_first()[::-1][: max(limit, 0)]

    def _oldest_first(self) -> list[RunSummary]:
        return sorted(self._summaries.values(), key=lambda run: (run.created_at, run.run_id))


def _summary_after(summary: RunSummary | None, record: Record) -> RunSummary:
    if record.at.tzinfo is None:
        raise DefinitionError(f"the moment {record.at.isoformat()} has no zone; give an aware one, in UTC")
    if record.kind is RecordKind.RUN_CREATED:
        if summary is not None:
            raise DefinitionError(f"run {record.run_id} is there already; give a new run an id of its own")
        name = record.data.get("name")
        if not isinstance(name, str):
            raise DefinitionError(f"run {record.run_id} has no name; put it into its first record's data as 'name'")
        return RunSummary(
            run_id=record.run_id,
            name=name,
            status=RunStatus.PENDING,
            created_at=record.at,
            started_at=None,
            completed_at=None,
        )
    if summary is None:
        raise DefinitionError(f"run {record.run_id} is unknown; its first record is {RecordKind.RUN_CREATED}")
    if record.kind is RecordKind.RUN_STARTED:
        return replace(summary, status=RunStatus.RUNNING, started_at=record.at)
    if record.kind in RUN_ENDINGS:
        return replace(summary, status=RUN_ENDINGS[record.kind], completed_at=record.at)
    return summary
