"""The daemon as a process of its own, under a wall clock that can be set while its monotonic clock goes on."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time  # noqa: TID251 (another process's clock is set by the machine's)
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

LIBRARIES = (
    "/usr/lib/*/faketime/libfaketimeMT.so.1",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
)
GRACE_S = 20.0
START_LIMIT_S = 30.0


class BrokenPromiseError(Exception):
    """The daemon did not do what is promised of it."""


def find_libfaketime() -> Path | None:
    """Return the library that sets a process's clock, or ``None`` when the machine has none."""
    for pattern in LIBRARIES:
        for found in sorted(Path("/").glob(pattern.lstrip("/"))):
            return found
    return None


class Daemon:
    """One process over ``home``. Its wall clock shows ``start`` when it is made; ``None``: the machine's own.

    A clock that is not ``settable`` later costs it next to nothing; the others look into a file for the time.
    """

    def __init__(
        self, home: Path, start: datetime | None = None, *, alerts: str | None = None, settable: bool = True
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.log_path = home / "log"
        self._clock_file = home / "faketime"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BELLTOWER_")}
        environment |= {"BELLTOWER_PORT": "0", "HEALTH_CHECK_INTERVAL": "1", "TZ": "UTC"}
        if alerts is not None:
            environment["ALERT_WEBHOOK_URL"] = alerts
        self._offset_s = 0.0
        if start is not None:
            self.set_clock(start)
            environment |= {"LD_PRELOAD": str(find_libfaketime()), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
            if settable:
                environment |= {"FAKETIME_TIMESTAMP_FILE": str(self._clock_file), "FAKETIME_NO_CACHE": "1"}
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
        """Look every few milliseconds until ``fact`` holds; return how long that took."""
        began = time.monotonic()
        while not fact():
            if self._process.poll() is not None:
                raise BrokenPromiseError(f"{what}: the daemon exited with {self._process.returncode}: {self.tail()}")
            if time.monotonic() - began > limit_s:
                raise BrokenPromiseError(f"{what}: not within {limit_s:g} s: {self.tail()}")
            time.sleep(0.005)
        return time.monotonic() - began

    def wait_ready(self) -> float:
        """Wait until it is ready; return how old the process is then, in seconds."""
        self.wait_until(self.ready, START_LIMIT_S, "it gets ready")
        return self.age_s

    def hears_sigterm(self) -> bool:
        """Whether it would get a SIGTERM, or be ended by it."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        return bool(caught >> (signal.SIGTERM - 1) & 1)

    def ready(self) -> bool:
        """Whether it says that it is ready."""
        return self.get("/health/ready")[0] == http.client.OK

    def get(self, path: str) -> tuple[int, str]:
        """Ask it something; 0 while nobody answers."""
        try:
            port = json.loads((self.home / "daemon.json").read_bytes())["address"]["port"]
            token = (self.home / "token").read_text().strip()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            try:
                connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
            finally:
                connection.close()
        except (OSError, http.client.HTTPException):
            return 0, ""

    def port_and_token(self) -> tuple[int, str]:
        """Where it listens, and what opens its doors."""
        port = json.loads((self.home / "daemon.json").read_bytes())["address"]["port"]
        return port, (self.home / "token").read_text().strip()

    def stop(self) -> float:
        """Send SIGTERM; return how long it took to exit with 0, which it must within the grace period."""
        began = time.monotonic()
        self.send(signal.SIGTERM)
        try:
            code = self._process.wait(GRACE_S + 5)
        except subprocess.TimeoutExpired:
            raise BrokenPromiseError(f"SIGTERM: it still runs after {GRACE_S + 5:g} s: {self.tail()}") from None
        if code != 0:
            raise BrokenPromiseError(f"SIGTERM: it exited with {code}: {self.tail()}")
        return time.monotonic() - began

    def kill(self) -> float:
        """End it without a word; return how long it took."""
        began = time.monotonic()
        self._process.kill()
        self._process.wait()
        return time.monotonic() - began

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
