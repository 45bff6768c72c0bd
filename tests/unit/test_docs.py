"""The pages say what is so: links lead somewhere, commands and settings exist, and examples run."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
import yaml
from typer.core import TyperGroup

from agents.desk import AGENTS
from orchestration.cli import app
from orchestration.config import TradingConfig, environment_name
from orchestration.domain.events import OrchestrationEvent
from orchestration.domain.states import RunStatus, StageStatus, TaskStatus
from orchestration.engine.forms import ListForm, StagedForm, StageForm, TaskForm
from orchestration.engine.task_types import TASK_TYPES
from workflows.desk_files.calendar_overrides import read_calendar_overrides
from workflows.desk_files.desk import TEMPLATE, read_desk
from workflows.desk_files.earnings import read_earnings
from workflows.trading_day.overlays import load_overlays

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
TEXTS = {name: page.read_text(encoding="utf-8") for name, page in zip(NAMES, PAGES, strict=True)}


def options_by_command(group: TyperGroup, before: str = "") -> dict[str, set[str]]:
    """Every command with its options; one of a group goes by both names, such as ``runs list``."""
    found: dict[str, set[str]] = {}
    for name, command in group.commands.items():
        found[before + name] = {
            one for parameter in command.params for one in (*parameter.opts, *parameter.secondary_opts)
        }
        if isinstance(command, TyperGroup):
            found |= options_by_command(command, f"{before}{name} ")
    return found


COMMANDS = options_by_command(typer.main.get_group(app))
ANYWHERE = {"--version", "--help", "-h", "--install-completion", "--show-completion"}


FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


def blocks(text: str, language: str) -> list[str]:
    return [body for spoken, body in FENCED.findall(text) if spoken == language]


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as the places that show Markdown make them."""
    prose = FENCED.sub("", text)
    heads = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def commands(text: str) -> Iterator[str]:
    """What a page types after ``belltower``, in blocks and inside a line."""
    shown = [line for block in blocks(text, "") for line in block.splitlines()]
    shown += re.findall(r"`([^`\n]+)`", FENCED.sub("", text))
    for line in shown:
        typed = re.match(r"\s*(?:\.venv/bin/)?belltower +(.*)", line.split(" #")[0])
        if typed and not typed[1].startswith("…"):
            yield typed[1]


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_to_a_page_and_a_heading_of_it(name: str) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[name]):
        path, _, anchor = target.partition("#")
        page = (ROOT / name).parent / path if path else ROOT / name
        there = page.exists() and (not anchor or anchor in anchors(page.read_text(encoding="utf-8")))
        if "://" not in target and not there:
            broken.append(target)
    assert broken == []


def test_every_page_can_be_reached_from_the_index() -> None:
    linked = {
        (DOCS / target.partition("#")[0]).resolve() for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS["docs/index.md"])
    }
    assert {page for page in DOCS.rglob("*.md") if page.name != "index.md"} <= linked


@pytest.mark.parametrize("name", NAMES)
def test_a_page_types_only_commands_and_options_that_exist(name: str) -> None:
    wrong = []
    for typed in commands(TEXTS[name]):
        words = typed.split()
        name = next((name for name in (" ".join(words[:2]), words[0]) if name in COMMANDS), words[0])
        known = COMMANDS.get(name, set()) | ANYWHERE
        wrong += [typed for word in words if word.startswith("-") and word not in known]
        wrong += [typed] if name not in COMMANDS and name not in ANYWHERE else []
    assert wrong == []


def test_the_reference_has_every_command_with_every_option() -> None:
    page = TEXTS["docs/reference/command-line.md"]
    for name, options in COMMANDS.items():
        section = page.partition(f"## belltower {name}")[2].partition("\n## ")[0]
        told = set(re.findall(r"^\| `(--[a-z-]+)", section, re.MULTILINE)) | set(re.findall(r"`?(--[a-z-]+) ", section))
        assert {option for option in options if option.startswith("--")} <= told, name


def test_every_target_that_a_page_makes_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    asked = {word for text in TEXTS.values() for word in re.findall(r"(?:`|^|=\d )make ([a-z]+)", text, re.MULTILINE)}
    assert asked <= targets


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_the_page_of_settings_has_each_with_its_name_and_default() -> None:
    section = TEXTS["docs/reference/settings.md"].partition("## All settings")[2].partition("\n## ")[0]
    told = {row[1].strip("`"): (row[0].strip("`"), row[2].strip("`")) for row in rows(section)[2:]}
    defaults = {}
    for field, info in TradingConfig.model_fields.items():
        default = "none" if info.default is None else str(info.default)
        defaults[field] = (environment_name(field), default.lower() if isinstance(info.default, bool) else default)
    defaults["home"] = ("BELLTOWER_HOME", "the platform's folder for user data")
    assert told == defaults


@pytest.mark.parametrize("name", NAMES)
def test_a_page_names_only_settings_that_exist(name: str) -> None:
    known = {environment_name(field) for field in TradingConfig.model_fields} | {"BELLTOWER_"}
    assert set(re.findall(r"\bBELLTOWER_[A-Z_]*", TEXTS[name])) <= known


def test_the_page_of_settings_has_every_field_of_desk_yaml_and_its_default() -> None:
    section = TEXTS["docs/reference/settings.md"].partition("## desk.yaml")[2]
    told = {row[0].strip("`"): row[1].strip("`") for row in rows(section)}
    flat: dict[str, object] = {}
    for key, value in yaml.safe_load(TEMPLATE).items():
        flat |= (
            {f"{key}.{inner}": v for inner, v in value.items()} if key in {"limits", "costs", "fomc"} else {key: value}
        )
    assert set(flat) | {"symbols", "instruments"} <= set(told)
    assert {key: yaml.safe_load(told[key]) for key in flat} == flat


def test_the_python_page_has_every_field_event_and_status() -> None:
    page = TEXTS["docs/reference/python.md"]
    told = set(re.findall(r"`(\w+)`", " ".join(row[0] for row in rows(page))))
    for form in (StagedForm, ListForm, StageForm, TaskForm):
        assert set(form.model_fields) <= told, form
    assert set(OrchestrationEvent.__members__) <= told
    assert {"log", "wait"} <= told & set(TASK_TYPES)
    for what, statuses in (("run", RunStatus), ("stage", StageStatus), ("task (`TaskStatus`)", TaskStatus)):
        [listed] = [row[1] for row in rows(page) if row[0] == what]
        assert re.findall(r"`(\w+)`", listed) == [str(status) for status in statuses]


def test_the_tests_that_the_page_of_003_names_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXTS["docs/reference/seed-003.md"])
    assert len(named) > 40
    lost = [(file, test) for file, test in named if f"def {test}(" not in (ROOT / file).read_text(encoding="utf-8")]
    assert lost == []


def test_the_pages_keep_to_the_machine_that_they_are_read_on() -> None:
    found = {
        name: re.findall(r"https?://(?!127\.0\.0\.1\b)\S+|(?:^|[\s`(])/(?:home|root|tmp|usr|work)/\S*", text)
        for name, text in TEXTS.items()
    }
    assert {name: what for name, what in found.items() if what} == {}


def test_the_files_of_the_tutorial_are_valid(tmp_path: Path) -> None:
    page = TEXTS["docs/tutorial/first-day.md"]
    for language in ("yaml", "csv"):
        for block in blocks(page, language):
            place, _, content = block.partition("\n")
            file = tmp_path / place.removeprefix("# ")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")
    home = tmp_path / "desk"
    assert read_desk(home).desk.limits.per_name == 0.20
    tasks = {
        task.name
        for layer in load_overlays(home / "days", {a.name: a.task_types for a in AGENTS}).layers
        for task in layer.added
    }
    assert "macro_watch" in tasks
    assert [override.reason for override in read_calendar_overrides(home / "calendar.yaml")] == ["Snow storm"]
    earnings = read_earnings(home / "earnings.csv")
    assert earnings is not None
    assert [report.symbol for report in earnings.reports] == ["IBM"]


def test_the_examples_in_python_run(tmp_path: Path) -> None:
    """Those of the README, of the Python page and of the tutorial, in one process; each page in names of its own."""
    pages = ["README.md", "docs/reference/python.md", "docs/tutorial/first-day.md"]
    scripts = ["\n".join(blocks(TEXTS[page], "python")) for page in pages]
    assert all(scripts)
    run = "import json, sys\nfor script in json.loads(sys.stdin.read()):\n    exec(script, {'__name__': '__main__'})\n"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BELLTOWER_")}
    done = subprocess.run(
        [sys.executable, "-c", run], input=json.dumps(scripts), capture_output=True, text=True, cwd=tmp_path,
        env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "'status': 'completed'" in done.stdout
    assert len((tmp_path / "prices" / "ACME.csv").read_text().splitlines()) > 250
