"""The plan of a day."""

from typing import Annotated

from fastapi import APIRouter, Query

from orchestration.api.problems import documented
from orchestration.api.routes.documents import Document
from orchestration.api.schemas import PlanDay, PlanQuery
from orchestration.ports.desk_control import DeskControl


def routes(control: DeskControl) -> APIRouter:
    """What runs on a day, when and why."""
    router = APIRouter(tags=["plan"])

    @router.get("/plan", response_model=PlanDay, responses=documented(422))
    async def plan(query: Annotated[PlanQuery, Query()]) -> Document:
        """The day of ``belltower plan --json``: stages, tasks, what is left out and why."""
        return Document(control.plan(query.on))

    return router
