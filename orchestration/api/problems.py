"""Errors as problem documents (RFC 9457): the one form in which anything that goes wrong is answered."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from orchestration.api.schemas import Problem
from orchestration.domain.errors import DefinitionError, OrchestrationError, TransientError
from orchestration.domain.json_value import JsonValue, storable

MEDIA_TYPE = "application/problem+json"
BODY_STATUSES = (400, 413, 422)
"""What may be wrong with a body."""
RETRY_AFTER_S = 5
"""What a caller is asked to wait when the service can't answer now."""


class UnknownIdError(HTTPException):
    """The path names something that isn't there; the detail says what."""

    def __init__(self, error: DefinitionError) -> None:
        super().__init__(HTTPStatus.NOT_FOUND, detail=str(error))


class TooLargeError(HTTPException):
    """The body has more than ``most`` bytes."""

    def __init__(self, most: int) -> None:
        super().__init__(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail=f"the body has more than {most} bytes: send less")


def problem(
    status: int,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, JsonValue] | None = None,
) -> Response:
    """Return the answer for a problem; ``members`` stand in the document beside the standard ones."""
    title = HTTPStatus(status).phrase
    document = {"type": "about:blank", "title": title, "status": status, "detail": storable(detail), **(members or {})}
    return Response(orjson.dumps(document), status_code=status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def answer_problems(app: FastAPI) -> None:
    """Make ``app`` answer every error with a problem document."""
    app.add_exception_handler(DefinitionError, _on_definition_error)
    app.add_exception_handler(TransientError, _on_transient_error)
    app.add_exception_handler(OrchestrationError, _on_final_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_error)


def schemas() -> dict[str, Any]:
    """Return the schemas that `documented` refers to."""
    template = "#/components/schemas/{model}"
    inputs: list[tuple[type[BaseModel], Literal["serialization"]]] = [(Problem, "serialization")]
    _, found = models_json_schema(inputs, ref_template=template)
    return dict(found["$defs"])


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the problems with ``statuses`` as the OpenAPI document lists them."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


async def _on_definition_error(_request: Request, error: Exception) -> Response:
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))


async def _on_transient_error(_request: Request, error: Exception) -> Response:
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers={"Retry-After": str(RETRY_AFTER_S)})


async def _on_final_error(_request: Request, error: Exception) -> Response:
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))


async def _on_error(_request: Request, _error: Exception) -> Response:
    """What nobody foresaw: the caller learns nothing of the inside; the server logs the error itself."""
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the service failed at this request: its log says how")


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (the type under which it is registered)
    headers = error.headers or {}
    detail = error.detail
    if error.status_code == HTTPStatus.BAD_REQUEST:  # the framework's, for bytes that are no text and for 1000 brackets
        detail = "body: send JSON in UTF-8, nested less deeply"
    elif detail == HTTPStatus(error.status_code).phrase:  # the framework's own say no more than the title
        allowed = headers.get("allow", headers.get("Allow"))
        hint = "/openapi.json lists what there is" if allowed is None else f"it takes {allowed}"
        detail = f"there is no {request.method} {request.url.path}: {hint}"
    return problem(error.status_code, detail, headers=headers)


async def _on_validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 (the type under which it is registered)
    faults = [_fault(one) for one in error.errors()]
    first = faults[0]
    errors: Sequence[JsonValue] = [dict(fault) for fault in faults]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{first['path']}: {first['detail']}", members={"errors": errors})


def _fault(error: Mapping[str, Any]) -> Mapping[str, str]:
    kind, where = error["type"], error["loc"]
    if kind == "json_invalid":
        return {"path": "body", "detail": f"no JSON from character {where[-1]} on: {error['ctx']['error']}"}
    if kind in {"model_attributes_type", "model_type"} and len(where) == 1:
        return {"path": where[0], "detail": "send a JSON object, with Content-Type: application/json"}
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in where)
    said = str(error["msg"]).removeprefix("Value error, ")
    return {
        "path": storable("".join(steps).removeprefix(".")),
        "detail": storable(f"{said[0].lower()}{said[1:]}"),
    }
