"""Who waits for whom: order, circles, importance handed down, and the longest way to the end."""

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from orchestration.domain.errors import CircularDependencyError
from orchestration.domain.states import TaskPriority

Needs = Mapping[str, Sequence[str]]


def in_order(needs: Needs) -> tuple[str, ...]:
    """Return every name after all that it needs. Raises `CircularDependencyError`."""
    seen: set[str] = set()
    for name, needed in needs.items():
        if not seen.issuperset(needed):
            break
        seen.add(name)
    else:
        return tuple(needs)  # they stand in order already, as most do
    try:
        return tuple(TopologicalSorter(needs).static_order())
    except CycleError as error:
        cycle: Sequence[str] = error.args[1]
        raise CircularDependencyError(tuple(reversed(cycle))) from None


def dependants(needs: Needs) -> dict[str, tuple[str, ...]]:
    """Return for every name those that need it, in the order of ``needs``."""
    found: dict[str, list[str]] = {name: [] for name in needs}
    for name, needed in needs.items():
        for other in needed:
            found[other].append(name)
    return {name: tuple(others) for name, others in found.items()}


def inherited_priorities(
    own: Mapping[str, TaskPriority], needs: Needs, order: Iterable[str]
) -> dict[str, TaskPriority]:
    """Return every name's own priority or, if higher, the highest of all that wait for it, directly or not."""
    effective = dict(own)
    for name in reversed(tuple(order)):
        for needed in needs[name]:
            effective[needed] = max(effective[needed], effective[name])
    return effective


def remaining_paths(needs: Needs, order: Iterable[str]) -> dict[str, int]:
    """Return for every name how many tasks the longest chain has that starts with it."""
    length = dict.fromkeys(needs, 1)
    for name in reversed(tuple(order)):
        for needed in needs[name]:
            length[needed] = max(length[needed], length[name] + 1)
    return length
