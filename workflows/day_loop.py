"""Day after day: plan the next day ahead, announce it, wait for its first stage, run it, and go on."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from orchestration.domain.errors import DefinitionError
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.session import Interval
from orchestration.domain.states import RunStatus
from orchestration.engine.engine import WorkflowEngine
from orchestration.ports.market_data import MarketData
from orchestration.ports.trading_calendar import TradingCalendar
from workflows.desk_files.desk import DeskFile
from workflows.plan_changes import Continuation, EarlierRun, continued, difference, earlier_run, goes_on
from workflows.trading_day.day_plan import DayPlan, iso
from workflows.volatility_watch import EVERY, judged_now, next_look

LOOK_EVERY = timedelta(minutes=1)
"""How often the files are looked at, and how far apart the beats are at most."""
RUNS_LOOKED_AT = 1000
"""How many of the newest runs are searched for those of a day that is to begin."""
HIGH_VOLATILITY = "high_volatility"

_DAY = timedelta(days=1)
_log = logging.getLogger(__name__)


class Days(Protocol):
    """What plans and runs single days: `DailyTradingWorkflow`."""

    workflow_engine: WorkflowEngine
    calendar: TradingCalendar
    market_data: MarketData | None
    desk: DeskFile

    @property
    def running(self) -> Mapping[str, DayPlan]:
        """The days that run now, by execution."""

    def plan_day(self, on: date) -> DayPlan:
        """Return the plan of ``on``."""

    async def run_day(self, plan: DayPlan, *, continues: Continuation | None = None) -> dict[str, Any]:
        """Run ``plan`` and return its result."""

    async def go_on(self, plan: DayPlan, execution_id: str) -> dict[str, Any]:
        """Carry out a run of ``plan`` that a dead process began, and return its result."""

    def reload(self, check: Iterable[date] = ()) -> None:
        """Read the desk's files again, or raise and keep what was."""

    def tighten(self, on: date) -> float:
        """Have smaller limits hold for the rest of the day."""


class DayLoop:
    """Runs days for ever. What ``home`` holds is looked at every minute; ``None``: there are no files.

    ``reopen_calendar`` reads the calendar with ``calendar.yaml`` again, and raises `DefinitionError` to keep the old
    one; it is also called when a year begins. ``beat`` is called at least once a minute. ``on_day_end`` gets the plan
    and the result of each day that ran; what it raises is an alert and no more. ``recovered`` are the executions that
    were taken over from a dead process, each with the name of its run: `run` goes on with them first.
    """

    def __init__(
        self,
        days: Days,
        *,
        home: Path | None = None,
        reopen_calendar: Callable[[], Awaitable[None]] | None = None,
        beat: Callable[[], None] | None = None,
        on_day_end: Callable[[DayPlan, dict[str, Any]], Awaitable[None]] | None = None,
        recovered: Iterable[tuple[str, str]] = (),
    ) -> None:
        self._days = days
        self._recovered = list(recovered)
        self._engine = days.workflow_engine
        self._clock = days.workflow_engine.clock
        self._home = home
        self._reopen_calendar = reopen_calendar
        self._beat = beat
        self._on_day_end = on_day_end
        self._wake = asyncio.Event()
        self._under_way: dict[asyncio.Task[None], date] = {}
        self._files: Mapping[Path, tuple[int, int]] = {}
        self._year = 0
        self._planned: DayPlan | None = None
        self._announced: date | None = None
        self._said: set[str] = set()

    @property
    def planned(self) -> DayPlan | None:
        """The day that is waited for; ``None`` while none is."""
        return self._planned

    async def run(self) -> None:
        """Run until cancelled, which cancels the day under way; `run` again goes on with that day.

        It begins with the first day that is not over: one under way is run for what is left of it, one that ran to its
        end is not run again. Days overlap where the calendar does not close between them. Raises an `ExceptionGroup`
        when a day raised what no later day can mend, such as `StoreUnavailableError`, and such an error of its own.
        """
        now = self._clock.now()
        self._files, self._year = _look(self._home), now.year
        after = now.astimezone(self._days.calendar.timezone).date() - 2 * _DAY
        missing = False
        async with asyncio.TaskGroup() as group:
            await self._go_on(group)
            while True:
                plan = await self._coming(after, missing=missing)
                plan = await self._until_due(plan, after)
                self._planned, after, missing = None, plan.date, True
                if not await self._missed(plan):
                    await self._start(plan, group)

    # -- planning and waiting

    async def _coming(self, after: date, *, missing: bool) -> DayPlan:
        """Return the next day; while there is none to be had, say so and wait. ``missing``: say which are over."""
        while True:
            try:
                plan, over = self._next(after)
            except DefinitionError as error:
                await self._alert(f"the next day can't be planned: {error}")
                await self._rest(None)
                await self._read_again()
                continue
            if missing:
                for missed in over:
                    await self._missed(missed)
            return plan

    def _next(self, after: date) -> tuple[DayPlan, list[DayPlan]]:
        """Return the first day later than ``after`` that has work and is not over, and the days before it that are."""
        over: list[DayPlan] = []
        on = after + _DAY
        while True:
            plan = self._days.plan_day(on)
            if plan.span is not None and plan.tasks:
                if plan.span.ends_at > self._clock.now():
                    return plan, over
                over.append(plan)
            on += _DAY

    async def _until_due(self, plan: DayPlan, after: date) -> DayPlan:
        """Wait for the first stage of ``plan``, or of what takes its place, and return it as it is planned then."""
        self._planned, judged = plan, False
        while True:
            starts_at = _span(plan).starts_at
            due = self._clock.now() >= starts_at
            if not due and self._announced != plan.date and not self._under_way:
                plan = await self._replanned(plan, after)  # by what the day that has just ended brought
                await self._announce(plan)
                continue
            if await self._read_again() or (due and not judged):
                judged = due
                plan = await self._replanned(plan, after)
                continue
            if due:
                return plan
            judged = False
            await self._rest(starts_at)

    async def _replanned(self, plan: DayPlan, after: date) -> DayPlan:
        """Plan again; say what is different, and keep ``plan`` if that fails."""
        try:
            fresh, _ = self._next(after)
        except DefinitionError as error:
            await self._alert(f"{plan.date} can't be planned again, and its old plan holds: {error}")
            return plan
        if _span(plan).ends_at <= self._clock.now():
            return plan  # it was slept through, and nothing takes its place
        lines = difference(plan, fresh)
        if lines and self._announced == plan.date:
            _log.info("the plan of %s has changed: %s", plan.date, "; ".join(lines))
            await self._tell("plan_changed", fresh, {"date": str(fresh.date), "difference": list(lines)})
            if fresh.date != plan.date:
                await self._announce(fresh)
        self._planned = fresh
        return fresh

    async def _rest(self, until: datetime | None) -> None:
        """Wait until something happens, at most until ``until`` and at most a minute."""
        if self._beat is not None:
            self._beat()
        latest = self._clock.now() + LOOK_EVERY
        with suppress(TimeoutError):
            async with self._clock.timeout(LOOK_EVERY.total_seconds()):  # also when the wall clock is set back
                await self._clock.wait(self._wake, latest if until is None else min(until, latest))
        self._wake.clear()

    async def _read_again(self) -> bool:
        """Read what has changed since the last look; whether anything has. What is wrong keeps what was."""
        seen, year = _look(self._home), self._clock.now().year
        changed = {path.name for path in seen.keys() | self._files.keys() if seen.get(path) != self._files.get(path)}
        new_year = year != self._year
        self._files, self._year = seen, year
        if not changed and not new_year:
            return False
        self._said.clear()
        if self._reopen_calendar is not None and (new_year or "calendar.yaml" in changed):
            try:
                await self._reopen_calendar()
            except DefinitionError as error:
                await self._alert(f"the calendar stays as it was: {error}")
        if changed - {"calendar.yaml"}:
            try:
                self._days.reload(check=[] if self._planned is None else [self._planned.date])
            except DefinitionError as error:
                await self._alert(f"the plan stays as it was: {error}")
        return True

    # -- running

    async def _go_on(self, group: asyncio.TaskGroup) -> None:
        """Go on with the days that a dead process was at; one that can't be planned any more is cancelled."""
        while self._recovered:
            execution_id, name = self._recovered.pop(0)
            try:
                plan = self._plan_of(name)
            except (DefinitionError, ValueError) as error:
                await self._alert(f"{name} does not go on: {error}")
                await self._engine.cancel(execution_id, f"its day can't be planned any more: {error}")
                continue
            _log.info("%s goes on in execution %s, where its process ended", plan.date, execution_id)
            self._spawn(plan, self._days.go_on(plan, execution_id), group)

    def _plan_of(self, name: str) -> DayPlan:
        calendar, _, day = name.rpartition(" ")
        if calendar != self._days.calendar.code:
            raise DefinitionError(f"this desk's calendar is {self._days.calendar.code}")
        return self._days.plan_day(date.fromisoformat(day))

    def _spawn(self, plan: DayPlan, run: Coroutine[Any, Any, dict[str, Any]], group: asyncio.TaskGroup) -> None:
        running = group.create_task(self._run_day(plan, run))
        self._under_way[running] = plan.date
        running.add_done_callback(self._day_over)

    async def _start(self, plan: DayPlan, group: asyncio.TaskGroup) -> None:
        """Run ``plan``, or what is left of it, unless it has run or runs."""
        if plan.date in self._under_way.values():
            return
        earlier = await self._earlier(plan)
        if earlier is None:
            _log.info("%s is not run again: it has run, or runs", plan.date)
            return
        continuation = continued(plan, earlier) if earlier else None
        if continuation is not None:
            if not continuation.plan.tasks:
                _log.info("nothing is left to do of %s", plan.date)
                return
            plan = continuation.plan
            _log.info("%s goes on where execution %s broke off", plan.date, continuation.executions[-1])
        if self._announced != plan.date:
            await self._announce(plan)
        if self._clock.now() > _span(plan).starts_at:
            _log.info("%s began at %s; what is still worth running is run", plan.date, iso(_span(plan).starts_at))
        self._spawn(plan, self._days.run_day(plan, continues=continuation), group)

    def _day_over(self, running: asyncio.Task[None]) -> None:
        self._under_way.pop(running, None)
        self._wake.set()

    async def _earlier(self, plan: DayPlan) -> list[EarlierRun] | None:
        """Return the runs of this day that broke off, oldest first; ``None`` when one did not, or is under way."""
        store, found = self._engine.run_store, list[EarlierRun]()
        for run in reversed(await store.runs(limit=RUNS_LOOKED_AT)):
            if run.name != _run_name(plan) or run.started_at is None:
                continue
            if run.status is RunStatus.RUNNING:
                if run.run_id not in self._days.running:  # what dead ones left was taken over at the start
                    await self._alert(
                        f"{plan.date} runs in execution {run.run_id} of another process: it is left alone"
                    )
                return None
            records = await store.records(run.run_id)
            if not goes_on(run.status, records):
                return None
            found.append(earlier_run(records))
        return found

    async def _run_day(self, plan: DayPlan, run: Coroutine[Any, Any, dict[str, Any]]) -> None:
        watch = asyncio.create_task(self._watch(plan))
        try:
            result = await run
        except DefinitionError as error:
            await self._alert(f"{plan.date} can't be run: {error}")
            return
        finally:
            watch.cancel()
            await asyncio.wait([watch])
        _log.info("%s ended: %s", plan.date, result["status"])
        if self._on_day_end is not None:
            try:
                await self._on_day_end(plan, result)
            except Exception as error:  # noqa: BLE001 (whoever comes after the day must not harm the next one)
                _log.exception("what follows the day %s failed", plan.date)
                await self._alert(f"what follows the day {plan.date} failed: {type(error).__name__}: {error}")

    async def _watch(self, plan: DayPlan) -> None:
        """Judge every half hour of the session whether the day has become volatile; once it has, that is said."""
        session, market, now = plan.session, self._days.market_data, self._clock.now()
        if session is None or market is None or HIGH_VOLATILITY in plan.day_types:
            return
        look = now if now >= session.opens_at + EVERY and session.is_open(now) else next_look(session, now)
        while look is not None:
            await self._clock.sleep_until(look)
            desk = self._days.desk.desk
            try:
                so_far = await judged_now(market, desk.symbols, session)
            except Exception as error:  # noqa: BLE001 (without a judgement the day goes on as planned)
                _log.exception("the volatility of %s could not be judged", plan.date)
                await self._alert(f"the volatility of {plan.date} could not be judged: {type(error).__name__}: {error}")
                so_far = None
            if so_far is not None and so_far > desk.high_volatility:
                scale = self._days.tighten(plan.date)
                _log.info("%s has become volatile: %.1f %%; limits times %g", plan.date, 100 * so_far, scale)
                details = {
                    "date": str(plan.date),
                    "volatility": float(f"{so_far:.9g}"),
                    "threshold": desk.high_volatility,
                    "limit_scale": scale,
                }
                await self._tell(HIGH_VOLATILITY, plan, details)
                return
            look = next_look(session, self._clock.now())

    # -- saying

    async def _missed(self, plan: DayPlan) -> bool:
        """Whether ``plan`` is over before it could begin; that is said."""
        span = _span(plan)
        if span.ends_at > self._clock.now():
            return False
        await self._alert(
            f"{plan.date} was missed: nothing ran from {iso(span.starts_at)} to {iso(span.ends_at)}, "
            "the machine or this process was asleep"
        )
        return True

    async def _announce(self, plan: DayPlan) -> None:
        first, session = next(stage for stage in plan.stages if stage.tasks), plan.session
        kinds, starts_at = ", ".join(plan.day_types), iso(first.starts_at)
        _log.info("next: %s (%s), %s at %s", plan.date, kinds, first.name, starts_at)
        details = {
            "date": str(plan.date),
            "day_types": list(plan.day_types),
            "reason": plan.reason,
            "first_stage": first.name,
            "starts_at": starts_at,
            "opens_at": iso(session.opens_at) if session else None,
            "closes_at": iso(session.closes_at) if session else None,
            "tasks": len(plan.tasks),
            "warnings": list(plan.warnings),
        }
        self._announced = plan.date
        await self._tell("next_session", plan, details)

    async def _tell(self, kind: str, plan: DayPlan, details: Mapping[str, object]) -> None:
        """Emit a `MARKET_EVENT` of a day; its execution is empty before it runs."""
        execution_id = next((name for name, day in self._days.running.items() if day.date == plan.date), "")
        event = {
            "execution_id": execution_id,
            "workflow": _run_name(plan),
            "at": iso(self._clock.now()),
            "kind": kind,
            "details": details,
        }
        await self._engine.emit_event(OrchestrationEvent.MARKET_EVENT, event)

    async def _alert(self, message: str) -> None:
        """Say once what is wrong; again only after the files have changed."""
        if message in self._said:
            return
        self._said.add(message)
        _log.warning("%s", message)
        alert = {"source": "day_loop", "message": message, "at": iso(self._clock.now())}
        await self._engine.emit_event(OrchestrationEvent.SYSTEM_ALERT, alert)


def _run_name(plan: DayPlan) -> str:
    return f"{plan.calendar} {plan.date}"


def _span(plan: DayPlan) -> Interval:
    if plan.span is None:
        raise AssertionError(plan)
    return plan.span


def _look(home: Path | None) -> dict[Path, tuple[int, int]]:
    """The files that plans are made of, each with when it was changed and its size."""
    if home is None:
        return {}
    paths = [home / name for name in ("calendar.yaml", "earnings.csv", "desk.yaml")]
    found: dict[Path, tuple[int, int]] = {}
    for path in (*paths, *sorted((home / "days").glob("*.y*ml"))):
        try:
            seen = path.stat()
        except OSError:
            continue
        found[path] = (seen.st_mtime_ns, seen.st_size)
    return found
