"""Logs: one line an event, readable on a terminal and JSON elsewhere, ours and the libraries' alike."""

import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from datetime import datetime
from typing import TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from orchestration.domain.errors import DefinitionError, nearest
from orchestration.ports.clock import Clock
from orchestration.system.clock import WallClock
from orchestration.telemetry.masking import masked_fields

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_CHATTY = ("PIL", "alembic", "asyncio", "matplotlib", "sqlalchemy", "uvicorn.error")
_OWN_HANDLERS = ("uvicorn", "uvicorn.access", "uvicorn.error")
_FIRST = ("timestamp", "level", "mode", "event")


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that setting up again replaces it and nobody else's."""


def configure_logs(
    level: str,
    *,
    mode: str,
    clock: Clock,
    simulated: bool = False,
    json: bool | None = None,
    stream: TextIO | None = None,
) -> None:
    """Send every log line of this process to ``stream`` (``None``: standard error); calling again replaces all of it.

    ``mode`` (paper or live) stands in every line. Lines carry the time of ``clock``; with ``simulated`` that is
    simulated time and the line says so, but for lines from outside of the simulation, which carry the wall clock's.
    ``json=None`` means JSON unless ``stream`` is a terminal. Raises `DefinitionError` for an unknown ``level``.
    """
    if level.upper() not in LEVELS:
        raise DefinitionError(f"LOG_LEVEL is {level!r}{nearest(level, LEVELS)}")
    number = logging.getLevelNamesMapping()[level.upper()]
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        _Stamp(clock, mode=mode, simulated=simulated),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # a simulation inside a process sets its own logs up and takes them down
    )
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.StackInfoRenderer(),
                structlog.processors.format_exc_info,
                _mask,
                _renderer(as_json=not stream.isatty() if json is None else json, colors=stream.isatty()),
            ],
        )
    )
    _take_over(handler, number)


@contextmanager
def bind_run(run_id: str, task: str | None = None) -> Iterator[None]:
    """Put the run, and the task if there is one, into every line logged inside, also by what is awaited there."""
    with structlog.contextvars.bound_contextvars(run_id=run_id, **({} if task is None else {"task": task})):
        yield


class _Stamp:
    """The processor that says when, in which mode, and whether the time is simulated."""

    def __init__(self, clock: Clock, *, mode: str, simulated: bool) -> None:
        self._clock = clock
        self._mode = mode
        self._simulated = simulated

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        now, simulated = self._now()
        event["timestamp"] = now.isoformat(timespec="microseconds").replace("+00:00", "Z")
        event["mode"] = self._mode
        if simulated:
            event["simulated"] = True
        return event

    def _now(self) -> tuple[datetime, bool]:
        if self._simulated:
            try:
                return self._clock.now(), True
            except (RuntimeError, TypeError):  # the simulation is not running: its clock stands nowhere
                return WallClock().now(), False
        return self._clock.now(), False


def _mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    fields = masked_fields(event)
    return {name: fields[name] for name in _FIRST if name in fields} | fields


def _renderer(*, as_json: bool, colors: bool) -> Processor:
    if as_json:
        return _as_json
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


def _as_json(_logger: WrappedLogger, _method: str, event: MutableMapping[str, object]) -> str:
    return orjson.dumps(event).decode()


def _take_over(handler: logging.Handler, level: int) -> None:
    """Make ``handler`` the way out for all loggers, in place of an earlier one of ours and of the libraries' own."""
    root = logging.getLogger()
    for earlier in [one for one in root.handlers if isinstance(one, _Handler)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    for name in _OWN_HANDLERS:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
