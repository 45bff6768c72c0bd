"""Starts that are refused, as a supervisor meets them: real processes, one line each, nothing half-started."""

import asyncio
import os
import re
import signal
import socket
import sqlite3
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.migration import upgrade
from orchestration.system.home_lock import home_lock

PATIENCE_S = 120.0
AT_ONCE = 3
"""How many processes at a time: each takes a processor for some seconds."""
RUN = ("run",)
LOCK = frozenset({"daemon.lock"})
HALT = ("halt", "--level", "no_new_order", "--reason", "a test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A request that is refused with a line that matches ``said``; ``PORT`` stands for one that is taken.

    ``spoil`` makes of a good home one that is refused. ``mend`` undoes that, and then the same home is to start: a
    start takes seconds, so only the cases have it that differ in how far the start came.
    """

    said: str
    command: tuple[str, ...] = RUN
    settings: Mapping[str, str] = field(default_factory=dict)
    spoil: Callable[[Path], None] = lambda _: None
    mend: Callable[[Path], None] | None = None
    home: str = "home"
    made: frozenset[str] = frozenset()
    """What may be in the home afterwards that was not there before."""


def _write(name: str, text: str, mode: int = 0o600) -> Callable[[Path], None]:
    def write(home: Path) -> None:
        (home / name).write_text(text)
        (home / name).chmod(mode)

    return write


def _take_away(name: str) -> Callable[[Path], None]:
    return lambda home: (home / name).unlink()


def _make_newer(home: Path) -> None:
    with closing(sqlite3.connect(home / "belltower.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")


def _make_current(home: Path) -> None:
    for file in home.glob("belltower.db*"):
        file.unlink()


CASES = {
    "a port in use": Case(
        said=r"port PORT of 127\.0\.0\.1 is in use: stop what listens there, or set BELLTOWER_PORT to another one",
        settings={"BELLTOWER_PORT": "PORT"},
        mend=lambda _: None,
        made=LOCK | {"token"},
    ),
    "a token that others can read": Case(
        said=r".*/token can be read by others \(mode 0644\): chmod 600 .*/token",
        spoil=_write("token", "t" * 43, 0o644),
        made=LOCK,
    ),
    "a home that can't be made": Case(
        said=r".*/file/home can't be written to \(Not a directory\); choose a --home that can",
        home="home/file/home",
        spoil=_write("file", ""),
    ),
    "a store of a newer version": Case(
        said=r".*newer Belltower.*",
        spoil=_make_newer,
        mend=_make_current,
        made=LOCK,
    ),
    "a host that others can reach": Case(
        said=r"BELLTOWER_HOST is 0\.0\.0\.0, which other machines can reach: leave it at 127\.0\.0\.1, "
        r"or set BELLTOWER_ALLOW_PUBLIC=true if that is meant",
        settings={"BELLTOWER_HOST": "0.0.0.0"},  # noqa: S104 (that it is refused is the point)
        made=LOCK | {"token"},
    ),
    "live without a broker": Case(
        said=r"BELLTOWER_MODE \(setting 'mode'\): there is no live broker yet: leave it at paper \(given: 'live'\)",
        settings={"BELLTOWER_MODE": "live"},
    ),
    "a level of halt that does not exist": Case(
        said=r"halt level is 'no_new_order'; did you mean 'no_new_orders'\?",
        command=HALT,
    ),
    "a desk file that is no YAML": Case(
        said=r".*/desk\.yaml, line 2, column 1: .*",
        spoil=_write("desk.yaml", "cash: [\n"),
        made=LOCK,
    ),
    "a calendar file with a field that does not exist": Case(
        said=r".*/calendar\.yaml: there is no field 'closure'; did you mean 'closures'\?",
        spoil=_write("calendar.yaml", "closure: []\n"),
        mend=_take_away("calendar.yaml"),
        made=LOCK,
    ),
}


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


@asynccontextmanager
async def process(folder: Path, home: Path, *command: str, **settings: str) -> AsyncIterator[Process]:
    """``belltower`` over ``home``; it is gone when the body is left."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BELLTOWER_")}
    program = sys.executable, "-m", "orchestration", *command, "--home", str(home)
    started = await asyncio.create_subprocess_exec(
        *program, cwd=folder, env={**environment, "BELLTOWER_PORT": "0", **settings},
        stdin=DEVNULL, stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.communicate()


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


async def refusal(folder: Path, home: Path, case: Case, port: int = 0) -> list[str]:
    """Run what is refused; return what is wrong about how."""
    settings = {name: str(port) if value == "PORT" else value for name, value in case.settings.items()}
    async with process(folder, home, *case.command, **settings) as refused:
        out, err = await refused.communicate()
    wrong = [] if (refused.returncode, out) == (2, b"") else [f"exit code {refused.returncode}, {out!r}"]
    pattern = f"belltower: {case.said.replace('PORT', str(port), 1)}\n"
    return wrong if re.fullmatch(pattern, err.decode()) else [*wrong, f"it says {err.decode()!r}"]


async def runs(folder: Path, home: Path) -> list[str]:
    """Start the desk, wait until it is up, and stop it; return what is wrong about that."""
    async with process(folder, home, *RUN) as started:
        while not (home / "daemon.json").exists():
            if started.returncode is not None:
                return [f"the right start: {(await started.communicate())[1].decode()!r}"]
            await asyncio.sleep(0.02)
        started.send_signal(signal.SIGTERM)
        await started.communicate()
    return [] if started.returncode == 0 else [f"the right start ended with {started.returncode}"]


async def try_out(folder: Path, case: Case, port: int) -> list[str]:
    """Return what is wrong about a case."""
    home, before = folder / case.home, files(folder)
    wrong = await refusal(folder, home, case, port)
    left = {name.removeprefix("home/") for name in files(folder) - before} - case.made
    wrong += [f"it left {name}" for name in sorted(left)]
    with home_lock(folder / "home"):  # raises where it is still held
        pass
    if case.mend is not None:
        case.mend(home)
        wrong += await runs(folder, home)
    return wrong


async def test_each_start_that_is_refused_says_why_in_a_line_and_leaves_nothing_half_started(tmp_path: Path) -> None:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(name: str, case: Case, port: int) -> list[str]:
        folder = tmp_path / name.replace(" ", "-")
        (folder / "home").mkdir(parents=True)
        async with Database(f"sqlite:///{folder}/home/belltower.db") as database:
            await upgrade(database)
        case.spoil(folder / "home")
        async with turns:
            return await try_out(folder, case, port)

    with taken_port() as port:
        async with asyncio.timeout(PATIENCE_S * len(CASES) / AT_ONCE):
            wrong = await asyncio.gather(*(one(name, case, port) for name, case in CASES.items()))
    assert {name: found for name, found in zip(CASES, wrong, strict=True) if found} == {}


async def test_a_second_daemon_of_a_home_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with asyncio.timeout(PATIENCE_S), process(tmp_path, home, *RUN) as first:
        while not (home / "daemon.json").exists():
            assert first.returncode is None
            await asyncio.sleep(0.02)
        address = (home / "daemon.json").read_text()
        said = rf"a daemon \(process {first.pid}\) runs in .*; stop that one, or give this one a --home of its own"
        assert await refusal(tmp_path, home, Case(said=said)) == []
        assert (home / "daemon.json").read_text() == address
        assert first.returncode is None
        first.send_signal(signal.SIGTERM)
        await first.communicate()
    assert first.returncode == 0
