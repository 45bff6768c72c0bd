"""Read what comes from outside into pydantic models, with errors that people can act on."""

from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from orchestration.domain.errors import DefinitionError, nearest

Model = TypeVar("Model", bound=BaseModel)

_MAPPING = "input should be a valid dictionary: names and values, such as `name: value`"
_PLAINER = {
    "model_type": _MAPPING,
    "dict_type": _MAPPING,
    "list_type": "write a list here, such as [first, second]",
    "too_short": "it is empty; name something, or leave it out",
}
"""What pydantic says in the words of Python."""


def validate(model: type[Model], data: object, where: str = "") -> Model:
    """Return ``data`` as ``model``.

    Raises `DefinitionError` for the first fault: ``where`` (a file, say), the path inside, what is wrong, and the
    nearest right name of a field that does not exist.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise DefinitionError(explain(error, model, where)) from None


def explain(error: ValidationError, model: type[BaseModel], where: str = "") -> str:
    """Return the first fault of ``error`` in one line."""
    first = error.errors(include_url=False)[0]
    place = [step for step in first["loc"] if step != "[key]"]
    unknown = str(place.pop()) if first["type"] == "extra_forbidden" else None
    path = ": ".join(part for part in (where, written(place)) if part) or "the definition"
    if unknown is not None:
        return f"{path}: there is no field {unknown!r}{nearest(unknown, _fields_at(model, place))}"
    said = _PLAINER.get(first["type"]) or str(first["msg"]).removeprefix("Value error, ")
    given = first["input"]
    shown = isinstance(given, str | int | float) and repr(given) not in said
    return f"{path}: {said[:1].lower()}{said[1:]}{f' (given: {_short(given)})' if shown else ''}"


def written(place: list[int | str]) -> str:
    """Return a place inside a document as people write it: ``stages.open.tasks[0]``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _fields_at(model: type[BaseModel], place: list[int | str]) -> list[str]:
    """The names that the model at ``place`` inside ``model`` knows; none where there is no model."""
    at: Any = model
    for step in place:
        if isinstance(at, type) and issubclass(at, BaseModel):
            field = at.model_fields.get(str(step))
            at = _unwrapped(field.annotation) if field else None
        else:  # an item of a list or a value of a mapping: what it holds stands last but for a tuple's dots
            held = [argument for argument in get_args(at) if argument is not Ellipsis]
            at = _unwrapped(held[-1]) if held else None
    if not (isinstance(at, type) and issubclass(at, BaseModel)):
        return []
    return [field.alias or name for name, field in at.model_fields.items()]


def _unwrapped(annotation: Any) -> Any:
    """The first arm of an optional, or ``annotation`` itself."""
    arms = get_args(annotation)
    return arms[0] if type(None) in arms else annotation
