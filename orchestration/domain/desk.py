"""The desk: what it trades, with how much money, under which limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from orchestration.domain.bars import Instrument


class Weighting(StrEnum):
    """How target weights are made from the names that were chosen."""

    EQUAL = "equal"
    INVERSE_VOLATILITY = "inverse_volatility"
    RISK_PARITY = "risk_parity"


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """Limits as shares of equity (0.25 is a quarter): gross exposure, one name, one order, the loss of one day."""

    gross: float = 1.0
    per_name: float = 0.30
    per_order: float = 0.10
    daily_loss: float = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What trading costs: slippage in basis points of the price, commission per unit with a minimum an order."""

    slippage_bps: Decimal = Decimal(1)
    commission_per_unit: Decimal = Decimal("0.005")
    commission_minimum: Decimal = Decimal("1.00")
    participation: float = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everything that ``desk.yaml`` says.

    ``high_volatility`` is the annualised volatility (0.40 is 40 %) from which a day counts as `high_volatility`.
    ``instruments`` describes the symbols that are not plain shares. ``short``: whether positions may be negative.
    """

    symbols: tuple[str, ...]
    cash: Decimal = Decimal(1_000_000)
    limits: RiskLimits = field(default_factory=RiskLimits)
    costs: Costs = field(default_factory=Costs)
    weighting: Weighting = Weighting.INVERSE_VOLATILITY
    high_volatility: float = 0.40
    short: bool = False
    instruments: Mapping[str, Instrument] = field(default_factory=dict)

    def instrument(self, symbol: str) -> Instrument:
        """What is traded under ``symbol``; a plain share unless the desk says otherwise."""
        return self.instruments.get(symbol) or Instrument(symbol=symbol)
