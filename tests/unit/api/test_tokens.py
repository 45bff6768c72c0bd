"""The tokens: made once, for their owner only, and known to the store by their hash."""

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from orchestration.adapters.memory.token_store import MemoryTokenStore
from orchestration.api.tokens import open_first_token, read_metrics_token, read_token, sha256_of
from orchestration.domain.errors import DefinitionError
from orchestration.system.secrets import new_token
from tests.doubles import ManualClock

CLOCK = ManualClock()
GOOD = "g" * 43


def write(path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


async def test_the_first_start_makes_a_token_for_its_owner_only(tmp_path: Path) -> None:
    store = MemoryTokenStore()
    before = os.umask(0)
    try:
        token = await open_first_token(tmp_path, store, CLOCK)
    finally:
        os.umask(before)
    path = tmp_path / "token"
    assert (path.stat().st_mode & 0o777, path.read_text(encoding="utf-8")) == (0o600, f"{token}\n")
    assert await store.all() == {hashlib.sha256(token.encode()).hexdigest()}


async def test_the_next_start_finds_the_same_token(tmp_path: Path) -> None:
    store = MemoryTokenStore()
    first = await open_first_token(tmp_path, store, CLOCK)
    assert await open_first_token(tmp_path, store, CLOCK) == first == read_token(tmp_path)
    assert await store.all() == {sha256_of(first)}


async def test_a_new_file_revokes_the_token_that_the_old_one_held(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryTokenStore()
    old = await open_first_token(tmp_path, store, CLOCK)
    assert not caplog.messages
    (tmp_path / "token").unlink()
    new = await open_first_token(tmp_path, store, CLOCK)
    assert new != old
    assert await store.all() == {sha256_of(new)}
    assert "the old one is revoked" in caplog.text
    assert old not in caplog.text


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o601])
async def test_a_token_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    store = MemoryTokenStore()
    path = write(tmp_path / "token", GOOD, mode)
    with pytest.raises(DefinitionError, match=f"can be read by others \\(mode {mode:04o}\\): chmod 600 {path}"):
        await open_first_token(tmp_path, store, CLOCK)
    assert await store.all() == frozenset()


@pytest.mark.parametrize(
    "text", ["", "\n", "short", "a" * 31, "a b" * 20, f"{GOOD}\n{GOOD}", "é" * 43, "x" * 40 + "\0"]
)
def test_a_file_without_a_token_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path / "token", text)
    with pytest.raises(DefinitionError, match="holds no token: write one line of at least 32"):
        read_token(tmp_path)


def test_a_token_of_ones_own_may_end_with_a_line_break(tmp_path: Path) -> None:
    write(tmp_path / "token", f"{GOOD}\r\n")
    assert read_token(tmp_path) == GOOD


@pytest.mark.parametrize("content", [b"\xff" * 43, None])
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "token"
    path.mkdir(mode=0o700) if content is None else write(path, content)
    with pytest.raises(DefinitionError, match="token can't be read"):
        read_token(tmp_path)


def test_without_a_file_the_reader_learns_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="belltower run makes it at its first start"):
        read_token(tmp_path)


async def test_a_home_that_takes_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="can't be made: No such file or directory; choose a BELLTOWER_HOME"):
        await open_first_token(tmp_path / "nowhere", MemoryTokenStore(), CLOCK)


def test_half_a_token_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DefinitionError, match="can't be made: No space left on device"):
        asyncio.run(open_first_token(tmp_path, MemoryTokenStore(), CLOCK))
    assert list(tmp_path.iterdir()) == []


def test_the_metrics_token_may_be_read_by_whoever_the_user_lets(tmp_path: Path) -> None:
    assert read_metrics_token(write(tmp_path / "scraper", f"{GOOD}\n", 0o644)) == GOOD


def test_a_metrics_token_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"BELLTOWER_METRICS_TOKEN_FILE is .*scraper, which can't be read"):
        read_metrics_token(tmp_path / "scraper")


def test_new_tokens_differ_and_fit_into_a_header() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(
        len(token) == 43 and token.isascii() and token.replace("-", "").replace("_", "").isalnum() for token in tokens
    )


def test_text_and_bytes_have_the_same_hash() -> None:
    assert sha256_of("abc") == sha256_of(b"abc") == hashlib.sha256(b"abc").hexdigest()
