"""Where people are told that something needs them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One message to people. ``source`` names the part it comes from, ``at`` (aware, UTC) is when it happened last.

    ``count`` is how many times it happened since the message before this one. Secrets are masked already.
    """

    source: str
    message: str
    at: datetime
    count: int = 1
    execution_id: str | None = None


class Alerts(Protocol):
    """A way to reach people. It may take its time: whoever has work to do hands alerts to a relay instead."""

    async def send(self, alert: Alert) -> None:
        """Return once ``alert`` has been taken by the other side.

        Raises `TransientError` when it could not be reached, all retries made, and `FinalError` when it refused. The
        messages of both may be shown and logged. Cancelling gives up.
        """
