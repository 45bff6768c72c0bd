"""Stand-ins that tests set by hand."""

from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime

from orchestration.ports.clock import Waitable


class ManualClock:
    """A clock that stands where the test puts it; sleeping moves it."""

    def __init__(self, now: datetime = datetime(2012, 12, 12, 11, tzinfo=UTC)) -> None:
        self.moment = now

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    async def sleep_until(self, when: datetime) -> None:
        self.moment = max(self.moment, when)

    async def wait(self, wake: Waitable, until: datetime | None) -> None:
        if until is None:
            await wake.wait()
        else:
            self.moment = max(self.moment, until)

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        return nullcontext()

    async def quiet(self) -> None:
        return
