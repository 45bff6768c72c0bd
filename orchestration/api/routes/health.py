"""How the service is."""

from dataclasses import asdict

from fastapi import APIRouter, Response

from orchestration.api.problems import documented, problem
from orchestration.api.schemas import Alive, Component, Components, Ready
from orchestration.ports.desk_control import DeskControl


def open_routes(control: DeskControl) -> APIRouter:
    """The two that probes ask, without a token."""
    router = APIRouter(prefix="/health", tags=["health"], responses=documented(503))

    @router.get("/live", response_model=Alive)
    async def live() -> Alive | Response:
        """Whether the event loop turns."""
        if control.alive():
            return Alive(alive=True)
        return problem(503, "the event loop does not turn", members={"alive": False})

    @router.get("/ready", response_model=Ready)
    async def ready() -> Ready | Response:
        """Whether every part and dependency is fit; if not, the problem's ``reasons`` say why."""
        found = control.readiness()
        if found.ready:
            return Ready(ready=True)
        reasons = list(found.reasons)
        return problem(503, "; ".join(reasons) or "not ready", members={"ready": False, "reasons": reasons})

    return router


def routes(control: DeskControl) -> APIRouter:
    """What is for callers with a token."""
    router = APIRouter(prefix="/health", tags=["health"])

    @router.get("/components")
    async def components() -> Components:
        """Each part and dependency: its state, since when, why, and how long the last look took."""
        return Components(components=[Component(**asdict(one)) for one in control.components()])

    return router
