"""Read what a task was given, and write what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from agents.base import Services
from orchestration.domain.errors import DefinitionError
from orchestration.domain.json_value import JsonObject, JsonValue

TaskData = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Which attempt of which run this is; ``deadline`` is aware, ``None`` where there is none."""

    run_id: str
    task: str
    attempt: int
    deadline: datetime | None
    session: date | None
    next_session: date | None


def execution_of(task_data: TaskData) -> Execution:
    """Return what ``task_data["execution"]`` says; a call by hand, without it, is attempt 1 of the run ``manual``."""
    given = mapping(task_data, "execution")
    session, following = given.get("session"), given.get("next_session")
    attempt = given.get("attempt", 1)
    return Execution(
        run_id=str(given.get("id", "manual")),
        task=str(given.get("task", "task")),
        attempt=attempt if isinstance(attempt, int) else 1,
        deadline=moment(given, "deadline"),
        session=date.fromisoformat(str(session)) if session else None,
        next_session=date.fromisoformat(str(following)) if following else None,
    )


def session_date(task_data: TaskData, services: Services) -> date:
    """Return the date of the session: the run's, else the exchange's date by the clock."""
    return execution_of(task_data).session or services.clock.now().astimezone(services.timezone).date()


def last_day_of(task_data: TaskData, services: Services) -> date:
    """Return the day before the next session: what expires by then can be traded today for the last time.

    The session's own date where nobody says when the next session is.
    """
    following = execution_of(task_data).next_session
    on = session_date(task_data, services)
    return on if following is None else max(on, following - timedelta(days=1))


def symbols_of(task_data: TaskData, services: Services) -> tuple[str, ...]:
    """Return the task's own symbols, else the desk's, each once, in the order given."""
    given = task_data.get("symbols")
    if given is None:
        return services.desk.symbols
    if isinstance(given, str) or not isinstance(given, list | tuple) or not all(isinstance(s, str) for s in given):
        raise DefinitionError(f"symbols is {given!r}; give a list of names, such as ['AAPL', 'IBM']")
    return tuple(dict.fromkeys(str(symbol) for symbol in given))


def number(task_data: TaskData, key: str, default: float, *, low: float, high: float) -> float:
    """Return the number under ``key``, ``low`` to ``high``. Raises `DefinitionError` for anything else."""
    value = task_data.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise DefinitionError(f"{key} is {value!r}; give a number from {low:g} to {high:g}")
    return float(value)


def moment(task_data: TaskData, key: str) -> datetime | None:
    """Return the aware instant under ``key`` (ISO 8601), or ``None``."""
    value = task_data.get(key)
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        raise DefinitionError(f"{key} is {value!r}; write an instant such as 2012-12-12T17:30:00Z") from None
    if at.tzinfo is None:
        raise DefinitionError(f"{key} is {value!r}, without a zone; write an instant such as 2012-12-12T17:30:00Z")
    return at


def mapping(given: TaskData, key: str) -> JsonObject:
    """Return the object under ``key``; an empty one where there is none."""
    value = given.get(key)
    return value if isinstance(value, Mapping) else {}


def rows(given: TaskData, key: str) -> list[JsonObject]:
    """Return the objects of the list under ``key``; none where there is no list."""
    value = given.get(key)
    if isinstance(value, str) or not isinstance(value, list | tuple):
        return []
    return [row for row in value if isinstance(row, Mapping)]


def number_or_none(given: TaskData, key: str) -> float | None:
    """Return the number under ``key``, ``None`` where there is none."""
    value = given.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def inputs_of(task_data: TaskData) -> list[tuple[str, JsonObject | None]]:
    """Return the inputs in order: the task's name up to its ``@``, and its result, ``None`` where that is no object."""
    given = mapping(task_data, "inputs")
    return [(name.partition("@")[0], v if isinstance(v, Mapping) else None) for name, v in given.items()]


def input_of(task_data: TaskData, task_type: str) -> JsonObject | None:
    """Return the last result that a task of this type left: found by the task's name, else by the result's own word.

    ``None``: there is no such input, or the task was skipped.
    """
    inputs = inputs_of(task_data)
    named = [result for name, result in inputs if name == task_type]
    if named:
        return named[-1]
    typed = [result for _, result in inputs if result is not None and result.get("task_type") == task_type]
    return typed[-1] if typed else None


def answer(task_type: str, *, method: str, conclusion: str, **data: JsonValue) -> JsonObject:
    """Return the result of a task: how it was worked out, one plain sentence for people, and the data."""
    return {"task_type": task_type, "method": method, "conclusion": conclusion, **data}


def listed(names: list[str] | tuple[str, ...], nothing: str = "none") -> str:
    """Return names as a person would say them: ``A, B and C``."""
    if not names:
        return nothing
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
