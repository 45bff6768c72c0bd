"""The guard: who comes in, who does not, and what those learn from it."""

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp, Message

from orchestration.api.guard import MOST_BODY_BYTES, OPEN_PATHS, Guard, limit_body
from orchestration.api.tokens import sha256_of
from tests.unit.api.conftest import METRICS_TOKEN, TOKEN

WRONG = {
    "none": None,
    "empty": "",
    "no token": "Bearer ",
    "wrong token": f"Bearer {'x' * 43}",
    "half a token": f"Bearer {TOKEN[:-1]}",
    "a longer token": f"Bearer {TOKEN}t",
    "another case": f"Bearer {TOKEN.upper()}",
    "no scheme": TOKEN,
    "another scheme": f"Basic {TOKEN}",
    "two tokens": f"Bearer {TOKEN} {TOKEN}",
    "the hash": f"Bearer {sha256_of(TOKEN)}",
    "the metrics token": f"Bearer {METRICS_TOKEN}",
}


async def guarded_operations(http: httpx.AsyncClient) -> list[tuple[str, str]]:
    """Every operation of the OpenAPI document that is not open."""
    paths: dict[str, dict[str, Any]] = (await http.get("/openapi.json")).json()["paths"]
    found = [(method.upper(), path) for path, methods in paths.items() for method in methods if path not in OPEN_PATHS]
    assert len(found) >= 9
    return [*found, ("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/nowhere"), ("GET", "/")]


async def test_no_route_opens_without_a_token(http: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    operations = await guarded_operations(http)
    answers = {(method, path): (await stranger.request(method, path)).status_code for method, path in operations}
    assert set(answers.values()) == {401}


@pytest.mark.parametrize("path", sorted(OPEN_PATHS))
async def test_the_two_open_paths_ask_for_nothing(stranger: httpx.AsyncClient, path: str) -> None:
    assert (await stranger.get(path)).status_code == 200


@pytest.mark.parametrize(
    "path", ["/health/live/", "//health/live", "/Health/live", "/health/live/x", "/health/live;x", "/x/../health/live"]
)
async def test_what_only_resembles_an_open_path_is_closed(app: ASGIApp, path: str) -> None:
    assert await status_of(app, {"path": path, "headers": []}) == 401


@pytest.mark.parametrize("path", ["/health/live/", "/health/ready/../components", "/health/live%2f..%2fcomponents"])
async def test_an_odd_spelling_never_reaches_another_route(stranger: httpx.AsyncClient, path: str) -> None:
    assert (await stranger.get(path)).status_code == 401


@pytest.mark.parametrize("header", WRONG.values(), ids=WRONG.keys())
async def test_whatever_is_wrong_the_answer_is_the_same(stranger: httpx.AsyncClient, header: str | None) -> None:
    answer = await stranger.get("/metrics2", headers={} if header is None else {"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="belltower"'
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.content == (await stranger.get("/api/agentic/plan")).content


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_may_be_written_in_any_case(stranger: httpx.AsyncClient, scheme: str) -> None:
    answer = await stranger.get("/health/components", headers={"Authorization": f"{scheme} {TOKEN}"})
    assert answer.status_code == 200


async def test_the_metrics_token_opens_the_metrics_and_nothing_else(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    stranger.headers["Authorization"] = f"Bearer {METRICS_TOKEN}"
    opened = [
        (method, path)
        for method, path in await guarded_operations(http)
        if (await stranger.request(method, path)).status_code != 401
    ]
    assert opened == [("GET", "/metrics")]


async def test_two_authorization_headers_are_refused_even_if_one_is_right(app: ASGIApp) -> None:
    right, wrong = (b"authorization", f"Bearer {TOKEN}".encode()), (b"authorization", b"Bearer x")
    assert await status_of(app, {"path": "/health/components", "headers": [right]}) == 200
    assert await status_of(app, {"path": "/health/components", "headers": [right, wrong]}) == 401
    assert await status_of(app, {"path": "/health/components", "headers": [wrong, right]}) == 401


@given(st.binary(max_size=80))
def test_nothing_but_the_token_comes_in(presented: bytes) -> None:
    guard = Guard([sha256_of(TOKEN)])
    scope = {"type": "http", "path": "/", "headers": [(b"authorization", b"Bearer " + presented)]}
    assert guard.admits(scope) == (presented.strip() == TOKEN.encode())


def test_a_guard_that_knows_no_token_admits_nobody() -> None:
    scope = {"type": "http", "path": "/metrics", "headers": [(b"authorization", b"Bearer ")]}
    assert not Guard([]).admits(scope)


@pytest.mark.parametrize("path", ["/ws", "/health/live", "/metrics"])
@pytest.mark.parametrize("headers", [[], [(b"authorization", f"Bearer {METRICS_TOKEN}".encode())]])
async def test_a_websocket_without_the_token_is_closed_before_it_is_accepted(
    app: ASGIApp, path: str, headers: list[tuple[bytes, bytes]]
) -> None:
    sent = await call(app, {"type": "websocket", "path": path, "headers": headers}, {"type": "websocket.connect"})
    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_a_websocket_with_the_token_reaches_the_application() -> None:
    reached = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["type"])

    headers = [(b"authorization", f"Bearer {TOKEN}".encode())]
    guarded = Guard([sha256_of(TOKEN)]).protect(limit_body(app))
    await call(guarded, {"type": "websocket", "path": "/ws", "headers": headers}, {"type": "websocket.connect"})
    await call(guarded, {"type": "lifespan"}, {"type": "lifespan.startup"})
    assert reached == ["websocket", "lifespan"]


async def test_a_body_of_the_most_bytes_is_read_and_one_more_is_not(http: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    path = "/api/agentic/system/resume"
    body = b'{"reason": "done"}'.ljust(MOST_BODY_BYTES)
    assert (await http.post(path, content=body, headers=headers)).status_code == 200
    answer = await http.post(path, content=body + b" ", headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    assert answer.json()["detail"] == "the body has more than 1000000 bytes: send less"


async def test_a_body_that_does_not_say_its_length_is_counted(http: httpx.AsyncClient) -> None:
    async def endless() -> Any:
        while True:
            yield b" " * 100_000

    headers = {"Content-Type": "application/json"}
    answer = await http.post("/api/agentic/system/resume", content=endless(), headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


async def test_an_absurd_length_is_too_large(app: ASGIApp) -> None:
    headers = [(b"authorization", f"Bearer {TOKEN}".encode()), (b"content-length", b"9" * 5000)]
    assert await status_of(app, {"method": "POST", "path": "/api/agentic/system/halt", "headers": headers}) == 413


async def call(app: ASGIApp, scope: dict[str, Any], message: Message) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return message

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


async def status_of(app: ASGIApp, scope: dict[str, Any]) -> int:
    whole = {"type": "http", "method": "GET", "query_string": b"", **scope}
    sent = await call(app, whole, {"type": "http.request", "body": b""})
    status: int = sent[0]["status"]
    return status
