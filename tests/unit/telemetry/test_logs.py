"""What a log line holds, and what it never holds."""

import asyncio
import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import structlog

from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.adapters.simulated.loop import run_simulated
from orchestration.domain.errors import DefinitionError
from orchestration.telemetry.logs import bind_run, configure_logs
from tests.doubles import ManualClock

Lines = Callable[[], list[dict[str, object]]]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Put the logging of the test process back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def lines(stream: io.StringIO) -> Lines:
    configure_logs("info", mode="paper", clock=ManualClock(), stream=stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_when_how_important_in_which_mode_and_what(lines: Lines) -> None:
    structlog.get_logger("orchestration.engine").info("task started", attempt=1)
    assert lines() == [
        {
            "timestamp": "2012-12-12T11:00:00.000000Z",
            "level": "info",
            "mode": "paper",
            "event": "task started",
            "logger": "orchestration.engine",
            "attempt": 1,
        }
    ]
    assert list(lines()[0])[:4] == ["timestamp", "level", "mode", "event"]


def test_a_terminal_gets_readable_lines_and_anything_else_json() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        configure_logs("INFO", mode="live", clock=ManualClock(), stream=stream)
        structlog.get_logger().info("hello", symbol="AAPL")
    assert json.loads(pipe.getvalue())["mode"] == "live"
    assert not terminal.getvalue().startswith("{")
    assert {"hello", "AAPL", "live"} <= set(_without_colours(terminal.getvalue()).replace("=", " ").split())


def test_the_form_can_be_asked_for() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    configure_logs("INFO", mode="paper", clock=ManualClock(), stream=terminal, json=True)
    structlog.get_logger().info("hello")
    configure_logs("INFO", mode="paper", clock=ManualClock(), stream=pipe, json=False)
    structlog.get_logger().info("hello")
    assert json.loads(terminal.getvalue())["event"] == "hello"
    assert not pipe.getvalue().startswith("{")
    assert "\x1b" not in pipe.getvalue()


def test_without_a_stream_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("INFO", mode="paper", clock=ManualClock())
    structlog.get_logger().info("hello")
    assert json.loads(capsys.readouterr().err)["event"] == "hello"


def test_less_important_lines_are_left_out(lines: Lines) -> None:
    configured = structlog.get_logger()
    configured.debug("details")
    logging.getLogger("some.library").debug("details")
    configured.warning("look")
    assert [line["event"] for line in lines()] == ["look"]


def test_an_unknown_level_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(DefinitionError, match=r"LOG_LEVEL is 'WARNIN'; did you mean 'WARNING'\?"):
        configure_logs("WARNIN", mode="paper", clock=ManualClock())


def test_setting_up_again_replaces_the_first_set_up(stream: io.StringIO, lines: Lines) -> None:
    second = io.StringIO()
    configure_logs("INFO", mode="paper", clock=ManualClock(), stream=second)
    structlog.get_logger().info("once")
    assert lines() == []
    assert len(second.getvalue().splitlines()) == 1


def test_library_loggers_go_the_same_way(lines: Lines) -> None:
    own = logging.getLogger("uvicorn.error")
    own.addHandler(logging.StreamHandler(io.StringIO()))
    own.propagate = False
    stream = io.StringIO()
    configure_logs("INFO", mode="paper", clock=ManualClock(), stream=stream)
    for name in ("sqlalchemy.engine", "alembic.runtime", "asyncio", "uvicorn.error"):
        logging.getLogger(name).warning("%s of %s", "news", name, extra={"api_key": "k-123"})
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["logger"], line["event"]) for line in found] == [
        ("sqlalchemy.engine", "news of sqlalchemy.engine"),
        ("alembic.runtime", "news of alembic.runtime"),
        ("asyncio", "news of asyncio"),
        ("uvicorn.error", "news of uvicorn.error"),
    ]
    assert all(line["mode"] == "paper" and line["api_key"] == "***" and "timestamp" in line for line in found)


def test_a_debugging_desk_is_not_flooded_by_its_libraries(stream: io.StringIO) -> None:
    configure_logs("DEBUG", mode="paper", clock=ManualClock(), stream=stream)
    logging.getLogger("sqlalchemy.engine").info("SELECT 1")
    logging.getLogger("asyncio").debug("Using selector: EpollSelector")
    structlog.get_logger().debug("ours")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["ours"]


async def test_run_and_task_are_bound_for_what_is_awaited_inside_and_for_nothing_else(lines: Lines) -> None:
    async def work(run_id: str, task: str | None) -> None:
        with bind_run(run_id, task):
            await asyncio.sleep(0)
            structlog.get_logger().info("at work")
            logging.getLogger("library").info("too")

    await asyncio.gather(work("r1", "screen"), work("r2", None))
    structlog.get_logger().info("outside")
    bound = {(line["event"], line.get("run_id"), line.get("task")) for line in lines()}
    assert bound == {
        ("at work", "r1", "screen"),
        ("too", "r1", "screen"),
        ("at work", "r2", None),
        ("too", "r2", None),
        ("outside", None, None),
    }


def test_an_exception_comes_with_its_full_trace(lines: Lines) -> None:
    try:
        try:
            int("AAPL")
        except ValueError as error:
            raise ValueError("no price, password=hunter2") from error
    except ValueError:
        structlog.get_logger().exception("agent failed")
        logging.getLogger("library").exception("library failed")
    for line in lines():
        trace = str(line["exception"])
        assert "Traceback" in trace
        assert "invalid literal for int" in trace
        assert "ValueError: no price, password=***" in trace
        assert "hunter2" not in trace


def test_a_terminal_shows_the_full_trace_too_without_secrets() -> None:
    terminal = Terminal()
    configure_logs("INFO", mode="paper", clock=ManualClock(), stream=terminal)
    try:
        int("token=t-1234 refused")
    except ValueError:
        structlog.get_logger().exception("agent failed")
    shown = _without_colours(terminal.getvalue())
    assert "Traceback" in shown
    assert "token=*** refused" in shown
    assert "t-1234" not in shown


def test_a_simulations_lines_carry_simulated_time_and_say_so(stream: io.StringIO) -> None:
    clock = SimulatedClock(datetime(2012, 12, 12, 11, tzinfo=UTC))
    configure_logs("INFO", mode="paper", clock=clock, simulated=True, stream=stream)

    async def day() -> None:
        await asyncio.sleep(1800)
        structlog.get_logger().info("inside")

    run_simulated(day)
    structlog.get_logger().info("outside")
    inside, outside = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (inside["timestamp"], inside["simulated"]) == ("2012-12-12T11:30:00.000000Z", True)
    assert outside["timestamp"] > "2025"
    assert "simulated" not in outside


def _without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
