"""Serve an application over HTTP and WebSocket inside a task group of the caller, on a socket that is ours first."""

import asyncio
import errno
import ipaddress
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from orchestration.api.schemas import Address
from orchestration.domain.errors import DefinitionError, FinalError

DEFAULT_GRACE_S = 5
_BACKLOG = 2048
_MOST_PORT = 65535


@asynccontextmanager
async def serve(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    tasks: asyncio.TaskGroup,
    force: bool = False,
    grace_s: int = DEFAULT_GRACE_S,
) -> AsyncIterator[Address]:
    """Answer requests while the body runs; yields where, once it does. Port 0 takes a free one.

    The server is a task of ``tasks``, so its end is the group's failure, also one without an error of its own: whoever
    is left without doors can't be watched or halted any more. On leaving, no new request is taken, those under
    way have ``grace_s`` seconds, and what is left is cut off. Signals stay with the caller.
    Raises `DefinitionError` for an address that can't be had, and, unless ``force``, for one that others can reach.
    """
    listener = await open_listener(host, port, force=force)
    bound = listener.getsockname()
    server = _Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # whoever connects may write them
            backlog=_BACKLOG,
            timeout_graceful_shutdown=grace_s,
        )
    )
    with listener:
        task = tasks.create_task(server.run_on(listener), name="http server")
        try:
            await server.up.wait()
            yield Address(host=bound[0], port=bound[1])
        finally:
            server.leaving = server.should_exit = True
            await asyncio.wait([task])


class _Server(uvicorn.Server):
    """A server that says when it is up, leaves signals alone and leaves nothing open behind."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self.leaving = False

    async def run_on(self, listener: socket.socket) -> None:
        """Serve until `should_exit`; however it ends, its sockets are closed.

        Raises `FinalError` when it ends before `leaving` is set. It is not started again here: what made it end is not
        known, so the process goes, with exit code 1, and its supervisor starts one whose parts are all new.
        """
        try:
            await self.serve([listener])
            if not self.leaving:
                raise FinalError(
                    "the HTTP server ended though nobody had asked it to, and a desk without doors can be neither "
                    "watched nor halted: start belltower run again, and see what the log said before"
                )
        finally:
            for connection in tuple(self.server_state.connections):
                if connection.transport is not None:
                    connection.transport.abort()
            for request in tuple(self.server_state.tasks):
                request.cancel()
            for one in getattr(self, "servers", ()):  # made by the startup
                one.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them to the process that embeds the server."""
        yield


async def open_listener(host: str, port: int, *, force: bool = False) -> socket.socket:
    """Return a socket that nobody else can have, already listening; raises as `serve` does."""
    if not 0 <= port <= _MOST_PORT:
        raise DefinitionError(f"BELLTOWER_PORT is {port}: give one from 1 to {_MOST_PORT}")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host or "?", port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise DefinitionError(f"BELLTOWER_HOST is {host!r}, which is no address: {error.strerror}") from error
    family, *_, address = found[0]
    if not force and not ipaddress.ip_address(address[0]).is_loopback:
        raise DefinitionError(
            f"BELLTOWER_HOST is {host}, which other machines can reach: leave it at 127.0.0.1, "
            "or set BELLTOWER_ALLOW_PUBLIC=true if that is meant"
        )
    # asyncio switches Nagle's delay off only where the protocol is named; without that an answer takes 40 ms
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)  # until then a second socket could be bound to the same port
    except OSError as error:
        listener.close()
        raise DefinitionError(_why_not(error, host, port)) from error
    return listener


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use: stop what listens there, or set BELLTOWER_PORT to another one"
    if error.errno == errno.EACCES:
        return f"port {port} is not for ordinary users: set BELLTOWER_PORT to one from 1024 to {_MOST_PORT}"
    return f"{host} can't be listened on ({error.strerror}): set BELLTOWER_HOST to an address of this machine"
