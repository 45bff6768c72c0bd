"""What a source of recorded prices gives, whatever it is read from."""

from datetime import date
from decimal import Decimal
from typing import Protocol

from orchestration.domain.bars import Bar, Tick
from orchestration.domain.session import Session


class PriceHistory(Protocol):
    """Recorded prices, all of them: whoever shows them to the desk hides what is still to come."""

    @property
    def description(self) -> str:
        """Where the prices come from and how they were treated, in words for people."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol, sorted."""

    def bars(self, symbol: str) -> tuple[Bar, ...]:
        """All daily bars of a known symbol, oldest first."""

    def ticks(self, symbol: str, session: Session) -> tuple[Tick, ...] | None:
        """The recorded prices inside ``session``; ``None`` where only daily bars are known."""

    def recorded_intraday(self, symbol: str) -> bool:
        """Whether ``symbol`` has recorded prices inside its days."""

    def tick_size(self, symbol: str) -> Decimal:
        """The step that all prices of ``symbol`` are multiples of."""


def enclosing_bar(
    *, symbol: str, on: date, open_: Decimal, high: Decimal, low: Decimal, close: Decimal, volume: int
) -> Bar:
    """A bar whose high and low enclose its open and close, also where rounding pushed one of them a tick outside."""
    return Bar(
        symbol=symbol,
        date=on,
        open=open_,
        high=max(high, open_, close),
        low=min(low, open_, close),
        close=close,
        volume=volume,
    )
