"""Random workflow definitions for the properties of the engine."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from orchestration.domain.definition import AgentWork, Announcement, StageDefinition, TaskDefinition, WorkflowDefinition
from orchestration.domain.states import Effects, OnFailure, TaskPriority

START = datetime(2012, 12, 12, 11, tzinfo=UTC)

_soon = st.integers(0, 90).map(lambda seconds: START + timedelta(seconds=seconds))
_limit = st.none() | st.integers(1, 60).map(float)


@st.composite
def definitions(draw: st.DrawFn, *, conditions: bool = True, lively: bool = False) -> WorkflowDefinition:
    """Up to three stages, dated or not, of up to four tasks that need earlier ones; times within a minute or two.

    In ``lively`` ones every stage has a task, and dates and limits are rare, so that more of it is carried out.
    """
    soon = st.integers(0, 5).flatmap(lambda n: _soon if n == 1 else st.none()) if lively else st.none() | _soon
    limit = st.integers(0, 5).flatmap(lambda n: _limit if n == 1 else st.none()) if lively else _limit
    stages: list[StageDefinition] = []
    names: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        stage = f"stage{number}"
        tasks: list[TaskDefinition] = []
        for _ in range(draw(st.integers(1 if lively else 0, 4))):
            name = f"task{len(names)}"
            tasks.append(draw(_tasks(name, stage, names, soon, conditions=conditions)))
            names.append(name)
        stages.append(
            StageDefinition(
                name=stage,
                tasks=tuple(tasks),
                starts_at=draw(soon),
                ends_at=draw(soon),
                on_failure=draw(st.sampled_from(OnFailure)),
                timeout_s=draw(limit),
            )
        )
    return WorkflowDefinition(
        name="random",
        stages=tuple(stages),
        timeout_s=draw(limit),
        ends_by=draw(soon),
        announcements=tuple(
            Announcement(at=at, data={"kind": "open", "details": {}}) for at in draw(st.lists(_soon, max_size=2))
        ),
        env=draw(st.sampled_from([(), ("HOME", "TOKEN")])),
        labels=draw(st.sampled_from([{}, {"session": "2012-12-12"}])),
    )


@st.composite
def _tasks(
    draw: st.DrawFn,
    name: str,
    stage: str,
    earlier: list[str],
    soon: st.SearchStrategy[datetime | None],
    *,
    conditions: bool,
) -> TaskDefinition:
    needed = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=3)) if earlier else []
    return TaskDefinition(
        name=name,
        stage=stage,
        work=AgentWork(agent="junior_analyst", task_type=name, data={"n": draw(st.integers(0, 9))}),
        priority=draw(st.sampled_from(TaskPriority)),
        dependencies=tuple(needed),
        timeout_s=draw(st.integers(1, 30).map(float)),
        max_retries=draw(st.integers(0, 2)),
        retry_delays=draw(st.none() | st.lists(st.integers(0, 9).map(float), max_size=2).map(tuple)),
        starts_at=draw(soon),
        deadline=draw(soon),
        effects=draw(st.sampled_from(Effects)),
        when="wanted" if conditions and draw(st.booleans()) else None,
        skip_conditions=({"context_key": "day", "value": "closed"},) if conditions and draw(st.booleans()) else (),
    )
