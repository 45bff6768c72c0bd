"""A desk in memory: it halts, resumes and cancels for real, and runs nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from orchestration.domain.errors import DefinitionError, StoreUnavailableError, nearest
from orchestration.domain.halts import AuditRow, Halt, HaltLevel
from orchestration.domain.health import ComponentHealth, Health, Readiness
from orchestration.domain.json_value import JsonObject, JsonValue
from orchestration.domain.records import Record, RecordKind, RunSummary
from orchestration.domain.states import RunStatus

NOW = datetime(2012, 12, 12, 14, 30, tzinfo=UTC)
LAST_DATE = date(2030, 12, 31)


class FakeDesk:
    """The `DeskControl` of these tests; they set its public attributes by hand."""

    def __init__(self, runs: int = 3) -> None:
        self.runs = {
            f"{number:032x}": RunSummary(
                run_id=f"{number:032x}",
                name=f"XNYS day {number}",
                status=RunStatus.RUNNING,
                created_at=NOW + timedelta(microseconds=number),
                started_at=NOW,
                completed_at=None,
            )
            for number in range(1, runs + 1)
        }
        self.turning = True
        self.reasons: tuple[str, ...] = ()
        self.store_fails = False
        self.held: Halt | None = None
        self.audit: list[AuditRow] = []
        self.waits: asyncio.Event | None = None
        """What a listing of runs waits for, so that a request is under way."""
        self.asked = asyncio.Event()
        """Set once somebody asked for a listing of runs."""

    def alive(self) -> bool:
        return self.turning

    def readiness(self) -> Readiness:
        return Readiness(ready=not self.reasons, reasons=self.reasons)

    def components(self) -> Sequence[ComponentHealth]:
        return [
            ComponentHealth(name="alerts", state=Health.DEGRADED, since=NOW, required=False, reason="no webhook set"),
            ComponentHealth(name="store", state=Health.OK, since=NOW, latency_ms=1.5),
        ]

    def get_system_status(self) -> JsonObject:
        status: dict[str, JsonValue] = {
            "system_running": True,
            "startup_time": "2012-12-12T09:00:00Z",
            "uptime_seconds": 19800.0,
            "agents": {"total": 1, "healthy": 1, "names": ["economist"]},
            "workflow_engine": {"active_executions": len(self.runs), "completed_executions": 0, "failed_executions": 0},
            "statistics": {
                "workflows_executed": 0,
                "total_tasks_completed": 0,
                "average_task_duration": None,
                "success_rate": None,
            },
            "mode": "paper",
        }
        if self.held is not None:
            status["halt"] = {
                "level": self.held.level.value,
                "reason": self.held.reason,
                "at": self.held.at.isoformat(),
                "by": self.held.by,
            }
        return status

    def plan(self, on: date | None) -> JsonObject:
        on = on or NOW.date()
        if on > LAST_DATE:
            raise DefinitionError(f"{on} is past the calendar's end, {LAST_DATE}: give an earlier date")
        return {
            "date": on.isoformat(),
            "is_session": False,
            "open": None,
            "close": None,
            "breaks": [],
            "early_close": False,
            "day_types": ["market_closed"],
            "reason": "weekend",
            "previous_session": None,
            "next_session": None,
            "stages": [],
            "skipped": [],
            "warnings": [],
        }

    async def executions(self, *, limit: int) -> Sequence[RunSummary]:
        if self.store_fails:
            raise StoreUnavailableError("the store is held by another process: try again")
        self.asked.set()
        if self.waits is not None:
            await self.waits.wait()
        return list(self.runs.values())[::-1][:limit]

    async def execution(self, execution_id: str) -> JsonObject:
        run = self._run(execution_id)
        return {
            "execution_id": run.run_id,
            "name": run.name,
            "status": run.status.value,
            "reason": None,
            "started_at": NOW.isoformat(),
            "completed_at": None if run.completed_at is None else run.completed_at.isoformat(),
            "duration_s": None,
            "stages": {"pre_market": {"status": "running"}},
            "tasks": {"collect_news": {"status": "running", "attempts": 1, "result": None, "error": None}},
        }

    async def events(self, execution_id: str) -> Sequence[Record]:
        run = self._run(execution_id)
        kinds = [RecordKind.RUN_CREATED, RecordKind.RUN_STARTED]
        return [
            Record(run_id=run.run_id, sequence=number, kind=kind, at=NOW, data={"name": run.name})
            for number, kind in enumerate(kinds, 1)
        ]

    async def cancel(self, execution_id: str, reason: str) -> None:
        run = self._run(execution_id)
        self.runs[execution_id] = replace(run, status=RunStatus.CANCELLED, completed_at=NOW)

    async def halt(self, level: HaltLevel, reason: str, by: str) -> Halt:
        self.held = Halt(level=level, reason=reason, at=NOW, by=by)
        self.audit.append(AuditRow(at=NOW, by=by, action="halt", level=level, reason=reason))
        return self.held

    async def resume(self, reason: str, by: str) -> None:
        self.held = None
        self.audit.append(AuditRow(at=NOW, by=by, action="resume", level=None, reason=reason))

    def _run(self, execution_id: str) -> RunSummary:
        if execution_id not in self.runs:
            raise DefinitionError(f"there is no run {execution_id!r}{nearest(execution_id, self.runs)}")
        return self.runs[execution_id]
