"""What to do with the runs that a dead process left: for now, say that they were interrupted and run nothing again."""

from orchestration.domain.records import Record, RecordKind
from orchestration.ports.clock import Clock
from orchestration.ports.run_store import RunStore

REASON = "the process that carried it out ended before it did; nothing of it is run again"


async def interrupt_unfinished(store: RunStore, clock: Clock) -> tuple[str, ...]:
    """Mark every unfinished run of ``store`` as interrupted and return their ids, oldest first.

    Call it before the first run of a process that has the store to itself: it does not know whose runs they are.
    """
    run_ids = tuple(await store.unfinished())
    for run_id in run_ids:
        last = (await store.records(run_id))[-1]
        ending = Record(
            run_id=run_id,
            sequence=last.sequence + 1,
            kind=RecordKind.RUN_INTERRUPTED,
            at=clock.now(),
            data={"reason": REASON},
        )
        await store.append([ending])
    return run_ids
