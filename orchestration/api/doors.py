"""Open the doors of a running desk, and leave word in its home where they are."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from orchestration.api.app import MetricsText, create_app
from orchestration.api.guard import Guard
from orchestration.api.schemas import Address, DaemonFile
from orchestration.api.server import serve
from orchestration.api.tokens import open_first_token, read_metrics_token, sha256_of
from orchestration.config import TradingConfig
from orchestration.ports.clock import Clock
from orchestration.ports.desk_control import DeskControl
from orchestration.ports.token_store import TokenStore

DAEMON_FILE = "daemon.json"


@asynccontextmanager
async def open_doors(
    control: DeskControl,
    config: TradingConfig,
    *,
    tokens: TokenStore,
    clock: Clock,
    metrics: MetricsText | None,
    tasks: asyncio.TaskGroup,
) -> AsyncIterator[Address]:
    """Answer requests to ``control`` while the body runs; yields where. Raises as `serve` and the tokens do.

    The server is a task of ``tasks``; however it ends unasked, that is an error of the group.
    """
    await open_first_token(config.home, tokens, clock)
    own = config.metrics_token_file
    guard = Guard(await tokens.all(), metrics_tokens=[] if own is None else [sha256_of(read_metrics_token(own))])
    app = create_app(control, guard=guard, metrics=metrics, version=version("belltower"))
    async with serve(app, config.host, config.port, tasks=tasks, force=config.allow_public) as address:
        path = config.home / DAEMON_FILE
        _write(path, DaemonFile(pid=os.getpid(), address=address).model_dump_json())
        try:
            yield address
        finally:
            path.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    """Write ``path`` whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
