"""People hear of each thing once, with a count, and nothing ever waits for them."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestration.adapters.alerts.null import NullAlerts
from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.adapters.simulated.loop import run_simulated
from orchestration.domain.errors import TransientError
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.health import Health
from orchestration.ports.alerts import Alert
from orchestration.telemetry.alerting import CAPACITY, REMEMBERED, AlertOutcome, AlertRelay, system_report
from orchestration.telemetry.health_board import HealthBoard

START = datetime(2012, 12, 12, 11, tzinfo=UTC)
ALERT = OrchestrationEvent.SYSTEM_ALERT


class Pager:
    """Takes alerts, each in ``takes_s``; refuses the first ``refuses``."""

    def __init__(self, clock: SimulatedClock, *, takes_s: float, refuses: int) -> None:
        self.sent: list[tuple[float, Alert]] = []
        self._clock = clock
        self._takes_s = takes_s
        self._refuses = refuses

    async def send(self, alert: Alert) -> None:
        await asyncio.sleep(self._takes_s)
        if self._refuses:
            self._refuses -= 1
            raise TransientError("the alert webhook answered 500")
        self.sent.append((self._clock.monotonic(), alert))


class World:
    """A relay on the simulated clock."""

    def __init__(self, *, takes_s: float = 0.0, refuses: int = 0) -> None:
        self.clock = SimulatedClock(START)
        self.board = HealthBoard(self.clock)
        self.pager = Pager(self.clock, takes_s=takes_s, refuses=refuses)
        self.outcomes: Counter[AlertOutcome] = Counter()
        self.relay = AlertRelay(self.pager, self.clock, self.board, on_outcome=self.count)

    def count(self, outcome: AlertOutcome) -> None:
        self.outcomes[outcome] += 1

    @property
    def heard(self) -> list[tuple[float, str, int]]:
        return [(at, alert.message, alert.count) for at, alert in self.pager.sent]

    async def until(self, second: float) -> None:
        await self.clock.sleep_until(START + timedelta(seconds=second))

    def state(self) -> Health:
        return self.board.components()[0].state


def relayed(main: Callable[[World], Awaitable[None]], *, takes_s: float = 0.0, refuses: int = 0) -> World:
    async def whole() -> World:
        world = World(takes_s=takes_s, refuses=refuses)
        async with world.relay:
            await main(world)
        return world

    return run_simulated(whole)


def test_a_system_alert_and_a_failed_run_are_sent_and_nothing_else_is() -> None:
    async def main(world: World) -> None:
        await world.relay(ALERT, {"source": "store", "message": "the disk is full", "at": "x"})
        failed = {"workflow": "Standard day", "execution_id": "01", "reason": "task x failed", "status": "failed"}
        await world.relay(OrchestrationEvent.WORKFLOW_FAILED, failed)
        await world.relay(OrchestrationEvent.WORKFLOW_COMPLETED, failed)
        await world.relay(OrchestrationEvent.WORKFLOW_FAILED, {"workflow": "Other"})
        world.relay.add("halt", "close_only by cli: news")

    assert [(a.source, a.message, a.execution_id, a.at) for _, a in relayed(main).pager.sent] == [
        ("store", "the disk is full", None, START),
        ("workflow", "Standard day failed: task x failed", "01", START),
        ("workflow", "Other failed: no reason is known", None, START),
        ("halt", "close_only by cli: news", None, START),
    ]


def test_the_same_thing_within_ten_minutes_is_counted_and_sent_again_with_the_count() -> None:
    async def main(world: World) -> None:
        for second in (0, 1, 2, 599):
            await world.until(second)
            world.relay.add("store", "slow")
        await world.until(599.5)
        assert world.heard == [(0, "slow", 1)]
        await world.until(5000)

    world = relayed(main)
    assert world.heard == [(0, "slow", 1), (600, "slow", 3)]
    assert world.outcomes == {AlertOutcome.SENT: 2, AlertOutcome.REPEATED: 3}
    assert world.pager.sent[1][1].at == START + timedelta(seconds=599)


def test_what_goes_on_for_an_hour_is_one_message_every_ten_minutes() -> None:
    async def main(world: World) -> None:
        for second in range(3600):
            await world.until(second + 0.5)
            world.relay.add("store", "slow")
        await world.until(7200)

    world = relayed(main)
    assert [round(at) for at, _, _ in world.heard] == [0, 600, 1200, 1800, 2400, 3000, 3600]
    assert sum(count for _, _, count in world.heard) == 3600


def test_after_ten_quiet_minutes_it_is_news_again() -> None:
    async def main(world: World) -> None:
        world.relay.add("store", "slow")
        await world.until(600)
        world.relay.add("store", "slow")

    assert relayed(main).heard == [(0, "slow", 1), (600, "slow", 1)]


def test_another_message_or_another_source_is_another_thing() -> None:
    async def main(world: World) -> None:
        world.relay.add("store", "slow")
        world.relay.add("store", "gone")
        world.relay.add("broker", "slow")

    assert len(relayed(main).heard) == 3


def test_what_waits_too_long_makes_room_for_what_is_newer_and_is_counted() -> None:
    async def main(world: World) -> None:
        world.relay.add("a", "first")
        await world.until(1)
        for number in range(CAPACITY + 5):
            world.relay.add("a", f"number {number}")
        await world.until(10_000)

    world = relayed(main, takes_s=60)
    assert [message for _, message, _ in world.heard] == ["first", *(f"number {n}" for n in range(5, CAPACITY + 5))]
    assert world.outcomes == {AlertOutcome.SENT: CAPACITY + 1, AlertOutcome.DROPPED: 5}


def test_a_flood_of_different_alerts_takes_no_more_memory_than_a_thousand() -> None:
    async def main(world: World) -> None:
        world.relay.add("a", "again and again")
        world.relay.add("a", "again and again")
        for number in range(3 * REMEMBERED):
            world.relay.add("a", f"number {number}")
            if number % 50 == 0:
                await world.until(number / 1000)
        await world.until(10)
        assert len(world.relay._known) == REMEMBERED

    world = relayed(main)
    assert world.outcomes[AlertOutcome.SENT] == 3 * REMEMBERED + 2
    assert [count for _, message, count in world.heard if message == "again and again"] == [1, 1]


def test_handling_an_event_takes_no_time_however_slow_the_other_side_is() -> None:
    async def main(world: World) -> None:
        for number in range(50):
            await world.relay(ALERT, {"source": "a", "message": str(number)})
        assert world.clock.monotonic() == 0

    relayed(main, takes_s=3600)


def test_a_failed_sending_is_shown_until_one_succeeds_and_the_next_alert_goes_out() -> None:
    async def main(world: World) -> None:
        world.relay.add("a", "one")
        await world.until(1)
        assert world.state() is Health.DEGRADED
        assert world.board.readiness().ready
        world.relay.add("a", "two")
        await world.until(2)
        assert world.state() is Health.OK

    world = relayed(main, refuses=1)
    assert world.heard == [(1, "two", 1)]
    assert world.outcomes == {AlertOutcome.FAILED: 1, AlertOutcome.SENT: 1}
    assert world.state() is Health.STOPPED


def test_leaving_sends_what_waits_with_its_counts() -> None:
    async def main(world: World) -> None:
        for _ in range(3):
            world.relay.add("a", "one")
        world.relay.add("a", "two")

    assert relayed(main, takes_s=1).heard == [(1, "one", 1), (2, "two", 1), (3, "one", 2)]


def test_leaving_gives_up_after_five_seconds_and_counts_what_was_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    async def main(world: World) -> None:
        for number in range(4):
            world.relay.add("a", f"number {number}")

    async def whole() -> tuple[World, float]:
        world = World(takes_s=3)
        async with world.relay:
            await main(world)
        return world, world.clock.monotonic()

    world, took = run_simulated(whole)
    assert took == 5
    assert world.outcomes == {AlertOutcome.SENT: 1, AlertOutcome.DROPPED: 3}
    assert "number 3" in caplog.text


def test_secrets_are_masked_before_anything_is_sent() -> None:
    async def main(world: World) -> None:
        world.relay.add("a", "can't open https://desk:hunter2@host/x?token=abcdef")

    ((_, message, _),) = relayed(main).heard
    assert "hunter2" not in message
    assert "abcdef" not in message


def test_a_report_becomes_a_system_alert_with_the_moment_and_without_secrets() -> None:
    emitted: list[tuple[OrchestrationEvent, Mapping[str, Any]]] = []

    async def emit(event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
        emitted.append((event, data))

    async def main() -> None:
        await system_report(SimulatedClock(START), emit)("store", "password=hunter2 is refused")

    run_simulated(main)
    said = {"source": "store", "message": "password=*** is refused", "at": "2012-12-12T11:00:00Z"}
    assert emitted == [(ALERT, said)]


async def test_without_a_webhook_alerts_go_nowhere() -> None:
    await NullAlerts().send(Alert(source="a", message="b", at=START))
