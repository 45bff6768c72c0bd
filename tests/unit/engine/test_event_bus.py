"""Handlers get events in order; one that raises or hangs harms nobody and is reported once."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.domain.events import OrchestrationEvent
from orchestration.engine.event_bus import InProcessEventBus
from tests.unit.engine.world import START, Scripted, at_once, deaf, open_world, simulated, staged, task

EVENT = OrchestrationEvent
Heard = list[tuple[OrchestrationEvent, Any]]


class Bus:
    """A bus on the simulated clock with one handler that notes all."""

    def __init__(self) -> None:
        self.clock = SimulatedClock(START)
        self.bus = InProcessEventBus(self.clock)
        self.heard: Heard = []
        self.bus.subscribe(None, self.note)

    def note(self, event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
        self.heard.append((event, data))

    def alerts(self) -> list[Any]:
        return [data for event, data in self.heard if event is EVENT.SYSTEM_ALERT]


def on_a_bus(main: Callable[[Bus], Any]) -> Bus:
    async def whole() -> Bus:
        bus = Bus()
        await main(bus)
        return bus

    return simulated(whole)


def test_a_handler_gets_what_it_asked_for_in_order_and_one_at_a_time() -> None:
    heard: list[tuple[float, int]] = []

    async def main(room: Bus) -> None:
        async def slow(event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
            await asyncio.sleep(2)
            heard.append((room.clock.monotonic(), data["n"]))

        room.bus.subscribe(EVENT.TASK_STARTED, slow)
        for n in range(2):
            room.bus.publish(EVENT.TASK_STARTED, {"n": n})
            room.bus.publish(EVENT.TASK_COMPLETED, {"n": 10 + n})
        await room.bus.drain()

    room = on_a_bus(main)
    assert heard == [(2, 0), (4, 1)]
    assert [data["n"] for _, data in room.heard] == [0, 10, 1, 11]


def test_a_handler_that_raises_is_reported_once_and_goes_on_hearing(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    async def main(room: Bus) -> None:
        def broken(event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
            calls.append(data["n"])
            raise RuntimeError("boom")

        room.bus.subscribe(EVENT.TASK_STARTED, broken)
        for n in range(3):
            room.bus.publish(EVENT.TASK_STARTED, {"n": n})
        await room.bus.drain()

    with caplog.at_level(logging.WARNING):
        room = on_a_bus(main)
    assert calls == [0, 1, 2]
    assert [alert["source"] for alert in room.alerts()] == ["event_bus"]
    assert room.alerts()[0]["message"].endswith("broken raised RuntimeError('boom') on task_started")
    assert room.alerts()[0]["at"] == "2012-12-12T11:00:00Z"
    assert len(caplog.records) == 3


def test_a_handler_of_everything_that_always_raises_is_reported_once_all_the_same() -> None:
    calls: list[OrchestrationEvent] = []

    async def main(room: Bus) -> None:
        async def broken(event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
            calls.append(event)
            raise RuntimeError("boom")

        room.bus.subscribe(None, broken)
        room.bus.publish(EVENT.TASK_STARTED, {})
        await room.bus.drain()

    assert len(on_a_bus(main).alerts()) == 1
    assert calls == [EVENT.TASK_STARTED, EVENT.SYSTEM_ALERT]


def test_a_handler_that_hangs_is_stopped_after_five_seconds_reported_and_called_again() -> None:
    calls: list[float] = []

    async def main(room: Bus) -> None:
        async def hanging(event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
            calls.append(room.clock.monotonic())
            await asyncio.Event().wait()

        room.bus.subscribe(EVENT.TASK_STARTED, hanging)
        for _ in range(2):
            room.bus.publish(EVENT.TASK_STARTED, {})
        await asyncio.sleep(20)

    room = on_a_bus(main)
    assert calls == [0, 5]
    assert [alert["message"].split(" did ")[1] for alert in room.alerts()] == ["not return within 5 s on task_started"]
    assert room.alerts()[0]["at"] == "2012-12-12T11:00:05Z"


def test_a_timeout_of_the_handlers_own_is_told_as_what_it_raised() -> None:
    async def main(room: Bus) -> None:
        def broken(event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
            raise TimeoutError("the server")

        room.bus.subscribe(EVENT.TASK_STARTED, broken)
        room.bus.publish(EVENT.TASK_STARTED, {})
        await room.bus.drain()

    assert "raised TimeoutError('the server')" in on_a_bus(main).alerts()[0]["message"]


def test_a_handler_that_cancels_itself_loses_no_event() -> None:
    calls: list[int] = []

    async def main(room: Bus) -> None:
        async def odd(event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
            calls.append(data["n"])
            raise asyncio.CancelledError

        room.bus.subscribe(EVENT.TASK_STARTED, odd)
        for n in range(2):
            room.bus.publish(EVENT.TASK_STARTED, {"n": n})
        await room.bus.drain()

    room = on_a_bus(main)
    assert calls == [0, 1]
    assert "cancelled itself" in room.alerts()[0]["message"]


def test_what_one_handler_does_to_its_data_the_others_do_not_see() -> None:
    async def main(room: Bus) -> None:
        def spoil(event: OrchestrationEvent, data: Any) -> None:
            data["result"]["rows"].append("spoilt")
            data["more"] = 1

        room.bus.subscribe(None, spoil)
        room.bus.subscribe(None, room.note)
        room.bus.publish(EVENT.TASK_COMPLETED, {"result": {"rows": [1]}})
        await room.bus.drain()

    assert [data for _, data in on_a_bus(main).heard] == [{"result": {"rows": [1]}}] * 2


def test_draining_waits_no_longer_than_the_limit() -> None:
    moments: list[float] = []

    async def main(room: Bus) -> None:
        async def busy(event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
            await asyncio.sleep(3)

        room.bus.subscribe(EVENT.TASK_STARTED, busy)
        for _ in range(4):
            room.bus.publish(EVENT.TASK_STARTED, {})
        await room.bus.drain()
        moments.append(room.clock.monotonic())
        await room.bus.close()
        moments.append(room.clock.monotonic())

    on_a_bus(main)
    assert moments == [5, 5]


def test_closing_drops_what_waits_and_the_next_event_is_heard_again(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    async def main(room: Bus) -> None:
        async def busy(event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
            calls.append(data["n"])
            await asyncio.sleep(3)

        room.bus.subscribe(EVENT.TASK_STARTED, busy)
        room.bus.publish(EVENT.TASK_STARTED, {"n": 1})
        room.bus.publish(EVENT.TASK_STARTED, {"n": 2})
        await asyncio.sleep(1)
        await room.bus.close()
        room.bus.publish(EVENT.TASK_STARTED, {"n": 3})
        await room.bus.drain()

    with caplog.at_level(logging.WARNING):
        on_a_bus(main)
    assert calls == [1, 3]
    assert "is still at work: 1 events dropped" in caplog.text


def test_closing_leaves_a_handler_behind_that_will_not_stop() -> None:
    moments: list[float] = []

    async def main(room: Bus) -> None:
        async def stubborn(event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
            await deaf(20)({})
            moments.append(room.clock.monotonic())

        room.bus.subscribe(EVENT.TASK_STARTED, stubborn)
        room.bus.publish(EVENT.TASK_STARTED, {})
        await asyncio.sleep(1)
        await room.bus.close()
        moments.append(room.clock.monotonic())
        await asyncio.sleep(30)

    on_a_bus(main)
    assert moments == [6, 20]


def test_a_handler_may_run_a_workflow_and_does_not_wait_for_itself() -> None:
    statuses: list[str] = []

    async def main() -> float:
        world = await open_world({"desk": Scripted(a=at_once)})

        async def follow_up(event: OrchestrationEvent, data: Mapping[str, Any]) -> None:
            if data["workflow"] == "test":
                run_id = await world.engine.create_workflow(staged(task("a"), name="follow-up"))
                statuses.append((await world.engine.execute_workflow(run_id))["status"])

        await world.engine.register_event_handler(EVENT.WORKFLOW_COMPLETED, follow_up)
        await world.engine.execute_workflow(await world.engine.create_workflow(staged(task("a"))))
        return world.clock.monotonic()

    assert simulated(main) == 0
    assert statuses == ["completed"]


def test_what_can_not_be_called_and_what_is_no_event_is_refused() -> None:
    async def main(room: Bus) -> None:
        nobody: Any = "nobody"
        with pytest.raises(TypeError, match="can't be called"):
            room.bus.subscribe(None, nobody)
        with pytest.raises(TypeError, match="'task_started' is no event"):
            room.bus.subscribe("task_started", print)  # type: ignore[arg-type]  # which is what is refused

    on_a_bus(main)
