"""Delete what is older than the desk wants to remember, once a day, when its work is done."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestration.domain.errors import OrchestrationError
from orchestration.domain.halts import AuditRow
from orchestration.engine.public_events import iso
from orchestration.ports.clock import Clock
from orchestration.ports.halt_store import HaltStore
from orchestration.ports.result_cache import ResultCache
from orchestration.ports.run_store import RunStore

LOOK_EVERY = timedelta(minutes=5)
"""How often is looked whether the desk is done; the part comes round at this pace."""
APART = timedelta(hours=12)
"""How far two clean-ups are apart at least."""
AT_LATEST = timedelta(hours=24)
"""After so long a desk that rests is cleaned up though no day has ended; one that never rests after twice as long."""
PRUNE = "prune"
"""What the audit calls it."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanedUp:
    """How many runs, with all their records, and how many expired results were deleted."""

    runs: int
    results: int


class History:
    """What is kept of the past. Every deletion is made in small pieces, by the stores; unfinished runs always stay."""

    def __init__(self, *, runs: RunStore, results: ResultCache, audit: HaltStore, clock: Clock) -> None:
        self._runs = runs
        self._results = results
        self._audit = audit
        self._clock = clock

    async def count(self, before: datetime) -> int:
        """How many runs `clean_up` would delete."""
        ended = [run.completed_at for run in await self._runs.runs(limit=_ALL) if run.status.ended]
        return sum(1 for at in ended if at is not None and at < before)

    async def clean_up(self, before: datetime | None, *, by: str) -> CleanedUp:
        """Delete the runs that ended before ``before`` (``None``: none) and the results that have expired.

        The numbers are logged, and added to the audit when anything was deleted.
        """
        now = self._clock.now()
        runs = 0 if before is None else await self._runs.prune(before)
        results = await self._results.prune(now)
        ended = "" if before is None else f" that ended before {iso(before)}"
        said = f"{runs} runs{ended} and {results} expired results were deleted"
        _log.info("%s", said)
        if runs or results:
            await self._audit.note(AuditRow(at=now, by=by, action=PRUNE, level=None, reason=said))
        return CleanedUp(runs=runs, results=results)


class DailyCleanUp:
    """Keeps ``history`` at ``days`` (0: for ever), run by run of the daemon.

    It cleans up when ``busy`` says that the desk has just finished its day, and no oftener than every `APART`.
    ``beat`` is called at least every `LOOK_EVERY`, but for the time that a clean-up takes.
    """

    def __init__(
        self, history: History, clock: Clock, *, days: int, busy: Callable[[], bool], beat: Callable[[], None]
    ) -> None:
        self._history = history
        self._clock = clock
        self._days = days
        self._busy = busy
        self._beat = beat

    async def run(self) -> None:
        """Go on until cancelled; a store that is out is a warning, and asked again at the next look."""
        since, done, wanted, was_busy = self._clock.now(), False, False, self._busy()
        while True:
            self._beat()
            busy, waited = self._busy(), self._clock.now() - since
            wanted |= was_busy and not busy and (not done or waited >= APART)
            if wanted or waited >= (2 * AT_LATEST if busy else AT_LATEST):
                try:
                    await self.clean_up()
                except OrchestrationError as error:
                    _log.warning("the history was not cleaned up, which is tried again: %s", error)
                    wanted = True
                else:
                    since, done, wanted = self._clock.now(), True, False
            was_busy = busy
            with suppress(TimeoutError):
                async with self._clock.timeout(LOOK_EVERY.total_seconds()):  # also when the wall clock is set back
                    await asyncio.Event().wait()

    async def clean_up(self) -> CleanedUp:
        """Do it now."""
        before = self._clock.now() - timedelta(days=self._days) if self._days else None
        return await self._history.clean_up(before, by="daemon")


_ALL = 1_000_000_000
