"""What ruff can't ban by name: methods of a loop, and limits given as an argument."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FREE = ("orchestration/system/", "orchestration/adapters/simulated/")


def asks_the_clock(node: ast.AST) -> bool:
    """Whether ``node`` is a call that makes a loop wait by its own clock."""
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    keywords = {keyword.arg for keyword in node.keywords}
    return (
        name in {"call_later", "call_at"}
        or (name == "wait" and "timeout" in keywords)
        or (name == "CancelScope" and "deadline" in keywords)
    )


def test_no_code_asks_the_loop_for_the_time() -> None:
    files = [path for face in ("orchestration", "agents", "workflows") for path in (ROOT / face).rglob("*.py")]
    found = [
        f"{path}:{node.lineno}"
        for path in files
        if not path.relative_to(ROOT).as_posix().startswith(FREE)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and asks_the_clock(node)
    ]
    assert files != []
    assert found == []


@pytest.mark.parametrize(
    ("code", "asks"),
    [
        ("loop.call_later(1, f)", True),
        ("loop.call_at(1, f)", True),
        ("asyncio.wait(tasks, timeout=3)", True),
        ("CancelScope(deadline=3)", True),
        ("asyncio.wait(tasks)", False),
        ("clock.wait(wake, until)", False),
        ("loop.call_soon(f)", False),
    ],
)
def test_the_calls_are_told_apart(code: str, *, asks: bool) -> None:
    assert any(asks_the_clock(node) for node in ast.walk(ast.parse(code))) is asks
