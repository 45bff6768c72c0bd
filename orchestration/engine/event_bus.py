"""The event bus inside one process: every handler has a queue of its own, in order."""

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.json_value import PLAIN, copy_json
from orchestration.engine.public_events import iso
from orchestration.ports.clock import Clock
from orchestration.ports.event_bus import EventHandler, EventObserver

HANDLER_LIMIT_S = 5.0
"""How long one call of a handler may take, and how long `drain` waits in all."""

_log = logging.getLogger(__name__)


class InProcessEventBus:
    """Delivers events in tasks of its own; `close` ends them.

    A handler that raises or hangs is reported once, as a `SYSTEM_ALERT`, and goes on getting events.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._mailboxes: list[_Mailbox] = []
        self._observers: list[_Observer] = []

    def subscribe(self, event: OrchestrationEvent | None, handler: EventHandler) -> None:
        """Call ``handler(event, data)``, a function or a coroutine function, for ``event``; ``None``: for all."""
        if not callable(handler):
            raise TypeError(f"a handler is called with (event, data), and {handler!r} can't be called")
        if event is not None and not isinstance(event, OrchestrationEvent):
            raise TypeError(f"{event!r} is no event; register for a member of OrchestrationEvent, or None for all")
        self._mailboxes.append(_Mailbox(event, handler, self))

    def observe(self, observer: EventObserver) -> None:
        """Call ``observer(event, data)`` at once for every event: for parts of the service that only count or note.

        It must be quick and must not change ``data``, which everybody shares.
        """
        self._observers.append(_Observer(observer))

    def publish(self, event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
        """Put ``event`` into the mailbox of everybody who wants it, each with a copy of its own."""
        for observer in self._observers:
            try:
                observer.handler(event, data)
            except Exception as error:  # noqa: BLE001 (whatever it raises must not harm the run)
                self.report(observer, event, f"raised {error!r}")
        if not self._mailboxes:
            return
        nested = [key for key, value in data.items() if type(value) not in PLAIN]
        for mailbox in self._mailboxes:
            if mailbox.wants(event):
                copy = dict(data)
                for key in nested:
                    copy[key] = copy_json(copy[key])
                mailbox.put(event, copy)

    async def drain(self) -> None:
        """Return once what was published so far has been handled, or after `HANDLER_LIMIT_S` seconds.

        A handler that calls it does not wait for itself.
        """
        busy = [mailbox for mailbox in self._mailboxes if mailbox.worker in self._busy()]
        if not busy:
            return
        left, handled = len(busy), asyncio.get_running_loop().create_future()

        def one_more() -> None:
            nonlocal left
            left -= 1
            if not left and not handled.done():
                handled.set_result(None)

        for mailbox in busy:
            mailbox.mark(one_more)
        with suppress(TimeoutError):
            async with self._clock.timeout(HANDLER_LIMIT_S):
                await handled

    async def close(self) -> None:
        """Cancel the handlers that are still at work; what is left in the mailboxes is dropped, and logged.

        A handler that goes on all the same is left behind after `HANDLER_LIMIT_S` seconds.
        """
        stopping = self._busy()
        for mailbox in self._mailboxes:
            if mailbox.worker in stopping:
                mailbox.abandon()
        for worker in stopping:
            worker.cancel()
        if stopping:
            with suppress(TimeoutError):
                async with self._clock.timeout(HANDLER_LIMIT_S):
                    await asyncio.wait(stopping)

    def _busy(self) -> list[asyncio.Task[None]]:
        me = asyncio.current_task()
        return [m.worker for m in self._mailboxes if m.worker is not None and m.worker is not me]

    async def finish(self, mailbox: "_Mailbox", event: OrchestrationEvent, answer: Awaitable[object]) -> None:
        """Wait for what a handler returned, within its limit."""
        try:
            async with self._clock.timeout(HANDLER_LIMIT_S):
                try:
                    await answer
                except Exception as error:  # noqa: BLE001 (whatever a handler raises must not harm the run)
                    self.report(mailbox, event, f"raised {error!r}")
        except TimeoutError:
            self.report(mailbox, event, f"did not return within {HANDLER_LIMIT_S:g} s")
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            self.report(mailbox, event, "cancelled itself")

    def report(self, party: "_Mailbox | _Observer", event: OrchestrationEvent, fault: str) -> None:
        """Say that a handler is at fault: in the log, and the first time as an event."""
        name = getattr(party.handler, "__qualname__", None) or repr(party.handler)
        message = f"handler {name} {fault} on {event.value}"
        _log.warning("%s", message, exc_info=True)
        if not party.reported:
            party.reported = True
            alert = {"source": "event_bus", "message": message, "at": iso(self._clock.now())}
            self.publish(OrchestrationEvent.SYSTEM_ALERT, alert)


class _Observer:
    """Somebody who is called at once."""

    def __init__(self, handler: EventObserver) -> None:
        self.handler = handler
        self.reported = False


class _Mailbox:
    """One handler's queue; its worker lives while there is something in it."""

    def __init__(self, event: OrchestrationEvent | None, handler: EventHandler, bus: InProcessEventBus) -> None:
        self.handler = handler
        self.reported = False
        self.worker: asyncio.Task[None] | None = None
        self._event = event
        self._bus = bus
        self._waiting: deque[tuple[OrchestrationEvent, Mapping[str, Any]] | Callable[[], None]] = deque()

    def wants(self, event: OrchestrationEvent) -> bool:
        return self._event is None or self._event is event

    def put(self, event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
        self._waiting.append((event, data))
        if self.worker is None:
            self.worker = asyncio.get_running_loop().create_task(self._work())

    def mark(self, passed: Callable[[], None]) -> None:
        """Call ``passed`` once all that is in here has been handled or dropped."""
        self._waiting.append(passed)

    def abandon(self) -> None:
        """Forget the worker and what waits; the next event gets a new one."""
        marks = [one for one in self._waiting if callable(one)]
        _log.warning("handler %r is still at work: %s events dropped", self.handler, len(self._waiting) - len(marks))
        self._waiting.clear()
        for passed in marks:
            passed()
        self.worker = None

    async def _work(self) -> None:
        me = asyncio.current_task()
        try:
            while self._waiting and self.worker is me:
                first = self._waiting.popleft()
                if callable(first):
                    first()
                    continue
                event, data = first
                try:
                    answer = self.handler(event, data)
                except Exception as error:  # noqa: BLE001 (whatever a handler raises must not harm the run)
                    self._bus.report(self, event, f"raised {error!r}")
                    continue
                if answer is not None and inspect.isawaitable(answer):
                    await self._bus.finish(self, event, answer)
        finally:
            if self.worker is me:
                self.worker = None


def _is_cancelled() -> bool:
    """Whether somebody cancelled the current task, as opposed to a `CancelledError` that was merely raised in it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
