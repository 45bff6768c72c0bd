"""The application behind the doors: every route, every problem, and the guard in front."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.types import ASGIApp

from orchestration.api.guard import Guard, limit_body
from orchestration.api.problems import answer_problems, documented, schemas
from orchestration.api.routes import executions, health, plan, system
from orchestration.api.routes.metrics import routes as metrics_routes
from orchestration.ports.desk_control import DeskControl

PREFIX = "/api/agentic"
MetricsText = Callable[[], tuple[bytes, str]]
"""Returns the metrics as text, and its content type."""


def create_app(control: DeskControl, *, guard: Guard, metrics: MetricsText | None, version: str) -> ASGIApp:
    """Return the ASGI application over ``control``; nothing starts. ``metrics`` ``None``: metrics are off."""
    app = _Api(
        title="Belltower",
        version=version,
        docs_url=None,  # its pages load scripts from outside
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    app.include_router(health.open_routes(control))
    bearer = HTTPBearer(
        auto_error=False, scheme_name="token", description="A token that the service knows."
    )  # for the document only
    guarded = APIRouter(dependencies=[Security(bearer)], responses=documented(401))
    guarded.include_router(health.routes(control))
    guarded.include_router(metrics_routes(metrics))
    for subject in (system, plan, executions):
        guarded.include_router(subject.routes(control), prefix=PREFIX)
    app.include_router(guarded)
    answer_problems(app)
    return guard.protect(limit_body(app))


class _Api(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """The framework's document, and the schema of a problem, which no route returns by itself."""
        document = super().openapi()
        document["components"]["schemas"].update(schemas())
        return document


def _operation_id(route: APIRoute) -> str:
    return route.name
