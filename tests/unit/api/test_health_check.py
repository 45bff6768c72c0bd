"""The health check: where it looks, and what it says of what it finds."""

import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orchestration import health_check
from orchestration.config import default_home, read_environment
from orchestration.health_check import find_home, look, main


@contextmanager
def service(status: int, body: bytes) -> Iterator[int]:
    """A service with one answer; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health/ready" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name is the library's)
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.005,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def daemon(home: Path, port: int, host: str = "127.0.0.1") -> None:
    text = json.dumps({"pid": 1, "address": {"host": host, "port": port}})
    (home / "daemon.json").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])  # noqa: S104 (what a daemon listens on)
def test_a_ready_daemon_exits_with_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    monkeypatch.setenv("BELLTOWER_HOME", str(tmp_path))
    with service(200, b'{"ready": true}') as port:
        daemon(tmp_path, port, host)
        assert (main(), capsys.readouterr().out) == (0, "ready\n")


def test_what_is_not_ready_exits_with_1_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BELLTOWER_HOME", str(tmp_path))
    with service(503, json.dumps({"ready": False, "reasons": ["store:\nheld", "no prices"]}).encode()) as port:
        daemon(tmp_path, port)
        assert (main(), capsys.readouterr().out) == (1, "not ready: store: held; no prices\n")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"ready": false}', "it gives no reason"),
        (b'{"ready": "true"}', "it gives no reason"),
        (b'{"ready": false, "reasons": []}', "it gives no reason"),
        (b"{}", "is no Belltower"),
        (b"[]", "is no Belltower"),
        (b"<html>", "is no Belltower"),
        (b"\xff", "is no Belltower"),
    ],
)
def test_an_odd_answer_is_not_ready(tmp_path: Path, body: bytes, said: str) -> None:
    with service(200, body) as port:
        daemon(tmp_path, port)
        assert (look(tmp_path) or "").endswith(said)


def test_nobody_there_is_not_ready(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        daemon(tmp_path, port)
        assert (look(tmp_path) or "").startswith(f"the daemon at 127.0.0.1 port {port} does not answer: ")


def test_a_daemon_that_stands_still_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_check, "TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as stopped:
        daemon(tmp_path, stopped.getsockname()[1])
        assert (look(tmp_path) or "").endswith("does not answer: timed out")


def test_without_a_daemon_the_home_is_named(tmp_path: Path) -> None:
    said = look(tmp_path) or ""
    assert said.startswith(f"no daemon runs: there is no {tmp_path / 'daemon.json'}; ")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"address": null}', '{"address": {"host": "x"}}', '{"address": {"host": "x", "port": "y"}}'],
)
def test_a_file_that_is_none_of_ours_is_not_ready(tmp_path: Path, text: str) -> None:
    (tmp_path / "daemon.json").write_text(text, encoding="utf-8")
    assert look(tmp_path) == f"{tmp_path / 'daemon.json'} is no file of a daemon"


def test_a_file_that_cant_be_read_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "daemon.json").mkdir()
    assert (look(tmp_path) or "").endswith("can't be read: Is a directory")


@pytest.mark.parametrize(
    "line",
    [
        "BELLTOWER_HOME=/srv/desk",
        "export BELLTOWER_HOME=/srv/desk",
        "  BELLTOWER_HOME = '/srv/desk'  # ours",
        'BELLTOWER_HOME="/srv/a desk#2"',
        "BELLTOWER_HOME=/srv/desk # ours",
        "BELLTOWER_HOME=/srv/desk#2",
        "BELLTOWER_HOME=/srv/first\nBELLTOWER_HOME=/srv/second",
        "# BELLTOWER_HOME=/srv/desk",
        "BELLTOWER_CALENDAR=XLON\r\nBELLTOWER_HOME=/srv/desk\r\n",
        "MY_BELLTOWER_HOME=/srv/desk",
        "BELLTOWER_HOME",
        "",
    ],
)
@pytest.mark.parametrize("environment", [None, "/srv/other"])
def test_a_dotenv_of_the_working_folder_is_read_as_the_settings_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, environment: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(line.encode())
    monkeypatch.delenv("BELLTOWER_HOME", raising=False)
    if environment is not None:
        monkeypatch.setenv("BELLTOWER_HOME", environment)
    assert find_home() == Path(read_environment(None).get("BELLTOWER_HOME", default_home()))


def test_a_dotenv_that_cant_be_read_names_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BELLTOWER_HOME", raising=False)
    (tmp_path / ".env").write_bytes(b"BELLTOWER_HOME=\xff")
    assert find_home() == default_home()


@pytest.mark.parametrize("data", [None, "", " ", "/srv/data"])
def test_the_home_is_the_one_of_the_settings(monkeypatch: pytest.MonkeyPatch, data: str | None) -> None:
    monkeypatch.delenv("BELLTOWER_HOME", raising=False)
    if data is None:
        monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    else:
        monkeypatch.setenv("XDG_DATA_HOME", data)
    assert find_home() == default_home()


@pytest.mark.parametrize(
    ("platform", "local", "expected"),
    [
        ("win32", "/users/ann/local", "/users/ann/local/belltower"),
        ("win32", "", "/home/ann/AppData/Local/belltower"),
        ("darwin", "", "/home/ann/Library/Application Support/belltower"),
        ("linux", "", "/home/ann/.local/share/belltower"),
    ],
)
def test_each_platform_has_its_own_home(
    monkeypatch: pytest.MonkeyPatch, platform: str, local: str, expected: str
) -> None:
    for name, value in {"BELLTOWER_HOME": "", "XDG_DATA_HOME": "", "LOCALAPPDATA": local, "HOME": "/home/ann"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert find_home() == Path(expected)
