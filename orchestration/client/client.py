"""Ask a running desk over HTTP, in the schemas in which it answers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from orchestration.api.schemas import (
    DEFAULT_BY,
    DaemonFile,
    Event,
    Events,
    Execution,
    ExecutionRow,
    Executions,
    HaltRow,
    HaltState,
    PlanDay,
    Problem,
    Ready,
    SystemStatus,
)
from orchestration.api.tokens import read_token
from orchestration.domain.errors import (
    DaemonUnreachableError,
    DefinitionError,
    FinalError,
    OutcomeUnknownError,
    TransientError,
)
from orchestration.domain.halts import HaltLevel

DAEMON_FILE = "daemon.json"
DEFAULT_TIMEOUT_S = 10.0

Answer = TypeVar("Answer", bound=BaseModel)
Result = TypeVar("Result")


class DeskClient:
    """A desk behind ``base_url`` (``http://127.0.0.1:8000``); an async context manager.

    Every method raises `DaemonUnreachableError` when nobody answers there, `DefinitionError` when the request or the
    token was refused, `TransientError` when the service can't answer now, `FinalError` for an answer that makes no
    sense, and one that changes something `OutcomeUnknownError` when the answer got lost.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout_s,
            transport=transport,
            trust_env=False,  # a proxy has no business between a desk and its operator
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def ready(self) -> Ready:
        """Whether the desk can do its work, and, if not, why."""
        response = await self._send("GET", "/health/ready")
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return self._read(response, Ready)
        return self._read(_accepted(response), Ready)

    async def status(self) -> SystemStatus:
        """What runs, what was done, and the halt that holds."""
        return await self._get("/api/agentic/system/status", SystemStatus)

    async def halt(self, level: HaltLevel, reason: str, *, by: str = DEFAULT_BY) -> HaltRow:
        """Stop the desk in the way of ``level``; returns the halt that holds now. The audit names ``by``."""
        state = await self._post("/api/agentic/system/halt", HaltState, level=level.value, reason=reason, by=by)
        if state.halt is None:
            raise FinalError(f"the service at {self._http.base_url} took the halt and names none: look at its status")
        return state.halt

    async def resume(self, reason: str, *, by: str = DEFAULT_BY) -> None:
        """Lift the halt. The audit names ``by``."""
        await self._post("/api/agentic/system/resume", HaltState, reason=reason, by=by)

    async def plan(self, on: date | None = None) -> PlanDay:
        """The plan of a day; ``None``: today's."""
        return await self._get("/api/agentic/plan", PlanDay, {} if on is None else {"date": on.isoformat()})

    async def executions(self, *, limit: int = 50) -> list[ExecutionRow]:
        """The newest runs, newest first."""
        return (await self._get("/api/agentic/executions", Executions, {"limit": str(limit)})).executions

    async def execution(self, execution_id: str) -> Execution:
        """The result of a run, or how far it has come."""
        return await self._get(_path(execution_id), Execution)

    async def events(self, execution_id: str) -> list[Event]:
        """The journal of a run, in sequence."""
        return (await self._get(f"{_path(execution_id)}/events", Events)).events

    async def cancel(self, execution_id: str, reason: str) -> Execution:
        """End a run; returns how far it has come, which may still be running."""
        return await self._post(f"{_path(execution_id)}/cancel", Execution, reason=reason)

    async def _get(self, path: str, answer: type[Answer], query: Mapping[str, str] | None = None) -> Answer:
        return self._read(_accepted(await self._send("GET", path, query=query)), answer)

    async def _post(self, path: str, answer: type[Answer], **body: str) -> Answer:
        return self._read(_accepted(await self._send("POST", path, body=body)), answer)

    async def _send(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Mapping[str, str] | None = None
    ) -> httpx.Response:
        where = self._http.base_url
        try:
            return await self._http.request(method, path, params=query, json=body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise DaemonUnreachableError(str(where)) from error
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            if method == "GET":
                raise TransientError(f"no answer from {where} ({said}): ask again, or look at its log") from error
            raise OutcomeUnknownError(
                f"the answer of {where} got lost ({said}), and it may have done it: look at belltower status"
            ) from error

    def _read(self, response: httpx.Response, answer: type[Answer]) -> Answer:
        try:
            return answer.model_validate_json(response.content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise FinalError(
                f"{response.url} answers something else than this client expects "
                f"({'.'.join(map(str, first['loc'])) or 'the answer'}: {first['msg']}): is it another version?"
            ) from error


def find_daemon(home: Path) -> tuple[str, str]:
    """Return the address and the token of the daemon of ``home``.

    Raises `DaemonUnreachableError` when none has left its address there, `DefinitionError` for a file that is wrong.
    """
    path = home / DAEMON_FILE
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise DaemonUnreachableError(str(home)) from None
    except OSError as error:
        raise DefinitionError(f"{path} can't be read: {error.strerror}") from error
    try:
        url = DaemonFile.model_validate_json(text).address.url
    except ValidationError as error:
        raise DefinitionError(f"{path} is no file of a daemon: take it away and start belltower run again") from error
    return url, read_token(home)


def ask(home: Path, question: Callable[[DeskClient], Awaitable[Result]]) -> Result:
    """Put ``question`` to the daemon of ``home`` and return the answer; for callers without an event loop."""

    async def asked() -> Result:
        url, token = find_daemon(home)
        async with DeskClient(url, token) as desk:
            return await question(desk)

    return asyncio.run(asked())


def _path(execution_id: str) -> str:
    return f"/api/agentic/executions/{quote(execution_id, safe='')}"


def _accepted(response: httpx.Response) -> httpx.Response:
    """Return ``response`` unless it is a refusal; raises what it means, in its own words."""
    if response.is_success:
        return response
    try:
        detail = Problem.model_validate_json(response.content).detail
    except ValidationError:
        raise FinalError(
            f"{response.url} answered {response.status_code} in a form that no Belltower uses: what listens there?"
        ) from None
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise DefinitionError(f"{response.url} refused the token: {detail}")
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        raise TransientError(detail)
    raise (DefinitionError if response.is_client_error else FinalError)(detail)
