"""Which licences pass, and how they are found."""

import pytest

from checks.licences import PERMISSIVE, TOOLS_ONLY, allowed, licence, locked, problems, runtime


@pytest.mark.parametrize(
    "expression",
    [
        "MIT",
        "MIT OR GPL-3.0-only",
        "MPL-2.0 AND (Apache-2.0 OR MIT)",
        "(BSD)",
        "Apache-2.0 WITH LLVM-exception",
        "ISC OR GPL-2.0-only AND MIT",
    ],
)
def test_an_expression_that_can_be_met_is_allowed(expression: str) -> None:
    assert allowed(expression, PERMISSIVE)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "GPL-3.0-or-later",
        "MIT AND GPL-3.0-only",
        "(MIT",
        "MIT AND",
        "LGPL-3.0-only",
        "MIT)",
        "UNKNOWN",
        "MIT ISC",
        "MIT AND (GPL-2.0-only OR AGPL-3.0-only)",
        "GPL-2.0-only WITH Classpath-exception-2.0",
    ],
)
def test_an_expression_that_cannot_be_met_is_refused(expression: str) -> None:
    assert not allowed(expression, PERMISSIVE)


def test_tools_may_be_lgpl() -> None:
    assert allowed("LGPL-3.0-only", PERMISSIVE | TOOLS_ONLY)


@pytest.mark.parametrize(
    ("metadata", "expression"),
    [
        ({"License-Expression": ["MIT"], "Classifier": ["License :: OSI Approved :: BSD License"]}, "MIT"),
        ({"Classifier": ["Framework :: AsyncIO", "License :: OSI Approved :: BSD License"]}, "(BSD)"),
        ({"License": ["Simplified BSD"]}, "(BSD-2-Clause)"),
        ({"Classifier": ["License :: OSI Approved"], "License": ["Apache 2.0"]}, "(Apache-2.0)"),
        ({"License": ["Copyright 2015\nAll rights reserved"]}, ""),
        ({}, ""),
    ],
)
def test_a_licence_is_read_from_where_its_author_put_it(metadata: dict[str, list[str]], expression: str) -> None:
    assert licence("some-package", metadata) == expression


def test_a_licence_that_no_metadata_tell_may_have_been_read_by_us() -> None:
    assert licence("ta-lib", {"License": []}) == "BSD-2-Clause"


def test_a_lock_is_read_without_hashes_comments_and_what_other_systems_need() -> None:
    lock = """alembic==1.0 \\
    --hash=sha256:00
    # via belltower
colorama==0.4 ; sys_platform == 'win32' \\
    --hash=sha256:00
tzdata==2026.1 ; python_version >= '3.11'
"""
    assert [pin.name for pin in locked(lock)] == ["alembic", "tzdata"]


def test_what_runs_with_us_is_followed_through_its_requirements() -> None:
    requires = {"a": ["b>=1", "c; extra == 'full'", "d; python_version < '3'"], "b": ["A[full]"], "c": ["e"]}
    assert runtime(["a"], lambda name: requires.get(name, [])) == {"a", "b", "c", "e"}
    assert runtime(["c"], lambda name: requires.get(name, [])) == {"c", "e"}


PROJECT = "[project]\ndependencies = []\n"


def test_a_distribution_that_is_locked_and_not_installed_is_named() -> None:
    assert list(problems("no-such-distribution==1.0\n", PROJECT)) == [
        "no-such-distribution is in requirements.lock but not installed; run: make clean check"
    ]


def test_a_distribution_with_a_licence_that_is_not_allowed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(problems("pytest==9\n", PROJECT)) == []
    monkeypatch.setattr("checks.licences.PERMISSIVE", frozenset({"ISC"}))
    [line] = problems("pytest==9\n", PROJECT)
    assert line.startswith("pytest ")
    assert "'MIT'" in line
