"""Carry out attempts in this process: by an agent, a handler or a task type."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from types import SimpleNamespace
from typing import Any, cast

from orchestration.domain.definition import AgentWork, HandlerWork, TypedWork
from orchestration.domain.errors import DefinitionError, nearest
from orchestration.domain.json_value import JsonObject, JsonValue, copy_json
from orchestration.domain.reconciliation import Reconciled
from orchestration.engine.public_events import iso
from orchestration.engine.references import expand
from orchestration.engine.task_types import TaskTypes
from orchestration.ports.executor import Attempt

AgentMethod = Callable[[Mapping[str, JsonValue]], Awaitable[JsonValue]]


class InProcessExecutor:
    """Agents by name, task types by their registry.

    ``services`` are what handlers may ask for as ``context.services``, ``environment`` what ``${env:…}`` may read.
    """

    def __init__(
        self,
        agents: Mapping[str, object],
        task_types: TaskTypes,
        *,
        services: Mapping[str, object],
        environment: Mapping[str, str],
    ) -> None:
        self._agents = agents
        self._task_types = task_types
        self._services = services
        self._environment = environment
        self._methods: dict[tuple[str, str], str] = {}

    async def execute(self, attempt: Attempt) -> JsonValue:
        """Do the work in the caller's task."""
        work = attempt.task.work
        match work:
            case AgentWork():
                # copies, since agents may do with them what they like
                data = copy_json({**work.data, "inputs": attempt.inputs, "execution": _about(attempt)})
                return await self._method(work)(data)
            case HandlerWork():
                return await self._call(work, attempt)
            case TypedWork():
                listed = {name: self._environment[name] for name in attempt.env if name in self._environment}
                config = cast("JsonObject", expand(work.config, attempt.context, listed))
                task = self._task_types.make(work.type, attempt.task.name, config)
                return cast("JsonValue", await task.execute(attempt.context))

    async def reconcile(self, attempt: Attempt) -> Reconciled:
        """Ask the agent, by its ``reconcile_<task_type>`` or ``reconcile``; where there is none, nobody knows."""
        work = attempt.task.work
        if not isinstance(work, AgentWork):
            return Reconciled.unknown(f"a {'handler' if isinstance(work, HandlerWork) else 'task type'} can't be asked")
        agent = self._agents[work.agent]
        for name in (f"reconcile_{work.task_type}", "reconcile"):
            method = getattr(agent, name, None)
            if inspect.iscoroutinefunction(method):
                data = copy_json({**work.data, "inputs": attempt.inputs, "execution": _about(attempt)})
                return Reconciled.of(await method(data), f"what {work.agent} answers to {name}")
        return Reconciled.unknown(f"agent {work.agent!r} has no coroutine function reconcile that could be asked")

    def _method(self, work: AgentWork) -> AgentMethod:
        """The coroutine function that does ``work``; its name is kept, since the search costs more than the rest."""
        agent, asked = self._agents[work.agent], (work.agent, work.task_type)
        name = self._methods.get(asked)
        if name is None or not hasattr(agent, name):
            name = self._methods[asked] = method_name(agent, *asked)
        return cast("AgentMethod", getattr(agent, name))

    async def _call(self, work: HandlerWork, attempt: Attempt) -> JsonValue:
        handler = import_handler(work.handler)
        arguments: dict[str, Any] = copy_json(work.params)
        names = inspect.signature(handler).parameters
        if "inputs" in names:
            arguments["inputs"] = copy_json(attempt.inputs)
        if "context" in names:
            services = SimpleNamespace(**self._services)
            arguments["context"] = SimpleNamespace(services=services, variables=attempt.context, **_about(attempt))
        result = handler(**arguments)
        return cast("JsonValue", await result if inspect.isawaitable(result) else result)


def method_name(agent: object, agent_name: str, task_type: str) -> str:
    """Return the name of the coroutine function of ``agent`` that does ``task_type``.

    Raises `DefinitionError` when it declares that it does not, or has neither ``execute_<task_type>`` nor ``analyze``.
    """
    declared = getattr(agent, "task_types", None)
    if isinstance(declared, frozenset) and task_type not in declared:
        raise DefinitionError(f"agent {agent_name!r} does no {task_type!r}{nearest(task_type, declared)}")
    for name in (f"execute_{task_type}", "analyze"):
        if inspect.iscoroutinefunction(getattr(agent, name, None)):
            return name
    raise DefinitionError(f"agent {agent_name!r} has no coroutine function execute_{task_type} and no analyze")


def import_handler(path: str) -> Callable[..., object]:
    """Return the function at the dotted ``path``. Raises `DefinitionError` when there is none."""
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name, None) if module else None
    except Exception as error:
        raise DefinitionError(f"handler {path!r} can't be imported: {error}") from error
    if not callable(found):
        raise DefinitionError(
            f"handler {path!r} is no function; give its full dotted path, such as package.module.name"
        )
    return cast("Callable[..., object]", found)


def _about(attempt: Attempt) -> dict[str, JsonValue]:
    """What an attempt may know of itself."""
    return {
        **attempt.labels,
        "id": attempt.run_id,
        "workflow": attempt.workflow,
        "stage": attempt.task.stage,
        "task": attempt.task.name,
        "attempt": attempt.number,
        "fencing_token": attempt.token,
        "deadline": None if attempt.deadline is None else iso(attempt.deadline),
    }
