"""How those who want to know learn what happened."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from orchestration.domain.events import OrchestrationEvent

EventHandler = Callable[[OrchestrationEvent, Mapping[str, Any]], Awaitable[None] | None]
EventObserver = Callable[[OrchestrationEvent, Mapping[str, Any]], None]


class EventBus(Protocol):
    """Carries public events to handlers, in order; a handler never harms the sender or another handler."""

    def subscribe(self, event: OrchestrationEvent | None, handler: EventHandler) -> None:
        """Call ``handler(event, data)`` for every ``event``, ``None``: for all."""

    def publish(self, event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
        """Queue ``event`` for its handlers; never waits."""

    async def drain(self) -> None:
        """Return once everything published so far has been handled or given up on."""
