"""The states of runs, stages and tasks, and the four priorities."""

from enum import IntEnum, StrEnum

from orchestration.domain.errors import DefinitionError, nearest


class TaskPriority(IntEnum):
    """How important a task is; larger goes first."""

    LOW = -10
    MEDIUM = 0
    HIGH = 10
    CRITICAL = 20

    @classmethod
    def parse(cls, value: object, where: str = "priority") -> "TaskPriority":
        """Return the priority that a name in any case, a member or a member's value means."""
        if isinstance(value, TaskPriority):
            return value
        if isinstance(value, str) and value.upper() in cls.__members__:
            return cls[value.upper()]
        if isinstance(value, int) and not isinstance(value, bool) and value in {int(p) for p in cls}:
            return cls(value)
        hint = nearest(value, cls.__members__) if isinstance(value, str) else f"; known: {', '.join(cls.__members__)}"
        raise DefinitionError(f"{where} is {value!r}{hint}")


class TaskStatus(StrEnum):
    """Where a task is: `PENDING` to `RUNNING` and `RETRYING` on the way, the others for good."""

    __hash__ = str.__hash__  # Enum's own is written in Python, and these are looked up all the time

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the task."""
        return self in ENDED


ENDED = frozenset(
    {
        TaskStatus.COMPLETED,
        TaskStatus.FAILED,
        TaskStatus.TIMEOUT,
        TaskStatus.SKIPPED,
        TaskStatus.CANCELLED,
        TaskStatus.EXPIRED,
    }
)


class StageStatus(StrEnum):
    """Where a stage is."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class RunStatus(StrEnum):
    """Where a run is; `INTERRUPTED`: the process that carried it out is gone and nothing continues it."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the run."""
        return self not in {RunStatus.PENDING, RunStatus.RUNNING}


class Effects(StrEnum):
    """What a task may change in the world; only `NONE` is run again unasked."""

    NONE = "none"
    EXTERNAL = "external"
    ORDERS = "orders"


class OnFailure(StrEnum):
    """What a failed stage means for the stages after it."""

    CONTINUE = "continue"
    FAIL = "fail"
