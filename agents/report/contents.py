"""What a report is made of: plain values, complete before the first line is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from orchestration.domain.bars import Tick
from orchestration.domain.json_value import JsonObject
from orchestration.domain.orders import Account, Fill, OrderState

EquityPoint = tuple[datetime, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDay:
    """One day as it was planned and as it went.

    ``plan`` is the day of ``plan --json``, with ``restrictions`` (level, starts_at, ends_at, reason, symbols) and
    ``announcements`` (at, kind, details) beside; ``result`` is the run's. ``records`` are the journal's events as
    mappings (sequence, kind, at, stage, task, data). ``ticks`` are the drawn paths by symbol, ``equity`` the account's
    worth during the day, oldest first, ``account`` the account at its end.
    """

    plan: JsonObject
    result: JsonObject
    account: Account
    records: tuple[JsonObject, ...] = ()
    orders: tuple[OrderState, ...] = ()
    fills: tuple[Fill, ...] = ()
    ticks: Mapping[str, tuple[Tick, ...]] = field(default_factory=dict)
    equity: tuple[EquityPoint, ...] = ()
    event_log_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One day or a range of days of one desk.

    ``timezone`` is the exchange's, ``source`` says where the prices come from, ``generated_note`` how the page was
    made; ``mode`` is shown in the title. ``account_start`` is the account before the first day. ``multipliers`` names
    the symbols of which one unit stands for more than one of what is priced (options); the others count 1.
    """

    title: str
    calendar: str
    timezone: ZoneInfo
    seed: int
    source: str
    days: tuple[ReportDay, ...]
    account_start: Account
    mode: str = "simulated"
    generated_note: str = ""
    multipliers: Mapping[str, Decimal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.days:
            raise ValueError("a report needs at least one day")

    @property
    def trades(self) -> tuple[Fill, ...]:
        """All fills, oldest first."""
        return tuple(fill for day in self.days for fill in day.fills)

    @property
    def equity(self) -> tuple[EquityPoint, ...]:
        """The account's worth: during a single day, or before a range and at the end of each session."""
        if len(self.days) == 1 and self.days[0].equity:
            return self.days[0].equity
        return (
            (self.account_start.at, self.account_start.equity),
            *((day.account.at, day.account.equity) for day in self.days if day.plan.get("is_session") is not False),
        )

    def opening(self, index: int) -> Account:
        """The account before day number ``index``, counted from 0."""
        return self.days[index - 1].account if index else self.account_start

    def value(self, fill: Fill) -> Decimal:
        """The positive money that ``fill`` moved, commission not counted."""
        return fill.quantity * fill.price * self.multipliers.get(fill.symbol, Decimal(1))
