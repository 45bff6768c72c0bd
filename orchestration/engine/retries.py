"""When a failed task is tried again."""

from orchestration.domain.definition import TaskDefinition
from orchestration.domain.retry import RetryStrategy


def retry_delay(task: TaskDefinition, attempt: int, strategy: RetryStrategy | None) -> float | None:
    """Return the seconds between attempt number ``attempt`` of ``task``, counted from 1, and the next one.

    ``None``: there is no next one. Without delays of its own a task follows ``strategy``; ``None``: nothing is retried.
    """
    if strategy is None or attempt > task.max_retries:
        return None
    if task.retry_delays:
        return task.retry_delays[min(attempt, len(task.retry_delays)) - 1]
    return strategy.get_retry_delay(attempt - 1)
