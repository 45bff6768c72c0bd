"""A journal in memory: for simulations and tests, gone with its process."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from orchestration.adapters.json_text import checked_text, from_text
from orchestration.domain.errors import ClaimLostError, DefinitionError
from orchestration.domain.records import RUN_ENDINGS, Claim, Record, RecordKind, RunSummary
from orchestration.domain.states import RunStatus


@dataclass(slots=True)
class _Kept:
    """What outlives one store in favour of its successors."""

    records: dict[str, dict[int, Record]] = field(default_factory=dict)
    summaries: dict[str, RunSummary] = field(default_factory=dict)
    claims: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By run, the owner's number and the token."""
    owners: int = 0
    ended: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)


class MemoryRunStore:
    """The `RunStore` that keeps nothing beyond its own life; it refuses what a durable one refuses."""

    def __init__(self, _kept: _Kept | None = None) -> None:
        self._kept = _kept or _Kept()
        self._kept.owners += 1
        self._owner = self._kept.owners

    def successor(self) -> "MemoryRunStore":
        """Another owner of the same runs, as a new process would be after this one had died.

        This one counts as ended from now on: what it appends is kept until somebody takes its runs over.
        """
        self._kept.ended.add(self._owner)
        return MemoryRunStore(self._kept)

    async def append(self, records: Sequence[Record]) -> None:
        """Keep ``records``, or none of them when one is refused; the caller's data are copied."""
        self._check_claim()
        kept = self._kept
        summaries: dict[str, RunSummary] = {}
        added: dict[str, dict[int, Record]] = {}
        for record in records:
            run_id, sequence = record.run_id, record.sequence
            whole = record._replace(data=from_text(checked_text(record.data, record)))
            if kept.records.get(run_id, {}).get(sequence) == whole:
                continue
            if sequence in kept.records.get(run_id, {}) or sequence in added.get(run_id, {}):
                raise DefinitionError(
                    f"run {run_id} already has a record {sequence}; "
                    "read its records again: somebody else carries this run out"
                )
            summaries[run_id] = _summary_after(summaries.get(run_id) or kept.summaries.get(run_id), record)
            added.setdefault(run_id, {})[sequence] = whole
        kept.summaries.update(summaries)
        for run_id, new in added.items():
            kept.records.setdefault(run_id, {}).update(new)
            kept.claims.setdefault(run_id, (self._owner, 1))

    async def take_over(self) -> Sequence[Claim]:
        """Become the owner of the unfinished runs of stores that have a successor."""
        self._check_claim()
        kept = self._kept
        kept.gone |= kept.ended - {self._owner}
        abandoned = [run_id for run_id in await self.unfinished() if kept.claims[run_id][0] in kept.gone]
        claims = [Claim(run_id=run_id, token=kept.claims[run_id][1] + 1) for run_id in abandoned]
        kept.claims.update((claim.run_id, (self._owner, claim.token)) for claim in claims)
        return claims

    async def records(self, run_id: str) -> Sequence[Record]:
        """All records of a run in sequence."""
        return [record for _, record in sorted(self._kept.records.get(run_id, {}).items())]

    async def unfinished(self) -> Sequence[str]:
        """The runs that have not ended, oldest first."""
        return [run.run_id for run in self._oldest_first() if not run.status.ended]

    async def runs(self, *, limit: int = 100) -> Sequence[RunSummary]:
        """The newest ``limit`` runs, newest first."""
        return self._oldest_first()[::-1][: max(limit, 0)]

    async def prune(self, before: datetime) -> int:
        """Delete the runs that ended before ``before``."""
        kept = self._kept
        old = [
            run.run_id
            for run in kept.summaries.values()
            if run.status.ended and run.completed_at is not None and run.completed_at < before
        ]
        for run_id in old:
            del kept.records[run_id], kept.summaries[run_id], kept.claims[run_id]
        return len(old)

    def _check_claim(self) -> None:
        if self._owner in self._kept.gone:
            raise ClaimLostError(str(self._owner), "the store in memory")

    def _oldest_first(self) -> list[RunSummary]:
        return sorted(self._kept.summaries.values(), key=lambda run: (run.created_at, run.run_id))


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
