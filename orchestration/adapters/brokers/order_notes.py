"""Keep a desk's record of its orders up to what its broker says."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from orchestration.adapters.brokers.order_entries import adopted, fill_noted, noted
from orchestration.adapters.brokers.order_record import KnownOrder, OrderRecord, describe
from orchestration.domain.errors import StoreUnavailableError
from orchestration.domain.orders import Fill, OrderState
from orchestration.ports.clock import Clock
from orchestration.ports.order_log import OrderEntry, OrderLog

_log = logging.getLogger(__name__)

MANUAL = "no order of this desk: traded by hand, by another program, or settled by the exchange"
EARLIER = "from before this record began"


class OrderNotes:
    """The record of ``log``, read on first use; ``report`` is told, in a sentence, what people should know."""

    def __init__(self, log: OrderLog, *, clock: Clock, report: Callable[[str], None]) -> None:
        self.report = report
        self._log = log
        self._clock = clock
        self._record: OrderRecord | None = None
        self._due: dict[tuple[str, str], OrderEntry] = {}
        """What the store has not taken yet; it is known to the record, and the broker knows it too."""
        self._told: set[str] = set()
        self._reading = asyncio.Lock()

    def report_once(self, subject: str, message: str) -> None:
        """Report ``message``, the first time that there is one about ``subject``."""
        if subject not in self._told:
            self._told.add(subject)
            self.report(message)

    async def record(self) -> OrderRecord:
        """What is known. Raises `StoreUnavailableError` as long as it could not be read."""
        if self._record is None:
            async with self._reading:
                if self._record is None:
                    self._record = OrderRecord(await self._log.entries())
        return self._record

    async def reread(self) -> OrderRecord:
        """What is known, with what other processes have noted meanwhile."""
        record = await self.record()
        for entry in await self._log.entries():
            record.apply(entry)
        return record

    async def keep(self, entry: OrderEntry) -> bool:
        """Keep ``entry`` and know it; ``False``: another process was first, and what it noted is known instead.

        Raises `StoreUnavailableError` when it could not be kept.
        """
        record = await self.record()
        if await self._log.append([entry]):
            await self.reread()
            return False
        record.apply(entry)
        return True

    async def note(self, entries: Iterable[OrderEntry] = ()) -> None:
        """Know ``entries`` and keep them; what the store does not take now is offered again with the next ones.

        Should it be lost with this process, it is found out again: the broker knows it.
        """
        record = await self.record()
        for entry in entries:
            if not record.knows(entry):
                self._due[entry.kind, entry.key] = entry
                record.apply(entry)
        if not self._due:
            return
        due = list(self._due.values())
        try:
            await self._log.append(due)
        except StoreUnavailableError as error:
            _log.warning("%d notes about orders are not kept yet: %s", len(due), error)
            return
        for entry in due:
            self._due.pop((entry.kind, entry.key), None)

    async def see(self, states: Iterable[OrderState]) -> bool:
        """Note what is new in ``states``; ``True``: some of them were filled further than the fills seen so far."""
        record = await self.record()
        news: list[OrderEntry] = []
        behind = False
        for state in states:
            known = record.orders.get(state.order.client_order_id)
            if known is None or not self._fits(known, state):
                continue
            behind = behind or state.filled_quantity > known.filled
            last = known.state
            if last is None or last.status is not state.status or last.filled_quantity != state.filled_quantity:
                news.append(noted(state, self._clock.now()))
        if news or self._due:
            await self.note(news)
        return behind

    async def see_fills(self, fills: Sequence[Fill]) -> None:
        """Note each fill that is new, once; adopt those that no order of ours explains."""
        record = await self.record()
        new = [fill for fill in fills if not self._seen(record, fill)]
        if not new:
            return
        if any(fill.client_order_id not in record.orders for fill in new):
            record = await self.reread()
        now = self._clock.now()
        strange = [fill for fill in new if not _ours(record, fill) and fill.fill_id not in record.fills]
        await self.note(fill_noted(fill, now, None if _ours(record, fill) else MANUAL) for fill in new)
        for fill in strange:
            what = f"{fill.side} {fill.quantity} {fill.symbol} at {fill.price}"
            self.report(f"adopted the fill {fill.fill_id} ({what}, order {fill.client_order_id}): {MANUAL}")
        for name in dict.fromkeys(fill.client_order_id for fill in new):
            known = record.orders.get(name)
            if known is not None and known.filled > known.order.quantity:
                self.report(f"order {describe(known.order)} was filled {known.filled}, more than was ordered")

    async def adopt(self, states: Iterable[OrderState]) -> None:
        """Take over the open orders among ``states`` that nobody here meant to send."""
        record = await self.record()
        strange = [s for s in states if s.status.open and s.order.client_order_id not in record.orders]
        await self.note(adopted(state, self._clock.now(), MANUAL) for state in strange)
        for state in strange:
            self.report(f"adopted the open order {describe(state.order)}: {MANUAL}")

    async def begin(self, states: Iterable[OrderState], fills: Iterable[Fill]) -> None:
        """Take over, without a word, what was at the broker before anything was noted here."""
        now = self._clock.now()
        orders = [adopted(state, now, EARLIER) for state in states if state.status.open]
        await self.note([*orders, *(fill_noted(fill, now, EARLIER) for fill in fills)])

    def _seen(self, record: OrderRecord, fill: Fill) -> bool:
        known = record.fills.get(fill.fill_id)
        if known is None:
            return False
        if known != fill:
            self.report_once(
                f"fill|{fill.fill_id}",
                f"the broker tells the fill {fill.fill_id} in two ways ({known.side} {known.quantity} {known.symbol} "
                f"at {known.price}, {fill.side} {fill.quantity} {fill.symbol} at {fill.price}): the first one counts",
            )
        return True

    def _fits(self, known: KnownOrder, state: OrderState) -> bool:
        if state.order == known.order:
            return True
        self.report_once(
            f"order|{known.order.client_order_id}",
            f"the broker has another order under our id {describe(known.order)}: it is {describe(state.order)}",
        )
        return False


def _ours(record: OrderRecord, fill: Fill) -> bool:
    known = record.orders.get(fill.client_order_id)
    return known is not None and known.ours
