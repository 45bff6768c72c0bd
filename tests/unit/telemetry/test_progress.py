"""The view of a running day."""

import io
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console

from orchestration.domain.events import OrchestrationEvent
from orchestration.telemetry.progress import ProgressView
from tests.report_sample import FOMC_DAY, opening_account, sample_day

NEW_YORK = ZoneInfo("America/New_York")
DAY = sample_day(FOMC_DAY, opening_account(FOMC_DAY))
AT = "2012-12-12T15:30:00Z"


def a_console(*, terminal: bool) -> Console:
    return Console(
        file=io.StringIO(), width=90, height=50, force_terminal=terminal, color_system=None, legacy_windows=False
    )


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def a_task(task: str, status: str, stage: str = "intraday", agent: str | None = "economist") -> dict[str, Any]:
    return {"at": AT, "stage": stage, "task": task, "agent": agent, "status": status, "task_type": task}


async def test_off_a_terminal_each_stage_is_one_plain_line() -> None:
    console = a_console(terminal=False)
    with ProgressView(console, timezone=NEW_YORK) as view:
        view.set_day(DAY.plan)
        await view(OrchestrationEvent.TASK_STARTED, a_task("a", "running"))
        await view(OrchestrationEvent.TASK_COMPLETED, a_task("a", "completed"))
        await view(OrchestrationEvent.TASK_FAILED, a_task("b", "failed"))
        await view(OrchestrationEvent.STAGE_COMPLETED, {"at": AT, "stage": "intraday", "status": "completed"})
    assert shown(console).splitlines() == [
        "2012-12-12 [FOMC] (simulated)",
        "10:30:00  intraday: completed, 1 completed, 1 failed tasks",
    ]


async def test_on_a_terminal_the_view_shows_clock_stages_agents_and_account() -> None:
    console = a_console(terminal=True)
    with ProgressView(console, timezone=NEW_YORK) as view:
        view.set_day(DAY.plan)
        view.set_account(Decimal("1000830.12"), DAY.orders)
        await view(OrchestrationEvent.MARKET_EVENT, {"at": AT, "kind": "fomc_statement", "details": {}})
        await view(OrchestrationEvent.TASK_STARTED, a_task("statement_analysis", "running"))
        await view(OrchestrationEvent.TASK_COMPLETED, a_task("c", "completed", agent=None))
        await view(OrchestrationEvent.STAGE_STARTED, {"at": AT, "stage": "intraday", "status": "running"})
    text = shown(console)
    for words in (
        "Belltower, simulated", "10:30:00 America/New_York", "[FOMC]", "FOMC statement", "1/74", "1 completed",
        "economist  running  statement analysis", "equity 1,000,830.12", "4 filled, 1 rejected",
    ):  # fmt: skip
        assert words in text


async def test_no_line_of_the_view_is_wider_than_eighty_columns() -> None:
    console = Console(file=io.StringIO(), width=80, height=50, force_terminal=True, color_system=None)
    view = ProgressView(console)
    view.set_day(DAY.plan)
    await view(OrchestrationEvent.TASK_STARTED, a_task("a_task_with_a_name_" * 8, "running"))
    with console.capture() as capture:
        console.print(view._view())
    assert max(map(len, capture.get().splitlines())) <= 80


async def test_it_draws_once_in_so_many_events() -> None:
    console = a_console(terminal=True)
    with ProgressView(console, refresh_every=10) as view:
        view.set_day(DAY.plan)
        before = shown(console).count("Belltower")
        for number in range(20):
            await view(OrchestrationEvent.TASK_STARTED, a_task(f"t{number}", "running"))
        assert shown(console).count("Belltower") - before == 2


async def test_an_alert_is_said_at_once() -> None:
    console = a_console(terminal=False)
    view = ProgressView(console)
    await view(OrchestrationEvent.SYSTEM_ALERT, {"at": AT, "source": "event bus", "message": "a handler hung"})
    assert shown(console) == "15:30:00  system alert: event bus: a handler hung\n"


async def test_a_task_is_counted_once_whatever_is_said_about_it_later() -> None:
    console = a_console(terminal=False)
    view = ProgressView(console)
    view.set_day(DAY.plan)
    await view(OrchestrationEvent.TASK_SKIPPED, a_task("a", "skipped"))
    await view(OrchestrationEvent.TASK_SKIPPED, a_task("a", "skipped"))
    await view(OrchestrationEvent.STAGE_COMPLETED, {"at": AT, "stage": "intraday", "status": "skipped"})
    assert "intraday: skipped, 1 skipped tasks" in shown(console)


async def test_another_day_begins_from_nothing() -> None:
    console = a_console(terminal=False)
    view = ProgressView(console)
    view.set_day(DAY.plan)
    await view(OrchestrationEvent.TASK_COMPLETED, a_task("a", "completed"))
    view.set_day(DAY.plan)
    await view(OrchestrationEvent.STAGE_COMPLETED, {"at": AT, "stage": "intraday", "status": "completed"})
    assert shown(console).splitlines()[-1].endswith("intraday: completed, none tasks")


async def test_before_anything_is_known_the_view_says_so() -> None:
    console = a_console(terminal=True)
    view = ProgressView(console)
    with console.capture() as capture:
        console.print(view._view())
    assert "--:--:--" in capture.get()
    assert "equity not known yet" in capture.get()
