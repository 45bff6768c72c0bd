"""What else happens to a desk: full and failing disks, a frozen process, clocks that jump, a second desk."""

import os
import random  # noqa: TID251 (instants, no money)
import shutil
import signal
import subprocess
import tempfile
import time  # noqa: TID251 (faults come by the machine's clock)
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from checks.crash_audit import Found, audit, read_marks
from checks.crash_broker import ExchangeProcess
from checks.crash_desk import Place
from checks.crash_lives import BrokenPromiseError, Case, Life, life_words, new_place, settle
from checks.crash_work import DEADLY
from checks.packages import find_libfaketime

TMPFS_MB = 24
HOUR_S = 3600


def _felt(life: Life) -> bool:
    """Whether the log says that the disk is full."""
    return "no room left" in life.log() or "disk that fails or is full" in life.log()


def _wait_until_felt(life: Life) -> None:
    """Wait, not for ever: what the file of the WAL has room for is kept on a full disk, too."""
    for _ in range(50):
        if _felt(life):
            return
        time.sleep(0.1)


def full_disk(number: int, *, seed: str) -> Case:
    """Fill the disk of the store and free it again, ``number`` times; every other time the process dies meanwhile."""
    draw = random.Random(seed)  # noqa: S311 (instants, no secrets)
    refused = 0
    with tmpfs(TMPFS_MB) as disk, new_place(home=disk / "home") as (place, exchange):
        life = Life(place, seed=f"{seed} first", new_runs=None)
        try:
            for turn in range(number):
                time.sleep(draw.uniform(0.3, 1.0))
                before = _size(place)
                fill(disk / "filler")
                time.sleep(draw.uniform(0.5, 2.0))
                if not refused:
                    _wait_until_felt(life)
                if turn % 2:
                    life.kill()
                    life = Life(place, seed=f"{seed} {turn}", new_runs=None)  # it starts on a full disk
                    time.sleep(draw.uniform(0.2, 1.0))
                refused += _felt(life)
                (disk / "filler").unlink()
                _alive(life)
                _moves_on(place, before)
            life.kill()
        finally:
            life.gone()
        if not refused:
            raise BrokenPromiseError("the disk was never felt to be full")
        return {"tried": number, "felt": refused, **settle(place, exchange).to_json()}


def failing_fsync(number: int, *, seed: str) -> Case:
    """Have the calls fail that bring data to the disk: every seventh one, and from some call on all of them."""
    total, failed = Found(), 0
    for turn in range(number):
        draw = random.Random(f"{seed} {turn}")  # noqa: S311 (instants, no secrets)
        when = f"{draw.randint(10, 30)}+7" if turn % 2 == 0 else f"{draw.randint(20, 80)}+"
        with new_place() as (place, exchange):
            log = place.marks.with_name("strace")
            strace = [
                "strace", "-f", "-qq", "--seccomp-bpf", "-o", str(log), "-e", "trace=fsync,fdatasync",
                "-e", f"inject=fsync,fdatasync:error=EIO:when={when}",
            ]  # fmt: skip
            for_good = turn % 2 == 1
            words = life_words(place, seed=f"{seed} {turn}", new_runs=None if for_good else 12, stay=not for_good)
            with place.marks.with_name("log").open("ab") as out:
                process = subprocess.Popen([*strace, *words], stdout=out, stderr=out, start_new_session=True)  # noqa: S603 (our own words)
            try:
                if for_good:
                    time.sleep(draw.uniform(4.0, 6.0))
                else:
                    process.wait(90)
            except subprocess.TimeoutExpired:
                raise BrokenPromiseError(f"fsync {when}: it did not end: {_tail(place)}") from None
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if not for_good and process.returncode:
                raise BrokenPromiseError(f"fsync {when}: it ended with {process.returncode}: {_tail(place)}")
            failed += log.read_text().count("INJECTED")
            total.add(settle(place, exchange))
    if not failed:
        raise BrokenPromiseError("no call was made to fail")
    return {"tried": number, "calls_failed": failed, **total.to_json()}


def frozen(number: int, *, seconds: float, seed: str) -> Case:
    """Stop a process; a second one at the same home leaves its runs alone; then it goes on, or is killed as it is."""
    draw = random.Random(seed)  # noqa: S311 (instants, no secrets)
    total = Found()
    for turn in range(number):
        with new_place() as (place, exchange):
            first = Life(place, seed=f"{seed} first", new_runs=None)
            second = None
            try:
                time.sleep(draw.uniform(0.5, 1.5))
                os.kill(first.pid, signal.SIGSTOP)
                second = Life(place, seed=f"{seed} second", new_runs=3)
                time.sleep(seconds)
                total.counts["held_up"] += (
                    second.poll() is None
                )  # it was stopped in a commit, with the lock of the file
                taken = [words for words in read_marks(place.marks) if words[0] == "taken"]
                if taken:
                    raise BrokenPromiseError(f"a process that was only stopped lost its runs: {taken}")
                if turn % 2:
                    first.kill()
                else:
                    lines = len(read_marks(place.marks))
                    os.kill(first.pid, signal.SIGCONT)
                    time.sleep(2.0)
                    _alive(first)
                    second.end_well(60.0)
                    if not any(words[0] == "ended" for words in read_marks(place.marks)[lines:]):
                        raise BrokenPromiseError("a process that was stopped did not go on")
                    first.kill()
            finally:
                first.gone()
                if second is not None:
                    second.gone()
            total.add(settle(place, exchange))
    return {"tried": number, "stopped_s": seconds, **total.to_json()}


def clock_steps(number: int, *, seed: str) -> Case:
    """Set the wall clock an hour forward and back under a desk that works, and under those that follow it."""
    library = find_libfaketime()
    if library is None:
        raise BrokenPromiseError("libfaketime is not here")
    draw, total = random.Random(seed), Found()  # noqa: S311 (instants, no secrets)
    with new_place() as (place, exchange):
        clock = place.marks.with_name("faketime")
        environment = os.environ | {
            "LD_PRELOAD": str(library), "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_CACHE_DURATION": "1",
        }  # fmt: skip
        offset = 0
        for turn in range(number):
            clock.write_text(f"{offset:+d}\n")
            last = turn == number - 1
            words = life_words(place, seed=f"{seed} {turn}", new_runs=8 if last else None, stay=last)
            with place.marks.with_name("log").open("ab") as out:
                process = subprocess.Popen(words, env=environment, stdout=out, stderr=out)  # noqa: S603 (our own program)
            try:
                for _ in range(2):
                    time.sleep(draw.uniform(1.5, 2.5))
                    offset += draw.choice([-HOUR_S, HOUR_S])
                    clock.write_text(f"{offset:+d}\n")
                time.sleep(draw.uniform(1.0, 2.0))
                if last and process.wait(90):
                    raise BrokenPromiseError(f"it ended with {process.returncode}: {_tail(place)}")
                if not last and process.poll() is not None:
                    raise BrokenPromiseError(f"it ended by itself with {process.returncode}: {_tail(place)}")
            except subprocess.TimeoutExpired:
                raise BrokenPromiseError(f"after a step of the clock it did not end: {_tail(place)}") from None
            finally:
                process.kill()
                process.wait()
        total.add(audit(place, exchange.seen()))
    return {"tried": 2 * number, **total.to_json()}


def two_desks(number: int, *, seed: str, span_s: float = 1.0) -> Case:
    """Have two desks at one store and one account; now the one is killed, now the other, and each time one follows."""
    draw = random.Random(seed)  # noqa: S311 (instants, no secrets)
    total, left = Found(), number
    while left:
        batch = min(left, 20)
        left -= batch
        with new_place() as (place, exchange):
            lives = [Life(place, seed=f"{seed} {left} {side}", new_runs=None) for side in "ab"]
            try:
                for turn in range(batch):
                    time.sleep(draw.uniform(0.0, span_s))
                    one = draw.randrange(2)
                    lives[one].kill()
                    lives[one] = Life(place, seed=f"{seed} {left} {turn}", new_runs=None)
                time.sleep(span_s)
                for life in lives:
                    life.kill()
            finally:
                for life in lives:
                    life.gone()
            total.add(_settled_by_two(place, exchange))
    return {"tried": number, **total.to_json()}


def deadly_task(*, most_losses: int = 3) -> Case:
    """See a task that ends its process fail with that reason, after ``most_losses`` more processes have died of it."""
    with new_place() as (place, _):
        lives, code, said = 0, -signal.SIGKILL, ""
        while code == -signal.SIGKILL and lives < most_losses + 3:
            new_runs = 0 if lives else 1
            life = Life(place, seed="deadly", new_runs=new_runs, wanted=DEADLY, stay=True, max_retries=most_losses)
            lives += 1
            try:
                code = life.wait(30.0)
            finally:
                life.gone()
            said = life.tail()
        marks = read_marks(place.marks)
    ended = [words[2] for words in marks if words[0] == "ended"]
    attempts = sum(words[0] == "none" for words in marks)
    if code or ended != ["failed"] or attempts != most_losses + 1:
        raise BrokenPromiseError(f"after {lives} lives and {attempts} attempts its run was {ended}: {said}")
    return {"tried": 1, "lives": lives, "attempts": attempts}


def _settled_by_two(place: Place, exchange: ExchangeProcess) -> Found:
    """Let two desks start at the same moment and finish everything."""
    lives = [Life(place, seed=f"last {side}", new_runs=2, stay=True) for side in "ab"]
    try:
        for life in lives:
            life.end_well()
    finally:
        for life in lives:
            life.gone()
    return audit(place, exchange.seen())


@contextmanager
def tmpfs(megabytes: int) -> Iterator[Path]:
    """A small disk in memory."""
    with tempfile.TemporaryDirectory(prefix="belltower-disk-") as name:
        mount, umount = shutil.which("mount"), shutil.which("umount")
        if mount is None or umount is None:
            raise BrokenPromiseError("mount is not here")
        subprocess.run([mount, "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", name], check=True)  # noqa: S603 (our own words)
        try:
            (Path(name) / "home").mkdir()
            yield Path(name)
        finally:
            subprocess.run([umount, "-l", name], check=True)  # noqa: S603 (our own words)


def fill(filler: Path) -> None:
    """Write until nothing more fits."""
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while file.write(b"\0" * size) == size:
                    pass


def _size(place: Place) -> int:
    return len(read_marks(place.marks))


def _moves_on(place: Place, lines: int) -> None:
    """Wait until runs end again."""
    until = time.monotonic() + 20
    while not any(words[0] == "ended" for words in read_marks(place.marks)[lines:]):
        if time.monotonic() > until:
            raise BrokenPromiseError(f"nothing goes on after the disk was freed: {_tail(place)}")
        time.sleep(0.05)


def _alive(life: Life) -> None:
    if life.poll() is not None:
        raise BrokenPromiseError(f"it ended by itself with {life.poll()}: {life.tail()}")


def _tail(place: Place) -> str:
    log: Any = place.marks.with_name("log").read_text(errors="replace").splitlines()
    return " | ".join(log[-6:])[-1500:]
