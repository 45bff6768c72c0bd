"""Alerts reach a real HTTP server, which may fail, hang, or ask for patience; its address stays a secret."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from orchestration.adapters.alerts.webhook import (
    ATTEMPT_LIMIT_S,
    ATTEMPTS,
    LONGEST_TEXT,
    WebhookAlerts,
    slack_message,
)
from orchestration.domain.errors import DefinitionError, FinalError, TransientError
from orchestration.ports.alerts import Alert
from orchestration.ports.clock import Waitable

UNTOLD = "T0123-secret-path"
AT = datetime(2012, 12, 12, 19, 30, tzinfo=UTC)
ALERT = Alert(source="store", message="the disk is full", at=AT)
Response = str | None
ENDLESS = 10**12


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


class HastyClock:
    """Notes sleeps instead of sleeping; a limit runs out when the server says so."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.limits: list[float | None] = []
        self.limit: asyncio.Timeout | None = None

    def now(self) -> datetime:
        return AT

    def monotonic(self) -> float:
        return 0.0

    async def sleep_until(self, when: datetime) -> None:
        self.slept.append((when - AT) / timedelta(seconds=1))

    async def wait(self, wake: Waitable, until: datetime | None) -> None:
        await wake.wait()

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        self.limits.append(seconds)
        self.limit = asyncio.timeout(seconds)
        return self.limit

    def run_out(self) -> None:
        assert self.limit is not None
        self.limit.reschedule(asyncio.get_running_loop().time())

    async def quiet(self) -> None:
        return


class Server:
    """Answers each request with the next of ``script``, the last one again and again; ``None`` hangs."""

    def __init__(self, clock: HastyClock, *script: Response) -> None:
        self.clock = clock
        self.script = list(script)
        self.bodies: list[Any] = []
        self.heads: list[str] = []
        self.serving: list[asyncio.Task[Any]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.serving.append(task)
        try:
            await self.answer(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(line.split(":")[1]) for line in head.lower().splitlines() if "content-length" in line)
        self.heads.append(head)
        self.bodies.append(json.loads(await reader.readexactly(length)))
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if answer is None:
            self.clock.run_out()
            await reader.read()  # until the other side gives up
        else:
            length = ENDLESS if answer == "200 Endless" else 2
            writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: {length}\r\n\r\nok".encode())
            await writer.drain()


@asynccontextmanager
async def open_server(*script: Response) -> AsyncIterator[tuple[Server, HastyClock, WebhookAlerts]]:
    clock = HastyClock()
    server = Server(clock, *script)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        async with WebhookAlerts(f"http://127.0.0.1:{port}/{UNTOLD}", clock=clock, mode="paper") as alerts:
            yield server, clock, alerts
        await asyncio.gather(*server.serving, return_exceptions=True)


async def test_an_alert_is_posted_as_slack_takes_it() -> None:
    async with open_server("200 OK") as (server, clock, alerts):
        await alerts.send(ALERT)
    assert server.heads[0].startswith(f"POST /{UNTOLD} HTTP/1.1\r\n")
    assert "content-type: application/json" in server.heads[0].lower()
    assert server.bodies == [
        {
            "text": "Belltower (paper) store: the disk is full",
            "blocks": [
                {"type": "section", "text": {"type": "mrkdwn", "text": "*store*: the disk is full"}},
                {"type": "context", "elements": [{"type": "mrkdwn", "text": "mode paper · 2012-12-12T19:30:00Z"}]},
            ],
        }
    ]
    assert clock.slept == []


async def test_a_server_that_fails_once_is_tried_again() -> None:
    async with open_server("500 Internal Server Error", "200 OK") as (server, clock, alerts):
        await alerts.send(ALERT)
    assert len(server.bodies) == 2
    assert server.bodies[0] == server.bodies[1]
    assert clock.slept == [1]


async def test_a_server_that_goes_on_failing_is_given_up_after_growing_waits() -> None:
    async with open_server("503 Service Unavailable") as (server, clock, alerts):
        with pytest.raises(TransientError, match="the alert webhook answered 503"):
            await alerts.send(ALERT)
    assert len(server.bodies) == ATTEMPTS
    assert clock.slept == [1, 2, 4, 8]


async def test_a_hanging_server_is_given_up_at_the_limit_and_tried_again() -> None:
    async with open_server(None, "200 OK") as (server, clock, alerts):
        await alerts.send(ALERT)
    assert len(server.bodies) == 2
    assert clock.limits == [ATTEMPT_LIMIT_S] * 2


async def test_a_server_that_always_hangs_ends_as_an_error() -> None:
    async with open_server(None) as (_, _, alerts):
        with pytest.raises(TransientError, match="did not answer within 10 s"):
            await alerts.send(ALERT)


@pytest.mark.parametrize(
    ("asked", "waited"), [("30", 30), ("7200", 60), ("Wed, 21 Oct 2026 07:28:00 GMT", 1), ("-4", 1)]
)
async def test_a_server_that_asks_for_patience_gets_it_up_to_a_minute(asked: str, waited: float) -> None:
    async with open_server(f"429 Too Many Requests\r\nRetry-After: {asked}", "200 OK") as (_, clock, alerts):
        await alerts.send(ALERT)
    assert clock.slept == [waited]


@pytest.mark.parametrize("answer", ["404 Not Found", "302 Found\r\nLocation: http://127.0.0.1:9/", "400 Bad Request"])
async def test_a_refusal_is_final(answer: str) -> None:
    async with open_server(answer) as (server, _, alerts):
        with pytest.raises(FinalError, match="see whether ALERT_WEBHOOK_URL is still right"):
            await alerts.send(ALERT)
    assert len(server.bodies) == 1


async def test_nobody_there_is_worth_more_attempts_and_no_text_has_the_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with open_server("200 OK") as (server, clock, alerts):
        await alerts.send(ALERT)
        server.script = ["500 No"]
        with pytest.raises(TransientError) as refused:
            await alerts.send(ALERT)
    unused = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = unused.sockets[0].getsockname()[1]
    unused.close()
    await unused.wait_closed()
    async with WebhookAlerts(f"http://127.0.0.1:{port}/{UNTOLD}", clock=clock, mode="paper") as alerts:
        with pytest.raises(TransientError, match=r"could not be reached \(ConnectError\)") as unreached:
            await alerts.send(ALERT)
    assert UNTOLD not in caplog.text
    assert UNTOLD not in f"{refused.value}{refused.value.__cause__}{unreached.value}{unreached.value.__cause__}"


async def test_other_requests_of_the_process_are_logged_as_ever(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with open_server("200 OK") as (_, _, alerts):
        logging.getLogger("httpx").info("HTTP Request: GET https://example.org/")
        assert alerts is not None
    assert "https://example.org/" in caplog.text
    assert logging.getLogger("httpx").filters == []


async def test_an_endless_answer_is_not_read() -> None:
    async with open_server("200 Endless") as (server, clock, alerts):
        await alerts.send(ALERT)
    assert len(server.bodies) == len(clock.limits) == 1


@pytest.mark.parametrize(
    "url", ["", "hooks.slack.com/x", "ftp://host/secret-path", "http://", "http://host:secret-path/"]
)
def test_an_address_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(DefinitionError, match="ALERT_WEBHOOK_URL is no http or https address") as refused:
        WebhookAlerts(url, clock=HastyClock(), mode="paper")
    assert "secret-path" not in str(refused.value)


async def test_it_has_to_be_entered_first() -> None:
    with pytest.raises(RuntimeError, match="async context manager"):
        await WebhookAlerts("https://host/x", clock=HastyClock(), mode="paper").send(ALERT)


async def test_cancelling_gives_up() -> None:
    async with open_server(None) as (_, _, alerts):
        sending = asyncio.create_task(alerts.send(ALERT))
        await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending


# -- the message


def test_a_repeated_alert_says_how_often_and_an_execution_is_named() -> None:
    message = slack_message(Alert(source="a", message="b", at=AT, count=12, execution_id="0f"), "live")
    assert message["text"] == "Belltower (live) a: b (12 times)"
    facts = message["blocks"][1]["elements"][0]["text"]
    assert facts == "mode live · 2012-12-12T19:30:00Z · 12 times since the last message · execution 0f"


def test_a_message_calls_nobody_and_makes_no_link() -> None:
    said = json.dumps(slack_message(Alert(source="<a>", message="<!channel> & <http://x|y>", at=AT), "paper"))
    assert "<" not in said
    assert "&lt;!channel&gt; &amp; " in said


def test_a_stack_stands_below_its_line_and_long_ones_lose_their_middle() -> None:
    stack = "\n".join(f"line {number}" for number in range(2000))
    message = slack_message(Alert(source="event_loop", message=f"blocked\n{stack}\n", at=AT), "paper")
    section = message["blocks"][0]["text"]["text"]
    assert message["text"] == "Belltower (paper) event_loop: blocked"
    assert section.startswith("*event_loop*: blocked\n```\nline 0\n")
    assert section.endswith("line 1999\n```")
    assert len(section) <= LONGEST_TEXT


def test_httpx_takes_the_address_as_it_is() -> None:
    url = httpx.URL("https://host/x?a=b%20c")
    assert WebhookAlerts(f" {url} \n", clock=HastyClock(), mode="paper")._url == url
