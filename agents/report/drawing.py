"""Turn a matplotlib figure into SVG that lives inside the page: its fonts, its colours, its tooltips.

matplotlib knows no CSS variables, so figures are drawn in the stand-in colours of `Paint`, each of which becomes a
variable of the page's style sheet: dark mode needs no second drawing.
"""

import io
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_XLINK = "{http://www.w3.org/1999/xlink}href"
P = ParamSpec("P")
R = TypeVar("R")


def drawn(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function that draws under settings of our own: the user's matplotlibrc changes no byte of a report."""

    @wraps(function)
    def draw(*args: P.args, **kwargs: P.kwargs) -> R:
        import matplotlib as mpl

        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rc("svg", hashsalt="belltower", fonttype="none")  # the same drawing gives the same ids
            mpl.rc("font", size=11.0)
            mpl.rc("text", parse_math=False)  # a dollar sign is a dollar sign
            return function(*args, **kwargs)

    return draw


class Paint(StrEnum):
    """A colour of the page; the value stands for it while matplotlib draws."""

    INK = "#010001"
    MUTED = "#010002"
    LINE = "#010003"
    PAPER = "#010004"
    BAND = "#010005"
    ACCENT = "#010006"
    GOOD = "#010007"
    WARN = "#010008"
    BAD = "#010009"
    IDLE = "#01000a"
    BUY = "#01000b"
    SELL = "#01000c"
    WINDOW = "#01000d"

    @property
    def variable(self) -> str:
        """The variable of the style sheet."""
        return f"var(--{self.name.lower()})"


STATUS_PAINTS: Mapping[str, Paint] = {
    "completed": Paint.GOOD,
    "failed": Paint.BAD,
    "timeout": Paint.BAD,
    "expired": Paint.WARN,
    "cancelled": Paint.WARN,
    "skipped": Paint.IDLE,
}
_VARIABLES = {paint.value: paint.variable for paint in Paint}


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure of ``width`` by ``height`` pixels."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / 72, height / 72), dpi=72)


def place(figure: "Figure", left: float, top: float, right: float, bottom: float, **options: Any) -> "Axes":
    """Add axes that leave ``left``, ``top``, ``right`` and ``bottom`` pixels of the figure free, in the page's look."""
    width, height = (float(side) * 72 for side in figure.get_size_inches())
    box = (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    axes = figure.add_axes(box, facecolor="none", **options)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(Paint.LINE)
    axes.tick_params(colors=Paint.MUTED, length=0, pad=5)
    axes.grid(visible=True, axis="y", color=Paint.LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes


class TimeAxis:
    """Hours since ``start`` as the x of a figure, labelled with the exchange's local time."""

    def __init__(self, start: datetime, end: datetime, zone: ZoneInfo) -> None:
        self.start, self.end, self.zone = start, max(end, start + timedelta(minutes=1)), zone

    def at(self, moment: datetime) -> float:
        """Where ``moment`` is, in hours."""
        return (moment - self.start).total_seconds() / 3600

    def within(self, moment: datetime) -> float:
        """Where ``moment`` is, or the nearest end of the axis."""
        return self.at(min(max(moment, self.start), self.end))

    def apply(self, axes: "Axes", labels: int = 12) -> None:
        """Set limits and ticks on whole local hours (half hours on short spans), at most about ``labels``."""
        hours = self.at(self.end)
        step_minutes = next((m for m in (15, 30, 60, 120, 180, 240) if hours * 60 / m <= labels), 360)
        local = self.start.astimezone(self.zone)
        first = local.replace(minute=0, second=0, microsecond=0)
        ticks = [self.start + (first - local) + timedelta(minutes=step_minutes * i) for i in range(200)]
        shown = [tick for tick in ticks if self.start <= tick <= self.end]
        axes.set_xlim(0, hours)
        axes.set_xticks([self.at(t) for t in shown], [f"{t.astimezone(self.zone):%H:%M}" for t in shown])


def to_svg(figure: "Figure", name: str, title: str, description: str, tooltips: Mapping[str, str]) -> str:
    """Return the drawing as an ``<svg>`` element for HTML; called inside `drawn`.

    ``name`` is unique on the page and begins every id. ``tooltips`` maps the gid of an artist to its text.
    """
    from xml.etree import ElementTree as ET

    buffer = io.StringIO()
    silent = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(buffer, format="svg", transparent=True, metadata=silent)
    root = ET.fromstring(buffer.getvalue())  # noqa: S314  # drawn two lines above, not received
    used = set(re.findall(r"#(\w+)", " ".join(_references(root))))
    _clean(root, name, used, tooltips)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.set("class", "chart")
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-desc")
    for index, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ET.Element(tag, {"id": f"{name}-{tag}"})
        element.text = text
        root.insert(index, element)
    return ET.tostring(root, encoding="unicode")


def _references(root: Any) -> list[str]:
    return [value for e in root.iter() for key, value in e.items() if key == _XLINK or "url(#" in value]


def _clean(element: Any, name: str, used: set[str], tooltips: Mapping[str, str]) -> None:
    """Drop what the page does not need and bring the rest into its style, all the way down."""
    element.tag = element.tag.rpartition("}")[2]
    element.text = element.text.strip() if element.text else None
    element.tail = None
    own = element.attrib.pop("id", "")
    if own in used:
        element.set("id", f"{name}-{own}")
    if _XLINK in element.attrib:
        element.set("href", f"#{name}-{element.attrib.pop(_XLINK)[1:]}")
    if "clip-path" in element.attrib:
        element.set("clip-path", element.get("clip-path").replace("url(#", f"url(#{name}-"))
    if "d" in element.attrib:
        element.set("d", " ".join(_shorten(element.get("d")).split()))
    if element.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]
    if "style" in element.attrib:
        element.set("style", _restyle(element.get("style")))
    for child in list(element):
        if child.tag.endswith("}style") or child.tag.endswith("}metadata"):
            element.remove(child)
            continue
        _clean(child, name, used, tooltips)
    if own in tooltips:
        tip = element.makeelement("title", {})
        tip.text = tooltips[own]
        element.insert(0, tip)


def _shorten(text: str) -> str:
    """Round coordinates to a hundredth of a pixel: nobody sees more, and the page is a third smaller."""
    return re.sub(r"-?\d+\.\d+", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), text)


def _restyle(style: str) -> str:
    kept = (part.strip() for part in style.split(";") if not part.strip().startswith("font-family"))
    return "; ".join(re.sub(r"#[0-9a-f]{6}", lambda m: _VARIABLES.get(m[0], m[0]), part) for part in kept)
