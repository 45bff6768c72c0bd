"""The rules behind the page: folding, wording, drawing, adding up."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.report import wording
from agents.report.charts import drawdowns, thin
from agents.report.drawing import TimeAxis
from agents.report.money_view import unsent_trades, weight_lines
from agents.report.tasks import latest_targets, task_lines
from agents.report.timeline import draw_timeline
from orchestration.domain.folding import base_name, fold
from orchestration.domain.json_reading import as_moment, as_number, as_object, as_objects, as_text, as_texts
from orchestration.domain.json_value import JsonObject, JsonValue
from orchestration.domain.orders import Account, Position

NOON = datetime(2012, 12, 12, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("amount", "text"),
    [("1234567.891", "1,234,567.89"), ("-0.004", "0.00"), ("-1234.5", "\u22121,234.50"), ("0", "0.00")],
)
def test_money_has_separators_cents_and_a_real_minus(amount: str, text: str) -> None:
    assert wording.money(Decimal(amount)) == text


def test_a_change_shows_its_sign_but_for_nothing() -> None:
    assert [wording.change(Decimal(a)) for a in ("2", "0.001", "-2")] == ["+2.00", "0.00", "\u22122.00"]
    assert [wording.percent_change(a) for a in (0.5, 0.0, -0.5)] == [
        "+50.00\u202f%",
        "0.00\u202f%",
        "\u221250.00\u202f%",
    ]


def test_quantities_have_no_idle_zeros() -> None:
    assert [wording.quantity(Decimal(q)) for q in ("1200", "0.50", "-3.0")] == ["1,200", "0.5", "\u22123"]


def test_times_show_seconds_only_where_there_are_any() -> None:
    zone = ZoneInfo("America/New_York")
    late = NOON + timedelta(seconds=5)
    assert (wording.local_time(NOON, zone), wording.local_time(late, zone)) == ("07:00", "07:00:05")
    assert (wording.utc_time(NOON), wording.utc_time(late)) == ("12:00Z", "12:00:05Z")
    assert wording.instant(NOON + timedelta(microseconds=7)) == "2012-12-12T12:00:00.000007Z"


def test_names_are_spoken_with_their_abbreviations() -> None:
    assert wording.spoken("fomc_preview") == "FOMC preview"
    assert wording.spoken("") == ""


@given(st.lists(st.decimals(min_value=1, max_value=10**7, places=2), min_size=1))
def test_a_drawdown_is_never_positive_and_nothing_at_a_new_high(values: list[Decimal]) -> None:
    falls = drawdowns(values)
    assert len(falls) == len(values)
    for index, fall in enumerate(falls):
        assert -1 < fall <= 0
        assert (fall == 0) == (values[index] == max(values[: index + 1]))


def test_an_account_worth_nothing_has_no_drawdown() -> None:
    assert drawdowns([Decimal(0), Decimal(0)]) == [0, 0]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=2000))
def test_thinning_keeps_the_ends_and_the_extremes(values: list[float]) -> None:
    points = [(float(index), value) for index, value in enumerate(values)]
    kept = thin(points, most=50)
    assert len(kept) <= 52
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert max(v for _, v in kept) == max(values)
    assert min(v for _, v in kept) == min(values)
    assert kept == sorted(kept)


@pytest.mark.parametrize(
    ("minutes", "rhythm"), [((0, 5, 10), "every 5 min, 3 times"), ((0, 60), "every 1 h, 2 times"), ((0,), "once")]
)
def test_occurrences_fold_into_their_rhythm(minutes: tuple[int, ...], rhythm: str) -> None:
    moments = [NOON + timedelta(minutes=m) for m in minutes]
    tasks: list[JsonObject] = [{"name": f"watch@{m:%H:%M}Z", "starts_at": m.isoformat()} for m in moments]
    (folded,) = fold(tasks)
    assert (folded.name, folded.rhythm) == ("watch", rhythm)


def test_seconds_and_undated_occurrences_fold_too() -> None:
    dated: list[JsonObject] = [{"name": f"w@12:00:{s}Z", "starts_at": f"2012-12-12T12:00:{s}Z"} for s in ("00", "30")]
    assert fold(dated)[0].rhythm == "every 30 s, 2 times"
    assert fold([{"name": "w@12:00Z"}, {"name": "w@12:05Z"}])[0].rhythm == "2 times"


def test_a_name_with_an_at_sign_is_no_occurrence() -> None:
    assert base_name("mail@desk") == "mail@desk"
    assert fold([{"name": "mail@desk"}])[0].rhythm == ""


@pytest.mark.parametrize(
    "targets",
    [{"A": 0.25}, {"A": {"weight": 0.25}}, {"A": {"target_weight": 0.25}}, [{"symbol": "A", "weight": 0.25}]],
)
def test_targets_are_read_in_each_of_their_forms(targets: JsonValue) -> None:
    tasks: JsonObject = {
        "early": {"status": "completed", "completed_at": "2012-12-12T12:00:00Z", "result": {"targets": {"B": 1}}},
        "late": {"status": "completed", "completed_at": "2012-12-12T13:00:00Z", "result": {"target_weights": targets}},
    }
    assert latest_targets(task_lines({}, {"tasks": tasks})) == {"A": 0.25}


def test_an_error_may_be_a_text_or_a_type_with_a_message() -> None:
    error: JsonObject = {"type": "TransientError", "message": "gone"}
    outcome: JsonObject = {"status": "failed", "error": error, "reason": None}
    (line,) = task_lines({}, {"tasks": {"a": outcome}})
    assert line.last.explanation == "TransientError: gone"


def test_weights_show_what_is_held_what_is_aimed_at_and_cash() -> None:
    held = Position(symbol="A", quantity=Decimal(-10), average_price=Decimal(5), price=Decimal(5))
    account = Account(at=NOON, cash=Decimal(150), positions=(held,))
    lines = {line.symbol: line for line in weight_lines(account, {"A": 0.0, "B": 0.5})}
    assert list(lines) == ["A", "B", "cash"]
    assert (lines["A"].weight, lines["B"].weight, lines["cash"].weight) == (-0.5, 0.0, 1.5)
    assert (lines["B"].target, lines["cash"].target) == (0.5, 0.5)
    assert lines["cash"].bar == 100


def test_a_trade_that_the_broker_rejected_is_no_trade_that_was_not_sent() -> None:
    dropped: JsonObject = {"symbol": "A", "side": "buy", "quantity": "3", "reason": "too small"}
    rejected: JsonObject = {"symbol": "B", "side": "buy", "status": "rejected", "reason": "halted"}
    tasks: JsonObject = {
        f"size@12:{minute}Z": {"status": "completed", "result": {"dropped": [dropped], "refused": [rejected]}}
        for minute in ("00", "05")
    }
    (unsent,) = unsent_trades(task_lines({}, {"tasks": tasks}))
    assert (unsent.symbol, unsent.task, unsent.count, unsent.reason) == ("A", "size", 2, "too small")


def test_weights_of_nothing_are_none() -> None:
    assert weight_lines(Account(at=NOON, cash=Decimal(0), positions=()), {}) == ()


def test_a_day_without_times_has_no_timeline() -> None:
    assert draw_timeline({}, task_lines({}, {"tasks": {"a": {"status": "skipped"}}}), ZoneInfo("UTC"), "x") == ""


def test_the_timeline_passes_over_what_has_no_time_or_no_mark() -> None:
    noon, one, two, three = (f"2012-12-12T{hour}:00Z" for hour in (12, 13, 14, 15))
    dated: JsonObject = {"name": "x", "starts_at": noon, "ends_at": one, "tasks": [{"name": "never"}]}
    plan: JsonObject = {
        "stages": [{"name": "undated", "tasks": []}, dated],
        "announcements": [{"at": noon, "kind": "expiration"}, {"at": None, "kind": "open"}],
        "restrictions": [{"starts_at": two, "ends_at": three, "level": "no_new_orders"}],
    }
    drawing = draw_timeline(plan, task_lines(plan, {}), ZoneInfo("UTC"), "x")
    assert "Never" in drawing
    assert "No new orders" not in drawing


def test_a_time_axis_of_no_length_is_a_minute_long() -> None:
    axis = TimeAxis(NOON, NOON, ZoneInfo("UTC"))
    assert axis.end == NOON + timedelta(minutes=1)
    assert axis.within(NOON + timedelta(hours=5)) == axis.at(axis.end)


@pytest.mark.parametrize("odd", [None, True, [], {}, "text", 3, "2012-99-99"])
def test_reading_json_for_show_never_fails(odd: JsonValue) -> None:
    as_text(odd), as_number(odd), as_object(odd), as_objects(odd), as_texts(odd), as_moment(odd)  # no raise


def test_a_moment_without_an_offset_is_utc() -> None:
    assert as_moment("2012-12-12T12:00:00") == as_moment("2012-12-12T13:00:00+01:00") == NOON
