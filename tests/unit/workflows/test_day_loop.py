"""Day after day: what is announced, when it runs, and what changes about it. Sessions are 14:30 to 21:00 UTC."""

import asyncio
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestration.adapters.memory.run_store import MemoryRunStore
from orchestration.domain.errors import DefinitionError, StoreUnavailableError
from orchestration.domain.reconciliation import Reconciled
from orchestration.domain.records import RunSummary
from orchestration.domain.states import RunStatus
from tests.calendars import WeekdayCalendar
from tests.desk import exchange
from tests.fakes_market import FixedMarket, bars
from tests.unit.workflows.desk_world import World, in_world, utc
from workflows.trading_day.day_plan import DayPlan

FRIDAY, MONDAY, TUESDAY = date(2012, 12, 7), date(2012, 12, 10), date(2012, 12, 11)


def starts(world: World) -> list[str]:
    return [str(result["started_at"]) for _, result in world.ended]


async def _runs(world: World) -> list[RunSummary]:
    return list(await world.store.runs())


def test_each_day_is_announced_then_run_at_its_first_stage_and_the_next_follows(tmp_path: Path) -> None:
    async def run(world: World) -> None:
        async with world.looping() as loop:
            await world.until("2012-12-07T09:00")
            assert loop.planned is not None
            assert loop.planned.date == FRIDAY
            await world.until("2012-12-11T05:00")

    world = in_world(run, tmp_path, "2012-12-07T08:00")
    assert starts(world) == ["2012-12-07T11:00:00Z", "2012-12-10T11:00:00Z"]
    assert [said["date"] for said in world.market("next_session")] == ["2012-12-07", "2012-12-10", "2012-12-11"]
    assert [said["starts_at"] for said in world.market("next_session")] == [
        "2012-12-07T11:00:00Z",
        "2012-12-10T11:00:00Z",
        "2012-12-11T11:00:00Z",
    ]
    assert world.alerts == []


def test_the_next_day_is_announced_when_the_one_before_has_ended(tmp_path: Path) -> None:
    async def run(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-10T20:00")
            assert [said["date"] for said in world.market("next_session")] == ["2012-12-10"]
            await world.until("2012-12-10T23:00")
            assert [said["date"] for said in world.market("next_session")] == ["2012-12-10", "2012-12-11"]

    in_world(run, tmp_path, "2012-12-10T08:00")


def test_a_beat_comes_at_least_once_a_minute_also_while_a_day_runs(tmp_path: Path) -> None:
    async def run(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-10T22:00")

    world = in_world(run, tmp_path, "2012-12-10T10:30")
    gaps = [later - earlier for earlier, later in zip(world.beats, world.beats[1:], strict=False)]
    assert max(gaps) <= timedelta(minutes=1)
    assert world.beats[-1] >= utc("2012-12-10T21:59")


def test_a_wall_clock_that_is_set_back_holds_nothing_up(tmp_path: Path) -> None:
    """Beats and looks at the files go on by the monotonic clock; the day begins when the clock shows its hour."""

    async def run(world: World) -> None:
        async with world.looping():
            await asyncio.sleep(600)
            world.clock.step -= timedelta(hours=3)
            beats = len(world.beats)
            write(tmp_path / "days" / "standard.yaml", "day_type: standard\nremove: {system_maintenance: not here}\n")
            await asyncio.sleep(120)
            assert len(world.beats) - beats >= 2
            assert len(world.market("plan_changed")) == 1
            await world.until("2012-12-10T22:30")

    world = in_world(run, tmp_path, "2012-12-10T10:00", napping=True)
    assert [start[:19] for start in starts(world)] == ["2012-12-10T11:00:00"]


# -- the files of the home


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_a_changed_overlay_changes_the_plan_and_the_difference_is_told(tmp_path: Path) -> None:
    async def run(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-10T09:00")
            write(
                tmp_path / "days" / "standard.yaml",
                "day_type: standard\nremove: {system_maintenance: not on this desk}\n",
            )
            await world.until("2012-12-10T09:02")
            (told,) = world.market("plan_changed")
            assert "task system_maintenance: gone" in told["difference"]
            await world.until("2012-12-11T05:00")

    world = in_world(run, tmp_path, "2012-12-10T08:00")
    ((_, result),) = world.ended
    assert "system_maintenance" not in result["tasks"]


def test_a_broken_file_keeps_the_plan_and_is_told_once(tmp_path: Path) -> None:
    async def run(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-10T09:00")
            write(tmp_path / "desk.yaml", "cash: [\n")
            await world.until("2012-12-10T12:00")
            (alert,) = world.alerts
            assert str(tmp_path / "desk.yaml") in alert
            assert "line" in alert
            write(tmp_path / "desk.yaml", "cash: 5\n")
            await world.until("2012-12-11T05:00")
            assert world.daily.desk.desk.cash == 5

    world = in_world(run, tmp_path, "2012-12-10T08:00")
    assert len(world.ended) == 1
    assert len(world.alerts) == 1


def test_an_overlay_that_no_day_can_be_made_of_keeps_the_plan(tmp_path: Path) -> None:
    async def run(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-10T09:00")
            later = "day_type: standard\nchange: {data_collection: {dependencies: [system_maintenance]}}\n"
            write(tmp_path / "days" / "standard.yaml", later)
            await world.until("2012-12-11T05:00")

    world = in_world(run, tmp_path, "2012-12-10T08:00")
    (alert,) = world.alerts
    assert "runs later" in alert
    assert world.ended[0][1]["status"] == "completed"


def test_a_closure_that_the_operator_enters_moves_the_next_day(tmp_path: Path) -> None:
    calendar = WeekdayCalendar()

    async def reopen() -> None:
        calendar._closed = frozenset({MONDAY})

    async def run(world: World) -> None:
        async with world.looping(reopen_calendar=reopen):
            await world.until("2012-12-10T09:00")
            write(tmp_path / "calendar.yaml", "closures: [{date: 2012-12-10, reason: storm}]\n")
            await world.until("2012-12-12T05:00")

    world = in_world(run, tmp_path, "2012-12-10T08:00", calendar=calendar)
    assert starts(world) == ["2012-12-11T11:00:00Z"]
    (told,) = world.market("plan_changed")
    assert told["difference"] == ["the next day is 2012-12-11 (standard) instead of 2012-12-10"]
    assert [said["date"] for said in world.market("next_session")] == ["2012-12-10", "2012-12-11", "2012-12-12"]


def test_a_broken_calendar_file_keeps_the_calendar(tmp_path: Path) -> None:
    async def reopen() -> None:
        raise DefinitionError("calendar.yaml, line 1: wrong")

    async def run(world: World) -> None:
        async with world.looping(reopen_calendar=reopen):
            await world.until("2012-12-10T09:00")
            write(tmp_path / "calendar.yaml", "closures: 7\n")
            await world.until("2012-12-11T05:00")

    world = in_world(run, tmp_path, "2012-12-10T08:00")
    assert world.alerts == ["the calendar stays as it was: calendar.yaml, line 1: wrong"]
    assert starts(world) == ["2012-12-10T11:00:00Z"]


def test_the_calendar_is_opened_again_when_a_year_begins(tmp_path: Path) -> None:
    opened = []

    async def run(world: World) -> None:
        async def reopen() -> None:
            opened.append(world.clock.now())

        async with world.looping(reopen_calendar=reopen):
            await world.until("2013-01-02T10:00")

    in_world(run, tmp_path, "2012-12-31T23:00", calendar=WeekdayCalendar(closed=[date(2013, 1, 1)]))
    assert opened == [utc("2013-01-01T00:00")]


def test_where_the_calendar_ends_that_is_told_once_and_a_longer_one_mends_it(tmp_path: Path) -> None:
    calendar = WeekdayCalendar(last=MONDAY)

    async def reopen() -> None:
        calendar.span = (calendar.span[0], date(2013, 1, 31))

    async def run(world: World) -> None:
        async with world.looping(reopen_calendar=reopen):
            await world.until("2012-12-12T09:00")
            assert len(world.alerts) == 1
            assert "2012-12-11" in world.alerts[0]
            write(tmp_path / "calendar.yaml", "{}\n")
            await world.until("2012-12-13T05:00")

    world = in_world(run, tmp_path, "2012-12-10T08:00", calendar=calendar)
    assert starts(world) == ["2012-12-10T11:00:00Z", "2012-12-12T11:00:00Z"]


# -- what the clock does


def test_a_day_that_was_slept_through_is_told_and_not_run(tmp_path: Path) -> None:
    async def run(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-10T10:30")
            world.clock.step = timedelta(hours=24)
            await world.until("2012-12-12T05:00")

    world = in_world(run, tmp_path, "2012-12-10T08:00")
    assert starts(world) == ["2012-12-11T11:00:00Z"]
    (alert,) = world.alerts
    assert "2012-12-10 was missed" in alert


def test_days_in_a_row_that_were_slept_through_are_each_told(tmp_path: Path) -> None:
    async def run(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-10T10:30")
            world.clock.step = timedelta(hours=72)
            await world.until("2012-12-14T05:00")

    world = in_world(run, tmp_path, "2012-12-10T08:00")
    assert [alert[:10] for alert in world.alerts] == ["2012-12-10", "2012-12-11", "2012-12-12"]
    assert starts(world) == ["2012-12-13T11:00:00Z"]


def test_a_machine_that_wakes_in_mid_session_runs_what_is_left(tmp_path: Path) -> None:
    async def run(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-10T10:30")
            world.clock.step = timedelta(hours=6)
            await world.until("2012-12-11T05:00")

    world = in_world(run, tmp_path, "2012-12-10T08:00")
    ((_, result),) = world.ended
    assert result["tasks"]["data_collection"]["status"] == "expired"
    assert result["tasks"]["performance_analysis"]["status"] == "completed"


def test_a_clock_that_is_set_back_runs_no_day_twice(tmp_path: Path) -> None:
    async def run(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-10T23:30")
            world.clock.step = -timedelta(hours=20)
            await world.until("2012-12-11T12:00")

    world = in_world(run, tmp_path, "2012-12-10T08:00")
    assert starts(world)[0] == "2012-12-10T11:00:00Z"
    assert [plan.date for plan, _ in world.ended] == [MONDAY]
    assert len([name for name in world.asked if name == "data_collection"]) == 2


def test_a_plan_that_cannot_be_made_again_when_it_is_due_holds(tmp_path: Path) -> None:
    async def run(world: World) -> None:
        async with world.looping(home=None):
            await world.until("2012-12-10T09:00")
            world.daily.plan_day = refuse  # type: ignore[method-assign]  # as when prices can't be asked for
            await world.until("2012-12-10T23:30")

    def refuse(on: date) -> DayPlan:
        raise DefinitionError("no prices today")

    world = in_world(run, tmp_path, "2012-12-10T08:00")
    assert world.alerts[0] == "2012-12-10 can't be planned again, and its old plan holds: no prices today"
    assert starts(world) == ["2012-12-10T11:00:00Z"]


# -- starting in the middle


def test_after_the_last_stage_the_next_day_is_taken(tmp_path: Path) -> None:
    async def run(world: World) -> None:
        async with world.looping() as loop:
            await world.until("2012-12-10T23:30")
            assert loop.planned is not None
            assert loop.planned.date == TUESDAY

    world = in_world(run, tmp_path, "2012-12-10T23:00")
    assert world.asked == []


def test_a_day_that_ran_to_its_end_is_not_run_again(tmp_path: Path) -> None:
    async def run(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-10T22:00")
        async with world.looping():
            await world.until("2012-12-10T23:30")

    world = in_world(run, tmp_path, "2012-12-10T08:00")
    assert len(world.ended) == 1
    assert world.market("next_session")[-1]["date"] == "2012-12-11"


def test_a_day_that_somebody_cancelled_is_not_begun_again(tmp_path: Path) -> None:
    async def run(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-10T15:00")
            (execution,) = world.daily.running
            await world.daily.workflow_engine.cancel(execution, "enough")
            await world.until("2012-12-10T15:01")
        async with world.looping():
            await world.until("2012-12-10T23:30")

    world = in_world(run, tmp_path, "2012-12-10T08:00")
    assert [result["status"] for _, result in world.ended] == ["cancelled"]


def test_a_day_that_was_created_and_never_begun_is_run(tmp_path: Path) -> None:
    async def run(world: World) -> None:
        await world.daily.workflow_engine.create_workflow(world.daily.plan_day(MONDAY).to_definition())
        async with world.looping():
            await world.until("2012-12-10T23:30")

    assert len(in_world(run, tmp_path, "2012-12-10T08:00").ended) == 1


def test_a_day_whose_run_was_cancelled_before_it_began_is_run(tmp_path: Path) -> None:
    """As the engine does with one of which nobody knew whether the store had kept it."""

    async def run(world: World) -> None:
        engine = world.daily.workflow_engine
        await engine.cancel(await engine.create_workflow(world.daily.plan_day(MONDAY).to_definition()), "not made")
        async with world.looping():
            await world.until("2012-12-10T23:30")

    assert len(in_world(run, tmp_path, "2012-12-10T08:00").ended) == 1


def test_a_day_that_another_caller_runs_is_left_alone(tmp_path: Path) -> None:
    async def run(world: World) -> None:
        other = asyncio.create_task(world.daily.run_daily_workflow())
        await world.until("2012-12-10T11:01")
        async with world.looping():
            await world.until("2012-12-10T23:30")
        assert (await other)["status"] == "completed"

    world = in_world(run, tmp_path, "2012-12-10T11:00")
    assert world.ended == []
    assert world.asked.count("data_collection") == 1


def test_a_day_that_was_stopped_goes_on_and_repeats_nothing_that_is_done(tmp_path: Path) -> None:
    async def run(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-10T15:00")
        async with world.looping():
            await world.until("2012-12-10T23:30")

    world = in_world(run, tmp_path, "2012-12-10T08:00")
    assert world.asked.count("data_collection") == 1
    assert world.asked.count("market_monitoring@15:30Z") == 1
    assert [run.status for run in asyncio.run(_runs(world))] == [RunStatus.COMPLETED, RunStatus.CANCELLED]
    ((plan, result),) = world.ended
    assert {"data_collection", "execute_trades"} <= {skipped.name for skipped in plan.skipped}
    assert {task["status"] for task in result["tasks"].values()} == {"completed"}


class Died:
    """A store as it was when its process died, and that process's day up to then."""

    def __init__(
        self, home: Path, at: str, *, slow: Mapping[str, float] | None = None, last: int | None = None
    ) -> None:
        """``at`` is when it dies; of each run, it keeps the records up to the ``last`` one, an index."""
        kept, dead = MemoryRunStore(), MemoryRunStore()

        async def die(world: World) -> None:
            async with world.looping():
                await world.until(at)
                for summary in await dead.runs():
                    await kept.append((await dead.records(summary.run_id))[:last])

        in_world(die, home, "2012-12-10T08:00", store=dead, slow=slow)
        self.store = kept.successor()


async def recover(world: World) -> list[tuple[str, str]]:
    """Take over what a dead process left, as a loop wants to be told of it."""
    return [(one.run_id, one.name) for one in await world.daily.workflow_engine.recover() if one.state]


def test_after_a_crash_the_run_of_the_day_goes_on_and_repeats_nothing_that_is_done(tmp_path: Path) -> None:
    died = Died(tmp_path, "2012-12-10T15:10")

    async def go_on(world: World) -> None:
        async with world.looping(recovered=await recover(world)):
            await world.until("2012-12-11T05:00")

    world = in_world(go_on, tmp_path, "2012-12-10T15:12", store=died.store)
    assert [run.status for run in asyncio.run(_runs(world))] == [RunStatus.COMPLETED]
    assert "execute_trades" not in world.asked
    assert "market_monitoring@15:30Z" in world.asked
    ((plan, result),) = world.ended
    assert plan.date == MONDAY
    assert result["tasks"]["data_collection"]["attempts"] == 1
    assert world.market("next_session")[-1]["date"] == "2012-12-11"


def test_after_a_crash_during_orders_the_desk_goes_by_what_it_finds_out(tmp_path: Path) -> None:
    died = Died(tmp_path, "2012-12-10T14:40", slow={"execute_trades": 1800.0})

    async def go_on(world: World) -> None:
        async def asked(task_data: Mapping[str, Any]) -> Reconciled:
            assert task_data["execution"]["task"] == "execute_trades"
            return Reconciled.done({"by": "the broker's book"}, "all of it is there")

        world.helpers["trade_execution"].reconcile_execute_trades = asked  # type: ignore[attr-defined]  # not every one has it
        async with world.looping(recovered=await recover(world)):
            await world.until("2012-12-10T23:30")

    world = in_world(go_on, tmp_path, "2012-12-10T14:41", store=died.store)
    ((_, result),) = world.ended
    assert result["tasks"]["execute_trades"]["result"] == {"by": "the broker's book"}
    assert "execute_trades" not in world.asked
    assert result["tasks"]["position_check"]["status"] == "completed"


def test_after_a_crash_during_orders_nothing_is_built_on_what_nobody_can_tell(tmp_path: Path) -> None:
    died = Died(tmp_path, "2012-12-10T14:40", slow={"execute_trades": 1800.0})

    async def go_on(world: World) -> None:
        async with world.looping(recovered=await recover(world)):
            await world.until("2012-12-10T23:30")

    world = in_world(go_on, tmp_path, "2012-12-10T14:41", store=died.store)
    ((_, result),) = world.ended
    assert result["tasks"]["execute_trades"]["status"] == "failed"
    assert "its outcome is unknown" in result["tasks"]["execute_trades"]["error"]
    assert result["tasks"]["position_check"]["status"] == "skipped"
    assert "execute_trades" not in world.asked
    assert "cancel_open_orders" in world.asked


def test_a_day_that_a_crash_left_is_ended_when_its_time_is_over(tmp_path: Path) -> None:
    died = Died(tmp_path, "2012-12-10T15:10")

    async def go_on(world: World) -> None:
        async with world.looping(recovered=await recover(world)):
            await world.until("2012-12-13T23:30")

    world = in_world(go_on, tmp_path, "2012-12-13T09:00", store=died.store)
    assert [plan.date for plan, _ in world.ended] == [MONDAY, date(2012, 12, 13)]
    left = {task["status"] for task in world.ended[0][1]["tasks"].values()}
    assert left == {"completed", "expired", "skipped"}
    assert world.asked.count("data_collection") == 1


def test_a_day_that_cannot_be_planned_any_more_is_cancelled_and_the_next_one_comes(tmp_path: Path) -> None:
    died = Died(tmp_path, "2012-12-10T15:10")

    async def go_on(world: World) -> None:
        recovered = [(run_id, name.replace("TEST", "XLON")) for run_id, name in await recover(world)]
        async with world.looping(recovered=recovered):
            await world.until("2012-12-11T10:30")

    world = in_world(go_on, tmp_path, "2012-12-10T15:12", store=died.store)
    assert [run.status for run in asyncio.run(_runs(world))] == [RunStatus.CANCELLED]
    assert world.asked == []
    assert "this desk's calendar is" in world.alerts[0]


def test_a_day_that_another_process_runs_is_left_alone_and_that_is_said(tmp_path: Path) -> None:
    died = Died(tmp_path, "2012-12-10T15:10")

    async def watch(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-11T05:00")

    world = in_world(watch, tmp_path, "2012-12-10T15:12", store=died.store)
    assert world.asked == []
    (alert,) = world.alerts
    assert "another process" in alert


def test_what_failed_before_the_stop_is_not_tried_again(tmp_path: Path) -> None:
    class Broken:
        async def analyze(self, task_data: object) -> None:
            raise DefinitionError("no model")

    async def run(world: World) -> None:
        world.daily.workflow_engine.agents["economist"] = Broken()
        world.daily.workflow_engine._executor._agents["economist"] = Broken()  # type: ignore[attr-defined]  # the same
        async with world.looping():
            await world.until("2012-12-10T12:00")
        async with world.looping():
            await world.until("2012-12-10T23:30")

    world = in_world(run, tmp_path, "2012-12-10T08:00")
    left_out = {skipped.name: skipped.reason for skipped in world.ended[0][0].skipped}
    assert left_out["macro_assessment"].endswith(": DefinitionError: no model")
    assert left_out["opportunity_identification"].startswith("it was skipped in execution ")


def test_what_broke_off_and_changes_nothing_is_begun_anew_with_the_results_before_it(tmp_path: Path) -> None:
    async def run(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-10T14:32")
        for helper in world.helpers.values():
            helper._slow = {}
        async with world.looping():
            await world.until("2012-12-10T23:30")

    world = in_world(run, tmp_path, "2012-12-10T08:00", slow={"validate_trades": 1500.0})
    given = [data for name, data in world.helpers["senior_analyst"].asked if name == "validate_trades"]
    assert len(given) == 2
    assert set(given[1]["inputs"]) == {"generate_trades@earlier", "risk_assessment@earlier"}
    assert given[1]["inputs"]["generate_trades@earlier"] == given[0]["inputs"]["generate_trades"]
    assert world.asked.count("execute_trades") == 1


def test_a_day_with_nothing_left_to_do_is_over(tmp_path: Path) -> None:
    died = Died(tmp_path, "2012-12-10T21:00:01", last=-1)  # all but the line that says that the run has ended

    async def go_on(world: World) -> None:
        async with world.looping(recovered=await recover(world)):
            await world.until("2012-12-10T22:30")

    world = in_world(go_on, tmp_path, "2012-12-10T21:05", store=died.store)
    assert world.asked == []
    assert [result["status"] for _, result in world.ended] == ["completed"]
    assert [said["date"] for said in world.market("next_session")] == ["2012-12-11"]


# -- other days


def test_a_calendar_that_never_closes_has_days_that_overlap(tmp_path: Path) -> None:
    both: list[set[str]] = []

    async def run(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-10T21:00")
            both.append({str(plan.date) for plan in world.daily.running.values()})
            await world.until("2012-12-11T10:00")

    world = in_world(run, tmp_path, "2012-12-09T20:00", calendar=exchange("24/7"))
    runs = sorted(run.name for run in asyncio.run(_runs(world)))
    assert runs == ["24/7 2012-12-09", "24/7 2012-12-10", "24/7 2012-12-11"]
    assert both == [{"2012-12-10", "2012-12-11"}]
    assert {said["date"] for said in world.market("next_session")} == {"2012-12-09", "2012-12-10", "2012-12-11"}


def test_a_closed_day_runs_what_is_meant_for_closed_days(tmp_path: Path) -> None:
    write(
        tmp_path / "days" / "market_closed.yaml",
        "day_type: market_closed\nstages:\n  post_market:\n    tasks:\n"
        "      - {name: tidy_up, agent: analytics_reporting, task_type: system_maintenance}\n",
    )

    async def run(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-09T23:30")

    world = in_world(run, tmp_path, "2012-12-08T08:00")
    assert starts(world) == ["2012-12-08T21:00:00Z", "2012-12-09T21:00:00Z"]


def test_a_day_that_cannot_be_made_a_run_is_told_and_the_next_one_comes(tmp_path: Path) -> None:
    async def run(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-11T12:00")

    world = in_world(run, tmp_path, "2012-12-10T08:00", missing="economist")
    assert [alert[:24] for alert in world.alerts] == ["2012-12-10 can't be run:", "2012-12-11 can't be run:"]


def test_what_follows_a_day_may_fail_and_the_next_day_comes(tmp_path: Path) -> None:
    async def fail(plan: object, result: object) -> None:
        raise OSError("no room")

    async def run(world: World) -> None:
        async with world.looping(on_day_end=fail):
            await world.until("2012-12-11T12:00")
            assert len(world.daily.running) == 1

    world = in_world(run, tmp_path, "2012-12-10T08:00")
    assert world.alerts == ["what follows the day 2012-12-10 failed: OSError: no room"]


def test_a_store_that_fails_ends_the_loop_with_its_reason(tmp_path: Path) -> None:
    class FullStore(MemoryRunStore):
        async def append(self, records: object) -> None:
            raise StoreUnavailableError("the disk is full")

    async def run(world: World) -> None:
        with pytest.raises(ExceptionGroup) as raised:
            await world.daily.run_days()
        assert raised.group_contains(StoreUnavailableError)

    in_world(run, tmp_path, "2012-12-10T08:00", store=FullStore())


# -- volatility


def wild(today: date = date(2012, 12, 12)) -> FixedMarket:
    calm = [100 * 1.001**day for day in range(60)]
    return FixedMarket({"AAPL": bars("AAPL", calm, today)}, today=today)


def test_a_day_that_becomes_volatile_is_told_once_and_has_smaller_limits_until_its_end(tmp_path: Path) -> None:
    market = wild()
    scales: list[float] = []

    async def run(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-12T16:10")
            scales.append(world.daily.limit_scale)
            market.prices["AAPL"] = market.history["AAPL"][-1].close * 2
            await world.until("2012-12-12T16:29")
            scales.append(world.daily.limit_scale)
            await world.until("2012-12-12T16:31")
            scales.append(world.daily.limit_scale)
            await world.until("2012-12-13T08:00")
            scales.append(world.daily.limit_scale)

    world = in_world(run, tmp_path, "2012-12-12T08:00", market=market)
    (told,) = world.market("high_volatility")
    assert (told["date"], told["threshold"], told["limit_scale"]) == ("2012-12-12", 0.4, 0.5)
    assert told["volatility"] > 1
    assert scales == [1.0, 1.0, 0.5, 1.0]
    (at,) = [at for at, _, data in world.said if data.get("kind") == "high_volatility"]
    assert at == utc("2012-12-12T16:30")


def test_a_start_in_a_volatile_session_tightens_at_once(tmp_path: Path) -> None:
    market = wild()
    market.prices["AAPL"] = market.history["AAPL"][-1].close * 2

    async def run(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-12T17:41")
            assert world.daily.limit_scale == 0.5

    in_world(run, tmp_path, "2012-12-12T17:40", market=market)


def test_a_day_that_was_volatile_before_it_began_has_smaller_limits_and_is_not_told_again(tmp_path: Path) -> None:
    wide = [100 * (1.1 if day % 2 else 1) for day in range(60)]
    market = FixedMarket({"AAPL": bars("AAPL", wide)})

    async def run(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-12T17:00")
            assert world.daily.limit_scale == 0.5

    world = in_world(run, tmp_path, "2012-12-12T08:00", market=market)
    assert world.market("high_volatility") == []
    assert "high_volatility" in world.market("next_session")[0]["day_types"]


def test_a_judgement_that_fails_is_told_once_and_the_day_goes_on(tmp_path: Path) -> None:
    class Deaf(FixedMarket):
        async def quote(self, symbol: str) -> None:
            raise OSError("the line is down")

    async def run(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-12T22:30")

    world = in_world(run, tmp_path, "2012-12-12T08:00", market=Deaf({"AAPL": bars("AAPL", [100.0] * 60)}))
    assert [alert for alert in world.alerts if "volatility" in alert] == [
        "the volatility of 2012-12-12 could not be judged: OSError: the line is down"
    ]
    assert world.ended[0][1]["status"] == "completed"
