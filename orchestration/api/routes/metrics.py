"""The metrics, for a scraper."""

from collections.abc import Callable

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from orchestration.api.problems import documented


def routes(metrics_text: Callable[[], tuple[bytes, str]] | None) -> APIRouter:
    """One route; with ``None`` it answers that metrics are off."""
    router = APIRouter(tags=["metrics"])

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **documented(404)},
    )
    async def metrics() -> Response:
        """Every metric, in the text format of Prometheus; the metrics token opens this route too."""
        if metrics_text is None:
            raise HTTPException(404, detail="metrics are off: start the service with METRICS_ENABLED=true")
        content, media_type = metrics_text()
        return Response(content, headers={"Content-Type": media_type})

    return router
