"""The packages keep their doors: three lazy faces, and rooms whose `__init__` holds a docstring."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FACES = ["orchestration", "agents", "workflows"]
RUN_BY_ALEMBIC = "orchestration.adapters.sql.migrations.env"
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for face in FACES
    for path in (ROOT / face).rglob("*.py")
    if path.stem != "__main__"
)

# One process that forks: none of ours is loaded in a child, and the libraries, which know nothing of us, already are.
LIBRARIES = ["alembic.command", "empyrical", "exchange_calendars", "jinja2", "lark", "matplotlib.figure", "orjson"]
LIBRARIES += ["pandas", "pydantic_settings", "rich.progress", "sqlalchemy", "structlog", "talib", "typer", "yaml"]
IMPORT_EACH_FIRST = f"""
import importlib, os, sys, traceback

for library in {LIBRARIES}:
    importlib.import_module(library)
failed = 0
for name in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(name)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed = 1
        print("cannot be imported first:", name, flush=True)
sys.exit(failed)
"""


@pytest.mark.parametrize("face", FACES)
def test_what_the_type_checker_sees_is_what_is_there(face: str) -> None:
    module = importlib.import_module(face)
    tree = ast.parse(Path(module.__file__ or "").read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    seen = {alias.asname: node.module for node in imports for alias in node.names if alias.asname}
    assert seen == module._HOMES
    assert all(getattr(module, name) is not None for name in seen)
    assert set(seen) <= set(dir(module))


@pytest.mark.parametrize("face", FACES)
def test_a_face_has_no_other_name(face: str) -> None:
    module = importlib.import_module(face)
    with pytest.raises(AttributeError, match=f"module '{face}' has no attribute 'NoSuchName'"):
        module.NoSuchName  # noqa: B018 (asking is the test)


def test_a_room_has_nothing_in_its_init() -> None:
    inits = [path for face in FACES for path in (ROOT / face).rglob("__init__.py") if path.parent.parent != ROOT]
    full = [
        str(path) for path in inits if any(not isinstance(one, ast.Expr) for one in ast.parse(path.read_text()).body)
    ]
    assert inits != []
    assert full == []


def test_each_module_can_be_the_first_one_imported() -> None:
    names = [name for name in MODULES if name != RUN_BY_ALEMBIC]
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EACH_FIRST, *names], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", FACES)
def test_a_light_module_loads_nothing_heavy(module: str) -> None:
    heavy = {"pandas", "sqlalchemy", "fastapi", "pydantic", "httpx", "numpy", "structlog"}
    code = f"import sys, {module}; sys.exit(', '.join(sorted({heavy!r} & set(sys.modules))) or 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
