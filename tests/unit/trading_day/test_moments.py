"""Moments and lengths as stage files write them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.domain.errors import DefinitionError
from workflows.trading_day.moments import Anchor, Moment, parse_length, parse_moment

CLOSE = datetime(2012, 12, 12, 21, tzinfo=UTC)


@given(anchor=st.sampled_from(Anchor), minutes=st.integers(0, 600), sign=st.sampled_from("+-"))
def test_a_moment_is_an_anchor_and_a_signed_length(anchor: Anchor, minutes: int, sign: str) -> None:
    offset = timedelta(minutes=minutes) * (1 if sign == "+" else -1)
    assert parse_moment(f"{anchor}{sign}{minutes}m") == Moment(anchor, offset)
    assert parse_moment(f" {anchor} {sign} {minutes}m ") == Moment(anchor, offset)


def test_an_anchor_alone_is_a_moment() -> None:
    assert parse_moment("restrictions_end") == Moment(Anchor.RESTRICTIONS_END, timedelta())


def test_a_moment_has_no_instant_on_a_day_without_its_anchor() -> None:
    assert parse_moment("close-30m").on({Anchor.CLOSE: CLOSE}) == CLOSE - timedelta(minutes=30)
    assert parse_moment("fomc_statement-45m").on({Anchor.CLOSE: CLOSE}) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("15:30", "is no moment; write an anchor and a length"),
        ("clsoe-30m", r"'clsoe' is no anchor; did you mean 'close'\?"),
        ("close-30", "'30' is no length"),
        ("close 30m", "is no moment"),
    ],
)
def test_what_is_no_moment_is_refused(text: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        parse_moment(text)


@pytest.mark.parametrize(("text", "minutes"), [("90m", 90), ("1h30m", 90), ("30s", 0.5), ("2h", 120)])
def test_a_length_is_a_sum_of_pieces(text: str, minutes: float) -> None:
    assert parse_length(text) == timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["0m", "0h0s", "", "5", "5 minutes", "-5m"])
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(DefinitionError, match="is no length"):
        parse_length(text)
