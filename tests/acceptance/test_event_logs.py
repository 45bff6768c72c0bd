"""The same seed gives the same event log: here, on every store, in every process, and as committed."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from tests.desk import run_day

ROOT = Path(__file__).parents[2]
COMMITTED: dict[str, str] = json.loads((ROOT / "tests" / "data" / "event_logs.json").read_text(encoding="utf-8"))
ASK = """
import sys, tempfile
from datetime import date
from pathlib import Path
from tests.desk import run_day
with tempfile.TemporaryDirectory() as home:
    print(run_day(Path(home), date.fromisoformat(sys.argv[1])).event_log)
"""


@pytest.mark.parametrize("day", COMMITTED)
def test_a_canonical_day_gives_the_committed_event_log(day: str, tmp_path: Path) -> None:
    assert run_day(tmp_path, date.fromisoformat(day), store=tmp_path / "store.db").event_log == COMMITTED[day]


def test_memory_and_sqlite_keep_the_same_event_log(tmp_path: Path) -> None:
    on = date(2012, 11, 23)
    assert run_day(tmp_path, on).records == run_day(tmp_path, on, store=tmp_path / "store.db").records


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_the_order_of_sets_and_hashes_changes_nothing(hash_seed: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    asked = subprocess.run(
        [sys.executable, "-c", ASK, "2012-12-12"], check=True, capture_output=True, text=True, cwd=ROOT, env=environment
    )
    assert asked.stdout.strip() == COMMITTED["2012-12-12"]


def test_another_seed_gives_another_event_log(tmp_path: Path) -> None:
    assert run_day(tmp_path, date(2012, 11, 23), seed=2).event_log != COMMITTED["2012-11-23"]
