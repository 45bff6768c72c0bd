"""Prices, as far as they are known at the clock's moment: nothing here looks ahead."""

from datetime import date, datetime
from typing import Protocol

from orchestration.domain.bars import Bar, Quote, Tick


class MarketData(Protocol):
    """Where prices come from. Symbols that it does not have raise `DefinitionError`."""

    @property
    def source(self) -> str:
        """Where the prices come from and what about them is synthetic, in words for people; shown in every output."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol that it has, sorted."""

    def span(self, symbol: str) -> tuple[date, date]:
        """The first and the last date with a price of ``symbol``."""

    def has_prices(self, symbol: str, on: date) -> bool:
        """Whether ``symbol`` can be traded on the session ``on``: it is known and has a price for that date."""

    def daily_history(self, symbol: str, *, before: date, count: int) -> tuple[Bar, ...]:
        """The last ``count`` daily bars at hand of sessions dated before ``before``, oldest first; for planning."""

    async def daily_bars(self, symbol: str, *, count: int, before: date | None = None) -> tuple[Bar, ...]:
        """The last ``count`` daily bars, oldest first, of sessions that have closed by the clock's now.

        With ``before``, only sessions dated before it. Fewer are returned where fewer are known, also none.
        """

    async def ticks(self, symbol: str, *, after: datetime, until: datetime) -> tuple[Tick, ...]:
        """The prices made at ``after < at <= until``, oldest first, never later than the clock's now."""

    async def quote(self, symbol: str) -> Quote | None:
        """The last price made by the clock's now: a tick of today, else the previous close; ``None``: none is known."""
