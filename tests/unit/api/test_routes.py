"""What each route answers, and that the OpenAPI document says so."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx
from pydantic import BaseModel

from orchestration.api.app import create_app
from orchestration.api.guard import Guard
from orchestration.api.routes.documents import Document
from orchestration.api.schemas import Components, Events, Execution, Executions, HaltState, PlanDay, SystemStatus
from orchestration.api.tokens import sha256_of
from orchestration.config import OrchestrationConfig
from orchestration.domain.halts import HaltLevel
from orchestration.domain.states import RunStatus
from orchestration.engine.engine import WorkflowEngine
from tests.unit.api.conftest import TOKEN
from tests.unit.api.fake_desk import NOW, FakeDesk

RUN = f"/api/agentic/executions/{1:032x}"


async def test_live_follows_the_loop(stranger: httpx.AsyncClient, desk: FakeDesk) -> None:
    assert (await stranger.get("/health/live")).json() == {"alive": True}
    desk.turning = False
    answer = await stranger.get("/health/live")
    assert (answer.status_code, answer.json()["alive"]) == (503, False)


async def test_ready_gives_the_reasons_why_not(stranger: httpx.AsyncClient, desk: FakeDesk) -> None:
    assert (await stranger.get("/health/ready")).json() == {"ready": True, "reasons": []}
    desk.reasons = ("store: held", "prices: none")
    answer = await stranger.get("/health/ready")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    document = answer.json()
    assert (document["ready"], document["reasons"]) == (False, ["store: held", "prices: none"])
    assert document["detail"] == "store: held; prices: none"


async def test_components_are_listed_with_state_and_latency(http: httpx.AsyncClient) -> None:
    found = Components.model_validate_json((await http.get("/health/components")).content).components
    assert [(one.name, one.state, one.required, one.latency_ms) for one in found] == [
        ("alerts", "degraded", False, None),
        ("store", "ok", True, 1.5),
    ]
    assert found[0].since == NOW


async def test_metrics_come_as_they_are(http: httpx.AsyncClient) -> None:
    answer = await http.get("/metrics")
    assert (answer.content, answer.headers["content-type"]) == (b"up 1\n", "text/plain; version=0.0.4; charset=utf-8")


async def test_metrics_that_are_off_say_how_to_turn_them_on(desk: FakeDesk) -> None:
    app = create_app(desk, guard=Guard([sha256_of(TOKEN)]), metrics=None, version="1")
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://desk", headers=headers) as http:
        answer = await http.get("/metrics")
    assert answer.status_code == 404
    assert answer.json()["detail"] == "metrics are off: start the service with METRICS_ENABLED=true"


async def test_a_halt_holds_until_it_is_lifted_and_both_are_kept(http: httpx.AsyncClient, desk: FakeDesk) -> None:
    body = {"level": "cancel_all", "reason": "  prices look wrong  "}
    answer = await http.post("/api/agentic/system/halt", json=body)
    row = {"level": "cancel_all", "reason": "prices look wrong", "at": "2012-12-12T14:30:00Z", "by": "api"}
    assert (answer.status_code, answer.json()) == (200, {"halt": row})
    status = SystemStatus.model_validate_json((await http.get("/api/agentic/system/status")).content)
    assert status.halt is not None
    assert status.halt.level is HaltLevel.CANCEL_ALL
    answer = await http.post("/api/agentic/system/resume", json={"reason": "prices are right"})
    assert (answer.status_code, answer.json()) == (200, {"halt": None})
    assert [(row.action, row.by, row.reason) for row in desk.audit] == [
        ("halt", "api", "prices look wrong"),
        ("resume", "api", "prices are right"),
    ]


async def test_a_halt_without_a_level_is_the_mildest(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/agentic/system/halt", json={"reason": "lunch in Zürich 🥨"})
    assert HaltState.model_validate_json(answer.content).halt is not None
    assert (answer.json()["halt"]["level"], answer.json()["halt"]["reason"]) == ("no_new_orders", "lunch in Zürich 🥨")


async def test_a_plan_without_a_date_is_todays(http: httpx.AsyncClient) -> None:
    today = PlanDay.model_validate_json((await http.get("/api/agentic/plan")).content)
    other = PlanDay.model_validate_json((await http.get("/api/agentic/plan?date=2012-12-15")).content)
    assert (today.date.isoformat(), other.date.isoformat()) == ("2012-12-12", "2012-12-15")


async def test_executions_come_newest_first_and_no_more_than_asked_for(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/agentic/executions?limit=2")
    rows = Executions.model_validate_json(answer.content).executions
    assert [row.id for row in rows] == [f"{3:032x}", f"{2:032x}"]
    assert rows[0].created_at == datetime(2012, 12, 12, 14, 30, 0, 3, tzinfo=UTC)


async def test_one_execution_shows_its_stages_and_tasks(http: httpx.AsyncClient) -> None:
    found = Execution.model_validate_json((await http.get(RUN)).content)
    assert (found.status, found.tasks["collect_news"].attempts) == (RunStatus.RUNNING, 1)


async def test_a_run_of_the_engine_fits_the_schema() -> None:
    async def analyze(task_data: dict[str, object]) -> dict[str, object]:
        return {"rates": [1.5, None]}

    async def execute_odd(task_data: dict[str, object]) -> None:
        raise ValueError("no prices")

    agent = SimpleNamespace(analyze=analyze, execute_odd=execute_odd)
    engine = WorkflowEngine({"economist": agent}, OrchestrationConfig(enable_retry=False))
    tasks = [
        {"agent": "economist", "task_type": "even", "name": "first"},
        {"agent": "economist", "task_type": "odd", "name": "second"},
    ]
    stages = {"pre_market": {"tasks": tasks}}
    execution_id = await engine.create_workflow({"name": "two", "stages": stages})
    result = await engine.execute_workflow(execution_id)
    found = Execution.model_validate_json(bytes(Document(result).body))
    assert found.model_extra == {}
    assert "no prices" in (found.tasks["second"].error or "")
    assert (found.execution_id, found.tasks["first"].result) == (execution_id, {"rates": [1.5, None]})


async def test_events_carry_the_names_of_their_columns(http: httpx.AsyncClient) -> None:
    answer = await http.get(f"{RUN}/events")
    assert [event.sequence for event in Events.model_validate_json(answer.content).events] == [1, 2]
    assert answer.json()["events"][0] == {
        "execution_id": f"{1:032x}",
        "sequence": 1,
        "kind": "run_created",
        "at": "2012-12-12T14:30:00Z",
        "stage": None,
        "task": None,
        "data": {"name": "XNYS day 1"},
    }


async def test_a_cancelled_execution_is_answered_as_it_then_is(http: httpx.AsyncClient) -> None:
    answer = await http.post(f"{RUN}/cancel", json={"reason": "a wrong parameter"})
    assert (answer.status_code, Execution.model_validate_json(answer.content).status) == (200, RunStatus.CANCELLED)


async def test_the_openapi_document_is_whole(http: httpx.AsyncClient) -> None:
    document: dict[str, Any] = (await http.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    references = set(referred(document))
    assert document["info"] == {"title": "Belltower", "version": "1.2.3"}
    assert {name.removeprefix("#/components/schemas/") for name in references} <= set(schemas)
    assert {"Problem", "Fault"} <= set(schemas)
    assert not {"HTTPValidationError", "ValidationError"} & set(schemas)
    requests = [schemas[name] for name in schemas if name.endswith("Request")]
    assert [one["additionalProperties"] for one in requests] == [False, False, False]
    assert "by" in schemas["HaltRequest"]["properties"]
    assert "description" in schemas["ResumeRequest"]["properties"]["by"]


async def test_the_document_says_which_routes_want_a_token(http: httpx.AsyncClient) -> None:
    paths = (await http.get("/openapi.json")).json()["paths"]
    free = {path for path, methods in paths.items() for one in methods.values() if "security" not in one}
    assert free == {"/health/live", "/health/ready"}


async def test_no_page_is_served(http: httpx.AsyncClient) -> None:
    assert [(await http.get(path)).status_code for path in ("/", "/docs", "/redoc")] == [404, 404, 404]


def test_the_answers_may_grow_and_the_requests_may_not() -> None:
    models = [one for one in all_models(BaseModel) if one.__module__ == "orchestration.api.schemas"]
    requests = {one.__name__ for one in models if one.model_config.get("extra") == "forbid"}
    assert {"HaltRequest", "ReasonRequest", "PlanQuery", "ExecutionsQuery"} <= requests
    assert all(one.model_config.get("extra") in {"forbid", "allow"} for one in models)


def all_models(root: type[BaseModel]) -> list[type[BaseModel]]:
    return [found for one in root.__subclasses__() for found in (one, *all_models(one))]


def referred(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [
            found
            for key, one in value.items()
            for found in ([one] if key == "$ref" and isinstance(one, str) else referred(one))
        ]
    return [found for one in value for found in referred(one)] if isinstance(value, list) else []
