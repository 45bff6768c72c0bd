"""Bad requests and failures: each is a problem document that says what and how to mend it."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.domain.errors import FinalError, OrchestrationError
from tests.unit.api.fake_desk import FakeDesk

HALT = "/api/agentic/system/halt"
JSON = {"Content-Type": "application/json"}
RUN = f"/api/agentic/executions/{1:032x}"


def checked(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Return the problem, after a look at its form."""
    document: dict[str, Any] = answer.json()
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (document["type"], document["status"]) == ("about:blank", status)
    assert document["title"]
    assert document["detail"]
    return document


@pytest.mark.parametrize(
    ("body", "path", "detail"),
    [
        ({}, "body.reason", "field required"),
        ({"reason": ""}, "body.reason", "string should have at least 1 character"),
        ({"reason": " \n "}, "body.reason", "string should have at least 1 character"),
        ({"reason": "a\nb"}, "body.reason", "write it on one line, without control characters"),
        ({"reason": "a\x00"}, "body.reason", "write it on one line, without control characters"),
        ({"reason": "x" * 1001}, "body.reason", "string should have at most 1000 characters"),
        ({"reason": 5}, "body.reason", "input should be a valid string"),
        ({"reason": "x", "level": "no_new_order"}, "body.level", "halt level is 'no_new_order'; did you mean"),
        ({"reason": "x", "level": None}, "body.level", "halt level is 'None'; known: cancel_all, close_only"),
        ({"reason": "x", "by": ""}, "body.by", "string should have at least 1 character"),
        ({"reason": "x", "by": "ann\nhalt"}, "body.by", "write it on one line, without control characters"),
        ({"reason": "x", "by": "a" * 61}, "body.by", "string should have at most 60 characters"),
        ({"reason": "x", "lvel": "flatten"}, "body", "there is no field 'lvel'; did you mean 'level'?"),
    ],
)
async def test_a_wrong_field_is_named_with_its_path(
    http: httpx.AsyncClient, desk: FakeDesk, body: dict[str, object], path: str, detail: str
) -> None:
    document = checked(await http.post(HALT, json=body), 422)
    fault = document["errors"][0]
    assert (fault["path"], fault["detail"][: len(detail)]) == (path, detail)
    assert document["detail"] == f"{path}: {fault['detail']}"
    assert desk.held is None


async def test_every_fault_is_listed(http: httpx.AsyncClient) -> None:
    document = checked(await http.post(HALT, json={"reason": 5, "level": "all"}), 422)
    assert [fault["path"] for fault in document["errors"]] == ["body.level", "body.reason"]


@pytest.mark.parametrize(
    ("content", "status", "detail"),
    [
        (b"", 422, "body: field required"),
        (b"{nope", 422, "body: no JSON from character 1 on: Expecting property name"),
        (b"[1]", 422, "body: send a JSON object"),
        (b"null", 422, "body: send a JSON object"),
        (b'{"reason": "\\ud800"}', 422, "body.reason: input should be a valid string"),
        (b'{"\\ud800": 1}', 422, "body: there is no field '\\ud800'; known: by, level, reason"),
        (b"\xff\xfe{", 400, "body: send JSON in UTF-8"),
        (b"[" * 100_000, 400, "body: send JSON in UTF-8, nested less deeply"),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(
    http: httpx.AsyncClient, content: bytes, status: int, detail: str
) -> None:
    document = checked(await http.post(HALT, content=content, headers=JSON), status)
    assert document["detail"].startswith(detail)


async def test_a_body_of_another_kind_is_not_read_as_json(http: httpx.AsyncClient) -> None:
    for kind in ({}, {"Content-Type": "text/plain"}):
        document = checked(await http.post(HALT, content=b'{"reason": "x"}', headers=kind), 422)
        assert document["detail"] == "body: send a JSON object, with Content-Type: application/json"


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/api/agentic/plan?date=", "query.date: '' is no date; write it as YYYY-MM-DD, such as 2012-12-12"),
        ("/api/agentic/plan?date=2012-02-30", "query.date: '2012-02-30' is no date"),
        ("/api/agentic/plan?date=20121212", "query.date: '20121212' is no date"),
        ("/api/agentic/plan?date=1355270400", "query.date: '1355270400' is no date"),
        ("/api/agentic/plan?day=2012-12-12", "query: there is no field 'day'"),
        ("/api/agentic/plan?date=2040-01-01", "2040-01-01 is past the calendar's end"),
        ("/api/agentic/executions?limit=0", "query.limit: input should be greater than or equal to 1"),
        ("/api/agentic/executions?limit=1001", "query.limit: input should be less than or equal to 1000"),
        ("/api/agentic/executions?limit=many", "query.limit: input should be a valid integer"),
        ("/api/agentic/executions?limits=5", "query: there is no field 'limits'; did you mean 'limit'?"),
    ],
)
async def test_a_wrong_question_is_refused(http: httpx.AsyncClient, path: str, detail: str) -> None:
    assert checked(await http.get(path), 422)["detail"].startswith(detail)


@pytest.mark.parametrize(
    "ask",
    [
        lambda http: http.get("/api/agentic/executions/nope"),
        lambda http: http.get("/api/agentic/executions/nope/events"),
        lambda http: http.post("/api/agentic/executions/nope/cancel", json={"reason": "x"}),
    ],
)
async def test_an_unknown_id_is_not_found(http: httpx.AsyncClient, ask: Callable[[httpx.AsyncClient], Any]) -> None:
    assert checked(await ask(http), 404)["detail"].startswith("there is no run 'nope'")


async def test_an_unknown_route_says_where_the_list_is(http: httpx.AsyncClient) -> None:
    document = checked(await http.get("/api/agentic/nope"), 404)
    assert document["detail"] == "there is no GET /api/agentic/nope: /openapi.json lists what there is"


async def test_a_wrong_method_says_which_are_right(http: httpx.AsyncClient) -> None:
    answer = await http.get(HALT)
    assert checked(answer, 405)["detail"] == f"there is no GET {HALT}: it takes POST"
    assert answer.headers["allow"] == "POST"


async def test_a_store_that_is_held_asks_for_another_try(http: httpx.AsyncClient, desk: FakeDesk) -> None:
    desk.store_fails = True
    answer = await http.get("/api/agentic/executions")
    assert checked(answer, 503)["detail"] == "the store is held by another process: try again"
    assert answer.headers["retry-after"] == "5"


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (FinalError("the broker closed the account"), "the broker closed the account"),
        (OrchestrationError("odd"), "odd"),
        (ValueError("the inside of the inside"), "the service failed at this request: its log says how"),
    ],
)
async def test_a_failure_of_our_own_tells_only_what_was_meant_to_be_told(
    http: httpx.AsyncClient, desk: FakeDesk, monkeypatch: pytest.MonkeyPatch, error: Exception, detail: str
) -> None:
    def fail() -> Any:
        raise error

    monkeypatch.setattr(desk, "get_system_status", fail)
    assert checked(await http.get("/api/agentic/system/status"), 500)["detail"] == detail


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(st.characters(codec=None)), st.lists))
async def test_whatever_stands_in_the_fields_the_answer_is_a_halt_or_a_problem(
    http: httpx.AsyncClient, value: object
) -> None:
    for field in ("reason", "level", "other"):
        body = {"reason": "x", field: value}
        answer = await http.post(HALT, content=dumped(body), headers=JSON)
        assert answer.status_code in {200, 422}
        assert answer.json()


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()
