"""A thread that sees whether an event loop turns, and where it stands when it does not."""

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

LOOKS_PER_LIMIT = 10
DEEPEST_STACK = 30

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """A loop did not turn for ``lag_s`` seconds.

    ``stack`` is where its thread stood; ``None`` when this thread could not run either: the whole process was stopped,
    or a library held the interpreter.
    """

    lag_s: float
    stack: str | None


class LoopProbe:
    """Asks the running loop to answer, ten times a limit, from a thread of its own.

    ``on_lag`` (how long the answer took, in seconds) and ``on_stall`` (once a stall, when it is over) are called on the
    loop. A stall is logged while it lasts, since the loop may never turn again. Not for simulations: their time jumps.
    """

    def __init__(self, *, limit_s: float, on_lag: Callable[[float], None], on_stall: Callable[[Stall], None]) -> None:
        self._limit_s = limit_s
        self._pace_s = limit_s / LOOKS_PER_LIMIT
        self._on_lag = on_lag
        self._on_stall = on_stall
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loop-watch", daemon=True)

    def start(self) -> None:
        """Begin; to be called on the loop that is to be watched, once."""
        self._loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()
        self._thread.start()

    async def stop(self) -> None:
        """Return once the thread has ended; nothing is called after that."""
        self._stopping.set()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            before = time.monotonic()
            while not self._stopping.wait(self._pace_s):
                away = time.monotonic() - before - self._pace_s
                if away > self._limit_s:
                    self._tell(Stall(lag_s=away, stack=None))
                self._look()
                before = time.monotonic()
        except RuntimeError:  # the loop is closed: there is nothing left to watch
            _log.debug("the watched loop is closed")

    def _look(self) -> None:
        question = _Question(self._on_lag)
        self._loop.call_soon_threadsafe(question.answer)
        stack, waited, looked = None, 0.0, question.asked
        while not question.answered.wait(self._pace_s):
            if self._stopping.is_set() or self._loop.is_closed():
                return  # nobody will answer any more
            now = time.monotonic()
            waited += min(now - looked, 2 * self._pace_s)  # a long gap is this thread's, and blames nobody
            looked = now
            if stack is None and waited >= self._limit_s and (stack := self._stack(question)) is not None:
                _log.warning("the event loop has not turned for %.3g s; it stands at\n%s", now - question.asked, stack)
        if question.lag_s > self._limit_s:
            self._tell(Stall(lag_s=question.lag_s, stack=stack))

    def _tell(self, stall: Stall) -> None:
        self._loop.call_soon_threadsafe(self._on_stall, stall)

    def _stack(self, question: "_Question") -> str | None:
        """Where the loop's thread stands, or ``None`` when the loop turned while this was found out."""
        frame = sys._current_frames().get(self._watched)
        lines = [] if frame is None else traceback.format_stack(frame, DEEPEST_STACK)
        return None if question.answered.is_set() else "".join(lines).rstrip()


class _Question:
    """What the thread asks, and the loop answers when it turns."""

    def __init__(self, on_lag: Callable[[float], None]) -> None:
        self.asked = time.monotonic()
        self.answered = threading.Event()
        self.lag_s = 0.0
        self._on_lag = on_lag

    def answer(self) -> None:
        self.lag_s = time.monotonic() - self.asked
        self.answered.set()
        self._on_lag(self.lag_s)
