"""Keep the parts up that the service can start again by itself."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from orchestration.domain.errors import ClaimLostError
from orchestration.domain.health import Health
from orchestration.domain.retry import RetryStrategy
from orchestration.ports.clock import Clock
from orchestration.telemetry.alerting import Report
from orchestration.telemetry.health_board import HealthBoard

RESTARTS = RetryStrategy(base_delay=1.0, max_delay=300.0)
"""How long a part that died waits before it is started again."""

_log = logging.getLogger(__name__)


async def keep_up(
    name: str, work: Callable[[], Awaitable[None]], *, clock: Clock, board: HealthBoard, report: Report
) -> None:
    """Run ``work`` for ever; when it dies, say so and start it again, each time a little later.

    Raises `ClaimLostError`: another process has the runs of this one, and to go on would be to work beside it.
    """
    deaths = 0
    while True:
        board.set(name, Health.OK)
        began = clock.monotonic()
        try:
            await work()
        except Exception as error:  # whatever else kills a part, the others go on
            if isinstance(first_error(error), ClaimLostError):
                raise
            deaths = 0 if clock.monotonic() - began > RESTARTS.max_delay else deaths
            delay = RESTARTS.get_retry_delay(deaths)
            deaths += 1
            said = repr(first_error(error))
            _log.exception("%s died and starts again in %g s", name, delay)
            board.set(name, Health.FAILED, f"died: {said}; starts again in {delay:g} s")
            await report(name, f"died and starts again in {delay:g} s: {said}")
            await pause(clock, delay)


async def pause(clock: Clock, seconds: float) -> None:
    """Wait by the monotonic clock: a wall clock that is set back must not hold a loop up."""
    with suppress(TimeoutError):
        async with clock.timeout(seconds):
            await asyncio.Event().wait()


def first_error(error: BaseException) -> BaseException:
    """Return the first error inside a group of groups, else ``error``."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
