"""Build the six agents over the ports they work with."""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, cast
from zoneinfo import ZoneInfo

from agents.analytics_reporting import AnalyticsReporting
from agents.base import BaseAgent, Services
from agents.economist import Economist
from agents.junior_analyst import JuniorAnalyst
from agents.portfolio_manager import PortfolioManager
from agents.senior_analyst import SeniorAnalyst
from agents.trade_execution import TradeExecution
from orchestration.domain.desk import Desk
from orchestration.domain.errors import DefinitionError
from orchestration.ports.broker import Broker
from orchestration.ports.clock import Clock
from orchestration.ports.market_data import MarketData
from orchestration.system.clock import WallClock

AGENTS: tuple[type[BaseAgent], ...] = (
    JuniorAnalyst,
    SeniorAnalyst,
    Economist,
    PortfolioManager,
    TradeExecution,
    AnalyticsReporting,
)
NEW_YORK = ZoneInfo("America/New_York")


def from_plug_in(group: str) -> Callable[..., object]:
    """Return what the first entry point of ``group``, in order of name, loads.

    Raises `DefinitionError` when nothing is installed there.
    """
    found = sorted(entry_points(group=group), key=lambda point: point.name)
    if not found:
        raise DefinitionError(
            f"nothing is installed in the entry-point group {group!r}; install a plug-in or hand one over"
        )
    return cast("Callable[..., object]", found[0].load())


def build_agents(
    *,
    market_data: MarketData | None = None,
    broker: Broker | None = None,
    config: object = None,
    clock: Clock | None = None,
    desk: Desk | None = None,
    timezone: ZoneInfo | None = None,
) -> dict[str, BaseAgent]:
    """Return the six agents by name, sharing one set of services.

    What is not given comes from the plug-ins; the clock is the wall clock, the desk trades every symbol with prices,
    the zone is ``config.timezone`` where it is set, else New York.
    """
    clock = clock or WallClock()
    market = market_data or cast("MarketData", _open("belltower.market_data", clock=clock))
    desk = desk or Desk(symbols=market.symbols)
    services = Services(
        market_data=market,
        broker=broker or cast("Broker", _open("belltower.brokers", clock=clock, market_data=market, desk=desk)),
        clock=clock,
        desk=desk,
        timezone=timezone or _zone(config),
    )
    return {agent.name: agent(services) for agent in AGENTS}


def _open(group: str, **ports: Any) -> object:
    return from_plug_in(group)(**ports)


def _zone(config: object) -> ZoneInfo:
    name = getattr(config, "timezone", None)
    return ZoneInfo(name) if isinstance(name, str) and name else NEW_YORK
