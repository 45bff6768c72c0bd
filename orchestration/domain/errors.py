"""Every error this project raises on purpose.

OrchestrationError
|-- DefinitionError          a workflow, a setting or a request is wrong: fix it, never retry
|   `-- CircularDependencyError
|-- TransientError           worth another attempt
|   |-- StoreUnavailableError
|   `-- DaemonUnreachableError
|-- OutcomeUnknownError      the side effect may have happened: ask, never resend
`-- FinalError               it failed, and another attempt would fail the same way
    `-- ClaimLostError       somebody else carries the runs of this store out now
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class OrchestrationError(Exception):
    """The root of the tree above."""


class DefinitionError(OrchestrationError):
    """What was asked for is wrong; the message says what, where and how to mend it."""


class CircularDependencyError(DefinitionError):
    """Tasks that wait for each other; ``cycle`` names them in order, the first again at the end."""

    def __init__(self, cycle: Sequence[str]) -> None:
        self.cycle = tuple(cycle)
        super().__init__(f"tasks wait for each other: {' -> '.join(self.cycle)}; take one of these dependencies away")


class TransientError(OrchestrationError):
    """Something that may go well next time."""


class StoreUnavailableError(TransientError):
    """The store did not take, or did not give, what was asked; asking for the very same again is safe."""


class DaemonUnreachableError(TransientError):
    """Nobody answers at ``where``, a home or an address; nothing was asked."""

    def __init__(self, where: str) -> None:
        self.where = where
        super().__init__(f"no daemon answers at {where}: start it with belltower run")


class OutcomeUnknownError(OrchestrationError):
    """A side effect may or may not have happened: ask what really happened, never send again."""


class FinalError(OrchestrationError):
    """A failure that another attempt would only repeat."""


class ClaimLostError(FinalError):
    """Another process took over the runs of this ``owner``, an open store: nothing that it appends is kept any more."""

    def __init__(self, owner: str, where: str) -> None:
        self.owner = owner
        self.where = where
        super().__init__(
            f"{where} was taken over: another process carries out the runs that this one (owner {owner}) began; "
            "end this one, or open the store again for new runs"
        )


def is_retryable(error: BaseException) -> bool:
    """Whether another attempt makes sense after ``error``: any but a definition, unknown-outcome or final one."""
    return not isinstance(error, DefinitionError | OutcomeUnknownError | FinalError)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest of ``known``, else the list of what is known."""
    names = sorted(known)
    close = get_close_matches(name.lower(), [n.lower() for n in names], n=1, cutoff=0.6)
    if close:
        match = next(n for n in names if n.lower() == close[0])
        return f"; did you mean {match!r}?"
    if len(names) > 12:
        return ""
    return f"; known: {', '.join(names)}" if names else "; none is known"
