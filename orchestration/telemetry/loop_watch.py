"""Tell people when the event loop was blocked, and by what."""

import asyncio
import logging
from collections.abc import Callable

from orchestration.system.loop_watch import LoopProbe, Stall
from orchestration.telemetry.alerting import Report
from orchestration.telemetry.masking import masked_text

LIMIT_S = 1.0
SOURCE = "event_loop"

_log = logging.getLogger(__name__)


class LoopWatch:
    """Watches the loop that it is entered on, until it is left; never use it in a simulation, where time jumps.

    A loop that did not turn for more than ``limit_s`` seconds is reported, with the guilty stack, as soon as it turns
    again. ``on_lag`` gets every lag that was measured, in seconds.
    """

    def __init__(
        self, report: Report, *, limit_s: float = LIMIT_S, on_lag: Callable[[float], None] | None = None
    ) -> None:
        self._report = report
        self._on_lag = on_lag
        self._stalls: asyncio.Queue[Stall | None] = asyncio.Queue()
        self._probe = LoopProbe(limit_s=limit_s, on_lag=self._lagged, on_stall=self._stalls.put_nowait)
        self._teller: asyncio.Task[None] | None = None
        self.lag_s = 0.0
        """How long the loop took to answer when it was last asked."""

    async def __aenter__(self) -> "LoopWatch":
        self._teller = asyncio.get_running_loop().create_task(self._tell())
        self._probe.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._probe.stop()
        self._stalls.put_nowait(None)
        if self._teller is not None:
            await self._teller

    def _lagged(self, lag_s: float) -> None:
        self.lag_s = lag_s
        if self._on_lag is not None:
            self._on_lag(lag_s)

    async def _tell(self) -> None:
        while (stall := await self._stalls.get()) is not None:
            try:
                await self._report(SOURCE, words(stall))
            except Exception:  # noqa: BLE001 (the next stall is to be told all the same)
                _log.exception("a blocked event loop could not be reported")


def words(stall: Stall) -> str:
    """Return what happened, in one line, and the stack below it."""
    if stall.stack is None:
        return (
            f"the process stood still for {stall.lag_s:.3g} s: it was stopped, starved, "
            "or a library held the interpreter"
        )
    return f"the event loop was blocked for {stall.lag_s:.3g} s\n{masked_text(stall.stack)}"
