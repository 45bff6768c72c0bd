"""A thread that does a store's work, call after call, and wakes the loop once for all that it finished together."""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from orchestration.adapters.sql.job import Job, settle_all

W = TypeVar("W")

MOST_AT_ONCE = 1_000
"""How many calls may be handed over together, and so gather in one transaction."""


class StoreThread(Generic[W]):
    """Runs from `start` to `stop`; ``perform`` gets all jobs that wait, and says by `done` which it has finished."""

    def __init__(self, name: str, perform: Callable[[list[Job[W]], "StoreThread[W]"], None]) -> None:
        self._perform = perform
        self._queue: queue.SimpleQueue[Job[W] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        # It ends with the process even if nobody stopped it: what is not committed then was never acknowledged.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what was handed over and end; returns when the thread is gone."""
        self._queue.put(None)
        self._thread.join()

    async def call(self, work: W) -> object:
        """Hand ``work`` over and return its value, or raise its error, once it is done; see `Job.outcome`."""
        job = Job(work, self._loop)
        self._queue.put(job)
        return await job.outcome()

    def done(self, jobs: Sequence[Job[W]]) -> None:
        """Wake the callers of ``jobs``; called by the thread itself."""
        try:
            self._loop.call_soon_threadsafe(settle_all, jobs)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return

    def _run(self) -> None:
        get, waiting = self._queue.get, self._queue.qsize
        while True:
            jobs, stopping = [], False
            job = get()
            while job is not None:
                jobs.append(job)
                if len(jobs) == MOST_AT_ONCE or not waiting():  # nobody else takes any: what waits can be had
                    break
                job = get()
            else:
                stopping = True
            if jobs:
                self._perform(jobs, self)
                job = None  # while it waits for the next, it keeps nothing of the last
            if stopping:
                return
