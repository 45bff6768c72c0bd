"""How long simulated days take, and whether memory stays flat.

Each figure is the median of several processes, with the smallest and the largest. A day counts from its first stage to
its summary; process start (interpreter, imports, calendar, prices) is reported beside it.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

QUICK = os.environ.get("QUICK") == "1"
RUNS = 2 if QUICK else 5
DAY = ["2012-12-12", "2012-12-12"]
MONTH = ["2012-12-03", "2012-12-31"]
DAY_BUDGET_S, MONTH_BUDGET_S = 2.0, 20.0

PROBE = """
import json, sys, time
began = time.perf_counter()
from datetime import date, timedelta
from pathlib import Path
from orchestration.config import TradingConfig
from orchestration.simulation import simulate
from orchestration.wiring import open_desk_calendar

class Memory:
    def __init__(self):
        self.rss_mb, self.first = [], None
    def set_day(self, plan):
        self.first = self.first or time.perf_counter()
        if plan["is_session"]:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.rss_mb.append(pages * 4096 / 1e6)
    def set_account(self, equity, orders):
        pass
    async def __call__(self, event, data):
        pass

first, last = (date.fromisoformat(text) for text in sys.argv[2:4])
config = TradingConfig(home=Path(sys.argv[1]))
calendar = open_desk_calendar(config)
memory = Memory()
dates = [first + timedelta(days=n) for n in range((last - first).days + 1)]
summary = simulate(config, calendar, dates, seed=1, watcher=memory)
print(json.dumps({"start_s": memory.first - began, "run_s": summary["wall_s"], "rss_mb": memory.rss_mb,
                  "total_s": time.perf_counter() - began, "hashes": [d["event_log_sha256"] for d in summary["days"]]}))
"""


def probe(first: str, last: str) -> dict[str, object]:
    """Simulate in a process of its own, with a home of its own."""
    with tempfile.TemporaryDirectory() as home:
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", PROBE, home, first, last], check=True, capture_output=True, text=True
        )
        found: dict[str, object] = json.loads(done.stdout)
        found["process_s"] = time.perf_counter() - began
        return found


def row(values: list[float], unit: str, budget: float | None = None) -> dict[str, object]:
    """One figure: its median, spread and, with a budget, the share of it that is left to spare (1 is the budget)."""
    median = statistics.median(values)
    figure: dict[str, object] = {
        "value": round(median, 3), "min": round(min(values), 3), "max": round(max(values), 3), "unit": unit,
        "runs": len(values),
    }  # fmt: skip
    if budget is not None:
        figure |= {"limit": budget, "ratio": round(budget / median, 2)}
    return figure


def measure() -> tuple[dict[str, dict[str, object]], bool]:
    """Return the figures, and whether every process gave the same event log."""
    days = [probe(*DAY) for _ in range(RUNS)]
    months = [probe(*MONTH) for _ in range(1 if QUICK else 3)]
    memory = [[float(mb) for mb in month["rss_mb"]] for month in months]  # type: ignore[attr-defined]  # it is a list
    figures = {
        "day": row([float(str(d["run_s"])) for d in days], "s", DAY_BUDGET_S),
        "day_process_start": row([float(str(d["start_s"])) for d in days], "s"),
        "day_whole_process": row([float(str(d["process_s"])) for d in days], "s"),
        "month": row([float(str(m["run_s"])) for m in months], "s", MONTH_BUDGET_S),
        "month_memory_first_day": row([mb[1] for mb in memory], "MB"),
        "month_memory_last_day": row([mb[-1] for mb in memory], "MB"),
    }
    return figures, len({str(d["hashes"]) for d in days}) == 1
