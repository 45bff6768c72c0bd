"""Sizing, slicing and rounding: whole lots, nothing lost, no order above its limit."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.domain.bars import Instrument
from orchestration.domain.orders import Account, Position, Side
from orchestration.quant.rounding import money, significant, significant_or_none, to_tick, whole_lots
from orchestration.quant.sizing import MOST_ORDERS, Sizing, Trade, size, split_order
from orchestration.quant.slicing import split_quantity

NOW = datetime(2012, 12, 12, 15, tzinfo=UTC)
cents = st.decimals("0.01", "2000", places=2)


def share(symbol: str) -> Instrument:
    return Instrument(symbol=symbol, lot_size=Decimal(10) if symbol == "LOTS" else Decimal(1))


def account(cash: str = "100000", **held: tuple[int, str]) -> Account:
    positions = tuple(
        Position(symbol=s, quantity=Decimal(q), average_price=Decimal(p), price=Decimal(p))
        for s, (q, p) in sorted(held.items())
    )
    return Account(at=NOW, cash=Decimal(cash), positions=positions)


def sized(weights: dict[str, float], book: Account, price: str = "100", per_order: float = 1.0) -> Sizing:
    prices = dict.fromkeys(weights, Decimal(price))
    return size(weights, account=book, prices=prices, instrument=share, per_order=per_order)


def test_a_weight_becomes_whole_lots() -> None:
    found = sized({"A": 0.2505, "LOTS": 0.1255}, account())
    assert found.targets == {"A": Decimal(250), "LOTS": Decimal(120)}


def test_sells_go_before_buys() -> None:
    found = sized({"A": 0.3, "B": 0.0}, account(B=(200, "100")))
    assert [(t.symbol, t.side, t.quantity) for t in found.trades] == [
        ("B", Side.SELL, Decimal(200)),
        ("A", Side.BUY, Decimal(360)),
    ]


def test_a_small_trade_is_dropped_with_a_reason() -> None:
    found = sized({"A": 0.1001}, account("90000", A=(100, "100")))
    assert found.trades == ()
    assert sized({"A": 0.101}, account("90000", A=(100, "100"))).dropped[0].reason.endswith("not worth its costs")


def test_a_small_position_is_closed_all_the_same() -> None:
    assert [t.quantity for t in sized({"A": 0.0}, account(A=(1, "100"))).trades] == [Decimal(1)]


def test_what_is_not_named_is_left_alone() -> None:
    assert sized({"A": 0.0}, account(B=(500, "100"))).trades == ()


def test_what_open_orders_will_buy_is_not_bought_again() -> None:
    found = size(
        {"A": 0.3},
        account=account(),
        prices={"A": Decimal(100)},
        instrument=share,
        per_order=1.0,
        pending={"A": Decimal(300)},
    )
    assert found.trades == ()


def test_a_trade_above_the_order_limit_is_split() -> None:
    found = sized({"A": 0.25}, account(), per_order=0.1)
    assert [t.quantity for t in found.trades] == [Decimal(84), Decimal(83), Decimal(83)]


def test_less_than_a_lot_is_dropped_unless_it_reduces() -> None:
    trade = Trade(symbol="A", side=Side.BUY, quantity=Decimal(5), price=Decimal(100), reason="r")
    made, dropped = split_order(trade, share("A"), equity=Decimal(500), per_order=0.1, reducing=False)
    assert (made, len(dropped)) == ((), 1)
    made, dropped = split_order(trade, share("A"), equity=Decimal(0), per_order=0.1, reducing=True)
    assert ([t.quantity for t in made], dropped) == ([Decimal(5)], ())


def test_no_trade_becomes_more_than_twenty_orders() -> None:
    trade = Trade(symbol="A", side=Side.BUY, quantity=Decimal(100), price=Decimal(100), reason="r")
    made, dropped = split_order(trade, share("A"), equity=Decimal(10_000), per_order=0.01, reducing=False)
    assert (len(made), dropped[0].quantity) == (MOST_ORDERS, Decimal(80))
    made, dropped = split_order(trade, share("A"), equity=Decimal(10_000), per_order=0.01, reducing=True)
    assert (len(made), sum(t.quantity for t in made), dropped) == (MOST_ORDERS, Decimal(100), ())


def test_what_the_least_commission_would_eat_is_dropped_but_a_way_out_is_not() -> None:
    """A desk with 1000 lost half of it in six weeks to a dollar a slice."""
    book = account("950", A=(1, "50"))

    def towards(weight: float) -> Sizing:
        prices = {"A": Decimal(50)}
        return size({"A": weight}, account=book, prices=prices, instrument=share, per_order=1.0, least=Decimal(100))

    found = towards(0.1)
    assert (found.trades, len(found.dropped)) == ((), 1)
    assert "not worth its costs" in found.dropped[0].reason
    assert len(towards(0.0).trades) == 1


@given(st.floats(0, 1), cents, st.floats(0.06, 1))
def test_orders_stay_under_their_limit_and_reach_the_target(weight: float, price: Decimal, per_order: float) -> None:
    book = account("1000000")
    found = size({"A": weight}, account=book, prices={"A": price}, instrument=share, per_order=per_order, smallest=0.0)
    assert all(t.quantity * price <= book.equity * Decimal(repr(per_order)) for t in found.trades)
    assert sum((t.quantity for t in found.trades), Decimal(0)) == found.targets["A"]
    assert found.targets["A"] * price <= book.equity * Decimal(repr(weight))


@given(st.integers(1, 10_000), st.integers(1, 50), st.sampled_from(["1", "10", "0.001"]))
def test_slices_sum_to_the_whole_and_differ_by_a_lot(lots: int, slices: int, lot: str) -> None:
    size_of_lot = Decimal(lot)
    parts = split_quantity(lots * size_of_lot, slices, size_of_lot)
    assert sum(parts) == lots * size_of_lot
    assert len(parts) == min(lots, slices)
    assert all(part % size_of_lot == 0 for part in parts)
    assert parts[0] - parts[-1] in {Decimal(0), size_of_lot}
    assert list(parts) == sorted(parts, reverse=True)


def test_an_odd_piece_goes_with_the_last_slice() -> None:
    assert split_quantity(Decimal("5.5"), 2) == (Decimal(3), Decimal("2.5"))
    assert split_quantity(Decimal("0.5"), 2) == (Decimal("0.5"),)


@pytest.mark.parametrize(("quantity", "slices", "lot"), [("0", 1, "1"), ("1", 0, "1"), ("1", 1, "0")])
def test_nothing_cannot_be_sliced(quantity: str, slices: int, lot: str) -> None:
    with pytest.raises(ValueError, match="positive"):
        split_quantity(Decimal(quantity), slices, Decimal(lot))


def test_numbers_are_rounded_when_they_leave() -> None:
    assert money(Decimal("1.005")) == Decimal("1.00")
    assert money(2.675) == Decimal("2.68")
    assert to_tick(10.13, Decimal("0.05")) == Decimal("10.15")
    assert whole_lots(Decimal(-25), Decimal(10)) == Decimal(-20)
    assert significant(1.23456789012) == 1.23456789
    assert str(significant(-0.0)) == "0.0"
    assert (significant_or_none(float("nan")), significant_or_none(None), significant_or_none(0.5)) == (None, None, 0.5)
    with pytest.raises(ValueError, match="finite"):
        significant(float("inf"))
