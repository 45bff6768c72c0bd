"""Read the files that people write: strict YAML, and one line that says what is wrong, where, and how to mend it."""

import re
from collections.abc import Hashable
from datetime import time
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from orchestration.domain.errors import DefinitionError, nearest

ModelT = TypeVar("ModelT", bound=BaseModel)

_PLAINER = {
    "model_type": "input should be a valid dictionary: names and values, such as `name: value`",
    "dict_type": "input should be a valid dictionary: names and values, such as `name: value`",
    "list_type": "write a list here, such as [first, second]",
    "too_short": "it is empty; name something, or leave it out",
}
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
    try:
        return model.model_validate({} if content is None else content)
    except ValidationError as error:
        raise DefinitionError(problem(path, model, error)) from None


def problem(path: Path, model: type[BaseModel], error: ValidationError) -> str:
    """Return one line about the first problem of ``error``."""
    first = error.errors(include_url=False)[0]
    place = [part for part in first["loc"] if part != "[key]"]
    if first["type"] == "extra_forbidden":
        *inside, name = place
        where = f"{path}: {_written(inside)}: " if inside else f"{path}: "
        return f"{where}there is no field {str(name)!r}{nearest(str(name), _fields(model, inside))}"
    message = _PLAINER.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    given = first["input"]
    shown = f" (given: {given!r})" if isinstance(given, str | int | float) and repr(given) not in message else ""
    where = f"{path}: {_written(place)}: " if place else f"{path}: "
    return f"{where}{message[:1].lower() + message[1:]}{shown}"


def local_time(value: object) -> object:
    """Let ``HH:MM`` through and refuse every other way to write a time of day; ``None`` passes."""
    if value is None or isinstance(value, time):
        return value
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise ValueError("write a time of day as HH:MM, such as 13:00")
    return time.fromisoformat(value)


def _written(place: list[int | str]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def _fields(model: type[BaseModel], place: list[int | str]) -> list[str]:
    """Return the names that the model at ``place`` inside ``model`` knows; none where there is no model."""
    at: object = model
    for part in place:
        if isinstance(at, type) and issubclass(at, BaseModel):
            field = at.model_fields.get(str(part))
            at = _unwrapped(field.annotation) if field else None
        else:  # an item of a list or a value of a mapping: what it holds stands last but for a tuple's dots
            held = [argument for argument in get_args(at) if argument is not Ellipsis]
            at = _unwrapped(held[-1]) if held else None
    return list(at.model_fields) if isinstance(at, type) and issubclass(at, BaseModel) else []


def _unwrapped(annotation: object) -> object:
    """Return the first arm of an optional, or ``annotation`` itself."""
    arms = get_args(annotation)
    return arms[0] if type(None) in arms else annotation
