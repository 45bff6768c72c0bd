"""The rules of the domain: graphs, recurrence, retries, JSON values."""

import json
import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestration.domain.errors import CircularDependencyError, DefinitionError
from orchestration.domain.graph import dependants, in_order, inherited_priorities, remaining_paths
from orchestration.domain.json_value import DEEPEST, copy_json, to_json_value
from orchestration.domain.recurrence import latest_not_after, occurrence_name, occurrences
from orchestration.domain.retry import RetryStrategy
from orchestration.domain.session import Interval
from orchestration.domain.states import TaskPriority

Needs = dict[str, tuple[str, ...]]
START = datetime(2012, 12, 12, 14, 30, tzinfo=UTC)


@st.composite
def acyclic(draw: st.DrawFn) -> Needs:
    """Up to eight names, each of which needs some of the earlier ones; told in any order."""
    needs: Needs = {}
    for number in range(draw(st.integers(0, 8))):
        known = sorted(needs)
        needs[f"t{number}"] = tuple(draw(st.lists(st.sampled_from(known), unique=True))) if known else ()
    return {name: needs[name] for name in draw(st.permutations(list(needs)))}


def reachable(name: str, needs: Needs) -> set[str]:
    """All that ``name`` waits for, directly or not."""
    return {other for needed in needs[name] for other in {needed, *reachable(needed, needs)}}


def chain(name: str, needs: Needs) -> int:
    """The length of the longest chain that starts with ``name``, by trying all."""
    return 1 + max((chain(other, needs) for other in needs if name in needs[other]), default=0)


@given(acyclic())
def test_everything_comes_after_what_it_needs(needs: Needs) -> None:
    order = in_order(needs)
    assert sorted(order) == sorted(needs)
    assert all(order.index(needed) < order.index(name) for name in needs for needed in needs[name])


@given(acyclic(), st.data())
def test_a_circle_is_named_link_by_link(needs: Needs, data: st.DataObject) -> None:
    assume(needs)
    name = data.draw(st.sampled_from(sorted(needs)))
    closing = data.draw(st.sampled_from(sorted({name, *reachable(name, needs)})))
    needs[closing] = (*needs[closing], name)
    with pytest.raises(CircularDependencyError) as caught:
        in_order(needs)
    cycle = caught.value.cycle
    assert cycle[0] == cycle[-1]
    assert all(needed in needs[waiting] for waiting, needed in pairwise(cycle))


@given(acyclic())
def test_dependants_are_dependencies_read_the_other_way(needs: Needs) -> None:
    found = dependants(needs)
    assert {(a, b) for a in found for b in found[a]} == {(a, b) for b in needs for a in needs[b]}


@given(acyclic(), st.data())
def test_importance_is_that_of_the_most_important_that_waits(needs: Needs, data: st.DataObject) -> None:
    own = {name: data.draw(st.sampled_from(TaskPriority)) for name in needs}
    handed_down = inherited_priorities(own, needs, in_order(needs))
    for name in needs:
        waiting = [own[other] for other in needs if name in reachable(other, needs)]
        assert handed_down[name] == max([own[name], *waiting])


@given(acyclic())
def test_the_way_to_go_is_the_longest_chain(needs: Needs) -> None:
    assert remaining_paths(needs, in_order(needs)) == {name: chain(name, needs) for name in needs}


@given(length=st.integers(1, 500), every=st.integers(1, 120), pause=st.tuples(st.integers(0, 300), st.integers(1, 90)))
def test_occurrences_are_every_period_of_the_span_but_for_the_pauses(
    length: int, every: int, pause: tuple[int, int]
) -> None:
    span = Interval(starts_at=START, ends_at=START + timedelta(minutes=length))
    paused_at = START + timedelta(minutes=pause[0])
    pauses = [Interval(starts_at=paused_at, ends_at=paused_at + timedelta(minutes=pause[1]))]
    moments = occurrences(span, timedelta(minutes=every), pauses)
    all_minutes = [START + timedelta(minutes=minute) for minute in range(0, length, every)]
    assert list(moments) == [m for m in all_minutes if not pauses[0].starts_at <= m < pauses[0].ends_at]


@given(st.lists(st.datetimes(timezones=st.just(UTC)), unique=True).map(sorted), st.datetimes(timezones=st.just(UTC)))
def test_the_latest_moment_is_the_last_that_is_not_later(moments: list[datetime], moment: datetime) -> None:
    latest = latest_not_after(moments, moment)
    if latest is None:
        assert all(m > moment for m in moments)
    else:
        assert latest <= moment
        assert not [m for m in moments if latest < m <= moment]


@given(st.sets(st.integers(0, 86_399), min_size=2, max_size=5))
def test_the_occurrences_of_a_day_have_names_of_their_own(seconds: set[int]) -> None:
    assert len({occurrence_name("watch", START + timedelta(seconds=s)) for s in seconds}) == len(seconds)


@given(st.integers(0, 40), st.floats(0, 100), st.floats(0, 1000), st.floats(1, 4))
def test_a_retry_waits_just_as_003_says(attempt: int, base: float, most: float, factor: float) -> None:
    strategy = RetryStrategy(base_delay=base, max_delay=most, exponential_base=factor)
    assert strategy.get_retry_delay(attempt) == min(base * (factor**attempt), most)


def test_the_default_delays_are_003s_numbers() -> None:
    assert [RetryStrategy().get_retry_delay(n) for n in range(8)] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def test_a_delay_too_large_for_a_number_is_the_ceiling() -> None:
    assert RetryStrategy().get_retry_delay(5000) == 60.0


_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_leaves = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
json_values = st.recursive(
    _leaves | _text, lambda inner: st.lists(inner) | st.dictionaries(_text, inner), max_leaves=12
)


@given(json_values)
def test_json_values_come_back_as_they_went(value: object) -> None:
    copy = to_json_value(value)
    assert copy == value
    assert json.loads(json.dumps(copy)) == value
    assert orjson.loads(orjson.dumps(copy)) == value


@given(st.one_of(json_values, st.text(), st.integers(), st.floats(), st.binary(), st.dates(), st.complex_numbers()))
def test_what_passes_can_be_stored_and_what_does_not_is_a_definition_error(value: object) -> None:
    refused = "value.it[0]"
    try:
        passed = to_json_value({"it": [value]})
    except DefinitionError as error:
        refused = str(error)
    else:
        assert orjson.loads(orjson.dumps(passed)) == {"it": [value]}
    assert refused.startswith("value.it[0]")


@given(json_values)
def test_a_copy_shares_nothing_that_can_be_changed(value: object) -> None:
    def containers(item: object) -> set[int]:
        inner = list(item.values()) if isinstance(item, dict) else item if isinstance(item, list) else None
        return set() if inner is None else {id(item)}.union(*map(containers, inner))

    copy = copy_json(value)
    assert copy == value
    assert not containers(copy) & containers(value)


@given(st.integers(1, 400))
def test_what_is_nested_too_deeply_is_refused_and_the_rest_can_be_stored(levels: int) -> None:
    value: object = 1
    for _ in range(levels):
        value = [value]
    if levels <= DEEPEST:
        assert orjson.dumps({"data": {"result": to_json_value(value)}})
    else:
        with pytest.raises(DefinitionError, match="levels deep"):
            to_json_value(value)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused_with_its_path(number: float) -> None:
    with pytest.raises(DefinitionError, match=r"^result\.rows\[1\]\.x is (nan|-?inf); JSON has no such number"):
        to_json_value({"rows": [{"x": 1}, {"x": number}]}, "result")
