"""The daemon as a process of its own, under a wall clock that can be set while its monotonic clock goes on."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time  # noqa: TID251 (another process's clock is set by the machine's)
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from checks.packages import find_libfaketime

GRACE_S = 20.0
"""How long a stop may take: 12 s for the work in hand, and what is left for the parts."""
START_LIMIT_S = 60.0
LOOK_S = 0.02
SEEN_S = 1
"""So long the process may go on with its old clock when a new one was set."""
LIMIT_S = 90.0
"""How long something is waited for that takes a second or two on a machine with nothing else to do."""

Case = dict[str, Any]
"""What came of a case: ``tried``, what was counted, and what was measured."""


class BrokenPromiseError(Exception):
    """The daemon did not do what is promised of it."""


class Daemon:
    """One process over ``home``. Its wall clock shows ``start`` when it is made; ``None``: the machine's own.

    A clock that is ``settable`` later looks into a file for the time, every `SEEN_S` seconds.
    """

    def __init__(
        self,
        home: Path,
        start: datetime | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        settable: bool = True,
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.log_path = home / "log"
        self._clock_file = home / "faketime"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BELLTOWER_")}
        environment |= {"BELLTOWER_PORT": "0", "HEALTH_CHECK_INTERVAL": "1", "TZ": "UTC", **(settings or {})}
        self._offset_s = 0.0
        self._queued: dict[str, float] = {}
        if start is not None:
            self.set_clock(start)
            environment |= {"LD_PRELOAD": str(find_libfaketime()), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
            if settable:
                environment |= {
                    "FAKETIME_TIMESTAMP_FILE": str(self._clock_file),
                    "FAKETIME_CACHE_DURATION": str(SEEN_S),
                }
            else:
                environment["FAKETIME"] = f"{self._offset_s:+.6f}"
        (home / "daemon.json").unlink(missing_ok=True)  # of a process that was killed
        self._began = time.monotonic()
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 (our own program)
                [sys.executable, "-m", "orchestration", "run", "--home", str(home)],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def age_s(self) -> float:
        """How long ago the process was started."""
        return time.monotonic() - self._began

    def now(self) -> datetime:
        """What its wall clock shows."""
        return datetime.fromtimestamp(time.time() + self._offset_s, UTC)

    def set_clock(self, now: datetime) -> None:
        """Set its wall clock."""
        self._offset_s = now.timestamp() - time.time()
        part = self._clock_file.with_suffix(".part")
        part.write_text(f"{self._offset_s:+.6f}\n")
        part.replace(self._clock_file)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait_until(self, fact: Callable[[], bool], limit_s: float, what: str) -> float:
        """Look again and again until ``fact`` holds; return how long that took."""
        began, queued = time.monotonic(), self.queued_s()
        while not fact():
            if self._process.poll() is not None:
                raise BrokenPromiseError(f"{what}: the daemon exited with {self._process.returncode}: {self.tail()}")
            if time.monotonic() - began > limit_s + self.queued_s() - queued:
                raise BrokenPromiseError(f"{what}: not within {limit_s:g} s: {self.tail()}")
            time.sleep(LOOK_S)
        return time.monotonic() - began

    def wait_ready(self) -> float:
        """Wait until it is ready; return how old the process is then, in seconds, without its time in the queue."""
        self.wait_until(self.ready, START_LIMIT_S, "it gets ready")
        return max(self.age_s - self.queued_s(), 0.0)

    def hears_sigterm(self) -> bool:
        """Whether it would get a SIGTERM, or be ended by it."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        return bool(caught >> (signal.SIGTERM - 1) & 1)

    def ready(self) -> bool:
        """Whether it says that it is ready."""
        return self.get("/health/ready") == http.client.OK

    def get(self, path: str) -> int:
        """Ask it something, as its operator; the status, 0 while nobody answers."""
        try:
            _, token = self.port_and_token()
            return self.ask("GET", path, token)[0]
        except (OSError, http.client.HTTPException):
            return 0

    def ask(self, method: str, path: str, token: str | None) -> tuple[int, str]:
        """Ask it something, with this token or none; status and body."""
        port, _ = self.port_and_token()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request(method, path, headers={"Authorization": f"Bearer {token}"} if token else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def port_and_token(self) -> tuple[int, str]:
        """Where it listens, and what opens its doors."""
        port = json.loads((self.home / "daemon.json").read_bytes())["address"]["port"]
        return port, (self.home / "token").read_text().strip()

    def stop(self) -> float:
        """Send SIGTERM; return how long it took to exit with 0, which it must within the grace period."""
        began, queued = time.monotonic(), self.queued_s()
        took = 0.0
        self.send(signal.SIGTERM)
        while self._process.poll() is None:
            took = time.monotonic() - began - (self.queued_s() - queued)
            if took > GRACE_S + 5:
                raise BrokenPromiseError(f"SIGTERM: it still runs after {took:.1f} s: {self.tail()}")
            time.sleep(LOOK_S)
        if self._process.returncode != 0:
            raise BrokenPromiseError(f"SIGTERM: it exited with {self._process.returncode}: {self.tail()}")
        return max(took, 0.0)

    def kill(self) -> float:
        """End it without a word; return how long it took."""
        began = time.monotonic()
        self._process.kill()
        self._process.wait()
        return time.monotonic() - began

    def queued_s(self) -> float:
        """How long its threads have stood in the queue for a processor.

        That is what other programs do to it: no limit in time counts it, so that a busy machine breaks no promise.
        """
        for thread in Path(f"/proc/{self.pid}/task").glob("*"):
            with suppress(OSError, IndexError):  # one that has just ended
                self._queued[thread.name] = int((thread / "schedstat").read_text().split()[1]) / 1e9
        return sum(self._queued.values())

    def rss_mb(self) -> float:
        """The memory that it has, in MB."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def said(self, words: str) -> bool:
        """Whether ``words`` stand in its log."""
        return words in self.log_path.read_text(errors="replace")

    def tail(self) -> str:
        """The end of its log, in one line."""
        return " | ".join(self.log_path.read_text(errors="replace").splitlines()[-3:])[-600:]
