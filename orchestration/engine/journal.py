"""Make records durable in the order in which they come, in groups, and do what waits for that afterwards."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from orchestration.domain.errors import StoreUnavailableError
from orchestration.domain.records import Record
from orchestration.domain.retry import RetryStrategy
from orchestration.engine.breath import BREATH
from orchestration.ports.clock import Clock
from orchestration.ports.run_store import RunStore

MOST_AT_ONCE = 2_000
"""How many records, about, go into one commit: so long whoever comes next waits for it."""
BREATH_AFTER = 100
"""What waits for so many records is done in one round of the loop; fewer would make many small commits of it."""
ROOM = 20_000
"""How many records may wait for their commit before nothing more is decided."""
RETRIES = RetryStrategy(base_delay=0.1, max_delay=5.0)

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Entry:
    """Records that belong together. ``refuse`` is called when they were not kept, by those who would rather know.

    Nobody may know that: then they are kept together with those that ``withdraw`` them, once the store is back.
    """

    records: Sequence[Record]
    then: Callable[[], None]
    refuse: Callable[[Exception], None] | None = None
    withdraw: Sequence[Record] = ()


class Journal:
    """The only one in an engine that appends to ``store``.

    Whatever gathers while one commit is under way goes into the next. While the store is out, what was put is kept and
    tried again and again; ``on_trouble`` is told when that begins, and ``None`` when it is over. An error that waiting
    can't mend ends the journal, and ``on_end`` is told.
    """

    def __init__(
        self,
        store: RunStore,
        clock: Clock,
        *,
        on_trouble: Callable[[str | None], None],
        on_end: Callable[[Exception], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_trouble = on_trouble
        self._on_end = on_end
        self._entries: list[_Entry] = []
        self._waiting = 0
        self._worker: asyncio.Task[None] | None = None
        self._error: Exception | None = None
        self._idle = asyncio.Event()
        self.trouble: str | None = None
        """Why the store takes nothing, while it does not."""

    @property
    def full(self) -> bool:
        """Whether too much waits for its commit."""
        return self._waiting >= ROOM

    @property
    def busy(self) -> bool:
        """Whether anything waits for its commit."""
        return self._waiting > 0

    def put(self, records: Sequence[Record], then: Callable[[], None]) -> None:
        """Call ``then`` once ``records`` and all that was put before them are durable."""
        self._add(_Entry(records, then))

    async def keep(self, records: Sequence[Record], *, withdraw: Sequence[Record] = ()) -> None:
        """Return once ``records`` are durable.

        Raises `StoreUnavailableError` when they were not kept, at once while the store is out. Where the store was lost
        in the middle they may be there all the same, also for the next process: so ``withdraw``, which follow them and
        make them void, are kept later. The same happens when the call is cancelled.
        """
        if self.trouble is not None:
            raise StoreUnavailableError(f"nothing new is taken on while the store is out: {self.trouble}")
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def refuse(error: Exception) -> None:
            if not kept.done():
                kept.set_exception(error)

        entry = _Entry(records, lambda: None if kept.done() else kept.set_result(None), refuse, withdraw)
        self._add(entry)
        try:
            await kept
        except asyncio.CancelledError:
            if entry in self._entries:
                self._entries.remove(entry)
                self._waiting -= len(records)
            elif withdraw:
                self._add(_Entry([*records, *withdraw], _nothing))
            raise

    async def settled(self) -> None:
        """Return once nothing waits for its commit."""
        while self._worker is not None:
            self._idle.clear()
            await self._idle.wait()

    async def close(self, grace: timedelta) -> None:
        """Give what waits ``grace`` to be kept, and stop; what was not kept by then is dropped, and logged."""
        with suppress(TimeoutError):
            async with self._clock.timeout(grace.total_seconds()):
                await self.settled()
        worker = self._worker
        if worker is not None:
            _log.warning("%s records could not be kept before the end", self._waiting)
            worker.cancel()
            await asyncio.wait([worker])

    def _add(self, entry: _Entry) -> None:
        if self._error is not None:
            if entry.refuse is not None:
                entry.refuse(self._error)
            return
        self._entries.append(entry)
        self._waiting += len(entry.records)
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        batch: list[_Entry] = []
        try:
            while self._entries:
                batch = self._gather()
                batch = await self._commit(batch)
                followed = 0
                for entry in batch:
                    self._waiting -= len(entry.records)  # not before: until it is done, somebody is busy
                    entry.then()
                    followed += len(entry.records)
                    if followed >= BREATH_AFTER:
                        followed = 0
                        await BREATH
        except Exception as error:  # noqa: BLE001 (whoever waits must not wait for ever)
            self._error = error
            for entry in (*batch, *self._entries):
                if entry.refuse is not None:
                    entry.refuse(error)
            self._entries.clear()
            self._waiting = 0
            self._on_end(error)
        finally:
            self._worker = None
            self._idle.set()

    def _gather(self) -> list[_Entry]:
        entries, count = self._entries, 0
        for index, entry in enumerate(entries):
            count += len(entry.records)
            if count >= MOST_AT_ONCE:
                self._entries = entries[index + 1 :]
                return entries[: index + 1]
        self._entries = []
        return entries

    async def _commit(self, batch: list[_Entry]) -> list[_Entry]:
        """Append ``batch`` and return what of it was kept; those who would rather know are not kept waiting."""
        tries = 0
        while True:
            try:
                await self._store.append([record for entry in batch for record in entry.records])
            except StoreUnavailableError as error:
                doubtful = [entry for entry in batch if entry.withdraw]
                batch = self._refuse(batch, error)
                self._entries = self._refuse(self._entries, error)
                for entry in doubtful:
                    whole = [*entry.records, *entry.withdraw]
                    self._waiting += len(whole)
                    batch.append(_Entry(whole, _nothing))
                if not batch:
                    return batch  # who would rather know knows, and may ask again
                self._say(str(error))
                await self._pause(RETRIES.get_retry_delay(tries))
                tries += 1
            else:
                self._say(None)
                return batch

    def _refuse(self, entries: list[_Entry], error: StoreUnavailableError) -> list[_Entry]:
        """Tell those of ``entries`` who would rather know; return the others."""
        kept = []
        for entry in entries:
            if entry.refuse is None:
                kept.append(entry)
            else:
                entry.refuse(error)
                self._waiting -= len(entry.records)
        return kept

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with self._clock.timeout(seconds):
                await asyncio.Event().wait()

    def _say(self, trouble: str | None) -> None:
        if (trouble is None) != (self.trouble is None):
            self.trouble = trouble
            _log.warning("the store takes records again" if trouble is None else f"the store is out: {trouble}")
            self._on_trouble(trouble)
        self.trouble = trouble


def _nothing() -> None:
    """Nobody waits for it."""
