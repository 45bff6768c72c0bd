"""The controller over a home of its own, in this process: what a start, a stop and a trouble leave behind."""

import asyncio
import json
import os
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from shutil import copyfile
from typing import Any

import httpx
import pytest

from orchestration import cli, stores
from orchestration import controller as controller_module
from orchestration.adapters.sql.database import Database
from orchestration.adapters.sql.halt_store import SqlHaltStore
from orchestration.adapters.sql.run_store import SqlRunStore
from orchestration.api import server
from orchestration.api.schemas import SystemStatus
from orchestration.client.client import DeskClient, find_daemon
from orchestration.config import TradingConfig
from orchestration.controller import DAYS, HEALTH_CHECKS
from orchestration.domain.errors import DefinitionError, FinalError, StoreUnavailableError
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.halts import HaltLevel
from orchestration.domain.health import Health
from orchestration.domain.records import RecordKind
from orchestration.domain.retry import RetryStrategy
from orchestration.domain.states import RunStatus
from orchestration.telemetry import upkeep
from tests.integration.live_desk import PATIENCE_S, assert_nothing_half_started, completed, desk, until
from workflows.day_loop import DayLoop
from workflows.plan_changes import EARLIER

PRE_MARKET = datetime(2012, 12, 12, 11, tzinfo=UTC)


pytestmark = pytest.mark.usefixtures("settled")


def task(name: str, *needs: str) -> dict[str, Any]:
    return {"agent": "junior_analyst", "task_type": name, "name": name, "dependencies": list(needs)}


def staged(*tasks: dict[str, Any]) -> dict[str, Any]:
    return {"name": "a run", "stages": {"only": {"tasks": list(tasks)}}}


# -- start and stop


async def test_before_the_start_there_is_nothing_and_the_status_says_so(tmp_path: Path) -> None:
    control = desk(tmp_path)
    assert (control.agents, control.workflow_engine, control.daily_workflow, control.address) == ({}, None, None, None)
    status = control.get_system_status()
    SystemStatus.model_validate(status)
    assert (status["system_running"], status["startup_time"], status["uptime_seconds"]) == (False, None, 0)
    assert not control.alive()
    assert not control.readiness().ready
    with pytest.raises(DefinitionError, match="not running"):
        await control.halt(HaltLevel.CLOSE_ONLY, "early", "test")
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240 (a test has the loop to itself)


async def test_a_start_brings_every_part_up_and_a_stop_takes_all_of_them_down(tmp_path: Path) -> None:
    control = desk(tmp_path)
    await control.startup_system()
    try:
        assert len(control.agents) == 6
        assert control.workflow_engine is not None
        assert control.daily_workflow is not None
        assert control.alive()
        await until(lambda: control.readiness().ready)
        assert {DAYS, HEALTH_CHECKS, "store", "broker", "prices"} <= {one.name for one in control.components()}
        said = json.loads((tmp_path / "daemon.json").read_text())
        assert control.address is not None
        assert (said["pid"], said["address"]["port"]) == (os.getpid(), control.address.port)
        with pytest.raises(DefinitionError, match="started already"):
            await control.startup_system()
    finally:
        await control.shutdown_system("the test is over")
    await control.shutdown_system("again")
    assert not control.alive()
    assert not control.get_system_status()["system_running"]
    assert_nothing_half_started(tmp_path)


async def test_the_same_controller_starts_again(tmp_path: Path) -> None:
    control = desk(tmp_path)
    for _ in range(2):
        async with control:
            await until(lambda: control.readiness().ready)
    assert_nothing_half_started(tmp_path)


async def test_a_start_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    start = asyncio.create_task(desk(tmp_path).startup_system())
    await until(lambda: (tmp_path / "belltower.db").exists())
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert_nothing_half_started(tmp_path)


async def test_the_status_has_the_shape_of_003_and_what_the_doors_send(tmp_path: Path) -> None:
    control = desk(tmp_path)
    async with control:
        status = control.get_system_status()
        assert SystemStatus.model_validate(status).system_running
        url, token = find_daemon(tmp_path)
        async with DeskClient(url, token) as client:
            assert (await client.status()).agents.names == status["agents"]["names"]
    assert set(status) >= {"system_running", "startup_time", "uptime_seconds", "agents", "workflow_engine"}
    assert status["startup_time"].startswith("2012-12-08T12:0")
    assert status["agents"]["total"] == status["agents"]["healthy"] == 6
    assert status["workflow_engine"] == {"active_executions": 0, "completed_executions": 0, "failed_executions": 0}
    assert status["statistics"]["average_task_duration"] is None


async def test_the_metrics_are_served_to_who_has_the_token(tmp_path: Path) -> None:
    control = desk(tmp_path)
    async with control:
        url, token = find_daemon(tmp_path)
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            assert (await http.get("/metrics")).status_code == 401
            text = (await http.get("/metrics", headers={"Authorization": f"Bearer {token}"})).text
    assert "belltower_" in text


# -- halts


async def test_a_halt_is_kept_over_a_restart_and_lifted_by_resume_with_audit_rows(tmp_path: Path) -> None:
    async with desk(tmp_path) as control:
        await control.halt(HaltLevel.CLOSE_ONLY, "a strange print", "ann")
    async with desk(tmp_path) as control:
        assert control.get_system_status()["halt"]["reason"] == "a strange print"
        await control.resume("explained", "bob")
        assert control.get_system_status()["halt"] is None
    async with desk(tmp_path) as control:
        assert control.get_system_status()["halt"] is None
    async with Database(f"sqlite:///{tmp_path / 'belltower.db'}") as database:
        rows = [(row.by, row.action, row.level) for row in await SqlHaltStore(database).audit()]
    assert rows == [("bob", "resume", HaltLevel.CLOSE_ONLY), ("ann", "halt", HaltLevel.CLOSE_ONLY)]


async def test_a_halt_that_was_written_while_no_desk_ran_holds_from_the_start(tmp_path: Path) -> None:
    await stores.halt_in_store(TradingConfig(home=tmp_path), HaltLevel.NO_NEW_ORDERS, "overnight news", by="ann")
    async with desk(tmp_path) as control:
        assert control.get_system_status()["halt"]["level"] == "no_new_orders"
        with pytest.raises(DefinitionError, match="a daemon"):
            await stores.resume_in_store(TradingConfig(home=tmp_path), "not while one runs", by="ann")
    await stores.resume_in_store(TradingConfig(home=tmp_path), "read it", by="bob")
    async with desk(tmp_path) as control:
        assert control.get_system_status()["halt"] is None


async def test_a_halt_from_the_command_line_is_recorded_as_such_by_the_daemon_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def belltower(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["belltower", *words, "--home", str(tmp_path)])
        return await asyncio.to_thread(cli._guarded, lambda: cli.app(standalone_mode=False))

    async with desk(tmp_path) as control:
        assert await belltower("halt", "--reason", "fills look odd") == 0
        assert control.get_system_status()["halt"]["by"] == "cli"
        assert await belltower("resume", "--reason", "they are right") == 0
    assert await belltower("halt", "--reason", "overnight news") == 0
    async with Database(f"sqlite:///{tmp_path / 'belltower.db'}") as database:
        rows = [(row.by, row.action) for row in await SqlHaltStore(database).audit()]
    assert rows == [("cli", "halt"), ("cli", "resume"), ("cli", "halt")]


# -- who may come in


async def test_a_token_whose_file_was_replaced_opens_nothing_after_the_next_start(tmp_path: Path) -> None:
    tokens, answers = list[str](), list[int]()
    for _ in range(2):
        (tmp_path / "token").unlink(missing_ok=True)
        async with desk(tmp_path):
            url, token = find_daemon(tmp_path)
            tokens.append(token)
            async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
                answers = [
                    (await http.get("/health/components", headers={"Authorization": f"Bearer {one}"})).status_code
                    for one in tokens
                ]
    assert answers == [401, 200]


# -- what stops a start


async def test_a_second_daemon_is_refused_and_told_the_first_ones_process(tmp_path: Path) -> None:
    async with desk(tmp_path) as control:
        with pytest.raises(DefinitionError, match=rf"process {os.getpid()}\b"):
            await desk(tmp_path).startup_system()
        assert control.alive()
        assert (tmp_path / "daemon.json").exists()
    assert_nothing_half_started(tmp_path)


async def test_a_port_in_use_stops_the_start(tmp_path: Path) -> None:
    taken = await server.open_listener("127.0.0.1", 0)
    with taken, pytest.raises(DefinitionError, match="in use"):
        await desk(tmp_path, port=taken.getsockname()[1]).startup_system()
    assert_nothing_half_started(tmp_path)


async def test_a_public_host_that_was_not_meant_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="BELLTOWER_ALLOW_PUBLIC"):
        await desk(tmp_path, host="0.0.0.0").startup_system()  # noqa: S104 (that it is refused is the point)
    assert_nothing_half_started(tmp_path)


async def test_a_token_that_others_can_read_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t" * 43)
    (tmp_path / "token").chmod(0o644)
    with pytest.raises(DefinitionError, match="chmod 600"):
        await desk(tmp_path).startup_system()
    assert_nothing_half_started(tmp_path)


async def test_a_missing_file_for_the_scrapers_token_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="BELLTOWER_METRICS_TOKEN_FILE"):
        await desk(tmp_path, metrics_token_file=tmp_path / "nowhere").startup_system()
    assert_nothing_half_started(tmp_path)


async def test_a_store_of_a_newer_version_stops_the_start(tmp_path: Path) -> None:
    async with desk(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "belltower.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(DefinitionError, match="newer Belltower"):
        await desk(tmp_path).startup_system()
    assert_nothing_half_started(tmp_path)


async def test_a_home_that_is_a_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DefinitionError, match="choose a --home"):
        await desk(tmp_path / "file" / "home").startup_system()
    assert_nothing_half_started(tmp_path)


async def test_a_wrong_desk_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "desk.yaml").write_text("limit: 1\n")
    with pytest.raises(DefinitionError, match="limit"):
        await desk(tmp_path).startup_system()
    assert_nothing_half_started(tmp_path)


# -- what goes wrong later


async def test_a_part_that_dies_is_restarted_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "RESTARTS", RetryStrategy(base_delay=0.2, max_delay=60.0))
    deaths: list[float] = []
    lives = DayLoop.run

    async def dies_twice(self: DayLoop) -> None:
        if len(deaths) < 2:
            deaths.append(asyncio.get_running_loop().time())
            if len(deaths) == 1:
                await asyncio.sleep(0)
            raise RuntimeError("a nasty surprise")
        await lives(self)

    monkeypatch.setattr(DayLoop, "run", dies_twice)
    alerts: list[str] = []

    async def hear(event: OrchestrationEvent, data: Any) -> None:
        alerts.append(f"{data['source']}: {data['message']}")

    control = desk(tmp_path)
    async with control:
        assert control.workflow_engine is not None
        await control.workflow_engine.register_event_handler(OrchestrationEvent.SYSTEM_ALERT, hear)
        await until(lambda: len(deaths) == 2)
        failed = {one.name: one for one in control.components()}[DAYS]
        assert (failed.state, control.readiness().ready) == (Health.FAILED, False)
        assert "a nasty surprise" in str(failed.reason)
        await until(lambda: control.readiness().ready)
        assert deaths[1] - deaths[0] >= 0.2
        await until(lambda: any("a nasty surprise" in alert for alert in alerts))
    assert_nothing_half_started(tmp_path)


async def test_a_health_check_that_fails_takes_readiness_away_and_gives_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(tmp_path) as control:
        await until(lambda: control.readiness().ready)

        async def away(self: SqlRunStore, *, limit: int) -> Any:
            raise StoreUnavailableError("the disk is gone")

        with monkeypatch.context() as broken:
            broken.setattr(SqlRunStore, "runs", away)
            found = {one.name: one for one in await control.run_health_checks()}
            assert found["store"].state is Health.FAILED
            assert "the disk is gone" in control.readiness().reasons[0]
        await control.run_health_checks()
        assert control.readiness().ready


async def test_when_the_doors_die_the_daemon_goes_down_with_their_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    die = asyncio.Event()
    serve = server._Server.serve

    async def serve_until_told(self: server._Server, sockets: Any = None) -> None:
        serving = asyncio.create_task(serve(self, sockets))
        await die.wait()
        self.should_exit = True
        await serving
        raise RuntimeError("the doors fell off")

    monkeypatch.setattr(server._Server, "serve", serve_until_told)
    control = desk(tmp_path)
    running = asyncio.create_task(control.run())
    await until(lambda: control.get_system_status()["system_running"])
    die.set()
    with pytest.raises(RuntimeError, match="fell off"):
        await running
    assert_nothing_half_started(tmp_path)


async def test_when_the_doors_end_without_an_error_the_daemon_goes_down_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers: list[server._Server] = []
    startup = server._Server.startup

    async def noted(self: server._Server, sockets: Any = None) -> None:
        servers.append(self)
        await startup(self, sockets)

    monkeypatch.setattr(server._Server, "startup", noted)
    control = desk(tmp_path)
    running = asyncio.create_task(control.run())
    await until(lambda: control.get_system_status()["system_running"])
    servers[0].should_exit = True  # what uvicorn does when it has had enough, and then it simply returns
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(FinalError, match="the HTTP server ended though nobody had asked it to"):
            await running
    assert not control.alive()
    assert_nothing_half_started(tmp_path)


# -- work under way


async def test_a_stop_waits_for_work_under_way_and_starts_nothing_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = desk(tmp_path)
    async with control:
        engine, agent = control.workflow_engine, control.agents["junior_analyst"]
        assert engine is not None
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slow(data: Any) -> dict[str, str]:
            begun.set()
            await go_on.wait()
            return {"status": "success"}

        monkeypatch.setattr(agent, "execute_data_collection", slow)
        monkeypatch.setattr(agent, "execute_market_analysis", slow)
        run_id = await engine.create_workflow(
            staged(task("data_collection"), task("market_analysis", "data_collection"))
        )
        run = asyncio.create_task(engine.execute_workflow(run_id))
        await begun.wait()
        begun.clear()
        stop = asyncio.create_task(control.shutdown_system("a test"))
        await until(lambda: not control.readiness().ready)
        assert not stop.done()
        go_on.set()
        await until(lambda: control.get_system_status()["statistics"]["total_tasks_completed"] == 1)
        assert not begun.is_set()
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        await stop
    assert control.get_system_status()["statistics"]["success_rate"] == 1.0
    assert_nothing_half_started(tmp_path)


async def test_a_day_that_was_stopped_goes_on_at_the_next_start_and_nothing_runs_twice(tmp_path: Path) -> None:
    done: list[tuple[str, str | None]] = []
    for start in (PRE_MARKET, PRE_MARKET + timedelta(minutes=1)):
        control = desk(tmp_path, start)
        async with control:
            await until(partial(completed, control, 2))
        async with Database(f"sqlite:///{tmp_path / 'belltower.db'}") as database:
            store = SqlRunStore(database)
            assert not await store.unfinished()
            records = await store.records((await store.runs(limit=1))[0].run_id)
        done += [(str(one.stage), one.task) for one in records if one.kind is RecordKind.TASK_COMPLETED]
    own = [name for stage, name in done if stage != EARLIER]
    assert len(own) >= 3
    assert len(own) == len(set(own))


async def test_what_a_dead_process_left_goes_on_at_the_next_start_days_and_other_runs_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller_module, "GRACE", timedelta(milliseconds=50))
    first, second = tmp_path / "first", tmp_path / "second"
    second.mkdir()
    control = desk(first, PRE_MARKET)
    async with control:
        engine = control.workflow_engine
        assert engine is not None
        begun = asyncio.Event()

        async def endless(data: Any) -> None:
            begun.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(control.agents["economist"], "execute_macro_assessment", endless)
        await until(partial(completed, control, 1))
        begun.clear()
        other = {"agent": "economist", "task_type": "macro_assessment", "name": "other", "dependencies": []}
        run_id = await engine.create_workflow(staged(other))
        run = asyncio.create_task(engine.execute_workflow(run_id))
        await begun.wait()
        for part in ("belltower.db", "belltower.db-wal"):  # all that is left when a process dies
            copyfile(first / part, second / part)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)

    async with desk(second, PRE_MARKET + timedelta(minutes=1)) as control:
        await until(lambda: control.get_system_status()["statistics"]["workflows_executed"] == 1)
        await until(partial(completed, control, 3))
    async with Database(f"sqlite:///{second / 'belltower.db'}") as database:
        store = SqlRunStore(database)
        runs = {one.name: one for one in await store.runs()}
        assert set(runs) == {"a run", "XNYS 2012-12-12"}
        assert (runs["a run"].run_id, runs["a run"].status) == (run_id, RunStatus.COMPLETED)
        for one in runs.values():
            records = await store.records(one.run_id)
            assert [r.data["token"] for r in records if r.kind is RecordKind.RUN_RESUMED] == [2]
            ended = [r.task for r in records if r.kind is RecordKind.TASK_COMPLETED]
            assert len(ended) == len(set(ended))


async def test_the_stop_waits_no_longer_than_its_grace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller_module, "GRACE", timedelta(milliseconds=50))
    control = desk(tmp_path)
    async with control:
        engine = control.workflow_engine
        assert engine is not None
        begun = asyncio.Event()

        async def endless(data: Any) -> None:
            begun.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(control.agents["junior_analyst"], "execute_data_collection", endless)
        run_id = await engine.create_workflow(staged(task("data_collection")))
        run = asyncio.create_task(engine.execute_workflow(run_id))
        await begun.wait()
        stop = asyncio.create_task(control.shutdown_system("a test"))
        await until(lambda: control.address is not None and not (tmp_path / "daemon.json").exists())
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        async with asyncio.timeout(PATIENCE_S):
            await stop
    assert_nothing_half_started(tmp_path)


async def test_while_the_store_is_out_readiness_says_so_at_once_and_what_is_under_way_goes_on_after(
    tmp_path: Path,
) -> None:
    control = desk(tmp_path)
    async with control:
        engine = control.workflow_engine
        assert engine is not None
        await until(lambda: control.readiness().ready)
        run_id = await engine.create_workflow(staged(task("data_collection")))
        store, away = tmp_path / "belltower.db", tmp_path / "away.db"
        store.rename(away)
        run = asyncio.create_task(engine.execute_workflow(run_id))
        await until(lambda: any("belltower.db" in reason for reason in control.readiness().reasons))
        with pytest.raises(StoreUnavailableError, match="nothing new is taken on"):
            await engine.create_workflow(staged(task("data_collection")))
        away.rename(store)
        await until(run.done)
        await until(lambda: control.readiness().ready)
        records = await engine.run_store.records(run_id)
    assert [record.sequence for record in records] == list(range(1, len(records) + 1))
    assert run.result()["execution_id"] == run_id
