"""``desk.yaml`` of the home: what the desk trades, with how much money, under which limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeFloat, PositiveFloat

from orchestration.days.day_types import DayType
from orchestration.days.fomc import FomcWindows
from orchestration.domain.bars import Instrument, Right
from orchestration.domain.desk import Costs, Desk, RiskLimits, Weighting
from orchestration.domain.errors import DefinitionError, nearest
from workflows.desk_files.checked_file import checked, read_yaml

NAME = "desk.yaml"
FOLDERS = ("reports", "artifacts", "simulations", "days")

Money = Annotated[Decimal, BeforeValidator(lambda value: str(value) if isinstance(value, float) else value)]
Share = Annotated[float, Field(gt=0, le=10)]
TEMPLATE = """\
# What this desk trades, and within which limits. Every line may be left out: then it is as shown.

# Symbols, traded as shares. Left out: every symbol that has prices.
# symbols: [AAPL, GOOG, IBM, MSFT]

# The money that the account starts with.
cash: 1000000

# Limits as shares of the account's equity: 0.30 is 30 %.
limits:
  gross: 1.0        # all positions together
  per_name: 0.30    # one position
  per_order: 0.10   # one order
  daily_loss: 0.02  # from here on risk is reduced

# equal | inverse_volatility | risk_parity
weighting: inverse_volatility

# Whether positions may be negative.
short: false

# What trading costs (the paper broker's).
costs:
  slippage_bps: 1
  commission_per_unit: 0.005
  commission_minimum: 1.00
  participation: 0.10  # the share of the volume that our orders may be

# From which annualised 20-day volatility a day counts as high_volatility.
high_volatility: 0.40

# How long no new orders go out around the FOMC's statement, in minutes.
fomc:
  before_statement: 15
  after_statement: 15
  press_conference: 60  # from its start

# What changes on some kinds of day: the limits above are multiplied by limit_scale.
days:
  high_volatility: {limit_scale: 0.5}

# What is not a plain share, for instance an option:
# instruments:
#   AAPL121222C00550000: {underlying: AAPL, expires_on: 2012-12-21, strike: 550, right: call, multiplier: 100}
"""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Limits(_Strict):
    gross: Share = RiskLimits().gross
    per_name: Share = RiskLimits().per_name
    per_order: Share = RiskLimits().per_order
    daily_loss: Share = RiskLimits().daily_loss


class _Costs(_Strict):
    slippage_bps: Money = Costs().slippage_bps
    commission_per_unit: Money = Costs().commission_per_unit
    commission_minimum: Money = Costs().commission_minimum
    participation: Annotated[float, Field(gt=0, le=1)] = Costs().participation


class _Instrument(_Strict):
    expires_on: date | None = None
    strike: Money | None = None
    right: Right | None = None
    underlying: str | None = None
    multiplier: Money = Decimal(1)
    tick_size: Money = Decimal("0.01")
    lot_size: Money = Decimal(1)


class _FomcMinutes(_Strict):
    before_statement: NonNegativeFloat = 15
    after_statement: NonNegativeFloat = 15
    press_conference: NonNegativeFloat = 60


class _DayOverride(_Strict):
    limit_scale: Annotated[float, Field(ge=0.01, le=1)]


class _File(_Strict):
    symbols: Annotated[list[str], Field(min_length=1)] | None = None
    cash: Annotated[Money, Field(gt=0)] = Desk(symbols=()).cash
    limits: _Limits = _Limits()
    weighting: Weighting = Desk(symbols=()).weighting
    short: bool = False
    costs: _Costs = _Costs()
    high_volatility: PositiveFloat = Desk(symbols=()).high_volatility
    fomc: _FomcMinutes = _FomcMinutes()
    days: dict[DayType, _DayOverride] = {DayType.HIGH_VOLATILITY: _DayOverride(limit_scale=0.5)}
    instruments: dict[str, _Instrument] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskFile:
    """What ``desk.yaml`` says: the desk, the FOMC windows, and what multiplies the limits on some kinds of day."""

    desk: Desk
    fomc: FomcWindows
    limit_scales: Mapping[str, float]


def read_desk(
    home: Path | None, *, symbols: Sequence[str] | None = None, available: Sequence[str] | None = None
) -> DeskFile:
    """Read ``desk.yaml`` of ``home``, or take the defaults where there is none.

    ``symbols`` win over the file's; without both the desk trades every one of ``available``, the symbols that have
    prices (``None``: nobody knows). Raises `DefinitionError` for a symbol without prices, and for anything wrong in
    the file.
    """
    path = (home or Path()) / NAME
    file = checked(path, _File, read_yaml(path) if home is not None and path.exists() else None)
    chosen = tuple(dict.fromkeys(symbols or file.symbols or available or ()))
    named = [("" if symbols else f"{path}: symbols: ", symbol) for symbol in chosen]
    named += [(f"{path}: instruments: ", symbol) for symbol in file.instruments]
    for where, symbol in named:
        if available is not None and symbol not in available:
            raise DefinitionError(f"{where}{symbol!r} has no prices{nearest(symbol, available)}")
    desk = Desk(
        symbols=chosen,
        cash=file.cash,
        limits=RiskLimits(**file.limits.model_dump()),
        costs=Costs(**file.costs.model_dump()),
        weighting=file.weighting,
        high_volatility=file.high_volatility,
        short=file.short,
        instruments={name: Instrument(symbol=name, **row.model_dump()) for name, row in file.instruments.items()},
    )
    minutes = {name: timedelta(minutes=value) for name, value in file.fomc.model_dump().items()}
    scales = {str(day): override.limit_scale for day, override in {**_File().days, **file.days}.items()}
    return DeskFile(desk=desk, fomc=FomcWindows(**minutes), limit_scales=scales)


def init_home(home: Path) -> tuple[tuple[Path, bool], ...]:
    """Make ``home`` with its folders and ``desk.yaml``; return each path and whether it was made now.

    What is there stays as it is. Raises `DefinitionError` when it can't be written.
    """
    done = []
    try:
        for folder in (home, *(home / name for name in FOLDERS)):
            done.append((folder, not folder.is_dir()))
            folder.mkdir(parents=True, exist_ok=True)
        path = home / NAME
        done.append((path, not path.exists()))
        if not path.exists():
            path.write_text(TEMPLATE, encoding="utf-8")
    except OSError as error:
        raise DefinitionError(f"{home} can't be written to ({error.strerror}); choose a --home that can") from None
    return tuple(done)
