"""A real Prometheus for ``make observability``: Debian's, on loopback, in a folder of its own."""

import json
import shutil
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml

from checks.deployed_files import prometheus_flags

START_LIMIT_S = 30.0
JOB = "belltower"

T = TypeVar("T")


class NotFoundError(RuntimeError):
    """What was waited for did not come."""


class Prometheus:
    """A running server; `ask` and its like raise `NotFoundError` with its own words when it refuses."""

    def __init__(self, folder: Path, port: int, process: subprocess.Popen[bytes]) -> None:
        self._folder = folder
        self._port = port
        self._process = process

    def ask(self, expression: str) -> Sequence[tuple[Mapping[str, str], float]]:
        """The samples that ``expression`` gives now: labels and value."""
        answer = self.get("query", query=expression)
        if answer["resultType"] == "scalar":
            return [({}, float(answer["result"][1]))]
        return [(one["metric"], float(one["value"][1])) for one in answer["result"]]

    def get(self, path: str, **query: str) -> Any:
        """What ``/api/v1/PATH`` answers, its ``data``."""
        url = f"http://127.0.0.1:{self._port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise NotFoundError(f"{path}: {json.load(error)['error']}") from error
        except OSError as error:
            raise NotFoundError(f"{path}: {error}") from error

    def scrape(self, ports: Sequence[int]) -> None:
        """Scrape our job at these ports of loopback from now on."""
        _write(self._folder, self._port, ports)
        self._process.send_signal(signal.SIGHUP)

    def up(self, port: int) -> bool:
        """Whether the last scrape of ``port`` went well."""
        return any(value == 1 for _, value in self.ask(f'up{{job="{JOB}", instance="127.0.0.1:{port}"}}'))


@contextmanager
def prometheus(deployed: Path, folder: Path, token: str, ports: Sequence[int]) -> Iterator[Prometheus]:
    """Run what is ``deployed``, as ``compose.yaml`` does, but in ``folder``, with targets, token and pace of a test."""
    shutil.copytree(deployed, folder, dirs_exist_ok=True)
    (folder / "token").write_text(f"{token}\n", encoding="utf-8")
    port = free_port()
    _write(folder, port, ports)
    tool("promtool", "check", "config", str(folder / "prometheus.yml"))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 (our own words)
            [
                str(shutil.which("prometheus")),
                *prometheus_flags(folder / "prometheus.yml", folder / "data"),
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        server = Prometheus(folder, port, process)
        try:
            waited_for(lambda: server.get("status/runtimeinfo"), START_LIMIT_S, "Prometheus answers")
        except NotFoundError as error:
            raise NotFoundError(f"{error}; it said: {(folder / 'log').read_text(errors='replace')[-1000:]}") from error
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def waited_for(look: Callable[[], T], limit_s: float, what: str) -> T:
    """Return what ``look`` returns once that is true, looking five times a second; its errors count as not yet."""
    last: object = None
    for _ in range(int(limit_s * 5)):
        try:
            if found := look():
                return found
        except (NotFoundError, OSError) as error:
            last = error
        threading.Event().wait(0.2)
    raise NotFoundError(f"after {limit_s:g} s still not so: {what}" + (f" ({last})" if last else ""))


def tool(*command: str) -> str:
    """Run a program of the machine and return what it says; raises `NotFoundError` with that when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603 (our own words)
    if done.returncode:
        raise NotFoundError(f"{' '.join(command)}: {(done.stdout + done.stderr).strip()}")
    return done.stdout


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _write(folder: Path, own_port: int, ports: Sequence[int]) -> None:
    """Write the deployed configuration as the test needs it: all of it stays but paths, addresses and the pace."""
    path = folder / "prometheus.yml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    settings["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    for job in settings["scrape_configs"]:
        ours = job["job_name"] == JOB
        job["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in (ports if ours else [own_port])]}]
        if ours:
            job["authorization"]["credentials_file"] = str(folder / "token")
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
