"""The command line: ``belltower …``.

Exit code 0: done; 1: it ran and failed; 2: the request was wrong, with one line on standard error.
"""

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from orchestration.config import TradingConfig
from orchestration.domain.errors import DaemonUnreachableError, DefinitionError, OrchestrationError
from orchestration.domain.halts import HaltLevel
from orchestration.domain.json_value import JsonValue
from orchestration.system.clock import WallClock
from orchestration.system.collector import held_collector
from orchestration.system.signals import STOPPED, stop_signals, stopped_early
from orchestration.system.switching import switch_sooner
from orchestration.telemetry.logs import configure_logs

app = typer.Typer(
    name="belltower",
    help="Plans and runs the day of a trading desk, bell to bell.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

runs = typer.Typer(help="What the running desk has run.", no_args_is_help=True)
app.add_typer(runs, name="runs")

DEFAULT_SEED = 1
CLI = "cli"
"""Who halts and resumes, as the audit names it."""
LONGEST_RANGE = timedelta(days=366 * 5)

Home = Annotated[Path | None, typer.Option(help="The folder for everything that is kept; BELLTOWER_HOME.")]
Calendar = Annotated[str | None, typer.Option(help="The exchange's code, such as XNYS, XLON, XTKS or 24/7.")]
Until = Annotated[str | None, typer.Option(help="The last date of a range, as YYYY-MM-DD.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"belltower {version('belltower')}")
        raise typer.Exit


@app.callback()
def _app(
    context: typer.Context,
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Plans and runs the day of a trading desk, bell to bell."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def init(home: Home = None) -> None:
    """Write desk.yaml, with comments, and the folders of the home; what is there stays as it is."""
    from workflows.desk_files.desk import init_home

    config = _settings(home=home)
    for path, made in init_home(config.home):
        typer.echo(f"{'made' if made else 'kept'}  {path}")


@app.command()
def plan(
    on: Annotated[str, typer.Argument(metavar="DATE", help="The date, as YYYY-MM-DD.")],
    until: Until = None,
    calendar: Calendar = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say what would run on a day, when and why, and what is left out and why."""
    from orchestration.telemetry.summary import print_plan
    from orchestration.wiring import open_desk_calendar, plan_days

    dates = _dates(on, until)
    config = _settings(home=home, calendar=calendar)
    exchange = open_desk_calendar(config)
    days: list[JsonValue] = [day.to_json() for day in plan_days(config, exchange, dates, DEFAULT_SEED)]
    document: dict[str, JsonValue] = {"calendar": exchange.code, "days": days}
    if as_json:
        _print_json(document)
    else:
        print_plan(Console(), document, exchange.timezone)


@app.command()
def simulate(
    on: Annotated[str, typer.Option("--date", metavar="DATE", help="The date, or the first one, as YYYY-MM-DD.")],
    until: Until = None,
    calendar: Calendar = None,
    symbols: Annotated[str | None, typer.Option(help="What to trade, such as AAPL,IBM.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="What the intraday paths are drawn from.")] = DEFAULT_SEED,
    data: Annotated[Path | None, typer.Option(help="A folder with one CSV file a symbol.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Run a day, or every day of a range, on the simulated clock, and write a report."""
    stopped_early(1, STOPPED)
    from orchestration.simulation import simulate as run
    from orchestration.telemetry.progress import ProgressView
    from orchestration.telemetry.summary import print_summary
    from orchestration.wiring import open_desk_calendar

    dates = _dates(on, until)
    config = _settings(home=home, calendar=calendar, symbols=symbols, data=None if data is None else str(data))
    configure_logs(config.log_level, mode=config.mode, clock=WallClock())
    exchange = open_desk_calendar(config)
    if as_json:
        summary = run(config, exchange, dates, seed=seed, stops=stop_signals)
        _print_json(summary)
    else:
        console = Console()
        with ProgressView(console, timezone=exchange.timezone) as view:
            summary = run(config, exchange, dates, seed=seed, watcher=view, stops=stop_signals)
        print_summary(console, summary)
    if any(day["status"] not in {"completed", "market_closed"} for day in summary["days"]):
        raise typer.Exit(1)


@app.command()
def replay(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run's id, as `belltower runs list` shows it.")],
    store: Annotated[
        Path | None, typer.Option(help="The store that has it; else the home's, or a simulation's.")
    ] = None,
    late: Annotated[float, typer.Option(min=0, help="How late, in seconds, a live clock may have been.")] = 1.0,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Carry a run out again by today's code, and show the first difference."""
    from orchestration.replay import lines
    from orchestration.replay import replay as again

    config = _settings(home=home)
    configure_logs("ERROR", mode=config.mode, clock=WallClock())
    found = again(config, run_id, store=store, late=timedelta(seconds=late))
    if as_json:
        _print_json(found.to_json())
    else:
        typer.echo("\n".join(lines(found)))
    if found.replayed.difference is not None:
        raise typer.Exit(1)


@app.command()
def run(home: Home = None, calendar: Calendar = None) -> None:
    """Run the desk, day after day, until it is told to stop."""
    stopped_early()
    config = _settings(home=home, calendar=calendar)
    configure_logs(config.log_level, mode=config.mode, clock=WallClock())
    switch_sooner()
    with held_collector() as collect_again:
        from orchestration.controller import OrchestrationController

        async def live() -> None:
            controller = OrchestrationController(config)
            with stop_signals(controller.request_stop):
                await controller.run(when_warm=collect_again)

        asyncio.run(live())


@app.command()
def status(home: Home = None, as_json: AsJson = False) -> None:
    """Say how the running desk is."""
    from orchestration.client.client import ask

    config = _settings(home=home)
    found = ask(config.home, lambda desk: desk.status())
    if as_json:
        _print_json(found.model_dump(mode="json"))
        return
    ready = ask(config.home, lambda desk: desk.ready())
    agents, engine, statistics = found.agents, found.workflow_engine, found.statistics
    lines = [
        f"ready      {'yes' if ready.ready else 'no: ' + '; '.join(ready.reasons)}",
        f"halt       {'none' if found.halt is None else f'{found.halt.level}: {found.halt.reason}'}",
        *(f"halt left  {left}" for left in found.halt_left),
        f"up         {timedelta(seconds=round(found.uptime_seconds))}, since {found.startup_time}",
        f"agents     {agents.healthy} of {agents.total} healthy",
        f"runs       {engine.active_executions} active, {engine.completed_executions} done",
        f"tasks      {statistics.total_tasks_completed} completed",
        f"report     {found.last_report or 'none yet'}",
    ]
    typer.echo("\n".join(lines))


@app.command()
def halt(
    reason: Annotated[str, typer.Option(help="Why, for whoever looks at it next.")],
    level: Annotated[str, typer.Option(help="no_new_orders, close_only, cancel_all or flatten.")] = "no_new_orders",
    home: Home = None,
) -> None:
    """Stop trading, at once and over restarts, until `resume`; also when no desk runs."""
    from orchestration.client.client import ask

    config, wanted = _settings(home=home), HaltLevel.parse(level)
    try:
        ask(config.home, lambda desk: desk.halt(wanted, reason, by=CLI))
        typer.echo(f"halted: {wanted}")
    except DaemonUnreachableError:
        from orchestration.stores import halt_in_store  # not before: a desk that runs is halted sooner without it

        asyncio.run(halt_in_store(config, wanted, reason, by=CLI))
        typer.echo(f"no desk runs here; it will be halted when one starts: {wanted}")


@app.command()
def resume(
    reason: Annotated[str, typer.Option(help="Why it is safe again.")],
    home: Home = None,
) -> None:
    """Lift the halt."""
    from orchestration.client.client import ask

    config = _settings(home=home)
    try:
        ask(config.home, lambda desk: desk.resume(reason, by=CLI))
    except DaemonUnreachableError:
        from orchestration.stores import resume_in_store

        asyncio.run(resume_in_store(config, reason, by=CLI))
    typer.echo("resumed")


@runs.command("list")
def runs_list(limit: Annotated[int, typer.Option(min=1, max=1000)] = 20, home: Home = None) -> None:
    """The newest runs of the running desk, newest first."""
    from orchestration.client.client import ask

    for row in ask(_settings(home=home).home, lambda desk: desk.executions(limit=limit)):
        typer.echo(f"{row.id}  {row.status:11}  {row.created_at:%Y-%m-%d %H:%M:%SZ}  {row.name}")


@runs.command("show")
def runs_show(execution_id: str, home: Home = None) -> None:
    """One run as JSON: its status, stages and tasks."""
    from orchestration.client.client import ask

    found = ask(_settings(home=home).home, lambda desk: desk.execution(execution_id))
    _print_json(found.model_dump(mode="json"))


@runs.command("events")
def runs_events(execution_id: str, home: Home = None) -> None:
    """The journal of one run, one JSON line an event."""
    from orchestration.client.client import ask

    for event in ask(_settings(home=home).home, lambda desk: desk.events(execution_id)):
        typer.echo(event.model_dump_json())


@runs.command("prune")
def runs_prune(
    before: Annotated[str, typer.Option(metavar="DATE", help="Runs that ended before this date (UTC) go.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many runs would go.")] = False,
    home: Home = None,
) -> None:
    """Delete old runs, with all their records, from the home's store, and results that have expired."""
    from orchestration.engine.history import History
    from orchestration.stores import open_store

    config, clock = _settings(home=home), WallClock()
    moment = datetime.combine(_date(before), time(), UTC)
    if moment > clock.now():
        raise DefinitionError(f"--before {before} is still to come: give a date that has begun")

    async def prune() -> str:
        async with open_store(config.store_url) as store:
            history = History(runs=store.runs, results=store.results, audit=store.audit, clock=clock)
            if dry_run:
                return f"{await history.count(moment)} runs would be deleted"
            gone = await history.clean_up(moment, by=CLI)
            return f"deleted: {gone.runs} runs, {gone.results} expired results"

    typer.echo(asyncio.run(prune()))


@runs.command("cancel")
def runs_cancel(execution_id: str, reason: Annotated[str, typer.Option(help="Why.")], home: Home = None) -> None:
    """End a run."""
    from orchestration.client.client import ask

    ask(_settings(home=home).home, lambda desk: desk.cancel(execution_id, reason))
    typer.echo("cancelled")


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(_guarded(lambda: app(standalone_mode=False)))


def _guarded(command: Callable[[], Any]) -> int:
    """Run ``command``; turn its errors into one line and an exit code."""
    try:
        code = command()
    except typer.TyperException as error:
        said = error.format_message() if hasattr(error, "format_message") else str(error)
        _complain(f"{said.rstrip('.')}; belltower --help says what there is")
        return 2
    except OrchestrationError as error:
        return _refused(error)
    except ExceptionGroup as group:  # days run in a task group, which wraps what is raised in it
        ours, others = group.split(OrchestrationError)
        if ours is None or others is not None:
            raise
        return _refused(_first(ours))
    except OSError as error:  # a disk that fills up, a folder that goes away
        _complain(f"{error}")
        return 1
    except (KeyboardInterrupt, typer.Abort):
        _complain("stopped")
        return 1
    return code if isinstance(code, int) else 0


def _refused(error: OrchestrationError) -> int:
    _complain(str(error))
    return 2 if isinstance(error, DefinitionError) else 1


def _first(group: BaseExceptionGroup[OrchestrationError]) -> OrchestrationError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _complain(message: str) -> None:
    typer.echo(f"belltower: {' '.join(message.split())}", err=True)


def _settings(**given: object) -> TradingConfig:
    return TradingConfig(**{name: value for name, value in given.items() if value is not None})


def _dates(first: str, last: str | None) -> list[date]:
    start = _date(first)
    end = start if last is None else _date(last)
    if end < start:
        raise DefinitionError(f"the range ends on {end}, before it begins on {start}: give --until a later date")
    if end - start > LONGEST_RANGE:
        raise DefinitionError(f"{start} to {end} is longer than five years: give a shorter range")
    return [start + timedelta(days=days) for days in range((end - start).days + 1)]


def _date(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 (a date of a calendar, no moment)
    except ValueError:
        raise DefinitionError(f"{text!r} is no date; write it as YYYY-MM-DD, such as 2012-12-12") from None


def _print_json(document: object) -> None:
    sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())
