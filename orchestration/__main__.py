"""``python -m orchestration`` is ``belltower``."""

import sys

from orchestration.system.signals import STOPPED, stopped_early

if sys.argv[1:2] == ["run"]:
    stopped_early()  # before the imports below, which take a while
elif sys.argv[1:2] == ["simulate"]:
    stopped_early(1, STOPPED)

from orchestration.cli import main

if __name__ == "__main__":
    main()
