"""Runs, which users call executions: the newest, one with its tasks, its journal, and its end."""

from typing import Annotated

from fastapi import APIRouter, Query

from orchestration.api.problems import BODY_STATUSES, UnknownIdError, documented
from orchestration.api.routes.documents import Document
from orchestration.api.schemas import Events, Execution, ExecutionRow, Executions, ExecutionsQuery, ReasonRequest
from orchestration.domain.errors import DefinitionError
from orchestration.domain.json_value import JsonObject
from orchestration.domain.records import Record, RunSummary
from orchestration.ports.desk_control import DeskControl


def routes(control: DeskControl) -> APIRouter:
    """What ran and what runs."""
    router = APIRouter(prefix="/executions", tags=["executions"], responses=documented(503))

    async def found(execution_id: str) -> JsonObject:
        try:
            return await control.execution(execution_id)
        except DefinitionError as error:
            raise UnknownIdError(error) from None

    @router.get("", responses=documented(422))
    async def executions(query: Annotated[ExecutionsQuery, Query()]) -> Executions:
        """The newest runs, newest first."""
        return Executions(executions=[_row(run) for run in await control.executions(limit=query.limit)])

    @router.get("/{execution_id}", response_model=Execution, responses=documented(404, 422))
    async def execution(execution_id: str) -> Document:
        """The result of a run, or how far it has come."""
        return Document(await found(execution_id))

    @router.get("/{execution_id}/events", response_model=Events, responses=documented(404, 422))
    async def execution_events(execution_id: str) -> Document:
        """The journal of a run, in sequence."""
        try:
            records = await control.events(execution_id)
        except DefinitionError as error:
            raise UnknownIdError(error) from None
        return Document({"events": [_event(record) for record in records]})

    @router.post("/{execution_id}/cancel", response_model=Execution, responses=documented(404, *BODY_STATUSES))
    async def cancel_execution(execution_id: str, request: ReasonRequest) -> Document:
        """End a run; what runs is stopped, and the answer may still show it running. An ended run stays as it is."""
        await found(execution_id)
        await control.cancel(execution_id, request.reason)
        return Document(await found(execution_id))

    return router


def _row(run: RunSummary) -> ExecutionRow:
    return ExecutionRow(
        id=run.run_id,
        name=run.name,
        status=run.status,
        created_at=run.created_at,
        started_at=run.started_at,
        completed_at=run.completed_at,
    )


def _event(record: Record) -> dict[str, object]:
    """The record under the names of its table's columns; a journal can be long, so it goes out unchecked."""
    return {
        "execution_id": record.run_id,
        "sequence": record.sequence,
        "kind": record.kind,
        "at": record.at,
        "stage": record.stage,
        "task": record.task,
        "data": record.data,
    }
