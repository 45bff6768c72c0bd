"""``${name}`` in configurations: replaced once, by what the run knows when the task starts."""

import re
from collections.abc import Mapping

import orjson

from orchestration.domain.errors import DefinitionError, nearest
from orchestration.domain.json_value import JsonValue
from orchestration.engine.expressions import Scope, look_up

_REFERENCE = re.compile(r"\$\{(env:)?([A-Za-z_][A-Za-z0-9_]*)((?:\.[A-Za-z_][A-Za-z0-9_-]*|\[\d+\])*)\}")
_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\[(\d+)\]")


def expand(value: JsonValue, scope: Scope, environment: Mapping[str, str]) -> JsonValue:
    """Return ``value`` with every reference replaced.

    A text that is one reference and nothing else becomes what it refers to, type and all; inside a longer text an
    object is written as JSON. ``environment`` holds the variables that the workflow may read. What was put in is not
    looked at again. Raises `DefinitionError` for a name that nothing has.
    """
    if isinstance(value, str):
        return _expand_text(value, scope, environment)
    if isinstance(value, Mapping):
        return {key: expand(item, scope, environment) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [expand(item, scope, environment) for item in value]
    return value


def malformed(text: str) -> str | None:
    """Return the first ``${`` of ``text`` that begins no reference, with what follows it; ``None``: all of them do.

    `expand` leaves such a one as it stands.
    """
    rest = _REFERENCE.sub("", text)
    return rest[rest.index("${") :][:40] if "${" in rest else None


def _expand_text(text: str, scope: Scope, environment: Mapping[str, str]) -> JsonValue:
    whole = _REFERENCE.fullmatch(text)
    if whole:
        return _refer(whole, scope, environment)
    return _REFERENCE.sub(lambda match: _as_text(_refer(match, scope, environment)), text)


def _refer(match: re.Match[str], scope: Scope, environment: Mapping[str, str]) -> JsonValue:
    from_environment, name, steps = match[1], match[2], match[3]
    if not from_environment and name in scope:
        return look_up(scope, name, [int(index) if index else key for key, index in _STEP.findall(steps)])
    if not steps and name in environment:
        return environment[name]
    if from_environment:
        raise DefinitionError(f"{match[0]}: {name} is not set, or the workflow's env does not list it")
    raise DefinitionError(f"{match[0]}: nothing is called {name!r} here{nearest(name, [*scope, *environment])}")


def _as_text(value: JsonValue) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
