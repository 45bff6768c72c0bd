"""Read what comes from outside into pydantic models, with errors that people can act on."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from orchestration.domain.errors import DefinitionError, nearest

Model = TypeVar("Model", bound=BaseModel)


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
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"])
    path = ": ".join(part for part in (where, "".join(steps).removeprefix(".")) if part) or "the definition"
    if first["type"] == "extra_forbidden":
        field = str(first["loc"][-1])
        return f"{path}: there is no field {field!r}{nearest(field, _fields_at(model, first['loc'][:-1]))}"
    said = str(first["msg"]).removeprefix("Value error, ")
    given = "" if first["type"] in {"missing", "value_error"} else f", but {_short(first['input'])} was given"
    return f"{path}: {said[0].lower()}{said[1:]}{given}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _fields_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The names of the fields of the model that ``path`` leads to from ``model``."""
    current: type[BaseModel] = model
    for step in path:
        field = current.model_fields.get(str(step))
        found = [] if field is None else _models_in(field.annotation)
        current = found[0] if found else current
    return [field.alias or name for name, field in current.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models_in(argument)]
