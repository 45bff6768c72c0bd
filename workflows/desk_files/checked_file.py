"""Read the files that people write: strict YAML, and one line that says what is wrong, where, and how to mend it."""

import re
from collections.abc import Hashable
from datetime import time
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel

from orchestration.domain.errors import DefinitionError
from orchestration.schema import validate

ModelT = TypeVar("ModelT", bound=BaseModel)

"""What pydantic says in the words of Python."""
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_SIXTY = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}


class _StrictLoader(yaml.SafeLoader):
    """Plain types only; a key given twice is an error, and 13:00 is a text, not YAML 1.1's number 780."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = str(key_node.value)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _SIXTY]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"),
    list("-+.0123456789"),
)
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789")
)


def read_text(path: Path) -> str:
    """Return the text of ``path``. Raises `DefinitionError` when it cannot be read or is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DefinitionError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DefinitionError(f"{path} cannot be read: it is not UTF-8 text") from None


def read_yaml(path: Path) -> object:
    """Return what ``path`` holds, ``None`` for an empty file. Raises `DefinitionError` with file, line and column."""
    try:
        content: object = yaml.load(read_text(path), _StrictLoader)  # noqa: S506  # a SafeLoader by inheritance
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise DefinitionError(f"{path}{where}: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise DefinitionError(f"{path}: {' '.join(str(error).split())}") from None
    return content


def checked(path: Path, model: type[ModelT], content: object) -> ModelT:
    """Return ``content``, read from ``path``, as ``model``.

    Raises `DefinitionError` for the first thing that is wrong: the file, the path in it and the nearest right name.
    """
    return validate(model, {} if content is None else content, str(path))


def local_time(value: object) -> object:
    """Let ``HH:MM`` through and refuse every other way to write a time of day; ``None`` passes."""
    if value is None or isinstance(value, time):
        return value
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise ValueError("write a time of day as HH:MM, such as 13:00")
    return time.fromisoformat(value)
