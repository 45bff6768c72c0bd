"""The command line: ``belltower …``.

Exit code 0: done; 1: it ran and failed; 2: the request was wrong, with one line on standard error.
"""

import sys
from collections.abc import Callable
from datetime import date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from orchestration.config import TradingConfig
from orchestration.domain.errors import DefinitionError, OrchestrationError
from orchestration.domain.json_value import JsonValue
from orchestration.system.clock import WallClock
from orchestration.telemetry.logs import configure_logs

app = typer.Typer(
    name="belltower",
    help="Plans and runs the day of a trading desk, bell to bell.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

DEFAULT_SEED = 1
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
    from orchestration.wiring import open_desk_calendar, open_planner

    dates = _dates(on, until)
    config = _settings(home=home, calendar=calendar)
    exchange = open_desk_calendar(config)
    planner = open_planner(config, exchange, DEFAULT_SEED)
    days: list[JsonValue] = [planner.plan_day(day).to_json() for day in dates]
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
    from orchestration.simulation import simulate as run
    from orchestration.telemetry.progress import ProgressView
    from orchestration.telemetry.summary import print_summary
    from orchestration.wiring import open_desk_calendar

    dates = _dates(on, until)
    config = _settings(home=home, calendar=calendar, symbols=symbols, data=None if data is None else str(data))
    configure_logs(config.log_level, mode=config.mode, clock=WallClock())
    exchange = open_desk_calendar(config)
    if as_json:
        summary = run(config, exchange, dates, seed=seed)
        _print_json(summary)
    else:
        console = Console()
        with ProgressView(console, timezone=exchange.timezone) as view:
            summary = run(config, exchange, dates, seed=seed, watcher=view)
        print_summary(console, summary)
    if any(day["status"] not in {"completed", "market_closed"} for day in summary["days"]):
        raise typer.Exit(1)


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
