"""The plan of one day: what will run, when and why, and what is left out and why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TypeAlias

from orchestration.days.day_types import DayType
from orchestration.days.fomc import FomcSurprise, surprises_in
from orchestration.domain.definition import Announcement
from orchestration.domain.json_value import JsonObject, JsonValue
from orchestration.domain.restrictions import Restriction
from orchestration.domain.session import Interval, Session
from orchestration.domain.states import Effects, TaskPriority

Day: TypeAlias = date
"""A date by another name: `DayPlan` has a field called ``date``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTask:
    """One task with its date. ``starts_at`` is ``None`` for one that starts with its stage; ``deadline`` is always set.

    ``effects``, ``timeout_s`` and ``max_retries`` are ``None`` where the engine's defaults hold. ``day_type`` is the
    kind of day that brought it.
    """

    name: str
    agent: str
    task_type: str
    priority: TaskPriority
    dependencies: tuple[str, ...]
    starts_at: datetime | None
    deadline: datetime
    day_type: DayType
    task_data: JsonObject = field(default_factory=dict)
    effects: Effects | None = None
    timeout_s: float | None = None
    max_retries: int | None = None

    def to_json(self) -> dict[str, JsonValue]:
        """The task as ``plan --json`` shows it."""
        return {
            "name": self.name,
            "agent": self.agent,
            "task_type": self.task_type,
            "priority": self.priority.name,
            "dependencies": list(self.dependencies),
            "starts_at": iso(self.starts_at) if self.starts_at else None,
            "deadline": iso(self.deadline),
            "day_type": self.day_type.value,
        }

    def to_definition(self) -> dict[str, JsonValue]:
        """The task as a workflow definition has it."""
        task: dict[str, JsonValue] = {
            "name": self.name,
            "agent": self.agent,
            "task_type": self.task_type,
            "task_data": dict(self.task_data),
            "priority": self.priority.name,
            "dependencies": list(self.dependencies),
            "timeout": self.timeout_s,
            "max_retries": self.max_retries,
            "starts_at": iso(self.starts_at) if self.starts_at else None,
            "deadline": iso(self.deadline),
            "effects": self.effects.value if self.effects else None,
        }
        return {key: value for key, value in task.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStage:
    """One stage with its date and its tasks."""

    name: str
    starts_at: datetime
    ends_at: datetime
    tasks: tuple[PlannedTask, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedTask:
    """A task that the day leaves out, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPlan:
    """The plan of ``date``.

    ``session`` is the desk's: the exchange's hours, narrowed by the desk's own; ``None`` on a closed day.
    ``day_types`` are sorted. ``previous_session`` and ``next_session`` are ``None`` where the calendar ends.
    """

    date: Day
    calendar: str
    timezone: str
    session: Session | None
    day_types: tuple[str, ...]
    reasons: Mapping[str, str]
    reason: str
    previous_session: Day | None
    next_session: Day | None
    stages: tuple[PlannedStage, ...] = ()
    skipped: tuple[SkippedTask, ...] = ()
    warnings: tuple[str, ...] = ()
    restrictions: tuple[Restriction, ...] = ()
    announcements: tuple[Announcement, ...] = ()

    @property
    def tasks(self) -> tuple[PlannedTask, ...]:
        """All tasks, stage by stage."""
        return tuple(task for stage in self.stages for task in stage.tasks)

    @property
    def span(self) -> Interval | None:
        """From the start of the first stage to the end of the last one; ``None`` without stages."""
        if not self.stages:
            return None
        return Interval(starts_at=self.stages[0].starts_at, ends_at=self.stages[-1].ends_at)

    def to_json(self) -> dict[str, JsonValue]:
        """One day of ``plan --json``, with ``restrictions``, ``announcements`` and ``timezone`` beside."""
        session = self.session
        return {
            "date": self.date.isoformat(),
            "is_session": session is not None,
            "open": iso(session.opens_at) if session else None,
            "close": iso(session.closes_at) if session else None,
            "breaks": [
                {"starts_at": iso(pause.starts_at), "ends_at": iso(pause.ends_at)}
                for pause in (session.breaks if session else ())
            ],
            "early_close": session.early_close if session else False,
            "day_types": list(self.day_types),
            "reason": self.reason,
            "previous_session": self.previous_session.isoformat() if self.previous_session else None,
            "next_session": self.next_session.isoformat() if self.next_session else None,
            "stages": [
                {
                    "name": stage.name,
                    "starts_at": iso(stage.starts_at),
                    "ends_at": iso(stage.ends_at),
                    "tasks": [task.to_json() for task in stage.tasks],
                }
                for stage in self.stages
            ],
            "skipped": [{"name": skipped.name, "reason": skipped.reason} for skipped in self.skipped],
            "warnings": list(self.warnings),
            "restrictions": [_restriction(restriction) for restriction in self.restrictions],
            "announcements": [_announcement(announcement) for announcement in self.announcements],
            "timezone": self.timezone,
        }

    def to_definition(
        self, name: str | None = None, simulated_surprises: Iterable[FomcSurprise] = ()
    ) -> dict[str, JsonValue]:
        """The day as a workflow definition in stages, those without tasks left out.

        A simulation gives all the surprises that history knows: those of this day are announced when they come.
        """
        surprises = surprises_in(simulated_surprises, self.span) if self.span else ()
        said = [*self.announcements, *(_surprise(s, s.statement) for s in surprises if s.statement)]
        return {
            "name": name or f"{self.calendar} {self.date}",
            "stages": {
                stage.name: {
                    "starts_at": iso(stage.starts_at),
                    "ends_at": iso(stage.ends_at),
                    "tasks": [task.to_definition() for task in stage.tasks],
                }
                for stage in self.stages
                if stage.tasks
            },
            "announcements": [_announcement(a) for a in sorted(said, key=lambda a: a.at)],
        }


def iso(moment: datetime) -> str:
    """Return an aware instant as ``2026-06-18T13:30:00Z``."""
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat()
    return f"{text}Z"


def _restriction(restriction: Restriction) -> dict[str, JsonValue]:
    return {
        "level": restriction.level.value,
        "starts_at": iso(restriction.starts_at),
        "ends_at": iso(restriction.ends_at),
        "reason": restriction.reason,
        "symbols": None if restriction.symbols is None else sorted(restriction.symbols),
    }


def _announcement(announcement: Announcement) -> dict[str, JsonValue]:
    return {"at": iso(announcement.at), **announcement.data}


def _surprise(surprise: FomcSurprise, at: datetime) -> Announcement:
    details: JsonObject = {"scheduled": False, "what": surprise.what, "rate_decision": surprise.rate_decision}
    return Announcement(at=at, data={"kind": "fomc_statement", "details": details})
