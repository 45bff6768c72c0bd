"""The engine beside its limit, in one run: each figure is a median, with the share of the limit that it reaches."""

import os
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks import bare_loop, engine_loads
from tests.benchmarks.engine_probes import LARGE, killed_run, large_run, traced_run

QUICK = os.environ.get("QUICK") == "1"
RUNS = 3 if QUICK else 5
_UNITS = {"W1": ("tasks/s", 1000), "W2": ("ms a hop", 200), "W3": ("tasks/s", 1000), "W4": ("runs/s", 500)}
FLOORS = {"W1": 0.15, "W2": 0.5, "W3": 0.15, "W4": 0.1}
"""Shares of the limit below which the engine is not done; the goals are twice these, for W2 0.7, for W4 0.25."""

CRITICAL_MS, HALT_MS, RESTART_S, BYTES_A_TASK = 5.0, 100.0, 1.0, 2_000.0
"""What these may be at the most; their limits are promises, not the bare loop's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row: what was measured, the limit in the same unit, and the share of it reached (1 is the limit)."""

    value: float
    least: float
    most: float
    unit: str
    runs: int
    limit: float | None = None
    ratio: float | None = None

    def to_json(self) -> dict[str, object]:
        """The row of ``build/bench.json``."""
        row: dict[str, object] = {
            "value": round(self.value, 3),
            "min": round(self.least, 3),
            "max": round(self.most, 3),
            "unit": self.unit,
            "runs": self.runs,
        }
        if self.limit is not None:
            row["limit"] = round(self.limit, 3)
        if self.ratio is not None:
            row["ratio"] = round(self.ratio, 3)
        return row


def beside(name: str, folder: str) -> Figure:
    """W1 to W4: the engine and the bare loop take turns, so that both have the same machine."""
    ours, bare = [], []
    for _ in range(RUNS):
        bare.append(bare_loop.run(name, folder=folder))
        ours.append(engine_loads.run(name, folder=folder))
    unit, count = _UNITS[name]
    found = [wall / count * 1e3 if "ms" in unit else count / wall for wall in ours]
    limit = statistics.median(bare)
    return Figure(
        value=statistics.median(found),
        least=min(found),
        most=max(found),
        unit=unit,
        runs=RUNS,
        limit=limit / count * 1e3 if "ms" in unit else count / limit,
        ratio=limit / statistics.median(ours),
    )


def latency(samples: Sequence[Sequence[float]], limit: float | None = None) -> Figure:
    """The 99th percentile of each of ``samples`` (seconds), in ms; ``limit`` likewise."""
    found = [sorted(sample)[int(len(sample) * 0.99)] * 1e3 for sample in samples]
    value = statistics.median(found)
    return Figure(
        value=value,
        least=min(found),
        most=max(found),
        unit="ms p99",
        runs=len(samples),
        limit=limit,
        ratio=None if limit is None else limit / value,
    )


def measure() -> dict[str, Figure]:
    """Measure all of it; takes about a minute, with QUICK half of one."""
    with tempfile.TemporaryDirectory() as folder:
        figures = {name: beside(name, folder) for name in _UNITS}
        bare = [bare_loop.start_latencies(folder=folder) for _ in range(RUNS)]
        idle = [engine_loads.start_latencies(folder=folder) for _ in range(RUNS)]
        figures["W5"] = latency(idle, latency(bare).value)
        behind = [engine_loads.critical_latencies(folder=folder)[0] for _ in range(RUNS)]
        figures["critical"] = latency(behind, CRITICAL_MS)
        figures["halt"] = latency([engine_loads.halt_latencies(folder=folder) for _ in range(RUNS)], HALT_MS)
        tasks = LARGE // 10 if QUICK else LARGE
        large = [large_run(tasks) for _ in range(1 if QUICK else 3)]
        rates = [tasks / one["seconds"] for one in large]
        figures["W6"] = Figure(
            value=statistics.median(rates),
            least=min(rates),
            most=max(rates),
            unit="tasks/s",
            runs=len(rates),
            limit=figures["W1"].value,
            ratio=statistics.median(rates) / figures["W1"].value,
        )
        size = traced_run()["bytes_a_task"]
        figures["W6_memory"] = Figure(
            value=size,
            least=size,
            most=size,
            unit="bytes a task",
            runs=1,
            limit=BYTES_A_TASK,
            ratio=BYTES_A_TASK / size,
        )
        killed = []
        for index in range(RUNS):
            one = killed_run(tempfile.mkdtemp(dir=folder, prefix=str(index)))
            if one["lost"] or one["doubled"]:
                raise AssertionError(f"W7 lost {one['lost']:g} tasks and finished {one['doubled']:g} twice")
            killed.append(one["seconds"])
        restart = statistics.median(killed)
        figures["W7"] = Figure(
            value=restart,
            least=min(killed),
            most=max(killed),
            unit="s",
            runs=len(killed),
            limit=RESTART_S,
            ratio=RESTART_S / restart,
        )
    return figures
