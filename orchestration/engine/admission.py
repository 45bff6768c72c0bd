"""Who may start now: the queue of all runs, limits of agents and task types, breakers, the budget of retries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from orchestration.domain.errors import DefinitionError, nearest
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.records import Record, RecordKind
from orchestration.domain.states import TaskStatus
from orchestration.engine.circuit_breaker import FAILURES, BreakerState, CircuitBreaker
from orchestration.engine.commands import EnqueueTask
from orchestration.engine.inputs import AttemptFailed, Input
from orchestration.engine.lanes import AgentLane, Lane, Limit, RetryBudget
from orchestration.engine.public_events import iso
from orchestration.engine.ready_queue import Entry, Rank, ReadyQueue
from orchestration.engine.run_state import RunState, TaskState

OTHERS_SHARE = 5
"""One slot in so many is kept from any single agent, where there are several: a slow one must not take them all."""
RETRY_BURST = 20
RETRY_INTERVAL = timedelta(milliseconds=200)
"""Retries go in bursts of at most that many, then one every so often, over all runs."""

_SOURCE = "circuit_breaker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many attempts may be under way at a time: in all, of an agent, of a task type."""

    slots: int
    agents: Mapping[str, int] = field(default_factory=dict)
    task_types: Mapping[str, int] = field(default_factory=dict)

    def agent(self, name: str, known: int) -> int:
        """The limit of the agent ``name``, one of ``known`` with work: its own, else what leaves some to the others."""
        kept = -(-self.slots // OTHERS_SHARE) if known > 1 and self.slots > 1 else 0
        return self.agents.get(name, self.slots - kept)

    def check(self, agents: Mapping[str, object]) -> None:
        """Raise `DefinitionError` for a limit of nobody, or one that lets nothing through."""
        for name in self.agents:
            if agents and name not in agents:  # an engine without agents only plans
                raise DefinitionError(f"agent_limits: there is no agent {name!r}{nearest(name, agents)}")
        given: dict[str, Mapping[str, object]] = {"agent_limits": self.agents, "task_type_limits": self.task_types}
        for setting, limits in given.items():
            for name, limit in limits.items():
                if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
                    raise DefinitionError(f"{setting}.{name} is {limit!r}; give a whole number from 1 up")


class Admission:
    """Gives slots, in the order of `ReadyQueue`, to those who may have one. CRITICAL work passes every limit."""

    def __init__(self, limits: Limits, agents: Mapping[str, object]) -> None:
        limits.check(agents)
        self._limits = limits
        self._agents = agents
        self._queue = ReadyQueue(limits.slots)
        self._agent_lanes: dict[str, AgentLane] = {}
        self._type_lanes = {name: Limit(most) for name, most in limits.task_types.items()}
        self._retries = RetryBudget(RETRY_BURST, RETRY_INTERVAL)

    @property
    def waiting(self) -> int:
        """How many tasks wait for a slot."""
        return len(self._queue)

    @property
    def breakers(self) -> Mapping[str, BreakerState]:
        """Where the breaker of each agent is that has been asked for anything."""
        return {name: lane.breaker.state for name, lane in self._agent_lanes.items()}

    def add(self, run_id: str, task: TaskState, command: EnqueueTask, now: datetime) -> None:
        """Let a task wait for its slot."""
        lanes: list[Lane] = []
        if task.agent is not None:
            lanes.append(self._agent_lane(task.agent))
        if self._type_lanes and task.type in self._type_lanes:
            lanes.append(self._type_lanes[task.type])
        if command.again:
            lanes.append(self._retries)
        rank = Rank(priority=command.priority, deadline=command.deadline, path=command.path)
        self._queue.add((run_id, command.task), rank, lanes, now)

    def take(self, now: datetime) -> Entry | None:
        """Return who starts now, with a slot that is kept until `free` or `ended`; ``None``: nobody does."""
        return self._queue.take(now)

    def free(self, entry: Entry, now: datetime) -> None:
        """Take back a slot that was given for nothing."""
        self._queue.free(entry, now)

    def ended(
        self, record: Record, state: RunState, cause: Input, now: datetime
    ) -> tuple[OrchestrationEvent, Mapping[str, Any]] | None:
        """Take back the slot of a task, by the record that ends its attempt or the task.

        Returns the alert that follows when that opens or closes its agent's breaker.
        """
        entry = (record.run_id, str(record.task))
        agent = state.tasks[entry[1]].agent
        said = None if agent is None else self._judge(agent, entry, record, cause, now)
        self._queue.free(entry, now)
        if said is None:
            return None
        return OrchestrationEvent.SYSTEM_ALERT, {"source": _SOURCE, "message": said, "at": iso(now)}

    def next_opening(self) -> datetime | None:
        """When somebody may start without that anything else happens; ``None``: nobody may."""
        return self._queue.next_opening()

    def _agent_lane(self, name: str) -> AgentLane:
        lane = self._agent_lanes.get(name)
        if lane is None:
            lane = self._agent_lanes[name] = AgentLane(self._limits.slots, CircuitBreaker())
            for known, one in self._agent_lanes.items():  # from the second that has work, none may have all
                one.most = self._limits.agent(known, len(self._agent_lanes))
        return lane

    def _judge(self, agent: str, entry: Entry, record: Record, cause: Input, now: datetime) -> str | None:
        """Tell the agent's breaker how an attempt ended; return what there is to say about that."""
        breaker = self._agent_lane(agent).breaker
        if record.kind is RecordKind.TASK_COMPLETED:
            if "cached" in record.data:
                return None  # the agent was not asked
            return f"{agent} answers again" if breaker.succeeded(entry) else None
        if record.kind not in _FAILED:
            return None
        tells = isinstance(cause, AttemptFailed) and cause.retryable
        if not tells and record.data.get("status") != TaskStatus.TIMEOUT:
            return None
        if not breaker.failed(entry, now):
            return None
        return (
            f"{agent} failed {FAILURES} times in a row or more, and is left alone until "
            f"{iso(breaker.retry_at or now)}; then one task tries it. CRITICAL tasks go on"
        )


_FAILED = frozenset({RecordKind.TASK_FAILED, RecordKind.TASK_RETRYING})
