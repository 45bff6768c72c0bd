"""Hold every internal loop to the pace it promised."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from orchestration.domain.errors import DefinitionError, nearest
from orchestration.domain.health import Health
from orchestration.ports.clock import Clock
from orchestration.telemetry.alerting import Report
from orchestration.telemetry.health_board import HealthBoard

HELD_UP_S = 1.0
"""A watcher that looks so much later than it meant to was held up itself, as were those it watches."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Promise:
    period_s: float
    due: float
    kept_once: bool = False
    missed: bool = False


class Deadlines:
    """Knows when each loop must come round again; `run` watches them.

    A loop that does not is reported once, and stands as failed on the board until it comes round. Durations are
    measured by the monotonic clock. After a time in which the whole process stood still everybody gets a new period.
    """

    def __init__(self, clock: Clock, board: HealthBoard, report: Report) -> None:
        self._clock = clock
        self._board = board
        self._report = report
        self._promises: dict[str, _Promise] = {}
        self._changed = asyncio.Event()

    def promise(self, name: str, period: timedelta, *, required: bool = True) -> None:
        """Expect `beat` within every ``period``, from now on; give it slack, such as twice the loop's own pace.

        The loop stands on the board under ``name``, as starting until its first beat. Again: a new promise.
        """
        period_s = period.total_seconds()
        if period_s <= 0:
            raise DefinitionError(f"the loop {name!r} promises to come round within {period_s:g} s; give a longer one")
        self._board.register(name, required=required)
        self._promises[name] = _Promise(period_s=period_s, due=self._clock.monotonic() + period_s)
        self._changed.set()

    def beat(self, name: str) -> None:
        """The loop ``name`` has come round. Raises `DefinitionError` for one that promised nothing."""
        promise = self._promises.get(name)
        if promise is None:
            raise DefinitionError(f"the loop {name!r} promised nothing{nearest(name, self._promises)}")
        promise.due = self._clock.monotonic() + promise.period_s
        if promise.missed or not promise.kept_once:
            if promise.missed:
                _log.info("the loop %s comes round again", name)
            self._board.set(name, Health.OK)
            self._changed.set()
        promise.kept_once, promise.missed = True, False

    def release(self, name: str, reason: str = "ended") -> None:
        """The loop ``name`` ends on purpose: nothing more is expected of it. Unknown names are ignored."""
        if self._promises.pop(name, None) is not None:
            self._board.set(name, Health.STOPPED, reason)

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            self._changed.clear()
            due = min((one.due for one in self._promises.values() if not one.missed), default=None)
            with suppress(TimeoutError):
                async with self._clock.timeout(None if due is None else max(0.0, due - self._clock.monotonic())):
                    await self._changed.wait()
            if due is not None and self._clock.monotonic() - due > HELD_UP_S:
                self._start_again(self._clock.monotonic() - due)
            await self._judge()

    async def _judge(self) -> None:
        now = self._clock.monotonic()
        late = [name for name, one in self._promises.items() if not one.missed and one.due <= now]
        for name in late:
            self._promises[name].missed = True
            self._board.set(name, Health.FAILED, f"has not come round within {self._promises[name].period_s:g} s")
        for name in late:
            await self._tell(name, f"the loop {name} has not come round within its promised period")

    async def _tell(self, name: str, message: str) -> None:
        _log.error("%s", message)
        try:
            await self._report(name, message)
        except Exception:  # noqa: BLE001 (the watcher watches on, whoever can't be told)
            _log.exception("a missed deadline could not be reported")

    def _start_again(self, held_up_s: float) -> None:
        _log.warning("the watcher of deadlines was held up for %.3g s: every loop gets a new period", held_up_s)
        now = self._clock.monotonic()
        for promise in self._promises.values():
            promise.due = max(promise.due, now + promise.period_s)
