"""Draw the day: stages as bands, every task in the row of its agent, restriction windows shaded."""

from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from agents.report.drawing import STATUS_PAINTS, Paint, TimeAxis, drawn, new_figure, place, to_svg
from agents.report.tasks import Occurrence, TaskLine
from agents.report.wording import local_time, spoken, utc_time
from orchestration.domain.json_reading import as_moment, as_object, as_objects, as_text, as_texts
from orchestration.domain.json_value import JsonObject

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _LABELS, _RIGHT, _TOP, _BOTTOM, _ROW = 1120.0, 200.0, 20.0, 50.0, 26.0, 18.0
_MARKS = {"open": "open", "close": "close", "fomc_statement": "FOMC statement"}


@drawn
def draw_timeline(plan: JsonObject, lines: tuple[TaskLine, ...], zone: ZoneInfo, name: str) -> str:
    """Return the timeline as SVG, or ``""`` for a day without dated stages or tasks."""
    span = _span(plan, lines)
    if span is None:
        return ""
    rows = _rows(lines)
    figure = new_figure(_WIDTH, _TOP + _BOTTOM + _ROW * len(rows))
    axes = place(figure, _LABELS, _TOP, _RIGHT, _BOTTOM)
    axis = TimeAxis(*span, zone)
    tips: dict[str, str] = {}
    axis.apply(axes, labels=14)
    axes.set_ylim(len(rows), 0)
    axes.set_yticks([])
    axes.grid(visible=False)
    _draw_stages(axes, axis, plan, tips)
    draw_restrictions(axes, axis, plan, tips)
    _draw_marks(axes, axis, plan, tips)
    for y, row in enumerate(rows):
        if isinstance(row, str):
            _write(axes, spoken(row), y + 0.6, color=Paint.INK, weight="bold")
        else:
            _draw_task(axes, axis, row, y, tips)
    count = sum(len(line.occurrences) for line in lines)
    first, last = (local_time(moment, zone) for moment in span)
    description = f"{count} tasks in {len(rows)} rows from {first} to {last}; the table of tasks below says the same."
    return to_svg(figure, name, "Timeline of stages and tasks", description, tips)


def draw_restrictions(axes: "Axes", axis: TimeAxis, plan: JsonObject, tips: dict[str, str], symbol: str = "") -> None:
    """Shade the windows in which the desk may not open or add; with ``symbol``, those that concern it."""
    for index, window in enumerate(as_objects(plan.get("restrictions"))):
        starts, ends = as_moment(window.get("starts_at")), as_moment(window.get("ends_at"))
        symbols = as_texts(window.get("symbols"))
        if (
            starts is None
            or ends is None
            or ends <= axis.start
            or starts >= axis.end
            or (symbol and symbols and symbol not in symbols)
        ):
            continue
        gid = f"window-{index}"
        axes.axvspan(
            axis.within(starts), axis.within(ends), color=Paint.WINDOW, alpha=0.22, linewidth=0, zorder=0.6, gid=gid
        )
        level, concerned = spoken(as_text(window.get("level"))), ", ".join(symbols)
        span = (
            f"{local_time(starts, axis.zone)} to {local_time(ends, axis.zone)} ({utc_time(starts)} to {utc_time(ends)})"
        )
        tips[gid] = f"{level}{f' in {concerned}' if concerned else ''}, {span}: {as_text(window.get('reason'))}"


def _span(plan: JsonObject, lines: tuple[TaskLine, ...]) -> tuple[datetime, datetime] | None:
    stages = as_objects(plan.get("stages"))
    edges = [as_moment(stage.get(key)) for stage in stages for key in ("starts_at", "ends_at")]
    edges += [moment for line in lines for o in line.occurrences for moment in (o.started_at, o.completed_at)]
    known = [edge for edge in edges if edge is not None]
    return (min(known), max(known)) if known else None


def _rows(lines: tuple[TaskLine, ...]) -> list[str | TaskLine]:
    """Return the agents, each followed by its tasks, both in the order of their first appearance."""
    order = {agent: place for place, agent in enumerate(dict.fromkeys(line.agent for line in lines))}
    rows: list[str | TaskLine] = []
    for agent, group in groupby(sorted(lines, key=lambda line: order[line.agent]), key=lambda line: line.agent):
        rows += [agent, *group]
    return rows


def _draw_stages(axes: "Axes", axis: TimeAxis, plan: JsonObject, tips: dict[str, str]) -> None:
    for index, stage in enumerate(as_objects(plan.get("stages"))):
        starts, ends = as_moment(stage.get("starts_at")), as_moment(stage.get("ends_at"))
        if starts is None or ends is None:
            continue
        left, right = axis.at(starts), axis.at(ends)
        gid = f"stage-{index}"
        axes.axvspan(
            left, right, color=Paint.BAND, alpha=1.0 if index % 2 == 0 else 0.45, linewidth=0, zorder=0.2, gid=gid
        )
        label = spoken(as_text(stage.get("name")))
        # A narrow band, such as the hour after the open, takes its name in two lines.
        narrow = (right - left) / axis.at(axis.end) * (_WIDTH - _LABELS - _RIGHT) < 7.5 * len(label)
        text = label.replace(" ", "\n") if narrow else label
        _head(axes, text, (left + right) / 2, 19, color=Paint.INK, weight="bold", linespacing=1.05)
        tips[gid] = (
            f"{label}: {local_time(starts, axis.zone)} to {local_time(ends, axis.zone)} "
            f"({utc_time(starts)} to {utc_time(ends)})"
        )


def _draw_marks(axes: "Axes", axis: TimeAxis, plan: JsonObject, tips: dict[str, str]) -> None:
    for index, said in enumerate(as_objects(plan.get("announcements"))):
        kind = as_text(said.get("kind")) or as_text(as_object(said.get("data")).get("kind"))
        at = as_moment(said.get("at"))
        if at is None or kind not in _MARKS or not axis.start <= at <= axis.end:
            continue
        paint = Paint.ACCENT if kind == "fomc_statement" else Paint.MUTED
        gid = f"mark-{index}"
        axes.axvline(axis.at(at), color=paint, linewidth=1.2, zorder=0.8, gid=gid)
        _head(axes, _MARKS[kind], axis.at(at), 4, color=paint)
        tips[gid] = f"{_MARKS[kind]}: {local_time(at, axis.zone)} ({utc_time(at)})"


def _draw_task(axes: "Axes", axis: TimeAxis, line: TaskLine, y: int, tips: dict[str, str]) -> None:
    middle = y + 0.5
    _write(axes, spoken(line.name), middle, indent=10, color=Paint.MUTED)
    axes.axhline(middle, color=Paint.LINE, linewidth=0.5, zorder=0.9)
    if line.rhythm:
        for status, _ in line.counts:
            group = [o for o in line.occurrences if o.status == status and o.shown_at]
            gid = f"row-{y}-{status}"
            axes.vlines(
                [axis.within(o.shown_at) for o in group if o.shown_at],
                middle - 0.3,
                middle + 0.3,
                color=_paint(status),
                linewidth=1.6,
                zorder=3,
                gid=gid,
            )
            tips[gid] = f"{spoken(line.name)}, {line.rhythm}: {len(group)} {status}"
        return
    only = line.occurrences[0]
    if only.shown_at is None:
        return
    begin, end = axis.within(only.shown_at), axis.within(only.completed_at or only.shown_at)
    # Most work takes an instant of simulated time: a bar is never thinner than a reader can see.
    width = max(end - begin, axis.at(axis.end) * 0.006)
    gid = f"row-{y}"
    ran = only.started_at is not None
    axes.barh(
        middle,
        width,
        0.62,
        left=begin,
        facecolor=_paint(only.status) if ran else "none",
        edgecolor=_paint(only.status),
        linewidth=1.2,
        zorder=3,
        gid="",
    )[0].set_gid(gid)
    tips[gid] = _tip(line, only, axis.zone)


def _tip(line: TaskLine, only: Occurrence, zone: ZoneInfo) -> str:
    at = only.shown_at
    when = f"{local_time(at, zone)} ({utc_time(at)})" if at else ""
    took = only.completed_at - only.started_at if only.completed_at and only.started_at else timedelta()
    lasted = f", took {took.total_seconds():g} s" if took else ""
    why = f": {only.explanation}" if only.explanation else ""
    return f"{spoken(line.name)}, {only.status} {when}{lasted}{why}"


def _paint(status: str) -> Paint:
    return STATUS_PAINTS.get(status, Paint.MUTED)


def _write(axes: "Axes", text: str, y: float, *, indent: float = 0, **options: Any) -> None:
    """Write a row's name left of the plot, ``indent`` pixels from the figure's edge."""
    axes.annotate(
        text,
        (0, y),
        (indent - _LABELS, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="center",
        annotation_clip=False,
        **options,
    )


def _head(axes: "Axes", text: str, x: float, above: float, **options: Any) -> None:
    """Write ``text`` centred over the plot at ``x`` hours, ``above`` pixels over its top."""
    axes.annotate(
        text,
        (x, 1),
        (0, above),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
        va="bottom",
        annotation_clip=False,
        **options,
    )
