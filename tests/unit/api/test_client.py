"""The client: the desk's answers as values, and every refusal as the error that it means."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp

from orchestration.api.schemas import Address, DaemonFile
from orchestration.client.client import DeskClient, ask, find_daemon
from orchestration.domain.errors import (
    DaemonUnreachableError,
    DefinitionError,
    FinalError,
    OutcomeUnknownError,
    TransientError,
)
from orchestration.domain.halts import HaltLevel
from orchestration.domain.states import RunStatus
from tests.unit.api.conftest import TOKEN
from tests.unit.api.fake_desk import FakeDesk

FIRST = f"{1:032x}"
Question = Callable[[DeskClient], Awaitable[object]]


@pytest.fixture
async def client(app: ASGIApp) -> AsyncIterator[DeskClient]:
    async with DeskClient("http://desk", TOKEN, transport=httpx.ASGITransport(app)) as client:
        yield client


def answering(answer: httpx.Response | Exception) -> DeskClient:
    """A client of a service that has one answer to everything."""

    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return DeskClient("http://desk", TOKEN, transport=httpx.MockTransport(handle))


async def test_status_halt_and_resume_go_there_and_back(client: DeskClient) -> None:
    assert (await client.status()).halt is None
    held = await client.halt(HaltLevel.FLATTEN, "fat finger")
    assert (held.level, held.reason, held.by) == (HaltLevel.FLATTEN, "fat finger", "api")
    assert (await client.status()).halt == held
    await client.resume("all flat")
    assert (await client.status()).halt is None


async def test_what_the_desk_says_beside_the_schema_is_kept(client: DeskClient) -> None:
    assert (await client.status()).model_dump()["mode"] == "paper"


async def test_plans_are_asked_for_by_date(client: DeskClient) -> None:
    assert (await client.plan()).date == date(2012, 12, 12)
    assert (await client.plan(date(2012, 12, 16))).date == date(2012, 12, 16)


async def test_executions_are_listed_shown_and_cancelled(client: DeskClient) -> None:
    assert [row.name for row in await client.executions(limit=1)] == ["XNYS day 3"]
    assert (await client.execution(FIRST)).status is RunStatus.RUNNING
    assert [event.kind for event in await client.events(FIRST)] == ["run_created", "run_started"]
    assert (await client.cancel(FIRST, "no use")).status is RunStatus.CANCELLED


async def test_a_desk_that_is_not_ready_is_an_answer_and_no_error(client: DeskClient, desk: FakeDesk) -> None:
    assert (await client.ready()).ready
    desk.reasons = ("store: held",)
    found = await client.ready()
    assert (found.ready, found.reasons) == (False, ["store: held"])


@pytest.mark.parametrize("execution_id", ["nope", "a/b", "..", "a?b#c", "é"])
async def test_an_unknown_id_is_refused_however_it_is_written(client: DeskClient, execution_id: str) -> None:
    with pytest.raises(DefinitionError, match="there is no"):
        await client.execution(execution_id)


async def test_the_desks_own_words_are_in_the_error(client: DeskClient) -> None:
    with pytest.raises(DefinitionError, match=r"^2040-01-01 is past the calendar's end, 2030-12-31: give an earlier"):
        await client.plan(date(2040, 1, 1))
    with pytest.raises(DefinitionError, match=r"^body\.reason: string should have at least 1 character$"):
        await client.halt(HaltLevel.FLATTEN, " ")


async def test_a_store_that_is_held_is_worth_another_try(client: DeskClient, desk: FakeDesk) -> None:
    desk.store_fails = True
    with pytest.raises(TransientError, match=r"^the store is held by another process: try again$"):
        await client.executions()


async def test_a_wrong_token_says_where_it_was_refused(app: ASGIApp) -> None:
    async with DeskClient("http://desk", "wrong", transport=httpx.ASGITransport(app)) as client:
        with pytest.raises(DefinitionError, match="http://desk/api/agentic/system/status refused the token: send"):
            await client.status()


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ConnectTimeout("late")])
async def test_nobody_there_is_an_error_of_its_own(error: Exception) -> None:
    with pytest.raises(DaemonUnreachableError, match="no daemon answers at http://desk: start it with belltower run"):
        await answering(error).halt(HaltLevel.FLATTEN, "x")


@pytest.mark.parametrize("error", [httpx.ReadTimeout(""), httpx.RemoteProtocolError("cut off")])
async def test_a_lost_answer_is_unknown_only_where_something_was_changed(error: Exception) -> None:
    changing: list[Question] = [
        lambda client: client.halt(HaltLevel.FLATTEN, "x"),
        lambda client: client.resume("x"),
        lambda client: client.cancel(FIRST, "x"),
    ]
    for question in changing:
        with pytest.raises(OutcomeUnknownError, match="may have done it: look at belltower status"):
            await question(answering(error))
    with pytest.raises(TransientError, match="no answer from http://desk"):
        await answering(error).status()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(200, text="<html>"), "answers something else than this client expects"),
        (httpx.Response(200, json={"system_running": True}), "answers something else .*startup_time: Field required"),
        (httpx.Response(502, text="Bad Gateway"), "answered 502 in a form that no Belltower uses"),
        (httpx.Response(302, headers={"location": "http://elsewhere/"}), "answered 302"),
        (
            httpx.Response(500, json={"type": "about:blank", "title": "x", "status": 500, "detail": "it broke"}),
            "^it broke$",
        ),
    ],
)
async def test_an_answer_that_makes_no_sense_is_final(answer: httpx.Response, said: str) -> None:
    with pytest.raises(FinalError, match=said):
        await answering(answer).status()


async def test_who_halts_and_resumes_can_be_said(client: DeskClient, desk: FakeDesk) -> None:
    held = await client.halt(HaltLevel.FLATTEN, "fat finger", by="ann")
    assert held.by == "ann"
    await client.resume("mended", by="bob")
    assert [(row.action, row.by) for row in desk.audit] == [("halt", "ann"), ("resume", "bob")]


async def test_a_halt_that_is_not_confirmed_is_an_error() -> None:
    with pytest.raises(FinalError, match="names none"):
        await answering(httpx.Response(200, json={"halt": None})).halt(HaltLevel.FLATTEN, "x")


def test_the_daemon_of_a_home_is_found_by_its_files(tmp_path: Path) -> None:
    address = Address(host="127.0.0.1", port=8123)
    (tmp_path / "daemon.json").write_text(DaemonFile(pid=7, address=address).model_dump_json(), encoding="utf-8")
    (tmp_path / "token").write_text(f"{TOKEN}\n", encoding="utf-8")
    (tmp_path / "token").chmod(0o600)
    assert find_daemon(tmp_path) == ("http://127.0.0.1:8123", TOKEN)


def test_a_home_without_a_daemon_says_so(tmp_path: Path) -> None:
    with pytest.raises(DaemonUnreachableError, match="start it with belltower run"):
        ask(tmp_path, lambda desk: desk.status())


@pytest.mark.parametrize("text", ["", "{}", json.dumps({"pid": 1, "address": {"host": "x"}})])
def test_a_daemon_file_that_is_wrong_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "daemon.json").write_text(text, encoding="utf-8")
    with pytest.raises(DefinitionError, match=r"daemon\.json is no file of a daemon"):
        find_daemon(tmp_path)


def test_a_daemon_file_that_cant_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "daemon.json").mkdir()
    with pytest.raises(DefinitionError, match=r"daemon\.json can't be read"):
        find_daemon(tmp_path)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104 (what an address may say)
        ("::", "http://[::1]:80"),
        ("192.0.2.7", "http://192.0.2.7:80"),
    ],
)
def test_an_address_is_one_that_can_be_reached_from_here(host: str, url: str) -> None:
    assert Address(host=host, port=80).url == url
