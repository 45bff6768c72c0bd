"""Fail when another installed distribution brings a package of one of our names: whose is imported would be chance."""

import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import packages_distributions

OURS = ("agents", "orchestration", "workflows")
DISTRIBUTION = "belltower"


def problems(providers: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield one line for every other distribution in ``providers`` (package to distributions) that has one of ours."""
    for package in OURS:
        for other in sorted(set(providers.get(package, [])) - {DISTRIBUTION}):
            yield f"{other} also brings a package {package!r}; uninstall it: pip uninstall {other}"


def main() -> int:
    """Print what is wrong; 0 when nothing is."""
    found = list(problems(packages_distributions()))
    sys.stdout.writelines(f"distributions: {line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
