"""Kill light desks at random instants, one after the other in one home, and audit what the last one leaves.

A life is a process forked from this one, which has imported what a desk needs and opened nothing; so that a start takes
a tenth of a second and instants spread over all that a desk does. `cold_start` measures a start from nothing.
"""

import asyncio
import os
import random  # noqa: TID251 (instants, no money)
import signal
import statistics
import subprocess
import sys
import tempfile
import time  # noqa: TID251 (lives end by the machine's clock)
import traceback
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from checks.crash_audit import Found, audit, read_marks
from checks.crash_broker import ExchangeProcess
from checks.crash_desk import Place, live
from checks.simulated_exchange import Manners

Case = dict[str, Any]
LIVES_A_HOME = 30
"""So many lives share a home; then a new one is begun, so that a first start is killed too, and stores stay small."""
LAST_LIFE_S = 120.0


class BrokenPromiseError(Exception):
    """The desk did not do what is promised of it."""


class Life:
    """One process, which does ``work``; ``options`` are those of that coroutine function."""

    def __init__(self, place: Place, *, work: Callable[..., Coroutine[Any, Any, None]] = live, **options: Any) -> None:
        self._log = place.marks.with_name("log")
        sys.stdout.flush()
        sys.stderr.flush()
        born = time.monotonic()
        self.pid = os.fork()
        self._status: int | None = None
        if not self.pid:
            self._live(work(place, born=born, **options))

    def kill(self) -> None:
        """End it without a word; raises `BrokenPromiseError` when it had ended by itself."""
        if self.poll() is not None:
            raise BrokenPromiseError(f"a life ended by itself with {self._status}: {self.tail()}")
        os.kill(self.pid, signal.SIGKILL)
        self.wait(10.0)

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; ``None`` while it lives."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def wait(self, limit_s: float) -> int:
        """Wait for its end, and return its exit code."""
        until = time.monotonic() + limit_s
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                self._status = -signal.SIGKILL
                raise BrokenPromiseError(f"a life did not end within {limit_s:g} s: {self.tail()}")
            time.sleep(0.005)
        return code

    def end_well(self, limit_s: float = LAST_LIFE_S) -> None:
        """Wait for its end, which has to be a good one."""
        code = self.wait(limit_s)
        if code:
            raise BrokenPromiseError(f"a life that was left alone ended with {code}: {self.tail()}")

    def gone(self) -> None:
        """Leave nothing behind."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait(10.0)

    def log(self) -> str:
        """What it and those before it in its home have said."""
        return self._log.read_text(errors="replace")

    def tail(self) -> str:
        """The end of its log, in one line."""
        return " | ".join(self.log().splitlines()[-6:])[-1500:]

    def _live(self, work: Coroutine[Any, Any, None]) -> None:
        """What the forked process does; never returns."""
        code = 1
        try:
            log = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            os.dup2(log, 1)
            os.dup2(log, 2)
            asyncio.run(work)
            code = 0
        except BaseException:  # noqa: BLE001 (a forked process must not go on as its parent)
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)


@contextmanager
def new_place(
    manners: Manners | None = None, *, seed: str = "1", home: Path | None = None
) -> Iterator[tuple[Place, ExchangeProcess]]:
    """A place to live at for a while, with an exchange of its own; ``home``: the store lies there."""
    with tempfile.TemporaryDirectory(prefix="belltower-crash-") as name:
        folder = Path(name)
        place = Place(home=home or folder / "home", marks=folder / "marks", exchange=folder / "exchange")
        place.home.mkdir(exist_ok=True)
        with ExchangeProcess(place.exchange, manners, seed=seed) as exchange:
            yield place, exchange


def settle(place: Place, exchange: ExchangeProcess, **settings: Any) -> Found:
    """Let a last life finish everything, and audit what there is then."""
    life = Life(place, seed="last", new_runs=0, stay=True, **settings)
    try:
        life.end_well()
    finally:
        life.gone()
    time.sleep(0.05)
    return audit(place, exchange.seen())


def kills(
    number: int,
    *,
    seed: str,
    span_s: float = 1.0,
    manners: Manners | None = None,
    away: bool = False,
    lives_a_home: int = LIVES_A_HOME,
    **settings: Any,
) -> Case:
    """Kill ``number`` lives, each at an instant drawn evenly from its first ``span_s`` seconds, and audit every home.

    ``away``: the exchange is out of reach for a part of each life.
    """
    draw = random.Random(seed)  # noqa: S311 (instants, no secrets)
    total, ups, left = Found(), list[float](), number
    while left:
        batch = min(left, lives_a_home)
        left -= batch
        with new_place(manners, seed=f"{seed} {left}") as (place, exchange):
            for turn in range(batch):
                life = Life(place, seed=f"{seed} {left} {turn}", new_runs=None, **settings)
                try:
                    _instants(draw, span_s, exchange, manners or Manners(), away=away)
                    life.kill()
                finally:
                    life.gone()
            exchange.behave(manners or Manners())
            total.add(settle(place, exchange, **settings))
            ups += [float(words[1]) for words in read_marks(place.marks) if words[0] == "up"]
    ups = ups or [0.0]
    starts = {"start_s": round(statistics.median(ups), 3), "slowest_start_s": max(ups)}
    return {"tried": number, **total.to_json(), **starts}


def _instants(draw: random.Random, span_s: float, exchange: ExchangeProcess, manners: Manners, *, away: bool) -> None:
    """Wait until the instant has come."""
    until = time.monotonic() + draw.uniform(0.0, span_s)
    if away:
        time.sleep(draw.uniform(0.0, max(0.0, until - time.monotonic())))
        exchange.behave(replace(manners, away=True))
        time.sleep(min(0.5, max(0.0, until - time.monotonic())))
        if draw.random() < 0.5:
            exchange.behave(manners)
    time.sleep(max(0.0, until - time.monotonic()))


def start_time(times: int) -> Case:
    """Measure how long a light desk takes from its fork to being ready for orders, its store read and compared."""
    with new_place() as (place, _):
        for turn in range(times):
            life = Life(place, seed=f"start {turn}", new_runs=1)
            try:
                life.end_well()
            finally:
                life.gone()
        took = [float(words[1]) for words in read_marks(place.marks) if words[0] == "up"]
    return {"tried": times, "start_s": round(statistics.median(took), 3), "slowest_start_s": max(took)}


def cold_start(times: int) -> Case:
    """Measure the same from the start of a new interpreter."""
    with new_place() as (place, _):
        for _ in range(times):
            done = subprocess.run(life_words(place), check=False, capture_output=True, text=True)  # noqa: S603 (our own program)
            if done.returncode:
                raise BrokenPromiseError(f"a cold start failed: {done.stderr[-500:]}")
        took = [float(words[1]) for words in read_marks(place.marks) if words[0] == "up"]
    return {"tried": times, "start_s": round(statistics.median(took[1:]), 3), "slowest_start_s": max(took[1:])}


def life_words(place: Place, *, seed: str = "cold", new_runs: int | None = 1, stay: bool = False) -> Sequence[str]:
    """The command line of a life that is not forked."""
    runs = "" if new_runs is None else str(new_runs)
    words = [str(place.home), str(place.marks), str(place.exchange), seed, runs, "stay" if stay else ""]
    return [sys.executable, "-m", "checks.crash_lives", str(time.monotonic()), *words]


def main(words: Sequence[str]) -> None:
    """Live the life that ``words`` say."""
    born, home, marks, exchange, seed, runs, stay = words
    place = Place(home=Path(home), marks=Path(marks), exchange=Path(exchange))
    asyncio.run(live(place, seed=seed, born=float(born), new_runs=int(runs) if runs else None, stay=bool(stay)))


Attempt = Callable[[], Case]

if __name__ == "__main__":
    main(sys.argv[1:])
