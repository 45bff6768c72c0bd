"""The system: its status, and the operator's stop."""

from fastapi import APIRouter

from orchestration.api.problems import BODY_STATUSES, documented
from orchestration.api.routes.documents import Document
from orchestration.api.schemas import HaltRequest, HaltRow, HaltState, ResumeRequest, SystemStatus
from orchestration.ports.desk_control import DeskControl


def routes(control: DeskControl) -> APIRouter:
    """Status, halt and resume."""
    router = APIRouter(prefix="/system", tags=["system"])

    @router.get("/status", response_model=SystemStatus)
    async def system_status() -> Document:
        """What runs, what was done, and the halt that holds."""
        return Document(control.get_system_status())

    @router.post("/halt", responses=documented(*BODY_STATUSES, 503))
    async def halt(request: HaltRequest) -> HaltState:
        """Stop at once in the way of ``level``, until resumed; a halt that holds already is replaced."""
        return HaltState(halt=HaltRow.of(await control.halt(request.level, request.reason, request.by)))

    @router.post("/resume", responses=documented(*BODY_STATUSES, 503))
    async def resume(request: ResumeRequest) -> HaltState:
        """Lift the halt; without one only the audit gains a row."""
        await control.resume(request.reason, request.by)
        return HaltState(halt=None)

    return router
