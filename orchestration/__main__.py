"""``python -m orchestration`` is ``belltower``."""

from orchestration.cli import main

if __name__ == "__main__":
    main()
