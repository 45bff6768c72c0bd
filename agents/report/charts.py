"""Draw prices with fills, and equity with drawdown."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from agents.report.contents import EquityPoint
from agents.report.drawing import Paint, TimeAxis, drawn, new_figure, place, to_svg
from agents.report.timeline import draw_restrictions
from agents.report.wording import local_time, money, percent, quantity, short_date, spoken, utc_time
from orchestration.domain.bars import Tick
from orchestration.domain.json_value import JsonObject
from orchestration.domain.orders import Fill, Side

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 240
_MARKERS = {Side.BUY: ("^", Paint.BUY), Side.SELL: ("v", Paint.SELL)}


@drawn
def draw_prices(
    symbol: str, ticks: Sequence[Tick], fills: Sequence[Fill], plan: JsonObject, zone: ZoneInfo, name: str
) -> str:
    """Return one symbol's day as SVG, with its fills and the windows that concern it; ``ticks`` are not empty."""
    figure = new_figure(520, 216)
    axes = place(figure, 50, 12, 18, 26)
    axis = TimeAxis(ticks[0].at, ticks[-1].at, zone)
    axis.apply(axes, labels=8)
    tips: dict[str, str] = {}
    draw_restrictions(axes, axis, plan, tips, symbol)
    path = thin([(axis.at(t.at), float(t.price)) for t in ticks])
    axes.axhline(float(ticks[0].price), color=Paint.MUTED, linewidth=0.8, linestyle=(0, (1, 3)), zorder=1)
    axes.plot(
        *zip(*path, strict=True), color=Paint.INK, linewidth=1.2, solid_joinstyle="round", zorder=2, clip_on=False
    )
    shown = [fill for fill in fills if axis.start <= fill.at <= axis.end]
    for index, fill in enumerate(shown):
        marker, paint = _MARKERS[fill.side]
        gid = f"fill-{index}"
        axes.plot(
            axis.at(fill.at), float(fill.price), marker=marker, markersize=9, linestyle="none", clip_on=False,
            markerfacecolor=paint, markeredgecolor=Paint.PAPER, markeredgewidth=1.0, zorder=4, gid=gid,
        )  # fmt: skip
        tips[gid] = (
            f"{spoken(fill.side)} {quantity(fill.quantity)} at {money(fill.price)}, "
            f"{local_time(fill.at, zone)} ({utc_time(fill.at)})"
        )
    axes.margins(y=0.14)
    _few_labels(axes, lambda value: f"{value:,.2f}")
    low, high = min(t.price for t in ticks), max(t.price for t in ticks)
    description = (
        f"{symbol} opened at {money(ticks[0].price)}, moved between {money(low)} and {money(high)} and "
        f"closed at {money(ticks[-1].price)}; {len(shown)} fills."
    )
    return to_svg(figure, name, f"Price of {symbol} with fills", description, tips)


@drawn
def draw_equity(points: Sequence[EquityPoint], zone: ZoneInfo, name: str, *, daily: bool) -> str:
    """Return equity over drawdown as SVG; ``daily`` points stand at equal distances, others at their time."""
    figure = new_figure(1120, 330)
    right = 36 if daily else 20  # dates are wider than times
    upper = place(figure, 84, 10, right, 136)
    lower = place(figure, 84, 222, right, 26, sharex=upper)
    values = [float(value) for _, value in points]
    falls = [float(fall) * 100 for fall in drawdowns([value for _, value in points])]
    if daily:
        xs = [float(index) for index in range(len(points))]
        _label_days(lower, [at for at, _ in points], zone)
    else:
        axis = TimeAxis(points[0][0], points[-1][0], zone)
        xs = [axis.at(at) for at, _ in points]
        axis.apply(lower, labels=14)
    upper.tick_params(labelbottom=False)
    curve = thin(list(zip(xs, values, strict=True)))
    upper.axhline(values[0], color=Paint.MUTED, linewidth=0.8, linestyle=(0, (1, 3)))
    left, heights = zip(*curve, strict=True)
    upper.fill_between(left, heights, values[0], color=Paint.ACCENT, alpha=0.12, linewidth=0)
    upper.plot(left, heights, color=Paint.ACCENT, linewidth=1.8, solid_joinstyle="round")
    fall = thin(list(zip(xs, falls, strict=True)))
    left, depths = zip(*fall, strict=True)
    lower.fill_between(left, depths, 0, color=Paint.BAD, alpha=0.18, linewidth=0)
    lower.plot(left, depths, color=Paint.BAD, linewidth=1.1)
    lower.set_ylim(min(*falls, -0.001) * 1.15, 0)
    upper.margins(y=0.12)
    _few_labels(upper, lambda value: f"{value:,.0f}")
    _few_labels(lower, lambda value: f"{value:.2f} %".replace("-", "\u2212"), most=3)
    description = (
        f"From {money(points[0][1])} to {money(points[-1][1])}; deepest drawdown "
        f"{percent(min(falls) / 100)}. The numbers are in equity.csv."
    )
    return to_svg(figure, name, "Equity above, drawdown below", description, {})


def drawdowns(values: Sequence[Decimal]) -> list[Decimal]:
    """Return for each value its distance from the highest so far, as a share of that: 0, or negative."""
    falls: list[Decimal] = []
    peak = values[0] if values else Decimal(0)
    for value in values:
        peak = max(peak, value)
        falls.append(value / peak - 1 if peak > 0 else Decimal(0))
    return falls


def thin(points: Sequence[tuple[float, float]], most: int = _POINTS) -> list[tuple[float, float]]:
    """Return at most about ``most`` points that keep first, last, and the highest and lowest of every stretch."""
    if len(points) <= most:
        return list(points)
    size = -(-len(points) * 2 // most)
    kept = {0, len(points) - 1}
    for start in range(0, len(points), size):
        stretch = range(start, min(start + size, len(points)))
        kept |= {min(stretch, key=lambda i: points[i][1]), max(stretch, key=lambda i: points[i][1])}
    return [points[index] for index in sorted(kept)]


def _few_labels(axes: "Axes", write: Any, most: int = 4) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(nbins=most))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))


def _label_days(axes: "Axes", days: Sequence[datetime], zone: ZoneInfo) -> None:
    step = -(-len(days) // 8)
    indices = range(0, len(days), step)
    axes.set_xlim(0, max(len(days) - 1, 1))
    names = [short_date(days[i].astimezone(zone).date()).rsplit(" ", 1)[0] if i else "start" for i in indices]
    axes.set_xticks(list(indices), names)
