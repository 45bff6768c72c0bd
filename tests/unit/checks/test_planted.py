"""A planted bug counts as caught only when its guard fails."""

from pathlib import Path

import pytest

from checks.planted import problems, unsound_guards

PATCH = """{guard}--- a/orchestration/sums.py
+++ b/orchestration/sums.py
@@ -1,2 +1,2 @@
 def add(a, b):
-    return {before}
+    return {after}
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A small project with one function and one test."""
    (tmp_path / "orchestration").mkdir()
    (tmp_path / "orchestration" / "__init__.py").touch()
    (tmp_path / "orchestration" / "sums.py").write_text("def add(a, b):\n    return a + b\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_sums.py").write_text(
        "from orchestration.sums import add\n\ndef test_it_adds():\n    assert add(1, 2) == 3\n"
    )
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    return tmp_path


@pytest.mark.parametrize(
    ("guard", "before", "after", "message"),
    [
        ("Guard: tests/test_sums.py::test_it_adds\n", "a + b", "a - b", None),
        ("Guard: tests/test_sums.py::test_it_adds\n", "a + b", "b + a", "did not notice it: exit code 0"),
        ("Guard: tests/test_sums.py::test_gone\n", "a + b", "a - b", "did not notice it: exit code 4"),
        ("Guard: tests/test_sums.py::test_it_adds\n", "a * b", "a - b", "does not apply any more"),
        ("", "a + b", "a - b", "names no guard"),
    ],
)
def test_a_planted_bug_is_caught_by_a_failing_guard_only(
    house: Path, guard: str, before: str, after: str, message: str | None
) -> None:
    patch = house / "minus.patch"
    patch.write_text(PATCH.format(guard=guard, before=before, after=after))
    found = list(problems(house, [patch]))
    if message is None:
        assert found == []
    else:
        assert len(found) == 1
        assert message in found[0]
    assert (house / "orchestration" / "sums.py").read_text() == "def add(a, b):\n    return a + b\n"


@pytest.mark.parametrize(("answer", "sound"), [(3, True), (4, False)])
def test_a_guard_that_fails_without_the_bug_is_found_out(house: Path, answer: int, *, sound: bool) -> None:
    (house / "tests" / "test_sums.py").write_text(
        f"from orchestration.sums import add\n\ndef test_it_adds():\n    assert add(1, 2) == {answer}\n"
    )
    patch = house / "minus.patch"
    patch.write_text(PATCH.format(guard="Guard: tests/test_sums.py::test_it_adds\n", before="a + b", after="a - b"))
    assert (list(unsound_guards(house, [patch])) == []) is sound
