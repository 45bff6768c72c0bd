"""Show a running day: a live view on a terminal, one plain line a stage everywhere."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Self
from zoneinfo import ZoneInfo

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.json_reading import as_moment, as_objects, as_text, as_texts
from orchestration.domain.json_value import JsonObject
from orchestration.domain.orders import OrderState
from orchestration.domain.states import ENDED
from orchestration.telemetry.styles import count_text, day_type_text, spoken, status_text

_ENDED = {status.value for status in ENDED}
_TASK_EVENTS = {event for event in OrchestrationEvent if event.name.startswith("TASK_")}
_WORKFLOW_ENDS = {
    OrchestrationEvent.WORKFLOW_COMPLETED,
    OrchestrationEvent.WORKFLOW_FAILED,
    OrchestrationEvent.WORKFLOW_CANCELLED,
}
_ALWAYS = _WORKFLOW_ENDS | {OrchestrationEvent.STAGE_STARTED, OrchestrationEvent.STAGE_COMPLETED}


class ProgressView:
    """A handler of public events that shows where the day is; a context manager.

    ``refresh_every`` events go by between two drawings, and every stage is one. Nothing runs in the background: a view
    that hears nothing shows nothing new. ``mode`` is shown beside the clock. Off a terminal only the lines appear.
    """

    def __init__(
        self, console: Console, *, timezone: ZoneInfo | None = None, mode: str = "simulated", refresh_every: int = 25
    ) -> None:
        self._console, self._mode, self._every = console, mode, max(refresh_every, 1)
        self._zone = timezone or ZoneInfo("UTC")
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._seen = 0
        self._equity: Decimal | None = None
        self._orders: tuple[OrderState, ...] = ()
        self.set_day({})

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def set_day(self, plan: JsonObject) -> None:
        """Begin another day: ``plan`` is one day of ``plan --json``."""
        self._date = as_text(plan.get("date"))
        self._kinds = as_texts(plan.get("day_types"))
        self._now: datetime | None = as_moment(plan.get("open"))
        self._totals = {as_text(s.get("name")): len(as_objects(s.get("tasks"))) for s in as_objects(plan.get("stages"))}
        self._ended: dict[str, Counter[str]] = {stage: Counter() for stage in self._totals}
        self._states: dict[str, str] = {}
        self._work: dict[str, tuple[str, str]] = {}
        self._last_said = ""
        if self._date:
            self._line(Text.assemble((self._date, "bold"), " ", day_type_text(self._kinds), f" ({self._mode})"))
            self._draw()

    def set_account(self, equity: Decimal, orders: Sequence[OrderState]) -> None:
        """Show this worth and these orders from the next drawing on."""
        self._equity, self._orders = equity, tuple(orders)

    async def __call__(self, event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
        """Take one public event; register it for all of them."""
        self._now = as_moment(data.get("at")) or self._now
        if event in _TASK_EVENTS:
            self._on_task(event, data)
        elif event is OrchestrationEvent.STAGE_COMPLETED:
            self._on_stage_end(as_text(data.get("stage")), as_text(data.get("status")))
        elif event is OrchestrationEvent.MARKET_EVENT:
            self._last_said = spoken(as_text(data.get("kind")))
        elif event in {OrchestrationEvent.SYSTEM_ALERT, OrchestrationEvent.AGENT_ERROR}:
            source = as_text(data.get("source")) or as_text(data.get("task"))
            words = as_text(data.get("message")) or as_text(data.get("error"))
            self._line(Text(f"{self._clock()}  {spoken(event.value)}: {source}: {words}", style="red"))
        self._seen += 1
        if event in _ALWAYS or self._seen % self._every == 0:
            self._draw()

    def _on_task(self, event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
        stage, task, agent = (as_text(data.get(key)) for key in ("stage", "task", "agent"))
        status = as_text(data.get("status"))
        if self._states.get(task) in _ENDED:
            return
        self._states[task] = status
        if status in _ENDED:
            self._ended.setdefault(stage, Counter())[status] += 1
        if agent and event is not OrchestrationEvent.TASK_SKIPPED:
            self._work[agent] = (task, status)

    def _on_stage_end(self, stage: str, status: str) -> None:
        ended = self._ended.get(stage, Counter())
        line = Text(f"{self._clock()}  {spoken(stage)}: ").append_text(status_text(status)).append(", ")
        self._line(line.append_text(count_text(sorted(ended.items()))).append(" tasks"))

    def _clock(self) -> str:
        return f"{self._now.astimezone(self._zone):%H:%M:%S}" if self._now else "--:--:--"

    def _line(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)

    def _draw(self) -> None:
        if self._live:
            self._live.update(self._view(), refresh=True)

    def _view(self) -> RenderableType:
        head = Text.assemble(
            (self._clock(), "bold"), f" {self._zone.key}  {self._date} ", day_type_text(self._kinds),
            f"  {self._last_said}" if self._last_said else "",
        )  # fmt: skip
        parts: list[RenderableType] = [head, Text(), self._stages()]
        if self._work:
            parts += [Text(), self._agents()]
        parts += [Text(), self._account()]
        return Panel(Group(*parts), title=f"Belltower, {self._mode}", title_align="left", border_style="dim")

    def _stages(self) -> Table:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(width=20)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(overflow="ellipsis", no_wrap=True, ratio=1)
        for stage, ended in self._ended.items():
            total, done = self._totals.get(stage, 0), ended.total()
            bar = ProgressBar(total=max(total, done, 1), completed=done, width=20)
            table.add_row(
                spoken(stage), bar, f"{done}/{max(total, done)}", count_text(sorted(ended.items())) if done else ""
            )
        return table

    def _agents(self) -> Table:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, style="dim")
        table.add_column(no_wrap=True)
        table.add_column(overflow="ellipsis", no_wrap=True, ratio=1)
        for agent, (task, status) in sorted(self._work.items()):
            table.add_row(spoken(agent), status_text(status), spoken(task))
        return table

    def _account(self) -> Text:
        equity = f"equity {self._equity:,.2f}" if self._equity is not None else "equity not known yet"
        counts = Counter(str(state.status) for state in self._orders)
        return Text(f"{equity}   orders: ").append_text(count_text(sorted(counts.items())))
