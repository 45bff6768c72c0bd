"""Stand-ins that tests set by hand."""

from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime


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

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        return nullcontext()

    async def quiet(self) -> None:
        return
