"""A stage is overdue while its end has passed and one of its tasks has not ended."""

from datetime import timedelta
from pathlib import Path

from tests.unit.workflows.desk_world import World, in_world, utc
from workflows.overdue_stages import overdue_stages


def overdue(world: World) -> dict[str, timedelta]:
    engine = world.daily.workflow_engine
    return overdue_stages(world.daily.running, engine.get_execution_status, world.clock.now())


def test_a_task_that_goes_on_past_the_end_of_its_stage_makes_that_stage_overdue(tmp_path: Path) -> None:
    async def run(world: World) -> None:
        async with world.looping():
            await world.until("2012-12-10T20:58")
            assert overdue(world) == {}
            await world.until("2012-12-10T21:00")
            assert overdue(world) == {}  # it ends now
            await world.until("2012-12-10T21:01")
            assert overdue(world) == {"close": timedelta(minutes=1)}
            await world.until("2012-12-10T21:04")
            assert overdue(world) == {}

    # it begins at 20:59, a minute before the stage ends
    in_world(run, tmp_path, "2012-12-10T10:00", slow={"reconcile_positions": 200.0})


def test_where_nothing_runs_nothing_is_overdue() -> None:
    assert overdue_stages({}, lambda _: {}, utc("2012-12-10T15:20")) == {}
