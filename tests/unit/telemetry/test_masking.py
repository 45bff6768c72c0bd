"""Secrets do not reach a log line, and what is no secret does."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.domain.states import RunStatus, TaskPriority
from orchestration.telemetry.masking import MASK, masked, masked_fields, masked_text


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "password",
        "db_passwd",
        "SECRET",
        "client_secret_id",
        "Authorization",
        "api_key",
        "apiKey",
        "API-KEY",
        "smtp_password",
        "accessToken",
        "private_key",
        "Set-Cookie",
        "credentials",
    ],
)
@pytest.mark.parametrize("value", ["hunter2", 1234, ["a", "b"], {"inner": "x"}, b"bytes"])
def test_fields_with_a_secret_name_are_masked_at_any_depth(name: str, value: object) -> None:
    assert masked_fields({name: value}) == {name: MASK}
    assert masked({"a": [{name: value}]}) == {"a": [{name: MASK}]}


def test_several_tokens_are_masked_and_their_number_is_not() -> None:
    assert masked_fields({"refresh_tokens": ["t-1"], "input_tokens": 512}) == {
        "refresh_tokens": MASK,
        "input_tokens": 512,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [("tokens", 512), ("input_tokens", 0), ("symbol", "AAPL"), ("password", None), ("has_token", True), ("keys", 3)],
)
def test_fields_that_tell_no_secret_stay(name: str, value: object) -> None:
    assert masked_fields({name: value}) == {name: value}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://desk:hunter2@db:5432/x failed", "postgresql://desk:***@db:5432/x failed"),
        ("https://:hunter2@host/", "https://:***@host/"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("authorization: Basic dXNlcjpw", "authorization: Basic ***"),
        ("header 'bearer abcdef'", "header 'bearer ***'"),
        ("GET /x?token=abc&symbol=AAPL", "GET /x?token=***&symbol=AAPL"),
        ('{"password": "hunter2", "user": "desk"}', '{"password": "***", "user": "desk"}'),
        ("api_key = k-1, next", "api_key = ***, next"),
        ("Config(api_key='k-1', n=2)", "Config(api_key='***', n=2)"),
    ],
)
def test_secrets_inside_text_are_masked(text: str, shown: str) -> None:
    assert masked_text(text) == shown


@pytest.mark.parametrize(
    "text",
    ["https://example.org:8000/a@b", "bought 10 AAPL at 12.50", "the token is old", "basic income", "a secret", "東京"],
)
def test_text_without_secrets_stays(text: str) -> None:
    assert masked_text(text) == text


class Settings:
    def __repr__(self) -> str:
        return "Settings(password='hunter2')"


def test_any_value_becomes_plain_json() -> None:
    moment = datetime(2012, 12, 12, 11, tzinfo=UTC)
    values = {
        "moment": moment,
        "day": date(2012, 12, 12),
        "took": timedelta(seconds=90),
        "price": Decimal("12.50"),
        "status": RunStatus.FAILED,
        "priority": TaskPriority.HIGH,
        "huge": 2**70,
        "half": "\ud800",
        "object": Settings(),
        "pair": (1, 2.5),
        "one": {3},
    }
    assert masked(values) == {
        "moment": "2012-12-12T11:00:00+00:00",
        "day": "2012-12-12",
        "took": "0:01:30",
        "price": "12.50",
        "status": "failed",
        "priority": 10,
        "huge": str(2**70),
        "half": "\\ud800",
        "object": "Settings(password='***')",
        "pair": [1, 2.5],
        "one": [3],
    }


@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_whatever_is_logged_can_be_written_as_json(value: object) -> None:
    orjson.dumps(masked(value))
