"""Fail when a distribution of the lock has a licence that Belltower may not stand on.

What runs with Belltower has a permissive licence, or MPL-2.0; the tools of development may be LGPL too.
"""

import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PERMISSIVE = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "HPND",
        "ISC",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "MPL-2.0",
        "NCSA",
        "PSF",
        "PSF-2.0",
        "Python-2.0",
        "Unlicense",
        "Zlib",
    }
)
TOOLS_ONLY = frozenset({"LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later", "LGPL"})

# How authors write a licence when they don't write its SPDX name: classifiers and old free text.
SPELLINGS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD 3-Clause License": "BSD-3-Clause",
    "BSD License": "BSD",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.1-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "Historical Permission Notice and Disclaimer (HPND)": "HPND",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF",
    "Simplified BSD": "BSD-2-Clause",
    "The Unlicense (Unlicense)": "Unlicense",
    "zlib/libpng License": "Zlib",
}

# Distributions whose metadata name no licence; read in the project's own source.
READ_BY_US = {"ta-lib": "BSD-2-Clause"}

_TOKEN = re.compile(r"\(|\)|[\w.+-]+")


def locked(lock: str) -> list[Requirement]:
    """Return what the text of a lock file pins and this machine needs."""
    pins = (line.removesuffix("\\").strip() for line in lock.splitlines() if re.match(r"[A-Za-z0-9]", line))
    found = [Requirement(pin) for pin in pins]
    return [one for one in found if one.marker is None or one.marker.evaluate()]


def runtime(roots: Iterable[str], requires: Callable[[str], Iterable[str]]) -> set[str]:
    """Return the names of ``roots`` and of all that they require, directly or not; extras count when asked for."""
    seen: set[tuple[str, str]] = set()
    waiting = [Requirement(root) for root in roots]
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        for extra in ("", *sorted(one.extras)):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            needed = [Requirement(text) for text in requires(name)]
            waiting += [need for need in needed if need.marker is None or need.marker.evaluate({"extra": extra})]
    return {name for name, _ in seen}


def licence(name: str, metadata: Mapping[str, list[str]]) -> str:
    """Return the licence as an SPDX expression, as far as ``metadata`` (field to values) tell; ``""`` if not at all."""
    for expression in metadata.get("License-Expression", []):
        return expression
    classifiers = [text.rpartition(" :: ")[2] for text in metadata.get("Classifier", []) if text.startswith("License")]
    texts = [text for text in classifiers if text != "OSI Approved"] or metadata.get("License", [])
    known = [SPELLINGS.get(text.strip(), text.strip()) for text in texts if "\n" not in text]
    return " AND ".join(f"({text})" for text in known) or READ_BY_US.get(name, "")


def allowed(expression: str, names: frozenset[str]) -> bool:
    """Whether an SPDX expression can be met with ``names`` only: all sides of an AND, one side of an OR."""
    tokens = _TOKEN.findall(expression)
    verdict, rest = _either(tokens, names)
    return verdict and not rest


def _either(tokens: list[str], names: frozenset[str]) -> tuple[bool, list[str]]:
    verdict, rest = _both(tokens, names)
    while rest[:1] == ["OR"]:
        other, rest = _both(rest[1:], names)
        verdict = verdict or other
    return verdict, rest


def _both(tokens: list[str], names: frozenset[str]) -> tuple[bool, list[str]]:
    verdict, rest = _one(tokens, names)
    while rest[:1] == ["AND"]:
        other, rest = _one(rest[1:], names)
        verdict = verdict and other
    return verdict, rest


def _one(tokens: list[str], names: frozenset[str]) -> tuple[bool, list[str]]:
    if tokens[:1] == ["("]:
        verdict, rest = _either(tokens[1:], names)
        return verdict and rest[:1] == [")"], rest[1:]
    if tokens[1:2] == ["WITH"]:  # an exception only ever permits more
        return tokens[0] in names, tokens[3:]
    return tokens[:1] != [] and tokens[0] in names, tokens[1:]


def problems(lock: str, project: str) -> Iterator[str]:
    """Yield one line for every distribution of ``lock`` whose licence is not allowed where it is used."""
    needed = runtime(tomllib.loads(project)["project"]["dependencies"], _requires)
    for pin in locked(lock):
        name = canonicalize_name(pin.name)
        found = _installed(name)
        if found is None:
            yield f"{name} is in requirements.lock but not installed; run: make clean check"
            continue
        expression = licence(name, _fields(found))
        if not allowed(expression, PERMISSIVE if name in needed else PERMISSIVE | TOOLS_ONLY):
            yield f"{name} {found.version} has the licence {expression or 'of no name'!r}; use another distribution"


def _fields(found: Distribution) -> dict[str, list[str]]:
    return {field: found.metadata.get_all(field) or [] for field in ("License-Expression", "Classifier", "License")}


def _requires(name: str) -> Iterable[str]:
    found = _installed(name)
    return (found.requires or []) if found else []


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def main() -> int:
    """Print what is wrong; 0 when nothing is."""
    found = list(problems(Path("requirements.lock").read_text(), Path("pyproject.toml").read_text()))
    sys.stdout.writelines(f"licences: {line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
