"""The audit of the crash checks sees what is lost and what is doubled: it finds nothing in a life that went well."""

import copy
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import pytest

from checks.crash_audit import Found, audit
from checks.crash_broker import ExchangeProcess
from checks.crash_desk import Place
from checks.crash_lives import life_words

SEED = "a life"


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, dict[str, Any]]:
    """A place where a desk has carried out two runs, and what the exchange saw."""
    return _lived(tmp_path_factory.mktemp("crash"))


def _lived(folder: Path) -> tuple[Place, dict[str, Any]]:
    place = Place(home=folder, marks=folder / "marks", exchange=folder / "exchange")
    with ExchangeProcess(place.exchange) as exchange:
        subprocess.run(life_words(place, seed=SEED, new_runs=2), check=True, capture_output=True)  # without pandas
        return place, exchange.seen()


def audited(lived: tuple[Place, dict[str, Any]], tmp_path: Path, *, marks: str = "", seen: Any = None) -> Found:
    """Audit that place with more marks, or as if the exchange had seen something else."""
    place, there = lived
    more = tmp_path / "marks"
    more.write_text(place.marks.read_text() + marks)
    return audit(Place(home=place.home, marks=more, exchange=place.exchange), seen or there)


def first(lived: tuple[Place, dict[str, Any]], verb: str) -> str:
    """The first mark of that kind."""
    return next(line for line in lived[0].marks.read_text().splitlines() if line.startswith(f"{verb} "))


def test_a_life_that_went_well_has_nothing_wrong(lived: tuple[Place, dict[str, Any]], tmp_path: Path) -> None:
    found = audited(lived, tmp_path)
    assert found.wrong == []
    assert found.counts["runs"] == 2
    assert found.counts["orders"] == len(lived[1]["orders"]) > 0
    assert found.counts["effects"] == 6


def test_an_order_that_never_arrived_is_lost(lived: tuple[Place, dict[str, Any]], tmp_path: Path) -> None:
    seen = copy.deepcopy(lived[1])
    del seen["orders"][Random(1).choice(sorted(seen["orders"]))]
    assert audited(lived, tmp_path, seen=seen).counts["lost"] == 1


@pytest.mark.parametrize("change", ["arrivals", "orders"])
def test_an_order_too_many_is_doubled(lived: tuple[Place, dict[str, Any]], tmp_path: Path, change: str) -> None:
    seen = copy.deepcopy(lived[1])
    name = next(iter(seen["orders"]))
    if change == "arrivals":
        seen["arrivals"][name] += 1
    else:
        seen["orders"]["somebody else's"] = seen["orders"][name]
    assert audited(lived, tmp_path, seen=seen).counts["doubled"] == 1


@pytest.mark.parametrize(("verb", "counted"), [("execute", "doubled"), ("effect", "doubled")])
def test_what_happened_again_is_doubled(
    lived: tuple[Place, dict[str, Any]], tmp_path: Path, verb: str, counted: str
) -> None:
    assert audited(lived, tmp_path, marks=f"{first(lived, verb)}\n").counts[counted] == 1


@pytest.mark.parametrize("mark", ["created nobody", "ended nobody completed", "told nobody wide0"])
def test_what_was_told_and_is_not_there_is_lost(lived: tuple[Place, dict[str, Any]], tmp_path: Path, mark: str) -> None:
    assert audited(lived, tmp_path, marks=f"{mark}\n").counts["lost"] == 1


def test_one_take_over_by_two_is_doubled(lived: tuple[Place, dict[str, Any]], tmp_path: Path) -> None:
    assert audited(lived, tmp_path, marks="taken run 2 100\ntaken run 2 101\n").counts["doubled"] == 1
