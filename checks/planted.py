"""Plant each known bug in a copy of the code and see the test that guards against it fail.

A planted bug is a file ``tests/planted/NAME.patch``: lines ``Guard: tests/…::test_…`` name the tests that must fail,
the rest is a diff that `git apply` takes. A guard that passes all the same guards nothing.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

COPIED = ("agents", "checks", "orchestration", "tests", "workflows", "pyproject.toml")
_GUARD = re.compile(r"^Guard: (\S+)$", re.MULTILINE)
_TESTS_FAILED = 1  # pytest's exit code; 2 to 5 mean that the tests did not run as they should


def problems(root: Path, patches: Iterable[Path]) -> Iterator[str]:
    """Yield one line for every patch that does not apply or whose guard does not notice it."""
    for patch in patches:
        with tempfile.TemporaryDirectory(prefix="belltower-planted-") as folder:
            problem = _problem(patch, _copy(root, Path(folder)))
        sys.stdout.write(f"{'MISSED' if problem else 'caught'}  {patch.stem}\n")
        if problem:
            yield f"{patch.name}: {problem}"


def unsound_guards(root: Path, patches: Iterable[Path]) -> Iterator[str]:
    """Yield a line unless all guards pass on code without a planted bug: else they would "catch" anything."""
    guards = sorted({guard for patch in patches for guard in _GUARD.findall(patch.read_text())})
    if guards:
        with tempfile.TemporaryDirectory(prefix="belltower-planted-") as folder:
            tests = _pytest(guards, _copy(root, Path(folder)))
        if tests.returncode:
            yield f"without any bug the guards fail: exit code {tests.returncode} ({_last_line(tests)})"


def _copy(root: Path, folder: Path) -> Path:
    for name in COPIED:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy2(source, folder / name)
    return folder


def _problem(patch: Path, copy: Path) -> str | None:
    guards = _GUARD.findall(patch.read_text())
    if not guards:
        return "it names no guard; begin it with a line: Guard: tests/…::test_…"
    applied = _run(["git", "apply", "--whitespace=nowarn", str(patch.resolve())], copy)
    if applied.returncode:
        return f"it does not apply any more; make it anew from today's code ({applied.stderr.strip()})"
    for guard in guards:
        tests = _pytest([guard], copy)
        if tests.returncode != _TESTS_FAILED:
            return f"{guard} did not notice it: exit code {tests.returncode} ({_last_line(tests)})"
    return None


def _pytest(tests: list[str], copy: Path) -> subprocess.CompletedProcess[str]:
    # -m puts the copy before the installed project on the path
    return _run([sys.executable, "-m", "pytest", "-q", "-x", "--tb=no", "-p", "no:cacheprovider", *tests], copy)


def _last_line(tests: subprocess.CompletedProcess[str]) -> str:
    said = (tests.stdout + tests.stderr).strip().splitlines()
    return said[-1] if said else "silence"


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 (our own words)


def main() -> int:
    """Print what is wrong; 0 when every bug is caught."""
    root = Path.cwd()
    patches = sorted((root / "tests" / "planted").glob("*.patch"))
    found = [*unsound_guards(root, patches), *problems(root, patches)]
    sys.stdout.writelines(f"planted: {line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
