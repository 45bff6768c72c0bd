"""Print plans and summaries for people: plain at any width from 80 columns, coloured only on a terminal."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.text import Text

from orchestration.domain.folding import FoldedTask, base_name, fold
from orchestration.domain.json_reading import as_moment, as_number, as_object, as_objects, as_text, as_texts
from orchestration.domain.json_value import JsonObject, JsonValue
from orchestration.telemetry.styles import count_text, day_type_text, spoken, status_text

_Cells = tuple[str, str, str, str, str]
"""A task's start, name, agent, priority and end."""


def print_plan(console: Console, plan: JsonObject, timezone: ZoneInfo | None = None) -> None:
    """Print what ``plan --json`` holds: every day with its stages, tasks, reasons and warnings.

    Times are those of ``timezone``, else of the plan's own ``timezone``, else UTC only; UTC stands beside.
    """
    zone = timezone or _zone(plan)
    for number, day in enumerate(as_objects(plan.get("days"))):
        if number:
            console.print()
        _print_day(console, day, as_text(plan.get("calendar")), timezone or _zone(day) or zone or ZoneInfo("UTC"))


def print_summary(console: Console, summary: JsonObject) -> None:
    """Print what ``simulate --json`` holds: for each day what ran, what was traded, and where the report is."""
    days = as_objects(summary.get("days"))
    for day in days:
        _print_outcome(console, day)
    wall = as_number(summary.get("wall_s"))
    took = f" in {wall:.2f} s" if wall is not None else ""
    console.print(Text(f"Simulated {_count(len(days), 'day')}{took}.", style="bold"))


def _print_day(console: Console, day: JsonObject, calendar: str, zone: ZoneInfo) -> None:
    kinds = as_texts(day.get("day_types"))
    head = Text.assemble((_date(day), "bold"), "  ", day_type_text(kinds), f"  {calendar}" if calendar else "")
    _say(console, head)
    if reason := as_text(day.get("reason")):
        _say(console, Text(reason), 2)
    opens, closes = as_moment(day.get("open")), as_moment(day.get("close"))
    if opens and closes:
        early = ", an early close" if day.get("early_close") is True else ""
        _say(console, Text(f"Open {_span(opens, closes, zone)}{early}. Times are {zone.key}, Z is UTC."), 2)
    elif following := as_text(day.get("next_session")):
        _say(console, Text(f"No session; the next one is {following}."), 2)
    for warning in as_texts(day.get("warnings")):
        _say(console, Text.assemble(("Warning: ", "bold yellow"), warning), 2)
    for window in as_objects(day.get("restrictions")):
        _say(console, _window(window, zone), 2)
    stages = as_objects(day.get("stages"))
    rows = [[(_task_cells(t, zone), _task_notes(t)) for t in fold(as_objects(s.get("tasks")))] for s in stages]
    widths = [max((len(cells[column]) for stage in rows for cells, _ in stage), default=0) for column in range(4)]
    for stage, tasks in zip(stages, rows, strict=True):
        _print_stage(console, stage, tasks, widths, zone)
    skipped = as_objects(day.get("skipped"))
    if skipped:
        console.print()
        _say(console, Text("Left out", style="bold"), 2)
    for task in skipped:
        _say(console, Text(f"{as_text(task.get('name'))}: {as_text(task.get('reason')) or 'no reason given'}"), 4)


def _print_stage(
    console: Console, stage: JsonObject, tasks: Sequence[tuple[_Cells, str]], widths: Sequence[int], zone: ZoneInfo
) -> None:
    starts, ends = as_moment(stage.get("starts_at")), as_moment(stage.get("ends_at"))
    dated = _span(starts, ends, zone) if starts and ends else "follows the stage before"
    console.print()
    name = spoken(as_text(stage.get("name")))
    _say(console, Text.assemble((name, "bold cyan"), f"  {dated}", "" if tasks else "  no tasks"), 2)
    for cells, notes in tasks:
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=False))
        _say(console, Text(f"{line}  {cells[4]}".rstrip()), 4)
        if notes:
            _say(console, Text(notes, style="dim"), 8 + widths[0])


def _task_cells(task: FoldedTask, zone: ZoneInfo) -> _Cells:
    first = task.occurrences[0]
    until = _time(task.occurrences[-1].get("deadline"), zone)
    return (
        _time(first.get("starts_at"), zone),
        task.name,
        as_text(first.get("agent")) or as_text(first.get("task_type")),
        as_text(first.get("priority")).lower(),
        f"to {until}" if until else "",
    )


def _task_notes(task: FoldedTask) -> str:
    """How often it runs, what it waits for and which kind of day brings it."""
    needs = dict.fromkeys(base_name(name) for o in task.occurrences for name in as_texts(o.get("dependencies")))
    kind = as_text(task.occurrences[0].get("day_type"))
    notes = (
        task.rhythm,
        f"after {', '.join(needs)}" if needs else "",
        f"for {spoken(kind)}" if kind not in {"", "standard"} else "",
    )
    return "; ".join(filter(None, notes))


def _print_outcome(console: Console, day: JsonObject) -> None:
    status = as_text(day.get("status"))
    head = Text.assemble((_date(day), "bold"), "  ", day_type_text(as_texts(day.get("day_types"))), "  ")
    _say(console, head.append_text(status_text(status)).append(" (simulated)", style="dim"))
    for label, value in _outcome_rows(day):
        # A path or a hash is copied: it is never broken into lines.
        console.print(Text.assemble((f"  {label:<11}", "dim"), value), soft_wrap=True)
    console.print()


def _outcome_rows(day: JsonObject) -> Iterable[tuple[str, Text]]:
    tasks = as_object(day.get("tasks"))
    counts = [(name, int(n)) for name, value in tasks.items() if name != "total" and (n := as_number(value))]
    if tasks:
        yield "tasks", Text(f"{as_text(tasks.get('total'))}: ").append_text(count_text(counts))
    stages = as_object(day.get("stages"))
    if stages:
        yield "stages", count_text(_tally(_status(stage) for stage in stages.values()))
    orders = as_objects(day.get("orders"))
    yield (
        "orders",
        Text(f"{len(orders)}: ").append_text(count_text(_tally(map(_status, orders)))) if orders else Text("none"),
    )
    if (equity := _money(day.get("equity"))) is not None:
        yield "equity", Text(equity)
    if digest := as_text(day.get("event_log_sha256")):
        yield "event log", Text(digest)
    if report := as_text(day.get("report")):
        yield "report", Text(report)


def _status(value: JsonValue) -> str:
    return as_text(as_object(value).get("status")) or as_text(value)


def _tally(statuses: Iterable[str]) -> list[tuple[str, int]]:
    found: dict[str, int] = {}
    for status in statuses:
        found[status] = found.get(status, 0) + 1
    return list(found.items())


def _money(value: JsonValue) -> str | None:
    try:
        return f"{float(as_text(value)):,.2f}"
    except ValueError:
        return None


def _window(window: JsonObject, zone: ZoneInfo) -> Text:
    starts, ends = as_moment(window.get("starts_at")), as_moment(window.get("ends_at"))
    span = _span(starts, ends, zone) if starts and ends else "at times unknown"
    names = ", ".join(as_texts(window.get("symbols")))
    level = spoken(as_text(window.get("level")))
    return Text(f"{level}{f' in {names}' if names else ''} {span}: {as_text(window.get('reason'))}", style="yellow")


def _date(day: JsonObject) -> str:
    text = as_text(day.get("date"))
    try:
        return f"{datetime.fromisoformat(text):%a %Y-%m-%d}"
    except ValueError:
        return text


def _zone(value: JsonObject) -> ZoneInfo | None:
    name = as_text(value.get("timezone"))
    return ZoneInfo(name) if name else None


def _span(starts: datetime, ends: datetime, zone: ZoneInfo) -> str:
    return f"{starts.astimezone(zone):%H:%M} to {ends.astimezone(zone):%H:%M} ({starts:%H:%MZ} to {ends:%H:%MZ})"


def _time(value: JsonValue, zone: ZoneInfo) -> str:
    moment = as_moment(value)
    if moment is None:
        return ""
    return f"{moment:%H:%MZ}" if zone.key == "UTC" else f"{moment.astimezone(zone):%H:%M}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _say(console: Console, text: Text, indent: int = 0) -> None:
    """Print ``text``, every line of it ``indent`` columns from the left, without blanks at the end."""
    for line in text.wrap(console, max(console.width - indent, 20)):
        line.rstrip()
        console.print(Text(" " * indent).append_text(line), soft_wrap=True)
