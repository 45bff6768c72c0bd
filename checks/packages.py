"""Debian's packages that the checks need: root gets what is missing, anybody else is told what to type."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

NAME = "libfaketimeMT.so.1"


class NotInstalledError(RuntimeError):
    """Something that a check needs is not here and can't be had."""


def find_libfaketime() -> Path | None:
    """Return the library that sets a process's clock, or ``None`` when the machine has none."""
    places = [*sorted(Path("/usr/lib").glob("*/faketime")), Path("/usr/local/lib/faketime")]
    return next((place / NAME for place in places if (place / NAME).exists()), None)


_IS_THERE: Mapping[str, Callable[[], bool]] = {
    "prometheus": lambda: bool(shutil.which("prometheus") and shutil.which("promtool")),
    "libfaketime": lambda: find_libfaketime() is not None,
    "strace": lambda: shutil.which("strace") is not None,
}


def install(*packages: str) -> None:
    """Make sure that these are here; raises `NotInstalledError` with the reason when one is not to be had."""
    missing = [package for package in packages if not _IS_THERE[package]()]
    if not missing:
        return
    names = " ".join(missing)
    if os.geteuid() or not shutil.which("apt-get"):
        raise NotInstalledError(f"missing here: {names}; install them (Debian: apt-get install {names})")
    apt_get = [str(shutil.which("apt-get")), "-qq", "-o", "DPkg::Lock::Timeout=300"]
    # In run level 1 the packages of servers do not start them.
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for words in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
        done = subprocess.run(  # noqa: S603 (our own words)
            [*apt_get, *words], check=False, capture_output=True, text=True, env=environment, timeout=600
        )
        if done.returncode:
            raise NotInstalledError(f"apt-get {words[0]} failed: {(done.stdout + done.stderr).strip()[-1000:]}")
    if still := [package for package in missing if not _IS_THERE[package]()]:
        raise NotInstalledError(f"apt-get installed {' '.join(still)}, and it is not there")
