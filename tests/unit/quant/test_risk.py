"""Risk: exposures, the day's loss, breaches and how they end; expirations."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.domain.bars import Instrument, Right
from orchestration.domain.desk import RiskLimits
from orchestration.domain.orders import Account, Fill, Position, Side
from orchestration.quant.expirations import expiring, pin_risk
from orchestration.quant.risk import breaches, daily_loss, exposure, reducing_trades, scaled, start_of_day

NOW = datetime(2012, 12, 12, 15, tzinfo=UTC)
LIMITS = RiskLimits(gross=1.0, per_name=0.3, per_order=1.0, daily_loss=0.02)


def share(symbol: str) -> Instrument:
    return Instrument(symbol=symbol)


def account(cash: int, **quantities: int) -> Account:
    positions = tuple(
        Position(symbol=s, quantity=Decimal(q), average_price=Decimal(90), price=Decimal(100))
        for s, q in sorted(quantities.items())
    )
    return Account(at=NOW, cash=Decimal(cash), positions=positions)


def fill(side: Side, quantity: int, price: int, symbol: str = "A") -> Fill:
    return Fill(
        fill_id="f",
        client_order_id="o",
        symbol=symbol,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        commission=Decimal(1),
        at=NOW,
    )


def test_exposure_is_a_share_of_equity() -> None:
    found = exposure(account(5000, A=70, B=-20))
    assert found.weights == {"A": 0.7, "B": -0.2}
    assert (found.gross, found.net) == (0.9, 0.5)


def test_without_equity_there_are_no_shares() -> None:
    assert exposure(account(-5000, A=10)).weights == {"A": 0.0}
    assert daily_loss(Decimal(5), Decimal(0)) == 0.0


def test_the_day_began_before_its_fills_at_the_previous_closes() -> None:
    now = account(5000, A=50)
    start = start_of_day(
        now, [fill(Side.BUY, 20, 95), fill(Side.SELL, 5, 10, "B")], {"A": Decimal(90), "B": Decimal(8)}, share
    )
    assert start == Decimal(5000) + 20 * 95 + 1 - 5 * 10 + 1 + 30 * 90 + 5 * 8


def test_a_symbol_without_a_close_is_marked_at_its_average() -> None:
    assert start_of_day(account(0, A=10), [], {}, share) == Decimal(900)


def test_a_loss_is_positive() -> None:
    assert daily_loss(Decimal(98), Decimal(100)) == pytest.approx(0.02)


def test_scaling_makes_every_limit_smaller() -> None:
    half = scaled(LIMITS, 0.5)
    assert half == RiskLimits(gross=0.5, per_name=0.15, per_order=0.5, daily_loss=0.01)
    with pytest.raises(ValueError, match="limit_scale"):
        scaled(LIMITS, 0.0)


def test_a_limit_reached_is_kept_and_a_limit_passed_is_a_breach() -> None:
    assert breaches(account(7000, A=30), LIMITS, 0.02) == ()
    found = breaches(account(-2000, A=31, B=30, C=29, D=30), LIMITS, 0.03)
    assert [(b.limit, b.symbol) for b in found] == [("daily_loss", None), ("gross", None), ("per_name", "A")]
    assert str(found[2]) == "per_name of A is 31.00%, allowed 30.00%"


def test_no_breach_needs_no_trade() -> None:
    assert reducing_trades(account(7000, A=30), LIMITS, (), share) == ()


def test_after_the_daily_loss_everything_goes() -> None:
    book = account(5000, A=30, B=-10)
    trades = reducing_trades(book, LIMITS, breaches(book, LIMITS, 0.05), share)
    assert [(t.symbol, t.side, t.quantity) for t in trades] == [
        ("A", Side.SELL, Decimal(30)),
        ("B", Side.BUY, Decimal(10)),
    ]


def test_what_is_being_sold_is_not_sold_again() -> None:
    book = account(6000, A=40)
    found = breaches(book, LIMITS, 0.0)
    assert [t.quantity for t in reducing_trades(book, LIMITS, found, share)] == [Decimal(12)]
    assert reducing_trades(book, LIMITS, found, share, {"A": Decimal(-12)}) == ()


def test_an_account_without_equity_is_closed() -> None:
    book = account(-5000, A=40)
    found = breaches(book, LIMITS, 0.9)
    assert [t.quantity for t in reducing_trades(book, LIMITS, found, share)] == [Decimal(40)]


@given(st.integers(-5000, 20_000), st.lists(st.integers(-80, 80).filter(bool), min_size=1, max_size=4))
def test_reducing_trades_end_every_breach_and_only_reduce(cash: int, quantities: list[int]) -> None:
    book = account(cash, **dict(zip("ABCD", quantities, strict=False)))
    if book.equity <= 100:
        return
    found = breaches(book, LIMITS, 0.0)
    left = {p.symbol: p.quantity for p in book.positions}
    for trade in reducing_trades(book, LIMITS, found, share):
        before = left[trade.symbol]
        left[trade.symbol] = before + trade.side.sign * trade.quantity
        assert abs(left[trade.symbol]) < abs(before)
        assert left[trade.symbol] * before >= 0
    assert sum(abs(q) for q in left.values()) * 100 <= book.equity
    assert all(abs(q) * 100 <= book.equity * Decimal("0.3") for q in left.values()) or not found


OPTION = Instrument(
    symbol="A121221C500",
    expires_on=date(2012, 12, 21),
    strike=Decimal(500),
    right=Right.CALL,
    underlying="A",
    multiplier=Decimal(100),
)


def listed(symbol: str) -> Instrument:
    return OPTION if symbol == OPTION.symbol else share(symbol)


@pytest.mark.parametrize(("day", "found"), [(20, []), (21, [False]), (22, [True])])
def test_an_option_expires_on_its_date_and_is_overdue_after_it(day: int, found: list[bool]) -> None:
    book = account(0, **{"A": 10, OPTION.symbol: 2})
    assert [e.overdue for e in expiring(book.positions, listed, date(2012, 12, day))] == found


def test_the_start_of_a_day_counts_the_multiplier_of_what_was_closed_on_it() -> None:
    sold = fill(Side.SELL, 2, 10, OPTION.symbol)
    start = start_of_day(account(10_000 + 2 * 10 * 100 - 1), [sold], {OPTION.symbol: Decimal(12)}, listed)
    assert start == Decimal(10_000) + 2 * 12 * 100


def test_what_expires_between_two_sessions_is_traded_for_the_last_time_in_the_first() -> None:
    """Until 2015 monthly options expired on the Saturday after the third Friday."""
    book = account(0, **{OPTION.symbol: 2})
    found = expiring(book.positions, listed, date(2012, 12, 20), until=date(2012, 12, 23))
    assert [(e.overdue, e.expires_on) for e in found] == [(False, date(2012, 12, 21))]


@pytest.mark.parametrize(("price", "at_risk"), [("504.99", True), ("495", True), ("494", False)])
def test_pin_risk_is_nearness_to_the_strike(price: str, at_risk: bool) -> None:
    found = pin_risk(OPTION, Decimal(price))
    assert found is not None
    assert found.at_risk is at_risk


def test_shares_cannot_be_pinned() -> None:
    assert pin_risk(share("A"), Decimal(5)) is None
