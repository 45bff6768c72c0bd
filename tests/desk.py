"""A simulated desk for tests: the parts that `belltower simulate` uses, without its report."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from orchestration.config import TradingConfig
from orchestration.domain.orders import Account, Fill, OrderState
from orchestration.domain.records import Record
from orchestration.engine.event_log import event_log_sha256
from orchestration.ports.trading_calendar import TradingCalendar
from orchestration.wiring import on_simulated_loop, open_desk_calendar, simulated_desk


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a simulated day came to."""

    result: dict[str, Any]
    records: Sequence[Record]
    orders: Sequence[OrderState]
    fills: Sequence[Fill]
    account: Account

    @property
    def event_log(self) -> str:
        return event_log_sha256(self.records)


@cache
def exchange(code: str) -> TradingCalendar:
    """The calendar of an exchange, built once a process."""
    return open_desk_calendar(TradingConfig(home=Path("/nonexistent"), calendar=code))


def run_day(home: Path, on: date, *, store: Path | None = None, seed: int = 1, code: str = "XNYS") -> Ran:
    """Simulate ``on`` with the settings of ``home``."""
    config = TradingConfig(home=home, calendar=code)
    start = datetime.combine(on - timedelta(days=1), time(), UTC)

    async def main() -> Ran:
        async with simulated_desk(config, exchange(code), start=start, seed=seed, store=store) as desk:
            plan = desk.daily.plan_day(on)
            if plan.span is not None:
                await desk.clock.sleep_until(plan.span.starts_at)
            result = await desk.daily.run_day(plan, desk.daily.surprises)
            records = await desk.run_store.records(result["execution_id"]) if "execution_id" in result else ()
            return Ran(
                result=result,
                records=records,
                orders=await desk.broker.orders(),
                fills=await desk.broker.fills(),
                account=await desk.broker.account(),
            )

    return on_simulated_loop(main)
