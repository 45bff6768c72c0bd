"""``make bench``: every benchmark, one table, and ``build/bench.json``."""

from tests.benchmarks.days import main

if __name__ == "__main__":
    main()
