"""What outlives an open store: a place at which journals can be opened, closed, and left behind by a crash."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from orchestration.adapters.memory.run_store import MemoryRunStore
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.migration import upgrade
from orchestration.adapters.sql.run_store import SqlRunStore
from orchestration.domain.records import Claim
from orchestration.ports.run_store import RunStore


class Shelf(Protocol):
    """A place for runs, and what may be done with it as often as one likes."""

    async def open(self) -> RunStore:
        """Another owner of what is there."""

    async def close(self, store: RunStore) -> None:
        """End one."""


class MemoryShelf:
    def __init__(self) -> None:
        self._root = MemoryRunStore()

    async def open(self) -> RunStore:
        return self._root.successor()

    async def close(self, store: RunStore) -> None:
        assert isinstance(store, MemoryRunStore)
        store.successor()


class SqlShelf:
    def __init__(self, url: str, *, inline: bool = False) -> None:
        self.url = url
        self._inline = inline
        self._open: list[tuple[RunStore, AsyncExitStack]] = []

    async def open(self) -> RunStore:
        stack = AsyncExitStack()
        database = await stack.enter_async_context(Database(self.url, inline=self._inline))
        await upgrade(database)
        store = SqlRunStore(database)
        self._open.append((store, stack))
        return store

    async def close(self, store: RunStore) -> None:
        [found] = [one for one in self._open if one[0] is store]
        self._open.remove(found)
        await found[1].aclose()

    async def close_all(self) -> None:
        while self._open:
            await self._open.pop()[1].aclose()


OTHER_PROCESS = """
import asyncio, json, sys
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.migration import upgrade
from orchestration.adapters.sql.run_store import SqlRunStore
from orchestration.domain.errors import OrchestrationError
from tests.contract.records import created, record

async def main():
    async with Database(sys.argv[1]) as database:
        await upgrade(database)
        store = SqlRunStore(database)
        print("open", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            verb, *words = line.split()
            try:
                if verb == "create":
                    await store.append([created(words[0])])
                    answer = "kept"
                elif verb == "append":
                    await store.append([record(words[0], n) for n in range(int(words[1]), int(words[2]))])
                    answer = "kept"
                else:
                    answer = [[claim.run_id, claim.token] for claim in await store.take_over()]
            except OrchestrationError as error:
                answer = type(error).__name__
            print(json.dumps(answer), flush=True)

asyncio.run(main())
"""


class OtherProcess:
    """Another program that has the same store open and does as it is told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def tell(self, words: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{words}\n".encode())
        await self._process.stdin.drain()

    async def answer(self) -> object:
        assert self._process.stdout is not None
        return json.loads(await self._process.stdout.readline())

    async def ask(self, words: str) -> object:
        await self.tell(words)
        return await self.answer()

    async def send(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)
        if number is signal.SIGKILL:
            await self._process.wait()

    async def end(self) -> None:
        """Have it close its store and end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert await self._process.wait() == 0


@asynccontextmanager
async def other_process(url: str) -> AsyncIterator[OtherProcess]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OTHER_PROCESS, url, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"open\n"
        yield OtherProcess(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def pairs(claims: object) -> list[list[object]]:
    """Claims as another process tells them."""
    assert isinstance(claims, list | tuple)
    return [[claim.run_id, claim.token] for claim in claims if isinstance(claim, Claim)]
