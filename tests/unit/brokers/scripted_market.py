"""A market whose prices a test writes down, and a paper broker on it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from orchestration.adapters.brokers.paper import PaperBroker
from orchestration.adapters.memory.ledger import MemoryLedger
from orchestration.domain.bars import Bar, Quote, Tick
from orchestration.domain.desk import Costs, Desk
from orchestration.domain.orders import Order, OrderType, Side
from orchestration.ports.ledger import Ledger
from tests.calendars import WeekdayCalendar
from tests.doubles import ManualClock

OPEN = datetime(2012, 12, 12, 14, 30, tzinfo=UTC)
CLOSE = datetime(2012, 12, 12, 21, tzinfo=UTC)
FREE = Costs(slippage_bps=Decimal(0), commission_per_unit=Decimal(0), commission_minimum=Decimal(0), participation=1.0)
"""Trading that costs nothing and takes all of a tick, for tests about something else."""


def minutes(count: float) -> datetime:
    """``count`` minutes after the open."""
    return OPEN + timedelta(minutes=count)


def path(*points: tuple[float, str, int]) -> tuple[Tick, ...]:
    """Ticks from (minutes after the open, price, volume)."""
    return tuple(Tick(at=minutes(at), price=Decimal(price), volume=volume) for at, price, volume in points)


class ScriptedMarket:
    """`MarketData` from written ticks; ``closes`` are daily closes by symbol and date."""

    source = "written by a test"

    def __init__(
        self,
        clock: ManualClock,
        ticks: Mapping[str, Sequence[Tick]],
        closes: Mapping[str, Mapping[date, str]] | None = None,
    ) -> None:
        self._clock = clock
        self._ticks = ticks
        self._closes = closes or {}
        self.failing = ""

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(sorted({*self._ticks, *self._closes}))

    def span(self, symbol: str) -> tuple[date, date]:
        return date(2012, 12, 12), date(2012, 12, 12)

    def has_prices(self, symbol: str, on: date) -> bool:
        return any(tick.at.date() == on for tick in self._ticks.get(symbol, ()))

    async def daily_bars(self, symbol: str, *, count: int, before: date | None = None) -> tuple[Bar, ...]:
        return self.daily_history(symbol, before=before or date.max, count=count)

    def daily_history(self, symbol: str, *, before: date, count: int) -> tuple[Bar, ...]:
        days = sorted(self._closes.get(symbol, {}).items())
        bars = [
            Bar(symbol=symbol, date=on, open=price, high=price, low=price, close=price, volume=1)
            for on, price in ((on, Decimal(close)) for on, close in days)
            if on < before
        ]
        return tuple(bars[-count:])

    async def ticks(self, symbol: str, *, after: datetime, until: datetime) -> tuple[Tick, ...]:
        if symbol == self.failing:
            raise ConnectionError("the market is away")
        last = min(until, self._clock.now())
        return tuple(tick for tick in self._ticks.get(symbol, ()) if after < tick.at <= last)

    async def quote(self, symbol: str) -> Quote | None:
        seen = [tick for tick in self._ticks.get(symbol, ()) if tick.at <= self._clock.now()]
        if not seen:
            return None
        return Quote(symbol=symbol, price=seen[-1].price, at=seen[-1].at, synthetic=False)


class Room:
    """A clock at the open, a market, a calendar, a ledger and a desk; `broker` opens the account on them."""

    def __init__(
        self,
        *points: tuple[float, str, int],
        desk: Desk | None = None,
        others: Mapping[str, Sequence[Tick]] | None = None,
        closes: Mapping[str, Mapping[date, str]] | None = None,
        calendar: WeekdayCalendar | None = None,
    ) -> None:
        self.clock = ManualClock(OPEN)
        self.market = ScriptedMarket(self.clock, {"AAPL": path(*points), **(others or {})}, closes)
        self.calendar = calendar or WeekdayCalendar()
        self.ledger: Ledger = MemoryLedger()
        self.desk = desk or Desk(symbols=("AAPL",), cash=Decimal(10_000), costs=FREE)

    async def broker(self) -> PaperBroker:
        return await PaperBroker.open(
            ledger=self.ledger,
            market_data=self.market,
            calendar=self.calendar,
            clock=self.clock,
            desk=self.desk,
        )

    def at(self, count: float) -> None:
        """Put the clock ``count`` minutes after the open."""
        self.clock.moment = minutes(count)


def order(
    name: str,
    side: Side = Side.BUY,
    quantity: int | str = 10,
    *,
    symbol: str = "AAPL",
    limit: str | None = None,
    stop: str | None = None,
) -> Order:
    """A market order, or a limit or stop order where one of the prices is given."""
    return Order(
        client_order_id=name,
        symbol=symbol,
        side=side,
        quantity=Decimal(quantity),
        type=OrderType.LIMIT if limit else OrderType.STOP if stop else OrderType.MARKET,
        limit_price=Decimal(limit) if limit else None,
        stop_price=Decimal(stop) if stop else None,
    )
