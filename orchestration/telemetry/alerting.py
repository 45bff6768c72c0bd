"""Carry what is wrong to people: each thing once, with a count, and never in the way of work."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeAlias

from orchestration.domain.events import OrchestrationEvent, SystemAlert
from orchestration.domain.health import Health
from orchestration.ports.alerts import Alert, Alerts
from orchestration.ports.clock import Clock
from orchestration.telemetry.health_board import HealthBoard
from orchestration.telemetry.masking import masked_text

QUIET = timedelta(minutes=10)
"""For so long the same thing is counted, not sent again."""
CAPACITY = 100
"""How many alerts may wait to be sent."""
REMEMBERED = 1000
"""How many different alerts are told apart within `QUIET`."""
CLOSING_S = 5.0
"""How long leaving waits for what has not been sent."""
PART = "alerts"
"""The relay's name on the health board; the service can do without it."""

Report: TypeAlias = Callable[[str, str], Awaitable[None]]
"""Called with (source, message) for what becomes a `SYSTEM_ALERT`."""
Emit: TypeAlias = Callable[[OrchestrationEvent, Mapping[str, Any]], Awaitable[None]]
"""`WorkflowEngine.emit_event`, and whatever looks like it."""

_log = logging.getLogger(__name__)


def system_report(clock: Clock, emit: Emit) -> Report:
    """Return what emits a `SYSTEM_ALERT` for (source, message)."""

    async def report(source: str, message: str) -> None:
        at = clock.now().isoformat().replace("+00:00", "Z")
        alert: SystemAlert = {"source": source, "message": masked_text(message), "at": at}
        await emit(OrchestrationEvent.SYSTEM_ALERT, alert)

    return report


class AlertOutcome(StrEnum):
    """What became of an alert."""

    SENT = "sent"
    REPEATED = "repeated"
    """It came again within `QUIET`, and was counted."""
    FAILED = "failed"
    """All attempts to send it failed."""
    DROPPED = "dropped"
    """It waited, and newer ones took its place, or the service ended."""


@dataclass(slots=True)
class _Known:
    """The last message of its kind, and what came since it was sent."""

    alert: Alert
    until: datetime
    repeats: int = 0


class AlertRelay:
    """A handler of `SYSTEM_ALERT` and `WORKFLOW_FAILED`, registered for all events, that hands alerts to ``alerts``.

    Handling an event only notes it; sending is done by a task that lives while the relay is entered. Leaving sends what
    waits, for at most `CLOSING_S` seconds. ``on_outcome`` hears what became of each.
    """

    def __init__(
        self,
        alerts: Alerts,
        clock: Clock,
        board: HealthBoard,
        *,
        on_outcome: Callable[[AlertOutcome], None] = lambda _: None,
    ) -> None:
        self._alerts = alerts
        self._clock = clock
        self._board = board
        self._on_outcome = on_outcome
        self._waiting: deque[Alert] = deque()
        self._known: dict[tuple[str, str], _Known] = {}
        self._wake = asyncio.Event()
        self._closing = False
        self._sender: asyncio.Task[None] | None = None
        board.register(PART, required=False)

    async def __aenter__(self) -> "AlertRelay":
        self._closing = False
        self._board.set(PART, Health.OK)
        self._sender = asyncio.get_running_loop().create_task(self._send_all())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._closing = True
        self._wake.set()
        if self._sender is not None:
            with suppress(TimeoutError):
                async with self._clock.timeout(CLOSING_S):
                    await self._sender
        while self._waiting:
            self._drop(self._waiting.popleft())
        self._board.set(PART, Health.STOPPED)

    async def __call__(self, event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
        """Note what people should hear of."""
        if event is OrchestrationEvent.SYSTEM_ALERT:
            self.add(str(data.get("source", "unknown")), str(data.get("message", "")))
        elif event is OrchestrationEvent.WORKFLOW_FAILED:
            execution = data.get("execution_id")
            message = f"{data.get('workflow')} failed: {data.get('reason') or 'no reason is known'}"
            self.add("workflow", message, execution_id=None if execution is None else str(execution))

    def add(self, source: str, message: str, *, execution_id: str | None = None) -> None:
        """Note an alert that is no event, such as a halt; returns at once."""
        alert = Alert(source=source, message=masked_text(message), at=self._clock.now(), execution_id=execution_id)
        key = (alert.source, alert.message)
        known = self._known.get(key)
        if known is not None and alert.at < known.until:
            known.alert, known.repeats = alert, known.repeats + 1
            self._on_outcome(AlertOutcome.REPEATED)
        else:
            self._know(key, alert)
            self._enqueue(alert if known is None else replace(alert, count=known.repeats + 1))
        self._wake.set()

    def _know(self, key: tuple[str, str], alert: Alert) -> None:
        self._known.pop(key, None)
        self._known[key] = _Known(alert=alert, until=alert.at + QUIET)
        if len(self._known) > REMEMBERED:
            forgotten = self._known.pop(next(iter(self._known)))
            if forgotten.repeats:
                self._enqueue(replace(forgotten.alert, count=forgotten.repeats))

    def _enqueue(self, alert: Alert) -> None:
        if len(self._waiting) >= CAPACITY:
            self._drop(self._waiting.popleft())
        self._waiting.append(alert)

    def _drop(self, alert: Alert) -> None:
        _log.warning("an alert of %s was not sent: %s", alert.source, alert.message)
        self._on_outcome(AlertOutcome.DROPPED)

    async def _send_all(self) -> None:
        while True:
            self._wake.clear()
            self._end_quiet()
            if self._waiting:
                await self._send(self._waiting.popleft())
            elif self._closing:
                return
            else:
                until = min((one.until for one in self._known.values() if one.repeats), default=None)
                await self._clock.wait(self._wake, until)

    def _end_quiet(self) -> None:
        """Forget what did not come again; what did is sent, with its count, and begins another quiet time."""
        now = self._clock.now()
        for key, known in list(self._known.items()):
            if known.repeats and (now >= known.until or self._closing):
                self._enqueue(replace(known.alert, count=known.repeats))
                known.until, known.repeats = now + QUIET, 0
            elif now >= known.until:
                del self._known[key]

    async def _send(self, alert: Alert) -> None:
        try:
            await self._alerts.send(alert)
        except asyncio.CancelledError:
            self._drop(alert)
            raise
        except Exception as error:  # noqa: BLE001 (alerts are never in the way of anything, the next alert included)
            _log.warning("an alert of %s could not be sent: %s", alert.source, error)
            self._board.set(PART, Health.DEGRADED, f"the last alert could not be sent: {error}")
            self._on_outcome(AlertOutcome.FAILED)
        else:
            self._board.set(PART, Health.OK)
            self._on_outcome(AlertOutcome.SENT)
