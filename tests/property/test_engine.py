"""The whole engine keeps its word through deaths of its process, outages of its store, cancellations and failures."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestration.adapters.memory.run_store import MemoryRunStore
from orchestration.adapters.simulated.clock import SimulatedClock
from orchestration.adapters.simulated.ids import SimulatedIds
from orchestration.adapters.simulated.loop import SimulatedLoop
from orchestration.domain.definition import WorkflowDefinition
from orchestration.domain.errors import StoreUnavailableError
from orchestration.domain.reconciliation import Reconciled
from orchestration.domain.records import Record, RecordKind
from orchestration.domain.states import ENDED, Effects
from orchestration.engine.engine import WorkflowEngine
from orchestration.engine.run_state import RunState, rebuild
from orchestration.engine.stored_definition import from_json
from tests.property.definitions import START, definitions
from tests.property.journal_rules import JournalRules
from tests.property.test_runs import as_form, with_handed_down_priority
from tests.unit.engine.world import NoChance

T = TypeVar("T")
_scripts = st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["well", "well", "badly"])), min_size=1, max_size=3)


class ProcessStore(MemoryRunStore):
    """The store of one process: it takes its time, is out at times, and hears nothing more once its process is dead."""

    seconds = 0.0
    out = False
    answer_lost = False
    dead = False

    async def append(self, records: Sequence[Record]) -> None:
        """Keep ``records``, or not."""
        lost = self.answer_lost
        if lost:
            await super().append(records)
        await asyncio.sleep(self.seconds)
        if self.dead:
            await asyncio.Event().wait()
        if self.out:
            raise StoreUnavailableError("out")
        if not lost:
            await super().append(records)

    def next_process(self) -> "ProcessStore":
        """The store of the process after this one."""
        self.dead = True
        self._kept.ended.add(self._owner)
        return ProcessStore(self._kept)

    def of(self, run_id: str) -> list[Record]:
        """All records of a run, without waiting."""
        return [record for _, record in sorted(self._kept.records[run_id].items())]


class Agent:
    """Does what the scripts say, and has the machine look at everything that begins."""

    def __init__(self, machine: "Desk") -> None:
        self.machine = machine
        self.at_work: set[tuple[str, str]] = set()

    async def analyze(self, task_data: Mapping[str, Any]) -> object:
        """Do a task."""
        about = task_data["execution"]
        run_id, name, attempt = about["id"], about["task"], about["attempt"]
        self.machine.begins(run_id, name, attempt, about["fencing_token"], self.at_work)
        self.at_work.add((run_id, name))
        try:
            script = self.machine.scripts[int(name.removeprefix("task")) % len(self.machine.scripts)]
            seconds, how = script[min(attempt, len(script)) - 1]
            await asyncio.sleep(seconds)
            if how == "badly":
                raise RuntimeError("boom")
        finally:
            self.at_work.discard((run_id, name))
        return {"inputs": sorted(task_data["inputs"])}

    async def reconcile(self, task_data: Mapping[str, Any]) -> Reconciled:
        """Find out about a task."""
        about = task_data["execution"]
        seconds, answer = self.machine.answers[about["attempt"] % len(self.machine.answers)]
        await asyncio.sleep(seconds)
        found: Reconciled = answer
        self.machine.asked[about["id"], about["task"], about["attempt"]] = found.outcome.value
        return found


class Desk(RuleBasedStateMachine):
    """Several runs on one engine after another, over one journal."""

    answers: list[tuple[int, Reconciled]]

    @initialize(
        slots=st.integers(1, 3),
        scripts=st.lists(_scripts, min_size=1, max_size=3),
        answers=st.lists(
            st.tuples(
                st.integers(0, 9),
                st.sampled_from([Reconciled.done(1), Reconciled.not_done(), Reconciled.unknown("who knows")]),
            ),
            min_size=1,
            max_size=3,
        ),
    )
    def open(self, slots: int, scripts: list[Any], answers: list[tuple[int, Reconciled]]) -> None:
        self.loop = asyncio.Runner(loop_factory=SimulatedLoop)
        self.slots, self.scripts = slots, scripts
        self.answers = answers
        self.clock = SimulatedClock(START)
        self.ids = SimulatedIds(self.clock)
        self.store = ProcessStore()
        self.definitions: dict[str, WorkflowDefinition] = {}
        self.begun: dict[tuple[str, str], tuple[int, int]] = {}
        self.asked: dict[tuple[str, str, int], str] = {}
        self.wrong: list[str] = []
        self.sound = True
        self.loop.run(self.start_process())

    def do(self, doing: Coroutine[Any, Any, T]) -> T:
        self.sound = False
        answer = self.loop.run(doing)
        assert not self.wrong
        self.sound = True
        return answer

    async def start_process(self) -> None:
        self.callers: dict[str, asyncio.Task[dict[str, Any]]] = {}
        self.agent = Agent(self)
        self.engine = WorkflowEngine(
            {"desk": self.agent},
            SimpleNamespace(max_concurrent_tasks=self.slots),
            run_store=self.store,
            clock=self.clock,
            ids=self.ids,
            randomness=NoChance(),
        )
        await self.engine.__aenter__()
        for one in await self.engine.recover():
            assert one.state is not None, one.reason
            self.carry_out(one.run_id)

    def carry_out(self, run_id: str) -> None:
        stored: Any = self.store.of(run_id)[0].data["definition"]
        self.definitions[run_id] = from_json(stored)
        self.callers[run_id] = asyncio.create_task(self.engine.execute_workflow(run_id))

    def begins(self, run_id: str, name: str, attempt: int, token: int, at_work: set[tuple[str, str]]) -> None:
        """Note what is wrong with an attempt that begins."""
        definition = self.definitions[run_id]
        records = self.store.of(run_id)
        task = next(task for task in definition.tasks if task.name == name)
        of_task = [record for record in records if record.task == name]
        state = rebuild(definition, records)
        if not any(r.kind is RecordKind.TASK_STARTED and r.data["attempt"] == attempt for r in of_task):
            self.wrong.append(f"{name} begins before that is kept")
        if state.tasks[name].status in ENDED:
            self.wrong.append(f"{name} runs again though it has ended")
        if not all(state.tasks[needed].satisfied for needed in task.dependencies):
            self.wrong.append(f"{name} begins before what it needs is kept")
        if (run_id, name) in at_work:
            self.wrong.append(f"{name} runs twice at a time")
        slotted = with_handed_down_priority(definition)
        others = [one for one in at_work if one[1] in with_handed_down_priority(self.definitions[one[0]])]
        if name in slotted and len(others) >= self.slots:
            self.wrong.append(f"{name} begins without a slot")
        earlier = self.begun.get((run_id, name))
        if earlier is not None:
            before, its_token = earlier
            over = any(r.kind is RecordKind.TASK_RETRYING and r.data["attempt"] == before for r in of_task)
            if attempt <= before or token < its_token:
                self.wrong.append(f"{name} begins an older attempt")
            if task.effects is not Effects.NONE and not over and self.asked.get((run_id, name, before)) != "not_done":
                self.wrong.append(f"{name} runs again, and nobody has found out what it did")
        self.begun[run_id, name] = (attempt, token)

    @rule(definition=definitions(conditions=False, lively=True))
    def a_run_comes(self, definition: WorkflowDefinition) -> None:
        async def coming() -> None:
            try:
                run_id = await self.engine.create_workflow(as_form(definition))
            except StoreUnavailableError:
                assert self.store.out or self.engine.trouble is not None
            else:
                self.carry_out(run_id)

        if len(self.callers) < 4:
            self.do(coming())

    @rule(seconds=st.sampled_from([0.0, 0.3, 1, 4, 20, 90]))
    def time_passes(self, seconds: float) -> None:
        self.do(self.clock.sleep_until(self.clock_now() + timedelta(seconds=seconds)))

    def clock_now(self) -> Any:
        async def now() -> Any:
            return self.clock.now()

        return self.loop.run(now())

    @rule(out=st.booleans(), answer_lost=st.booleans(), seconds=st.sampled_from([0.0, 0.1, 2.0]))
    def the_store_changes(self, seconds: float, *, out: bool, answer_lost: bool) -> None:
        self.store.out, self.store.seconds, self.store.answer_lost = out, seconds, out and answer_lost

    @precondition(lambda self: self.callers)
    @rule(number=st.integers(0, 9), rarely=st.integers(0, 3))
    def somebody_cancels(self, number: int, rarely: int) -> None:
        run_id = list(self.callers)[number % len(self.callers)]
        if rarely == 3:
            self.do(self.engine.cancel(run_id, "somebody wanted it"))

    @rule(seconds=st.sampled_from([0.0, 1.0, 60.0]))
    def the_process_dies_and_another_goes_on(self, seconds: float) -> None:
        async def dying() -> None:
            store = self.store.next_process()
            me = asyncio.current_task()
            while left := asyncio.all_tasks() - {me}:
                for one in left:
                    one.cancel()
                await asyncio.sleep(0)
            await asyncio.sleep(seconds)
            self.store = store
            await self.start_process()

        self.do(dying())

    @invariant()
    def what_is_kept_is_what_is_known(self) -> None:
        if not getattr(self, "sound", False) or self.engine._runner.journal.busy:
            return
        for state in self.engine._runner.active:
            assert rebuild(state.definition, self.store.of(state.run_id)) == state

    def teardown(self) -> None:
        """Everything comes to its end by itself, and the journal tells of nothing that may not be."""
        if not getattr(self, "sound", False):
            if hasattr(self, "loop"):
                self.loop.get_loop().close()
            return
        self.store.out, self.store.answer_lost, self.store.seconds = False, False, 0.1

        async def ending() -> list[dict[str, Any]]:
            results = await asyncio.gather(*self.callers.values())
            await self.engine.__aexit__(None, None, None)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            return list(results)

        results = self.do(ending())
        self.loop.close()
        assert all(result["status"] in {"completed", "failed", "cancelled"} for result in results)
        for run_id, definition in self.definitions.items():
            records = self.store.of(run_id)
            rules = JournalRules(definition, retries=True)
            for record in records[1:]:
                rules.take(record)
            assert rules.ended_as is not None
            state: RunState = rebuild(definition, records)
            assert all(task.status in ENDED for task in state.tasks.values())


Desk.TestCase.settings = settings(
    max_examples=100, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestDesk = Desk.TestCase
