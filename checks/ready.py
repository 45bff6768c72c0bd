"""Measure how long the daemon takes from the start of its process to ready.

``python -m checks.ready`` writes ``build/ready.json`` and exits with 1 when the median of the warm starts is over the
limit. A start is warm when the files were read before and Python's bytecode is there, as pip and a first run leave it;
so the bytecode is kept in a folder of its own, whatever ``PYTHONDONTWRITEBYTECODE`` says, and the first start, which
compiles everything, is shown apart.
"""

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from checks.daemon_process import Daemon

REPORT = Path("build/ready.json")
LIMIT_S = 3.0
WARM_STARTS = 7


def starts(home: Path, count: int) -> list[float]:
    """Start the daemon ``count`` times over ``home``; return how old each process was when it was ready, in seconds."""
    ages = []
    for _ in range(count):
        with Daemon(home) as daemon:
            ages.append(daemon.wait_ready())
            daemon.stop()
    return ages


def main() -> int:
    """Measure, write the report, and return the exit code."""
    with tempfile.TemporaryDirectory(prefix="belltower-ready-") as folder:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = f"{folder}/bytecode"
        cold, *warm = starts(Path(folder, "home"), 1 + WARM_STARTS)
    median = statistics.median(warm)
    report = {
        "ready_s": {
            "value": round(median, 3),
            "min": round(min(warm), 3),
            "max": round(max(warm), 3),
            "unit": "s",
            "runs": len(warm),
            "limit": LIMIT_S,
            "ratio": round(LIMIT_S / median, 2),
        },
        "ready_cold_s": {"value": round(cold, 3), "unit": "s", "runs": 1},
    }
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    sys.stdout.write(
        f"ready after {median:.2f} s ({min(warm):.2f} to {max(warm):.2f}, {len(warm)} warm starts); "
        f"limit {LIMIT_S:g} s; {cold:.2f} s where no bytecode was there\n"
    )
    return int(median > LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
