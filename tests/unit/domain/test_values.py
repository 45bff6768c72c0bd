"""Values are checked once, when they are made, and know a little about themselves."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from orchestration.domain.bars import Instrument, Right
from orchestration.domain.definition import AgentWork, HandlerWork, TaskDefinition, TypedWork, Work
from orchestration.domain.desk import Desk
from orchestration.domain.orders import Account, Fill, Order, OrderState, OrderStatus, OrderType, Position, Side
from orchestration.domain.restrictions import Restriction, RestrictionLevel, reduces, refusal
from orchestration.domain.session import Interval, Session

NOON = datetime(2012, 12, 12, 17, tzinfo=UTC)
HOUR = timedelta(hours=1)


def order(**values: Any) -> Order:
    return Order(**{"client_order_id": "o1", "symbol": "IBM", "side": Side.BUY, "quantity": Decimal(10), **values})


# -- sessions


def test_an_interval_holds_its_start_and_not_its_end() -> None:
    hour = Interval(starts_at=NOON, ends_at=NOON + HOUR)
    assert NOON in hour
    assert NOON + HOUR not in hour
    assert hour.length == HOUR


@pytest.mark.parametrize("length", [timedelta(0), -HOUR])
def test_an_interval_ends_after_it_starts(length: timedelta) -> None:
    with pytest.raises(ValueError, match="an interval ends after it starts"):
        Interval(starts_at=NOON, ends_at=NOON + length)


def test_a_session_is_open_from_the_open_to_the_close_but_for_its_breaks() -> None:
    lunch = Interval(starts_at=NOON + HOUR, ends_at=NOON + 2 * HOUR)
    session = Session(
        calendar="XTKS",
        date=date(2012, 12, 12),
        opens_at=NOON,
        closes_at=NOON + 4 * HOUR,
        timezone=ZoneInfo("Asia/Tokyo"),
        breaks=(lunch,),
    )
    hours = [-0.5, 0, 0.5, 1, 1.5, 2, 3.5, 4]
    assert [h for h in hours if session.is_open(NOON + h * HOUR)] == [0, 0.5, 2, 3.5]


# -- orders


def test_sides_have_signs() -> None:
    assert (Side.BUY.sign, Side.SELL.sign) == (1, -1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"client_order_id": ""}, "an order needs a client order id"),
        ({"quantity": Decimal(0)}, "quantity is 0; it is positive"),
        ({"quantity": Decimal(-1)}, "quantity is -1; it is positive"),
        ({"type": OrderType.LIMIT}, "a limit order with limit_price None: limit orders have one, others none"),
        ({"limit_price": Decimal(1)}, "a market order with limit_price 1"),
        ({"type": OrderType.STOP}, "a stop order with stop_price None: stop orders have one, others none"),
        ({"stop_price": Decimal(1)}, "a market order with stop_price 1"),
        ({"type": OrderType.LIMIT, "limit_price": Decimal(0)}, "limit_price is 0; prices are positive"),
        ({"type": OrderType.STOP, "stop_price": Decimal(-1)}, "stop_price is -1; prices are positive"),
    ],
)
def test_an_order_that_makes_no_sense_can_not_be_made(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        order(**values)


def test_orders_of_every_type_can_be_made() -> None:
    assert order().type is OrderType.MARKET
    assert order(type=OrderType.LIMIT, limit_price=Decimal("9.5")).limit_price == Decimal("9.5")
    assert order(type=OrderType.STOP, stop_price=Decimal("9.5")).stop_price == Decimal("9.5")


@pytest.mark.parametrize("status", list(OrderStatus))
def test_only_accepted_and_partially_filled_orders_can_still_fill(status: OrderStatus) -> None:
    assert status.open == (status in {OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED})


def test_what_remains_of_an_order_is_what_is_not_filled() -> None:
    state = OrderState(
        order=order(),
        status=OrderStatus.PARTIALLY_FILLED,
        submitted_at=NOON,
        updated_at=NOON,
        filled_quantity=Decimal(4),
    )
    assert state.remaining == Decimal(6)


def test_an_account_is_worth_its_cash_and_the_signed_value_of_its_positions() -> None:
    long = Position(symbol="IBM", quantity=Decimal(10), average_price=Decimal(90), price=Decimal(100))
    short = Position(
        symbol="ES", quantity=Decimal(-2), average_price=Decimal(5), price=Decimal(4), multiplier=Decimal(50)
    )
    account = Account(at=NOON, cash=Decimal(500), positions=(short, long))
    assert [long.value, short.value] == [Decimal(1000), Decimal(-400)]
    assert [account.equity, account.gross] == [Decimal(1100), Decimal(1400)]
    assert account.position("IBM") is long
    assert account.position("MSFT") is None
    assert Account(at=NOON, cash=Decimal(5), positions=()).equity == 5


def test_a_fill_is_a_value() -> None:
    values: dict[str, Any] = {
        "fill_id": "f1", "client_order_id": "o1", "symbol": "IBM", "side": Side.BUY, "quantity": Decimal(1),
        "price": Decimal(2), "commission": Decimal(1), "at": NOON,
    }  # fmt: skip
    assert Fill(**values) == Fill(**values)


# -- the desk


def test_what_the_desk_does_not_describe_is_a_plain_share() -> None:
    call = Instrument(symbol="IBM C", right=Right.CALL, strike=Decimal(200), multiplier=Decimal(100))
    desk = Desk(symbols=("IBM", "IBM C"), instruments={"IBM C": call})
    assert desk.instrument("IBM C") is call
    assert desk.instrument("IBM") == Instrument(symbol="IBM")
    assert desk.instrument("IBM").right is None


# -- restrictions


def restriction(**values: Any) -> Restriction:
    given = {"level": RestrictionLevel.NO_NEW_ORDERS, "starts_at": NOON, "ends_at": NOON + HOUR, "reason": "FOMC"}
    return Restriction(**{**given, **values})


def test_a_restriction_holds_from_its_start_until_just_before_its_end() -> None:
    window = restriction()
    moments = [NOON - timedelta(microseconds=1), NOON, NOON + HOUR - timedelta(microseconds=1), NOON + HOUR]
    assert [window.holds(moment) for moment in moments] == [False, True, True, False]


def test_a_restriction_of_some_names_holds_for_these_only() -> None:
    window = restriction(symbols=frozenset({"IBM"}))
    assert [window.holds(NOON, symbol) for symbol in ("IBM", "MSFT", None)] == [True, False, False]
    assert restriction().holds(NOON, "MSFT")


@pytest.mark.parametrize(
    ("side", "quantity", "held", "answer"),
    [
        (Side.SELL, 10, 10, True),
        (Side.SELL, 11, 10, False),
        (Side.BUY, 1, 10, False),
        (Side.BUY, 10, -10, True),
        (Side.BUY, 11, -10, False),
        (Side.SELL, 1, 0, False),
    ],
)
def test_an_order_reduces_when_it_goes_towards_zero_and_not_beyond(
    side: Side, quantity: int, held: int, *, answer: bool
) -> None:
    assert reduces(order(side=side, quantity=Decimal(quantity)), Decimal(held)) is answer


def test_what_opens_or_adds_is_refused_while_a_restriction_holds() -> None:
    windows = [restriction(symbols=frozenset({"MSFT"})), restriction()]
    assert refusal(order(), Decimal(0), windows, NOON) == "no_new_orders until 2012-12-12T18:00:00Z: FOMC"
    assert refusal(order(side=Side.SELL), Decimal(10), windows, NOON) is None
    assert refusal(order(), Decimal(0), windows, NOON + HOUR) is None


# -- definitions


@pytest.mark.parametrize(
    ("work", "agent", "kind"),
    [
        (AgentWork(agent="economist", task_type="outlook", data={}), "economist", "outlook"),
        (HandlerWork(handler="a.b.c", params={}), None, "a.b.c"),
        (TypedWork(type="http", config={}), None, "http"),
    ],
)
def test_a_task_says_who_does_what(work: Work, agent: str | None, kind: str) -> None:
    task = TaskDefinition(name="x", stage="s", work=work, timeout_s=1, max_retries=0)
    assert (task.agent, task.type) == (agent, kind)
