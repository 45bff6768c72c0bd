"""Write the report of each day that a running desk has ended, where it is in nobody's way."""

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from agents.report.contents import Report
from agents.report.day_record import EndedDay, account_before, record_day
from orchestration.domain.desk import Desk
from orchestration.domain.errors import FinalError
from orchestration.ports.broker import Broker
from orchestration.ports.market_data import MarketData

_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class DayReporter:
    """Writes into a folder of ``reports`` for each date, which replaces an older one of the same date.

    ``mode`` stands in the page's title and in the folder's name. ``last`` is the newest page, also one of an earlier
    process; ``None``: there is none.
    """

    reports: Path
    calendar: str
    timezone: ZoneInfo
    mode: str
    seed: int
    broker: Broker
    market: MarketData
    desk: Desk
    last: Path | None = field(init=False)

    def __post_init__(self) -> None:
        found = sorted(self.reports.glob(f"[0-9]*_{self._suffix}/report.html"))
        self.last = found[-1] if found else None

    async def write(self, day: EndedDay) -> Path:
        """Write the report of ``day`` and return its page. Raises `FinalError` when that fails."""
        before = await account_before(day, broker=self.broker, market=self.market, desk=self.desk)
        recorded = await record_day(day, before=before, broker=self.broker, market=self.market, desk=self.desk)
        report = Report(
            title=f"Trading day {day.date}",
            calendar=self.calendar,
            timezone=self.timezone,
            seed=self.seed,
            source=self.market.source,
            days=(recorded,),
            account_start=before,
            mode=self.mode,
            generated_note="Made by `belltower run` at the end of the day.",
            multipliers={name: item.multiplier for name, item in self.desk.instruments.items()},
        )
        folder = self.reports / f"{day.date}_{self._suffix}"
        try:
            # Drawing takes a second, and importing what draws takes several: the loop has bells to hear meanwhile.
            self.last = await asyncio.to_thread(_write, report, folder)
        except Exception as error:
            raise FinalError(f"the report of {day.date} could not be written to {folder}: {error}") from error
        _log.info("the report of %s: %s", day.date, self.last)
        return self.last

    @property
    def _suffix(self) -> str:
        return f"{self.calendar.replace('/', '-')}_{self.mode}"


def _write(report: Report, folder: Path) -> Path:
    from agents.report.write import write_report

    return write_report(report, folder)
