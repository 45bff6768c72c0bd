"""Set the daemon's clock, let it sleep, and stop its process: nothing is missed, early, or late without a reason."""

import shutil
import signal
import threading
import time  # noqa: TID251 (as in daemon_process)
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zoneinfo import ZoneInfo

from checks.daemon_process import LIMIT_S, SEEN_S, BrokenPromiseError, Case, Daemon
from checks.home_audit import committed, counts, discrepancies, doubled, stage_starts, unfinished
from checks.process_stops import OPEN, PRE_MARKET
from orchestration.system.clock import NAP_S

ON_TIME_S = 5.0
"""A clock that runs as it should is obeyed at once: half a second to plan the day once more and to write the first
record. The rest is for a slow disk; what a busy machine's other programs take is not counted."""
NOTICED_S = SEEN_S + NAP_S + ON_TIME_S
"""A clock that was set is noticed at the end of a nap at the latest."""
AHEAD_S = SEEN_S + NAP_S + 2.0
"""So long before a moment the clock is set, for the moment itself to be kept."""
LONG_SLEEP = timedelta(days=7)
_HOUR = timedelta(hours=1)

NEW_YORK = ZoneInfo("America/New_York")
CLOSED = {date(2012, 10, 29), date(2012, 10, 30), date(2012, 11, 22)}
"""Two days of a storm, and Thanksgiving."""
EARLY_CLOSE = date(2012, 11, 23)
HARD = {date(2012, 10, 24), date(2012, 10, 31), date(2012, 11, 5), EARLY_CLOSE}
"""FOMC, after the storm, after the night in which clocks change, and half a day."""
QUICK_DAYS = {date(2012, 10, 26), date(2012, 11, 2), date(2012, 11, 21), *HARD} - {date(2012, 10, 24)}


def clock_steps(home: Path) -> Case:
    """Set the clock by an hour both ways while the daemon waits, and let it sleep through a night."""
    next_pre_market = PRE_MARKET + timedelta(days=1)

    def days() -> set[str]:
        return {name for name, _, _ in stage_starts(home)}

    with Daemon(home, PRE_MARKET - 2 * _HOUR) as daemon:
        daemon.wait_ready()
        daemon.set_clock(PRE_MARKET - timedelta(seconds=AHEAD_S + 10))
        time.sleep(AHEAD_S)  # now it knows, and sleeps until a moment that is ten seconds away
        daemon.set_clock(daemon.now() - _HOUR)  # back: nothing may start at the old moment
        time.sleep(20)
        if days():
            raise BrokenPromiseError("a stage began an hour before its time, after the clock was set back")
        watch = Punctuality(daemon)
        daemon.set_clock(PRE_MARKET + _HOUR)  # forward: the day is late, by that hour and by what it takes to notice
        daemon.wait_until(lambda: bool(days()), LIMIT_S, "the clock was set forward, and the day begins")
        at = _began_at(home, "2012-12-12", "pre_market")
        noticed = watch.late("2012-12-12, after the clock was set,", at, PRE_MARKET + _HOUR, NOTICED_S)
        daemon.set_clock(daemon.now() - _HOUR)  # back while the day runs: nothing of it runs again
        time.sleep(AHEAD_S)
        daemon.set_clock(next_pre_market - _HOUR)
        daemon.send(signal.SIGSTOP)  # the lid is closed, and opened shortly before the next day
        daemon.set_clock(next_pre_market - timedelta(seconds=AHEAD_S))
        time.sleep(2)
        watch = Punctuality(daemon)
        daemon.send(signal.SIGCONT)
        daemon.wait_until(lambda: "XNYS 2012-12-13" in days(), LIMIT_S, "the next day begins")
        at = _began_at(home, "2012-12-13", "pre_market")
        slept = watch.late("2012-12-13, after a sleep,", at, next_pre_market, NOTICED_S)
        daemon.wait_until(daemon.ready, LIMIT_S, "it is ready again")
        daemon.stop()
    for line in (*doubled(home), *discrepancies(home)):
        raise BrokenPromiseError(f"clock steps: {line}")
    return {"tried": 5, "noticed_after_s": noticed, "late_after_sleep_s": slept, **counts(home)}


def five_weeks(home: Path, *, quick: bool) -> Case:
    """Jump from session to session, 2012-10-22 to 2012-11-23: the moments are those of the simulation.

    Each session's first stage is seen to begin on time, on hard days all that trade too, with orders under way when
    the clock jumps. ``quick``: only the storm, the night in which clocks change, and Thanksgiving.
    """
    start = date(2012, 10, 22)
    every = [start + timedelta(days=number) for number in range((EARLY_CLOSE - start).days + 1)]
    sessions = [day for day in every if day.weekday() < 5 and day not in CLOSED]
    hard = {EARLY_CLOSE} if quick else HARD
    if quick:
        sessions = [day for day in sessions if day in QUICK_DAYS]
    late: dict[str, float] = {}
    before = _moment(start, 6)
    with Daemon(home, _moment(start, 0) - timedelta(days=1)) as daemon:
        daemon.wait_ready()
        for day in sessions:
            for stage, due in _stages(day, hard=day in hard):
                lines = len(committed(home).entries)
                watch = Punctuality(daemon)
                ahead_s = AHEAD_S if due - before < LONG_SLEEP else 5 * AHEAD_S  # every day slept through is planned
                daemon.set_clock(due - timedelta(seconds=ahead_s))
                before = due
                begun = (f"XNYS {day}", stage)
                daemon.wait_until(
                    lambda begun=begun: begun in {(name, one) for name, one, _ in stage_starts(home)},  # type: ignore[misc]  # the default binds this stage
                    LIMIT_S,
                    f"{stage} of {day} begins",
                )
                what = f"{stage} of {day}"
                late[what] = watch.late(what, _began_at(home, str(day), stage), due, ON_TIME_S)
                if stage == "market_open":
                    daemon.wait_until(
                        lambda lines=lines: len(committed(home).entries) > lines,  # type: ignore[misc]  # as above
                        LIMIT_S,
                        f"the desk trades on {day}",
                    )
        daemon.stop()
    ran = {name for name, _, _ in stage_starts(home)}
    extra = ran - {f"XNYS {day}" for day in sessions}
    for line in (*(f"{name} ran, and should not" for name in extra), *doubled(home), *discrepancies(home)):
        raise BrokenPromiseError(f"five weeks: {line}")
    latest = max(late, key=late.__getitem__)
    left = unfinished(home)
    if left:
        raise BrokenPromiseError(f"five weeks: runs were left unfinished: {left}")
    return {
        "tried": len(late),
        "sessions": len(ran),
        "doubled": 0,
        "latest_s": late[latest],
        "latest": latest,
        **counts(home),
    }


def _stages(day: date, *, hard: bool) -> list[tuple[str, datetime]]:
    """The stages of ``day`` that are looked at, with their moments."""
    if not hard:
        return [("pre_market", _moment(day, 6))]
    close = 13 if day == EARLY_CLOSE else 16
    return [
        ("pre_market", _moment(day, 6)),
        ("market_open", _moment(day, 9, 30)),
        ("close", _moment(day, close - 1)),
        ("post_market", _moment(day, close)),
    ]


def _moment(day: date, hour: int, minute: int = 0) -> datetime:
    """A time of New York, in UTC."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=NEW_YORK).astimezone(UTC)


def _began_at(home: Path, day: str, stage: str) -> datetime:
    """When the stage began, for the first and only time."""
    starts = [at for name, one, at in stage_starts(home) if name == f"XNYS {day}" and one == stage]
    if len(starts) != 1:
        raise BrokenPromiseError(f"{stage} of {day} began {len(starts)} times")
    return starts[0]


class Punctuality:
    """How late things are, from its making on: by the daemon's clock, without the time it stood in a queue."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._queued_s = daemon.queued_s()

    def late(self, what: str, at: datetime, due: datetime, limit_s: float) -> float:
        """Return how many seconds after ``due`` the moment ``at`` is; never before, nor later than the limit."""
        late_s = (at - due).total_seconds()
        queued_s = self._daemon.queued_s() - self._queued_s
        if late_s < 0:
            raise BrokenPromiseError(f"{what} began {-late_s} s before its time")
        if late_s - queued_s > limit_s:
            raise BrokenPromiseError(f"{what} began {late_s} s after its time, {queued_s:.1f} s of that in a queue")
        return round(late_s, 3)


def stopped_process(rest: Path, home: Path, seconds: float) -> Case:
    """Stop the process while the exchange opens: once it goes on it says so, and the stage is not missed.

    ``rest`` is a home in which the pre-market stage is done.
    """
    shutil.copytree(rest, home)
    with (
        alert_receiver() as (address, heard),
        Daemon(home, OPEN - _HOUR, settings={"ALERT_WEBHOOK_URL": address}) as daemon,
    ):
        daemon.wait_until(lambda: daemon.said("goes on where execution"), LIMIT_S, "it goes on with the day")
        lines = len(committed(home).entries)
        daemon.set_clock(OPEN - timedelta(seconds=AHEAD_S + 2))
        time.sleep(AHEAD_S)
        daemon.send(signal.SIGSTOP)  # two seconds before the open
        time.sleep(seconds)
        went_on, watch = daemon.now(), Punctuality(daemon)
        daemon.send(signal.SIGCONT)
        took = daemon.wait_until(
            lambda: any("event_loop" in text for text in heard), LIMIT_S, "it tells that it stood still"
        )
        opened = {"market_open"}
        daemon.wait_until(lambda: opened <= {stage for _, stage, _ in stage_starts(home)}, LIMIT_S, "the day goes on")
        daemon.wait_until(lambda: len(committed(home).entries) > lines, LIMIT_S, "it sends orders")
        daemon.wait_until(daemon.ready, LIMIT_S, "it is ready again")
        after = watch.late("the open", _began_at(home, "2012-12-12", "market_open"), went_on, NOTICED_S)
        daemon.stop()
    for line in (*doubled(home), *discrepancies(home)):
        raise BrokenPromiseError(f"stopped process: {line}")
    return {"tried": 1, "stopped_s": seconds, "alert_after_s": round(took, 3), "open_after_s": after, **counts(home)}


@contextmanager
def alert_receiver() -> Iterator[tuple[str, list[str]]]:
    """Stand in for the chat that gets alerts: its address, and what it has heard."""
    heard: list[str] = []

    class Chat(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Chat)
    thread = threading.Thread(target=server.serve_forever, name="chat")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
