"""Who comes in: pure ASGI in front of the application, for HTTP and WebSocket alike."""

import hmac
from collections.abc import Iterable
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from orchestration.api.problems import TooLargeError, problem
from orchestration.api.tokens import sha256_of

OPEN_PATHS = frozenset({"/health/live", "/health/ready"})
"""What anybody may ask over HTTP, by exact path."""
METRICS_PATH = "/metrics"
MOST_BODY_BYTES = 1_000_000
_LONGEST_LENGTH = 18  # digits; what is longer is not worth reading as a number
_POLICY_VIOLATION = 1008
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="belltower"'}
_REFUSED = (
    "send Authorization: Bearer TOKEN, with a token that this service knows; the first is in the home's file token"
)


class Guard:
    """Knows the tokens that open the doors, by their SHA-256 (hexadecimal, lower case).

    ``tokens`` open everything, ``metrics_tokens`` open `METRICS_PATH` only.
    """

    def __init__(self, tokens: Iterable[str], *, metrics_tokens: Iterable[str] = ()) -> None:
        self._tokens = frozenset(tokens)
        self._metrics_tokens = frozenset(metrics_tokens)

    def protect(self, app: ASGIApp) -> ASGIApp:
        """Return ``app`` behind this guard."""
        return _Guarded(app, self)

    def admits(self, scope: Scope) -> bool:
        """Whether the caller of ``scope`` may come in; how long that takes says nothing about why not."""
        if scope["type"] == "http" and scope["path"] in OPEN_PATHS:
            return True
        known = self._tokens
        if scope["type"] == "http" and scope["path"] == METRICS_PATH:
            known = known | self._metrics_tokens
        presented = sha256_of(_bearer(scope["headers"])).encode()
        return any([hmac.compare_digest(presented, one.encode()) for one in known])  # noqa: C419 (a list: all are compared)


def limit_body(app: ASGIApp, most: int = MOST_BODY_BYTES) -> ASGIApp:
    """Return ``app``, to which no request with a body of more than ``most`` bytes gets through."""
    return _BodyLimit(app, most)


class _Guarded:
    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._guard.admits(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()  # the wish to connect
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})  # before it is accepted: a 403
        else:
            await problem(HTTPStatus.UNAUTHORIZED, _REFUSED, headers=_CHALLENGE)(scope, receive, send)


class _BodyLimit:
    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        error = TooLargeError(self._most)
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        if declared.isdigit() and (len(declared) > _LONGEST_LENGTH or int(declared) > self._most):
            await problem(error.status_code, error.detail)(scope, receive, send)
            return
        taken = 0

        async def counted() -> dict[str, object]:
            nonlocal taken
            message = dict(await receive())
            taken += len(message.get("body", b""))
            if taken > self._most:
                raise error
            return message

        await self._app(scope, counted, send)


def _bearer(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The token of the one Authorization header, empty if there is none, several, or one of another scheme."""
    given = [value for name, value in headers if name == b"authorization"]
    scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
    return token.strip() if scheme.lower() == b"bearer" else b""
