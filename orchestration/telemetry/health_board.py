"""Keep how the parts of the service are, and say from that whether it is ready."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median

from orchestration.domain.errors import DefinitionError, nearest
from orchestration.domain.health import ComponentHealth, Health, Readiness
from orchestration.ports.clock import Clock
from orchestration.telemetry.masking import masked_text

WINDOW = 100
"""How many latencies of a part are remembered."""
ENOUGH = 10
"""How many there must be before one is judged."""
SLOW = 3
"""A part is slow at more than so many times its own median."""
CHECK_LIMIT_S = 5.0

Check = Callable[[], Awaitable[str | None]]
"""Asks a part or a dependency how it is: ``None`` is fit, a text says what it does without, raising is failed."""

_UNFIT = {Health.STARTING, Health.FAILED, Health.STOPPED}


@dataclass(slots=True)
class _Part:
    name: str
    required: bool
    since: datetime
    own: Health = Health.STARTING
    reason: str | None = None
    slow: str | None = None
    shown: Health = Health.STARTING
    latency_ms: float | None = None
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))


@dataclass(frozen=True, slots=True)
class _Look:
    check: Check
    limit_s: float


class HealthBoard:
    """How every part and dependency is, by name.

    A part has the state that was last set; one that is `OK` but slow shows as `DEGRADED`. Names that were not
    registered raise `DefinitionError`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._parts: dict[str, _Part] = {}
        self._looks: dict[str, _Look] = {}

    def register(self, name: str, *, required: bool = True) -> None:
        """Put a part on the board, as `STARTING`. Again, for one that is restarted: its latencies are forgotten."""
        before = self._parts.get(name)
        same = before is not None and before.shown is Health.STARTING
        since = before.since if before is not None and same else self._clock.now()
        self._parts[name] = _Part(name=name, required=required, since=since)

    def add_check(self, name: str, check: Check, *, required: bool = True, limit_s: float = CHECK_LIMIT_S) -> None:
        """Register ``name`` and have `run_checks` call ``check``, for at most ``limit_s`` seconds."""
        self.register(name, required=required)
        self._looks[name] = _Look(check, limit_s)

    def set(self, name: str, state: Health, reason: str | None = None) -> None:
        """Say how ``name`` is. Secrets in ``reason`` are masked: readiness is open to everybody."""
        part = self._part(name)
        part.own, part.reason = state, None if reason is None else masked_text(reason)
        self._settle(part)

    def observe(self, name: str, latency_ms: float) -> None:
        """Judge ``latency_ms`` by the part's median so far, and remember it."""
        part = self._part(name)
        part.latency_ms, part.slow = latency_ms, None
        if len(part.latencies) >= ENOUGH and latency_ms > SLOW * (usual := median(part.latencies)):
            part.slow = f"took {latency_ms:.3g} ms, usually {usual:.3g} ms"
        part.latencies.append(latency_ms)
        self._settle(part)

    def components(self) -> tuple[ComponentHealth, ...]:
        """Every part and dependency, sorted by name."""
        return tuple(
            ComponentHealth(
                name=name,
                state=part.shown,
                since=part.since,
                required=part.required,
                reason=part.slow if part.shown is not part.own else part.reason,
                latency_ms=part.latency_ms,
            )
            for name, part in sorted(self._parts.items())
        )

    def readiness(self) -> Readiness:
        """Ready once there are parts and every required one is `OK` or `DEGRADED`; else why not, by name."""
        if not self._parts:
            return Readiness(ready=False, reasons=("no part has been started yet",))
        unfit = [one for one in self.components() if one.required and one.state in _UNFIT]
        reasons = (f"{one.name} is {one.state}" + (f": {one.reason}" if one.reason else "") for one in unfit)
        return Readiness(ready=not unfit, reasons=tuple(reasons))

    async def run_checks(self) -> None:
        """Make every check once, side by side, and put what they find on the board; raises nothing of theirs.

        A cancelled round leaves what it has found so far.
        """
        async with asyncio.TaskGroup() as group:
            for name, look in tuple(self._looks.items()):
                group.create_task(self._check(name, look))

    async def _check(self, name: str, look: _Look) -> None:
        began = self._clock.monotonic()
        try:
            async with self._clock.timeout(look.limit_s):
                lacking = await look.check()
        except TimeoutError:
            self._failed(name, began, f"no answer within {look.limit_s:g} s")
        except Exception as error:  # noqa: BLE001 (whatever a check raises is its finding)
            self._failed(name, began, f"{type(error).__name__}: {error}")
        else:
            self.set(name, Health.OK if lacking is None else Health.DEGRADED, lacking)
            self.observe(name, self._since_ms(began))

    def _failed(self, name: str, began: float, reason: str) -> None:
        part = self._part(name)
        part.latency_ms, part.slow = self._since_ms(began), None  # no sample: it is not how long the answer takes
        self.set(name, Health.FAILED, reason)

    def _since_ms(self, began: float) -> float:
        return round((self._clock.monotonic() - began) * 1000, 3)

    def _settle(self, part: _Part) -> None:
        shown = Health.DEGRADED if part.own is Health.OK and part.slow else part.own
        if shown is not part.shown:
            part.shown, part.since = shown, self._clock.now()

    def _part(self, name: str) -> _Part:
        part = self._parts.get(name)
        if part is None:
            raise DefinitionError(f"no part {name!r} is on the health board{nearest(name, self._parts)}")
        return part
