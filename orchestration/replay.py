"""Carry a run out again by today's code, and say where it first becomes another one."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from agents.desk import AGENTS
from orchestration.config import TradingConfig
from orchestration.domain.definition import WorkflowDefinition
from orchestration.domain.errors import DefinitionError, StoreUnavailableError
from orchestration.domain.json_value import JsonObject, JsonValue
from orchestration.domain.records import Record
from orchestration.domain.states import RunStatus
from orchestration.engine.definitions import Defaults, read_definition
from orchestration.engine.engine import WorkflowEngine
from orchestration.engine.engine_settings import EngineSettings
from orchestration.engine.event_log import event_log_sha256
from orchestration.engine.public_events import iso
from orchestration.engine.replaying import LATE, Difference, Replayed, first_difference, parting, replay_run
from orchestration.engine.run_state import rebuild
from orchestration.engine.stored_definition import from_json, to_json
from orchestration.engine.task_types import TASK_TYPES
from orchestration.recipe import Recipe, read_recipe
from orchestration.simulation import run_days, start_of
from orchestration.stores import open_store
from orchestration.wiring import (
    LIVE_SEED,
    on_simulated_loop,
    open_desk_calendar,
    open_planner,
    plan_days,
    preload_figures,
    simulated_desk,
)
from workflows.trading_day.day_plan import DayPlan

_ALL = 1_000_000_000
_AGENTS = {agent.name: agent for agent in AGENTS}
"""The classes, which say what each of them does; none is made, since none is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanToday:
    """How today's plan of the date compares. ``difference`` is the first, in words; ``None``: there is none."""

    date: date
    difference: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """What a replay found. ``whole_day``: the day was simulated again, agents and all, and not just its decisions."""

    run_id: str
    name: str
    store: str
    whole_day: bool
    recorded: Sequence[Record]
    replayed: Replayed
    plan: PlanToday | None

    def to_json(self) -> dict[str, JsonValue]:
        """The document of ``replay --json``."""
        difference, plan = self.replayed.difference, self.plan
        return {
            "run_id": self.run_id,
            "name": self.name,
            "store": self.store,
            "replayed": "day" if self.whole_day else "run",
            "records": len(self.recorded),
            "alike": self.replayed.same,
            "event_log_sha256": event_log_sha256(self.recorded),
            "late_s": self.replayed.latest.total_seconds(),
            "difference": None if difference is None else _difference(difference),
            "plan": None if plan is None else {"date": plan.date.isoformat(), "difference": plan.difference},
        }


def replay(config: TradingConfig, run_id: str, *, store: Path | None = None, late: timedelta = LATE) -> ReplayResult:
    """Replay the run ``run_id`` of the file ``store``, else of the home's store or one of its simulations.

    Raises `DefinitionError` for an unknown run, one that has not ended, and a store that can't be read.
    """
    url, records = _found(config, run_id, store)
    stored: Any = records[0].data["definition"]
    definition = from_json(stored)
    if not rebuild(definition, records).status.ended:
        raise DefinitionError(f"run {run_id} has not ended: wait for it, or cancel it")
    recipe = read_recipe(Path(url.removeprefix("sqlite:///")).parent) if url.startswith("sqlite:///") else None
    session = _session(definition)
    if recipe is not None and session in recipe.dates:
        replayed = _whole_day(recipe, records, session)
    else:
        replayed = replay_run(records, WorkflowEngine(_AGENTS, config).core_for, late=late)
    return ReplayResult(
        run_id=run_id,
        name=definition.name,
        store=url,
        whole_day=recipe is not None and session in recipe.dates,
        recorded=records,
        replayed=replayed,
        plan=None if session is None else _plan_today(config, recipe, definition, session),
    )


def _found(config: TradingConfig, run_id: str, store: Path | None) -> tuple[str, Sequence[Record]]:
    """The address of the store that has the run, and the run's records."""

    async def look(url: str) -> Sequence[Record]:
        try:
            async with open_store(url) as opened:
                return await opened.runs.records(run_id)
        except StoreUnavailableError as error:
            raise DefinitionError(f"{error}; nothing was replayed") from error

    if store is not None:
        urls = [f"sqlite:///{store.absolute()}"]
    else:
        simulations = sorted((config.home / "simulations").glob("*/belltower.db"))
        there = config.database_url is not None or (config.home / "belltower.db").is_file()
        urls = [*([config.store_url] if there else []), *(f"sqlite:///{path.absolute()}" for path in simulations)]
    found = [(url, records) for url in urls if (records := asyncio.run(look(url)))]
    if not found:
        where = str(store) if store else f"the home {config.home}"
        raise DefinitionError(f"there is no run {run_id!r} in {where}; belltower runs list names those of a desk")
    if len(found) > 1:  # the same day simulated twice makes the same run
        files = ", ".join(url.removeprefix("sqlite:///") for url, _ in found)
        raise DefinitionError(f"several stores have a run {run_id!r}: name one of them with --store ({files})")
    return found[0]


def _session(definition: WorkflowDefinition) -> date | None:
    """The date of which the run is the day; ``None``: it is no day."""
    session = definition.labels.get("session")
    return date.fromisoformat(session) if isinstance(session, str) else None


# -- a day that was simulated


def _whole_day(recipe: Recipe, records: Sequence[Record], session: date) -> Replayed:
    """Simulate the day again, with those before it, and compare the event logs."""
    again = _simulated_again(recipe, session)
    difference = first_difference(records, again)
    at = None if difference is None else difference.recorded or difference.today
    return Replayed(same=len(records) if at is None else at.sequence - 1, difference=difference)


def _simulated_again(recipe: Recipe, session: date) -> Sequence[Record]:
    """The records of the run of ``session``; none where that is no day of work any more."""
    calendar = open_desk_calendar(recipe.config)
    dates = recipe.dates[: recipe.dates.index(session) + 2]  # the day after it may begin before it ends
    preload_figures()

    async def main() -> Sequence[Record]:
        desk = simulated_desk(recipe.config, calendar, start=start_of(dates), seed=recipe.seed, store=None)
        async with desk as parts:
            await run_days(parts, dates, None)
            for run in await parts.run_store.runs(limit=_ALL):
                made = await parts.run_store.records(run.run_id)
                stored: Any = made[0].data["definition"]
                if run.status is not RunStatus.PENDING and _session(from_json(stored)) == session:
                    return made
            return ()

    return on_simulated_loop(main)


# -- the plan


def _plan_today(
    config: TradingConfig, recipe: Recipe | None, recorded: WorkflowDefinition, on: date
) -> PlanToday | None:
    """Compare today's plan of ``on``; ``None`` for what was left of a day that had broken off."""
    if "continues" in recorded.labels:
        return None
    try:
        today = _planned(config, recipe, recorded, on)
    except DefinitionError as error:
        return PlanToday(date=on, difference=f"it can't be planned today: {error}")
    return PlanToday(date=on, difference=next(_differences(recorded, today), None))


def _planned(
    config: TradingConfig, recipe: Recipe | None, recorded: WorkflowDefinition, on: date
) -> WorkflowDefinition:
    if recipe is not None:
        calendar, config = open_desk_calendar(recipe.config), recipe.config
        planner = open_planner(config, calendar, recipe.seed)
        plan: DayPlan = planner.plan_day(on)
        definition = plan.to_definition(simulated_surprises=planner.surprises)
    else:
        code = recorded.name.rpartition(" ")[0] or config.calendar
        config = config.model_copy(update={"calendar": code})
        [plan] = plan_days(config, open_desk_calendar(config), [on], LIVE_SEED)
        definition = plan.to_definition()
    settings = EngineSettings.read(config)
    defaults = Defaults(
        timeout_s=settings.default_task_timeout,
        max_retries=settings.max_retries,
        run_timeout_s=settings.workflow_timeout,
    )
    return replace(
        read_definition(definition, agents=_AGENTS, task_types=TASK_TYPES, defaults=defaults, parameters={}),
        labels=recorded.labels,
    )


def _differences(recorded: WorkflowDefinition, today: WorkflowDefinition) -> Iterator[str]:
    """How today's plan differs, tasks first, one line each."""
    old, new = to_json(recorded), to_json(today)
    was, now = _tasks(old), _tasks(new)
    for name, task in was.items():
        if name not in now:
            yield f"task {name}: gone"
        elif task != now[name]:
            where, (before, after) = parting(task, now[name])
            yield f"task {name}: {where} is {after!r} instead of {before!r}"
    yield from (f"task {name}: new" for name in now if name not in was)
    if old != new:
        where, (before, after) = parting(old, new)
        yield f"{where} is {after!r} instead of {before!r}"


def _tasks(stored: JsonObject) -> dict[str, dict[str, Any]]:
    stages: Any = stored["stages"]
    return {task["name"]: task for stage in stages for task in stage["tasks"]}


# -- words


def _difference(difference: Difference) -> dict[str, JsonValue]:
    return {
        "where": difference.where,
        "recorded_value": difference.values[0] if difference.where else None,
        "todays_value": difference.values[1] if difference.where else None,
        "recorded": _record(difference.recorded),
        "today": _record(difference.today),
        "before": [_record(record) for record in difference.before],
    }


def _record(record: Record | None) -> dict[str, JsonValue] | None:
    if record is None:
        return None
    return {
        "sequence": record.sequence,
        "at": iso(record.at),
        "kind": record.kind.value,
        "stage": record.stage,
        "task": record.task,
        "data": record.data,
    }


def lines(result: ReplayResult) -> Iterator[str]:
    """What the command line says of a replay."""
    replayed, plan = result.replayed, result.plan
    what = "the day was simulated again" if result.whole_day else "its decisions were made again"
    yield f"run      {result.run_id}, {result.name}: {what}"
    yield f"alike    {replayed.same} of {len(result.recorded)} records"
    if replayed.latest:
        yield f"clock    up to {replayed.latest.total_seconds():.6f} s late then"
    if plan is not None:
        yield f"plan     of {plan.date}: {plan.difference or 'the same today'}"
    difference = replayed.difference
    if difference is None:
        yield "result   no difference"
        return
    yield f"result   the first difference is {difference.where or 'a whole record'}"
    yield from (f"         {_line(record)}" for record in difference.before)
    old, new = difference.values if difference.where else (None, None)
    yield f"recorded {_line(difference.recorded)}{_value(difference, old)}"
    yield f"today    {_line(difference.today)}{_value(difference, new)}"


def _line(record: Record | None) -> str:
    if record is None:
        return "nothing"
    about = " ".join(part for part in (record.stage, record.task) if part)
    return f"{record.sequence:>5}  {iso(record.at)}  {record.kind.value}{f'  {about}' if about else ''}"


def _value(difference: Difference, value: JsonValue) -> str:
    if difference.where in {"", "kind", "at", "task", "stage"}:
        return ""
    text = repr(value)
    return f"  {difference.where} = {text if len(text) <= 200 else text[:197] + '...'}"
