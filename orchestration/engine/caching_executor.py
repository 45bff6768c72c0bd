"""Reuse the results of tasks that say they may be reused."""

import hashlib
import logging
from collections.abc import Mapping
from datetime import timedelta

import orjson

from orchestration.domain.definition import CachePolicy
from orchestration.domain.errors import DefinitionError
from orchestration.domain.json_value import JsonValue, to_json_value
from orchestration.domain.reconciliation import Reconciled
from orchestration.engine.references import expand
from orchestration.ports.clock import Clock
from orchestration.ports.executor import Attempt, Executor
from orchestration.ports.result_cache import CachedResult, ResultCache

_log = logging.getLogger(__name__)


class CachingExecutor:
    """Looks into ``cache`` before it has ``inner`` do the work of a task with a cache policy, and puts what came of it.

    Two attempts that ask for the same at once both work for it. What goes wrong with the cache is a warning, and the
    task runs. ``environment`` is what ``${env:…}`` in a key may read.
    """

    def __init__(self, inner: Executor, cache: ResultCache, clock: Clock, *, environment: Mapping[str, str]) -> None:
        self._inner = inner
        self._cache = cache
        self._clock = clock
        self._environment = environment

    async def execute(self, attempt: Attempt) -> "JsonValue | CachedResult":
        """Return the kept result, else do the work. Raises `DefinitionError` for a key that can't be worked out."""
        policy = attempt.task.cache
        if policy is None:
            return await self._inner.execute(attempt)
        key = self._key(policy, attempt)
        found = await self._get(key, attempt)
        if found is not None:
            _log.debug("attempt %s of %s takes its result from the cache", attempt.number, attempt.task.name)
            return found
        result = await self._inner.execute(attempt)
        if not isinstance(result, CachedResult):
            result = to_json_value(result, "the result of " + attempt.task.name)
            await self._put(key, result, policy, attempt)
        return result

    async def reconcile(self, attempt: Attempt) -> Reconciled:
        """Ask ``inner``: the cache knows nothing of what an attempt did."""
        return await self._inner.reconcile(attempt)

    def _key(self, policy: CachePolicy, attempt: Attempt) -> str:
        """A digest: what the key is made of may be long, or nobody else's business."""
        listed = {name: self._environment[name] for name in attempt.env if name in self._environment}
        try:
            key = expand(policy.key, attempt.context, listed)
        except DefinitionError as error:
            raise DefinitionError(f"cache.key: {error}") from error
        work = type(attempt.task.work).__name__
        scope = [work, attempt.task.agent, attempt.task.type, key]
        return hashlib.sha256(orjson.dumps(scope, option=orjson.OPT_SORT_KEYS)).hexdigest()

    async def _get(self, key: str, attempt: Attempt) -> CachedResult | None:
        try:
            return await self._cache.get(key, self._clock.now())
        except Exception as error:  # noqa: BLE001 (whatever it is, the task runs without)
            _log.warning("the cache was not read for %s, which runs: %s", attempt.task.name, error)
            return None

    async def _put(self, key: str, result: JsonValue, policy: CachePolicy, attempt: Attempt) -> None:
        try:
            await self._cache.put(key, result, self._clock.now() + timedelta(seconds=policy.ttl_s))
        except Exception as error:  # noqa: BLE001 (whatever it is, the task has its result)
            _log.warning("the result of %s was not put into the cache: %s", attempt.task.name, error)
