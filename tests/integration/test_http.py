"""The doors for real: uvicorn on a free loopback port, its clients, and the health check as a process."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from orchestration.adapters.memory.token_store import MemoryTokenStore
from orchestration.api.app import create_app
from orchestration.api.guard import Guard
from orchestration.api.schemas import Address, DaemonFile
from orchestration.api.server import open_listener, serve
from orchestration.api.tokens import open_first_token, sha256_of
from orchestration.client.client import DeskClient, ask
from orchestration.domain.errors import DaemonUnreachableError, DefinitionError
from orchestration.domain.halts import HaltLevel
from tests.doubles import ManualClock
from tests.unit.api.fake_desk import FakeDesk

TOKEN = "t" * 43
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
ROOT = Path(__file__).parents[2]
CPU_LIMIT_S = 0.15


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
async def address(desk: FakeDesk) -> AsyncIterator[Address]:
    async with asyncio.TaskGroup() as tasks, serve(app_of(desk), "127.0.0.1", 0, tasks=tasks, grace_s=1) as address:
        yield address


def http(address: Address, token: str | None = TOKEN) -> httpx.AsyncClient:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(base_url=address.url, headers=headers, trust_env=False)


async def test_the_client_halts_and_resumes_a_desk_over_the_network(address: Address, desk: FakeDesk) -> None:
    async with DeskClient(address.url, TOKEN) as client:
        assert (await client.ready()).ready
        await client.halt(HaltLevel.CLOSE_ONLY, "a test")
        assert desk.held is not None
        await client.resume("over")
        assert desk.held is None


async def test_a_caller_without_a_loop_asks_the_daemon_of_a_home(address: Address, tmp_path: Path) -> None:
    write_daemon_file(tmp_path, address)
    store = MemoryTokenStore()
    token = await open_first_token(tmp_path, store, ManualClock())
    assert sha256_of(token) in await store.all()
    with pytest.raises(DefinitionError, match="refused the token"):  # it is another one than the service knows
        await asyncio.to_thread(ask, tmp_path, lambda desk: desk.status())
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    status = await asyncio.to_thread(ask, tmp_path, lambda desk: desk.status())
    assert status.system_running


async def test_every_route_of_the_document_refuses_a_stranger(address: Address) -> None:
    async with http(address) as operator, http(address, None) as stranger, http(address, "x" * 43) as impostor:
        paths = (await operator.get("/openapi.json")).json()["paths"]
        operations = [(method, path) for path, methods in paths.items() for method in methods]
        answers = {
            path: {(await caller.request(method, path)).status_code for caller in (stranger, impostor)}
            for method, path in operations
        }
    assert {path for path, statuses in answers.items() if statuses != {401}} == {"/health/live", "/health/ready"}
    assert len(answers) >= 11


@pytest.mark.parametrize("headers", [{}, {"Authorization": f"Bearer {'x' * 43}"}])
async def test_a_websocket_without_the_token_is_refused_in_the_handshake(
    address: Address, headers: dict[str, str]
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"ws://127.0.0.1:{address.port}/", additional_headers=headers, proxy=None):
            pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("token", [TOKEN, None])
async def test_a_large_body_is_refused_and_the_service_goes_on(address: Address, token: str | None) -> None:
    async with http(address, token) as caller:
        answer = await caller.post("/api/agentic/system/halt", content=b" " * 5_000_000)
        assert answer.status_code == (413 if token else 401)
        assert answer.headers["content-type"] == "application/problem+json"
        assert (await caller.get("/health/live")).status_code == 200


async def test_the_bare_bytes_of_an_odd_target_open_nothing(address: Address) -> None:
    for target in (
        "http://x/health/live",
        "//health/live",
        "/health/live/../components",
        "/health/components?/health/live",
    ):
        assert await raw(address, f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n") == b"HTTP/1.1 401 Unauthorized"
    assert await raw(address, "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n") == b"HTTP/1.1 200 OK"


async def test_two_hundred_requests_at_once_are_all_answered(address: Address) -> None:
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(base_url=address.url, headers=AUTHORIZED, limits=limits, trust_env=False) as caller:
        paths = ["/health/ready", "/api/agentic/executions", "/api/agentic/system/status", "/api/agentic/plan"] * 50
        answers = await asyncio.gather(*[caller.get(path) for path in paths])
    assert {answer.status_code for answer in answers} == {200}


async def test_the_server_says_nothing_of_what_it_is_made_of(address: Address) -> None:
    async with http(address) as caller:
        assert "server" not in (await caller.get("/health/live")).headers


async def test_signals_stay_with_the_process(desk: FakeDesk) -> None:
    signals = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(one) for one in signals]
    async with asyncio.TaskGroup() as tasks, serve(app_of(desk), "127.0.0.1", 0, tasks=tasks):
        assert [signal.getsignal(one) for one in signals] == before


async def test_a_request_under_way_is_finished_while_no_new_one_is_taken(desk: FakeDesk) -> None:
    desk.waits = released = asyncio.Event()

    async def release_once_closed(address: Address) -> None:
        while not await refuses(address):
            pass
        released.set()

    async with asyncio.TaskGroup() as tasks, httpx.AsyncClient(headers=AUTHORIZED, trust_env=False) as caller:
        async with serve(app_of(desk), "127.0.0.1", 0, tasks=tasks) as address:
            asked = tasks.create_task(caller.get(f"{address.url}/api/agentic/executions"))
            await desk.asked.wait()
            tasks.create_task(release_once_closed(address))
        assert (await asked).status_code == 200


async def test_a_request_that_does_not_end_is_cut_off(desk: FakeDesk) -> None:
    desk.waits = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks, httpx.AsyncClient(headers=AUTHORIZED, trust_env=False) as caller:
        async with serve(app_of(desk), "127.0.0.1", 0, tasks=tasks, grace_s=1) as address:
            asked = asyncio.create_task(caller.get(f"{address.url}/api/agentic/executions"))
            await desk.asked.wait()
            left = loop.time()
        assert 1 <= loop.time() - left < 3
        with pytest.raises(httpx.HTTPError):
            (await asked).raise_for_status()
    assert await refuses(address)


async def test_a_failing_neighbour_takes_the_server_down_and_frees_the_port(desk: FakeDesk) -> None:
    found: list[Address] = []
    callers: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def fail() -> None:
        raise ValueError("a neighbour")

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks, serve(app_of(desk), "127.0.0.1", 0, tasks=tasks) as address:
            found.append(address)
            callers.append(await asyncio.open_connection(address.host, address.port))
            tasks.create_task(fail())
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as raised:
        await run()
    assert [str(error) for error in raised.value.exceptions] == ["a neighbour"]
    assert await refuses(found[0])
    reader, writer = callers[0]
    async with asyncio.timeout(5):
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.close()


async def test_the_port_is_free_again_after_the_server(desk: FakeDesk) -> None:
    async with asyncio.TaskGroup() as tasks:
        async with serve(app_of(desk), "127.0.0.1", 0, tasks=tasks) as first, http(first) as caller:
            await caller.get("/health/live")
        async with serve(app_of(desk), "127.0.0.1", first.port, tasks=tasks) as second:
            assert second == first


async def test_a_port_in_use_is_named_with_its_setting(address: Address, desk: FakeDesk) -> None:
    said = f"port {address.port} of 127.0.0.1 is in use: stop what listens there, or set BELLTOWER_PORT to another one"
    assert await refused(desk, "127.0.0.1", address.port) == said


async def test_a_port_is_taken_before_anything_is_served_on_it() -> None:
    with await open_listener("127.0.0.1", 0) as first:
        port: int = first.getsockname()[1]
        with pytest.raises(DefinitionError, match=f"port {port} of 127.0.0.1 is in use"):
            await open_listener("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [
        ("0.0.0.0", 0, "BELLTOWER_HOST is 0.0.0.0, which other machines can reach"),  # noqa: S104 (is refused)
        ("192.0.2.1", 0, "BELLTOWER_HOST is 192.0.2.1, which other machines can reach"),
        ("127.0.0.1", 65536, "BELLTOWER_PORT is 65536: give one from 1 to 65535"),
        ("127.0.0.1", -1, "BELLTOWER_PORT is -1"),
        ("no such host", 0, "BELLTOWER_HOST is 'no such host', which is no address"),
        ("", 0, "BELLTOWER_HOST is '', which is no address"),
    ],
)
async def test_an_address_that_cant_be_had_is_refused(desk: FakeDesk, host: str, port: int, said: str) -> None:
    assert (await refused(desk, host, port)).startswith(said)


async def test_an_address_of_another_machine_is_refused_even_by_force(desk: FakeDesk) -> None:
    said = await refused(desk, "192.0.2.1", 0, force=True)
    assert said.startswith("192.0.2.1 can't be listened on")
    assert said.endswith("set BELLTOWER_HOST to an address of this machine")


async def test_a_port_for_the_administrator_is_refused(desk: FakeDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(_socket: socket.socket, _address: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", forbid)
    said = "port 80 is not for ordinary users: set BELLTOWER_PORT to one from 1024 to 65535"
    assert await refused(desk, "127.0.0.1", 80) == said


async def test_a_public_host_is_served_when_that_is_meant(desk: FakeDesk) -> None:
    async with asyncio.TaskGroup() as tasks:
        server = serve(app_of(desk), "0.0.0.0", 0, tasks=tasks, force=True)  # noqa: S104 (that is meant)
        async with server as address, http(address) as caller:
            assert address.host == "0.0.0.0"  # noqa: S104 (as above)
            assert (await caller.get("/health/components")).status_code == 200


async def test_a_desk_that_is_gone_is_unreachable(desk: FakeDesk) -> None:
    async with asyncio.TaskGroup() as tasks, serve(app_of(desk), "127.0.0.1", 0, tasks=tasks) as address:
        pass
    async with DeskClient(address.url, TOKEN) as client:
        with pytest.raises(DaemonUnreachableError):
            await client.status()


async def test_the_health_check_follows_the_daemon(address: Address, desk: FakeDesk, tmp_path: Path) -> None:
    write_daemon_file(tmp_path, address)
    assert await health_check(tmp_path) == (0, "ready\n")
    desk.reasons = ("store: held", "prices: none")
    assert await health_check(tmp_path) == (1, "not ready: store: held; prices: none\n")


async def test_the_health_check_is_light(address: Address, tmp_path: Path) -> None:
    write_daemon_file(tmp_path, address)
    measured = (
        "import os, sys, orchestration.health_check as check; code = check.main(); "
        "heavy = {'pydantic', 'httpx', 'fastapi', 'platformdirs', 'numpy', 'asyncio'} & set(sys.modules); "
        "spent = os.times(); print(code, sorted(heavy), spent.user + spent.system)"
    )
    _, output = await run_python(tmp_path, "-c", measured)
    ready, found = output.splitlines()
    code, heavy, spent = found.split(" ")
    assert (ready, code, heavy) == ("ready", "0", "[]")
    assert float(spent) < CPU_LIMIT_S


def app_of(desk: FakeDesk) -> ASGIApp:
    return create_app(desk, guard=Guard([sha256_of(TOKEN)]), metrics=None, version="1")


async def refused(desk: FakeDesk, host: str, port: int, *, force: bool = False) -> str:
    """Return why ``host`` and ``port`` can't be served on."""
    async with asyncio.TaskGroup() as tasks:
        with pytest.raises(DefinitionError) as error:
            await serve(app_of(desk), host, port, tasks=tasks, force=force).__aenter__()
    return str(error.value)


async def refuses(address: Address) -> bool:
    """Whether nobody takes a connection at ``address``."""
    try:
        _, writer = await asyncio.open_connection(address.host, address.port)
    except ConnectionError:  # refused, or reset while the listener closed
        return True
    writer.close()
    with suppress(ConnectionError):  # it stood in the queue of a listener that then closed
        await writer.wait_closed()
    return False


async def raw(address: Address, request: str) -> bytes:
    """Return the status line of the answer to ``request``."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(request.encode())
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return line.strip()


def write_daemon_file(home: Path, address: Address) -> None:
    (home / "daemon.json").write_text(DaemonFile(pid=os.getpid(), address=address).model_dump_json(), encoding="utf-8")


async def health_check(home: Path) -> tuple[int, str]:
    return await run_python(home, "-m", "orchestration.health_check")


async def run_python(home: Path, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=ROOT,
        env={**os.environ, "BELLTOWER_HOME": str(home)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()
