"""The lines of a desk's own record of its orders: their kinds, and what each holds.

Decimals and moments are written as strings. Kinds, keys and fields are stored: they are never renamed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from orchestration.adapters.brokers.entries import fill_data, number, optional, order_data, read_fill, text
from orchestration.domain.errors import DefinitionError
from orchestration.domain.json_value import JsonObject, JsonValue
from orchestration.domain.orders import Fill, Order, OrderState, OrderStatus
from orchestration.ports.order_log import OrderEntry

VERSION = 1
"""The form of the entries; an entry of another one is refused rather than misread."""


class OrderEntryKind(StrEnum):
    """What was noted."""

    ORDER_INTENDED = "order_intended"
    """An order is about to be sent, for the n-th time: nothing goes out before this is kept."""
    ORDER_NOTED = "order_noted"
    """The broker told where an order is."""
    ORDER_UNKNOWN = "order_unknown"
    """Whether the n-th sending came about could not be found out."""
    ORDER_ABSENT = "order_absent"
    """The broker never got the n-th sending."""
    ORDER_ADOPTED = "order_adopted"
    """An open order was found at the broker that nobody here meant to send."""
    FILL_NOTED = "fill_noted"
    """An order was filled, or a part of it; with a ``note`` it was nobody's order here."""
    STATE_ACCEPTED = "state_accepted"
    """What the broker holds was taken as the truth: by a person, or when the record began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whose order it is; ``run`` and ``task`` are ``None`` where no task of a run sent it."""

    run: str | None
    task: str | None
    leg: str


def origin_of(order: Order) -> Origin:
    """Read the origin off the order's id, which is ``run:task:symbol:leg`` where a task sends it.

    The name of a task may hold colons (``rebalance@15:35Z``), and so may a symbol.
    """
    head, between, leg = order.client_order_id.rpartition(f":{order.symbol}:")
    run, colon, task = head.partition(":")
    if between and colon and run and task and leg:
        return Origin(run=run, task=task, leg=f"{order.symbol}:{leg}")
    return Origin(run=None, task=None, leg=order.client_order_id)


def intended(order: Order, send: int, at: datetime) -> OrderEntry:
    """``order`` is about to be sent for the ``send``-th time, counted from 1."""
    origin = origin_of(order)
    data = {**order_data(order), "send": send, "run": origin.run, "task": origin.task, "leg": origin.leg}
    return _entry(OrderEntryKind.ORDER_INTENDED, f"{order.client_order_id}|{send}", at, data)


def noted(state: OrderState, at: datetime) -> OrderEntry:
    """The broker said this of an order."""
    name = state.order.client_order_id
    return _entry(OrderEntryKind.ORDER_NOTED, f"{name}|{state.status}|{state.filled_quantity}", at, _state_data(state))


def unknown(client_order_id: str, send: int, at: datetime, reason: str) -> OrderEntry:
    """What became of the ``send``-th sending is not known, and why."""
    data: JsonObject = {"client_order_id": client_order_id, "send": send, "reason": reason}
    return _entry(OrderEntryKind.ORDER_UNKNOWN, f"{client_order_id}|{send}", at, data)


def absent(client_order_id: str, send: int, at: datetime) -> OrderEntry:
    """The broker never got the ``send``-th sending."""
    data: JsonObject = {"client_order_id": client_order_id, "send": send}
    return _entry(OrderEntryKind.ORDER_ABSENT, f"{client_order_id}|{send}", at, data)


def adopted(state: OrderState, at: datetime, note: str) -> OrderEntry:
    """An order that nobody here meant to send is at the broker."""
    data = {**order_data(state.order), **_state_data(state), "note": note}
    return _entry(OrderEntryKind.ORDER_ADOPTED, state.order.client_order_id, at, data)


def fill_noted(fill: Fill, at: datetime, note: str | None = None) -> OrderEntry:
    """A fill was seen; ``note`` says how it comes to be there when no order of ours explains it."""
    data = {**fill_data(fill), "filled_at": written(fill.at), "note": note}
    return _entry(OrderEntryKind.FILL_NOTED, fill.fill_id, at, data)


def state_accepted(
    *, by: str, reason: str, at: datetime, number: int, positions: Mapping[str, Decimal], orders: Sequence[str]
) -> OrderEntry:
    """The broker's state is the truth: ``positions`` are added to the record's, ``orders`` are asked about no more.

    ``number`` counts these entries from 1.
    """
    data: dict[str, JsonValue] = {
        "by": by,
        "reason": reason,
        "positions": {symbol: str(quantity) for symbol, quantity in sorted(positions.items())},
        "orders": list(orders),
    }
    return _entry(OrderEntryKind.STATE_ACCEPTED, str(number), at, data)


def kind_of(entry: OrderEntry) -> OrderEntryKind:
    """The kind of ``entry``. Raises `DefinitionError` for a kind or a form that this version does not know."""
    if entry.data.get("version") != VERSION or entry.kind not in set(OrderEntryKind):
        raise DefinitionError(
            f"the record of orders holds {entry.kind} {entry.key} in an unknown form: "
            "another version of Belltower wrote it; use that one"
        )
    return OrderEntryKind(entry.kind)


def read_state(data: JsonObject, order: Order) -> OrderState:
    """What was noted of ``order``."""
    reason = data["reason"]
    return OrderState(
        order=order,
        status=OrderStatus(text(data, "status")),
        submitted_at=datetime.fromisoformat(text(data, "submitted_at")),
        updated_at=datetime.fromisoformat(text(data, "updated_at")),
        filled_quantity=number(data, "filled"),
        average_price=optional(data, "average_price"),
        reason=reason if isinstance(reason, str) else None,
    )


def read_noted_fill(data: JsonObject) -> Fill:
    """The fill of an entry."""
    return read_fill(data, datetime.fromisoformat(text(data, "filled_at")))


def written(moment: datetime) -> str:
    """A moment as text that sorts."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _state_data(state: OrderState) -> dict[str, JsonValue]:
    return {
        "client_order_id": state.order.client_order_id,
        "status": state.status.value,
        "filled": str(state.filled_quantity),
        "average_price": None if state.average_price is None else str(state.average_price),
        "reason": state.reason,
        "submitted_at": written(state.submitted_at),
        "updated_at": written(state.updated_at),
    }


def _entry(kind: OrderEntryKind, key: str, at: datetime, data: Mapping[str, JsonValue]) -> OrderEntry:
    return OrderEntry(kind=kind.value, key=key, at=at, data={"version": VERSION, **data})
