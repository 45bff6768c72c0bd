"""The collector rests during a start, and what the start has made is set aside."""

import gc
from collections.abc import Iterator

import pytest

from orchestration.system.collector import held_collector


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


def test_nothing_is_collected_until_the_start_is_over_and_what_it_made_is_set_aside() -> None:
    made: list[object] = []
    with held_collector() as collect_again:
        assert not gc.isenabled()
        made += [[] for _ in range(1000)]
        before = gc.get_freeze_count()
        collect_again()
        assert gc.isenabled()
        assert gc.get_freeze_count() >= before + len(made)
        assert not any(one is made for one in gc.get_objects())


def test_a_start_that_fails_leaves_the_collector_at_work() -> None:
    with pytest.raises(RuntimeError), held_collector():
        raise RuntimeError("no start")
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
