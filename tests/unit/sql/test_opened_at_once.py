"""Several processes may make a store at the same moment."""

import subprocess
import sys
import time
from pathlib import Path
from typing import IO

OPENER = """
import asyncio, sys, time
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.migration import upgrade

async def main():
    print("ready", flush=True)
    first = float(sys.stdin.readline())
    for number in range(100):
        while time.time() < first + number * 0.02:  # all at the same moment
            pass
        async with Database(f"sqlite:///{sys.argv[1]}/{number}.db") as database:
            await upgrade(database)
            await database.take_over()

asyncio.run(main())
"""


def pipe(one: IO[str] | None) -> IO[str]:
    assert one is not None
    return one


def test_they_wait_for_each_other(tmp_path: Path) -> None:
    words, ends = [sys.executable, "-c", OPENER, str(tmp_path)], subprocess.PIPE
    opened = [subprocess.Popen(words, stdin=ends, stdout=ends, stderr=ends, text=True) for _ in range(3)]
    for one in opened:
        assert pipe(one.stdout).readline() == "ready\n"
    for one in opened:
        pipe(one.stdin).write(f"{time.time() + 0.1}\n")
        pipe(one.stdin).flush()
    said = [one.communicate(timeout=60)[1] for one in opened]
    assert [one.returncode for one in opened] == [0, 0, 0], said
