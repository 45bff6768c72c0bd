"""Before a process sends its first order: compare the desk's record with its broker, and halt where they differ."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from types import TracebackType
from typing import Self

from orchestration.adapters.brokers.halting import HaltSwitch
from orchestration.adapters.brokers.order_entries import state_accepted
from orchestration.adapters.brokers.order_record import OrderRecord, describe
from orchestration.adapters.brokers.recorded import RecordedBroker
from orchestration.domain.errors import OutcomeUnknownError, StoreUnavailableError, TransientError
from orchestration.domain.halts import AuditRow, HaltLevel
from orchestration.domain.orders import Account
from orchestration.ports.clock import Clock
from orchestration.ports.halt_store import HaltStore

_log = logging.getLogger(__name__)

BY = "reconciliation"
BEGINS = "the record of orders begins with what the broker holds"
LOOK_AGAIN = (timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=4))
"""The waits between the looks at a difference before it counts: a fill may be told later than the position it made."""
STEADY_LOOKS = 5
"""How often positions and fills are read again because something was filled in between."""
TRY_AGAIN = (timedelta(seconds=1), timedelta(seconds=5), timedelta(seconds=15), timedelta(minutes=1))
"""The waits between attempts to reach the broker for the first comparison; the last one is repeated."""
ASK_EVERY = timedelta(minutes=1)
"""How often orders whose outcome is unknown are asked about."""
_LEVELS = list(HaltLevel)
_AUDIT_ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What one look found that the record does not explain.

    ``missing`` is what has to be added to the record's positions, ``orders`` are ids of the record that the broker
    should know of and does not, or that nobody can tell about, each with the reason.
    """

    held: Mapping[str, Decimal]
    missing: Mapping[str, Decimal] = field(default_factory=dict)
    orders: Mapping[str, str] = field(default_factory=dict)

    @property
    def lines(self) -> list[str]:
        """Every difference in a few words, in a fixed order."""
        positions = [
            f"{symbol}: the broker holds {self.held.get(symbol, Decimal(0))}, our record says "
            f"{self.held.get(symbol, Decimal(0)) - quantity}"
            for symbol, quantity in self.missing.items()
        ]
        return [*positions, *self.orders.values()]

    @property
    def text(self) -> str:
        """All differences as the reason of a halt; empty where there are none."""
        return f"our record and the broker differ: {'; '.join(self.lines)}" if self.lines else ""


class BrokerReconciliation:
    """Lets ``broker`` send orders once it has been compared; to be used in ``async with``.

    Entering compares at once, and returns also where the broker could not be reached: then it is tried again in the
    background. Later the background asks about orders whose outcome is unknown. What the record does not explain halts
    new orders through ``switch``; the person who resumes accepts what the broker holds (`accept` is the switch's
    ``before_resume``). ``report`` is told what people should know.
    """

    def __init__(
        self,
        broker: RecordedBroker,
        *,
        switch: HaltSwitch,
        halts: HaltStore,
        clock: Clock,
        report: Callable[[str], None],
    ) -> None:
        self._broker = broker
        self._switch = switch
        self._halts = halts
        self._clock = clock
        self._report = report
        self._pending: Survey | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._tried()
        self._task = asyncio.create_task(self._run(), name="reconciliation with the broker")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    @property
    def differences(self) -> Sequence[str]:
        """What waits for a person to explain or accept it, in words."""
        return self._pending.lines if self._pending else ()

    async def compare(self) -> Sequence[str]:
        """Compare, halt on differences, and let orders through to the gate; return the differences.

        Raises `TransientError` or `OutcomeUnknownError` when broker or store could not be asked: no order goes out.
        """
        async with self._broker.standing_still():
            survey = await self._looked()
            resumed = await self._resumed_without_us(survey)
            if resumed:
                await self._take(survey, reason=resumed.reason, by=resumed.by)
        # Outside of the lock: carrying a halt out may cancel orders, and the gate waits for those under way.
        if survey.text and not resumed:
            await self._halt(survey)
        elif self._switch.current and self._switch.current.by == BY:
            self._report("our record and the broker agree again: resume when you have seen why they did not")
        self._broker.allow_orders()
        return self.differences

    async def accept(self, reason: str, by: str) -> None:
        """Take what the broker holds now as the truth, because ``by`` says so, if differences wait for that.

        Raises `TransientError` when the broker or the store could not be asked: nothing is accepted then.
        """
        holds = self._switch.current
        if self._pending is None and not (holds and holds.by == BY):
            return
        async with self._broker.standing_still():
            survey = await self._survey() if self._pending else Survey(held={})
            await self._take(survey, reason=reason, by=by)
        self._pending = None

    async def _run(self) -> None:
        tries = 0
        while True:
            wait = ASK_EVERY if self._broker.compared else TRY_AGAIN[min(tries, len(TRY_AGAIN) - 1)]
            await self._clock.sleep_until(self._clock.now() + wait)
            try:
                if self._broker.compared:
                    await self._broker.resolve_unknown()
                else:
                    await self._tried()
            except Exception as error:  # noqa: BLE001 (nobody else asks, so it must go on asking)
                _log.warning("the broker could not be asked about our orders", exc_info=True)
                self._report(f"the broker could not be asked about our orders: {error}")
            tries += 1

    async def _tried(self) -> None:
        try:
            await self.compare()
        except (TransientError, OutcomeUnknownError) as error:
            self._report(f"positions could not be compared with the broker, so no order is sent yet: {error}")

    async def _looked(self) -> Survey:
        """The differences that stay over some seconds; none where the record has only begun now."""
        record = await self._broker.notes.reread()
        if record.empty:
            await self._begin(record)
        survey = await self._survey()
        for wait in LOOK_AGAIN:
            if not survey.text:
                break
            await self._clock.sleep_until(self._clock.now() + wait)
            survey = await self._survey()
        return survey

    async def _begin(self, record: OrderRecord) -> None:
        broker = self._broker.inner
        await self._broker.notes.begin(await broker.orders(open_only=True), await broker.fills())
        held = _held(await broker.account())
        await self._keep(record, missing=record.missing(held), orders=(), reason=BEGINS, by=BY)

    async def _survey(self) -> Survey:
        """Take over what explains itself (late fills, manual trades), and return the rest."""
        broker, notes = self._broker.inner, self._broker.notes
        record = await notes.reread()
        await self._broker.ask_about_unknown()
        open_orders = await broker.orders(open_only=True)
        await notes.adopt(open_orders)
        await notes.see(open_orders)
        held = await self._steady()
        there = {state.order.client_order_id for state in open_orders}
        orders = {
            known.order.client_order_id: f"order {describe(known.order)}: whether the broker has it is not known"
            for known in record.unresolved()
        }
        for known in record.open():
            name = known.order.client_order_id
            if name in there:
                continue
            state = await broker.order(name)
            if state is None:
                orders[name] = f"order {describe(known.order)}: open by our record, and unknown to the broker"
            else:
                await notes.see([state])
        return Survey(held=held, missing=record.missing(held), orders=orders)

    async def _steady(self) -> dict[str, Decimal]:
        """The broker's positions, with all fills noted that made them."""
        broker = self._broker.inner
        held = _held(await broker.account())
        for _ in range(STEADY_LOOKS):
            await self._broker.notes.see_fills(await broker.fills())
            before, held = held, _held(await broker.account())
            if held == before:
                break
        return held

    async def _halt(self, survey: Survey) -> None:
        self._pending = survey
        holds = self._switch.current
        if holds and holds.by == BY and holds.reason.endswith(survey.text):
            self._report(f"the halt goes on: {survey.text}")
            return
        level, reason = HaltLevel.NO_NEW_ORDERS, survey.text
        if holds:  # whoever lifts theirs has to see ours, and ours makes theirs no milder
            level = max(holds.level, level, key=_LEVELS.index)
            reason = survey.text if holds.by == BY else f"{holds.reason} (by {holds.by}); {survey.text}"
        try:
            await self._switch.halt(level, reason, BY)
        except StoreUnavailableError as error:
            self._report(f"{error}")  # it holds all the same
        self._report(f"{reason}; explain or accept it: belltower resume --reason ...")

    async def _resumed_without_us(self, survey: Survey) -> AuditRow | None:
        """The row of whoever lifted our last halt while no desk ran, once, if it named the differences that are left.

        One that nobody noted as accepted must not count again, should the same differences ever come back.
        """
        if self._switch.current:
            return None
        accepted_at = (await self._broker.notes.record()).accepted_at
        resumed: AuditRow | None = None
        for row in await self._halts.audit(limit=_AUDIT_ROWS):  # the newest first
            if row.action == "resume":
                resumed = row
            elif row.by != BY or (accepted_at is not None and accepted_at >= row.at):
                return None
            else:
                return resumed if row.reason.endswith(survey.text) else None
        return None

    async def _take(self, survey: Survey, *, reason: str, by: str) -> None:
        record = await self._broker.notes.record()
        await self._keep(record, missing=survey.missing, orders=tuple(survey.orders), reason=reason, by=by)
        what = "; ".join(survey.lines) or "nothing was left to accept"
        self._report(f"accepted by {by} ({reason}): {what}")

    async def _keep(
        self, record: OrderRecord, *, missing: Mapping[str, Decimal], orders: Sequence[str], reason: str, by: str
    ) -> None:
        entry = state_accepted(
            by=by,
            reason=reason,
            at=self._clock.now(),
            number=record.acceptances + 1,
            positions=missing,
            orders=orders,
        )
        if not await self._broker.notes.keep(entry):
            raise TransientError("another process has just accepted what the broker holds: compare again")


def _held(account: Account) -> dict[str, Decimal]:
    return {position.symbol: position.quantity for position in account.positions}
