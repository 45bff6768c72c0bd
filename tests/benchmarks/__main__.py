"""``make bench``: every benchmark, one table, and ``build/bench.json``."""

import json
import sys
from pathlib import Path

from tests.benchmarks import days, engine

BUILD = Path(__file__).parents[2] / "build"


def main() -> None:
    """Measure, print a table, write the file.

    Exits with 1 when event logs differ or, unless QUICK, a floor is missed.
    """
    measured = engine.measure()
    figures = {name: figure.to_json() for name, figure in measured.items()}
    of_days, same = days.measure()
    figures |= of_days
    for name, figure in figures.items():
        spread = f"{figure['min']} to {figure['max']}, {figure['runs']} runs"
        share = f"  limit {figure['limit']}, share {figure['ratio']}" if "ratio" in figure else ""
        print(f"{name:24} {figure['value']:>10} {figure['unit']:12} ({spread}){share}")  # noqa: T201 (the table)
    print(f"same event log in every process: {'yes' if same else 'NO'}")  # noqa: T201 (the table)
    BUILD.mkdir(exist_ok=True)
    (BUILD / "bench.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    low = [name for name, floor in engine.FLOORS.items() if (measured[name].ratio or 0) < floor]
    if low:
        print(f"below the floor: {', '.join(low)}")  # noqa: T201 (the table)
    sys.exit(0 if same and (engine.QUICK or not low) else 1)


if __name__ == "__main__":
    main()
