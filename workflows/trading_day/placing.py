"""Give the tasks of a kind of day their moments, and say why those that find none are left out."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from orchestration.days.earnings import When
from orchestration.days.stage_times import DatedStage, StageName, stage_at
from orchestration.domain.errors import DefinitionError
from orchestration.domain.json_value import JsonObject, JsonValue
from orchestration.domain.recurrence import latest_not_after, occurrence_name, occurrences
from orchestration.domain.restrictions import Restriction
from orchestration.domain.session import Interval, Session
from orchestration.domain.states import Effects
from workflows.trading_day.day_plan import PlannedStage, PlannedTask, SkippedTask, iso
from workflows.trading_day.moments import MISSING, Anchor, Moment, parse_moment
from workflows.trading_day.overlays import TaskSpec

NO_PRICES = "no usable prices"
WRAPPING_UP = timedelta(minutes=1)
"""What a task that works orders until its deadline has left to cancel and report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What a day gives its tasks to hang on.

    ``session`` is ``None`` on a closed day. ``anchors`` are those of the day, without the stages' own. ``prices``:
    whether anything can be traded. ``symbols`` are the names that report, by ``reports`` of a task.
    """

    session: Session | None
    stages: tuple[DatedStage, ...]
    anchors: Mapping[Anchor, datetime]
    restrictions: tuple[Restriction, ...] = ()
    prices: bool = True
    symbols: Mapping[When, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """A task, or one occurrence of it, that found its moment ``at``; ``refused`` says why it is left out after all."""

    spec: TaskSpec
    name: str
    stage: DatedStage
    at: datetime
    deadline: datetime
    refused: str | None = None


def place(
    specs: Iterable[TaskSpec], frame: Frame, removed: Collection[str] = ()
) -> tuple[tuple[PlannedStage, ...], tuple[SkippedTask, ...]]:
    """Return the stages of ``frame`` with those of ``specs`` that can run in them, and the others with their reasons.

    ``removed`` names tasks that were taken away before: what needs them is treated as if they had been left out here.
    """
    wanted = [spec for spec in specs if spec.reports is None or frame.symbols.get(spec.reports)]
    placed: list[_Placed] = []
    skipped: list[SkippedTask] = []
    for spec in wanted:
        found = _placed(spec, frame)
        if isinstance(found, str):
            skipped.append(SkippedTask(name=spec.name, reason=found))
        else:
            placed += [replace(item, refused=_refusal(item, frame)) for item in found]
    needs = _Needs(placed, {*removed, *(task.name for task in skipped)})
    needs.settle()
    skipped += [SkippedTask(name=p.name, reason=p.refused) for p in needs.all if p.refused]
    kept = sorted((p for p in needs.all if not p.refused), key=lambda p: p.at)
    order = [stage.name for stage in frame.stages]
    _check_backwards(kept, needs, order)
    stages = tuple(
        PlannedStage(
            name=stage.name.value,
            starts_at=stage.span.starts_at,
            ends_at=stage.span.ends_at,
            tasks=tuple(_planned(p, needs, frame) for p in kept if p.stage.name is stage.name),
        )
        for stage in frame.stages
    )
    return stages, tuple(skipped)


def _placed(spec: TaskSpec, frame: Frame) -> list[_Placed] | str:
    """Return the moments of ``spec`` on this day, or why it has none."""
    if spec.stage is None:
        stage = None
        anchors = frame.anchors
    else:
        stage = next((s for s in frame.stages if s.name is spec.stage), None)
        if stage is None:
            return f"the session leaves no time for the stage {spec.stage}"
        anchors = {**frame.anchors, Anchor.START: stage.span.starts_at, Anchor.END: stage.span.ends_at}
    start, deadline = stage.span.starts_at if stage else None, None
    for moment in (spec.starts, spec.not_after, spec.deadline):
        if moment is not None and moment.on(anchors) is None:
            return MISSING.get(moment.anchor, "the exchange is closed")
    start = _resolved(spec.starts, anchors) or start
    limit, deadline = _resolved(spec.not_after, anchors), _resolved(spec.deadline, anchors)
    if start is None:
        raise DefinitionError(f"{spec.name} needs starts, since no stage says when it runs")
    if limit is not None:
        start = min(start, limit)
    if spec.every is None:
        return _once(spec, stage or stage_at(frame.stages, start), start, deadline, frame)
    return _recurring(spec, spec.every, stage, start, deadline, frame)


def _resolved(moment: Moment | None, anchors: Mapping[Anchor, datetime]) -> datetime | None:
    return moment.on(anchors) if moment else None


def _once(
    spec: TaskSpec, stage: DatedStage | None, start: datetime, deadline: datetime | None, frame: Frame
) -> list[_Placed] | str:
    if stage is None:
        return f"{_clock(start)} is outside the day's stages"
    if start not in stage.span:
        return f"{_clock(start)} is outside the stage {stage.name}, {_span(stage.span)}"
    deadline = min(deadline or stage.span.ends_at, stage.span.ends_at)
    if deadline <= start:
        return f"its deadline {_clock(deadline)} is not after {_clock(start)}"
    deadline = _before_restrictions(spec, start, deadline, frame)
    return [_Placed(spec=spec, name=spec.name, stage=stage, at=start, deadline=deadline)]


def _before_restrictions(spec: TaskSpec, start: datetime, deadline: datetime, frame: Frame) -> datetime:
    """Return the deadline of ``spec``, which works its orders until then: what opens positions is done before a window.

    Windows of single names are left to the broker's gate: the task has others to trade.
    """
    ahead = [r.starts_at for r in frame.restrictions if r.symbols is None and start < r.starts_at]
    return min(deadline, *ahead) if spec.opens_positions and ahead else deadline


def _recurring(
    spec: TaskSpec,
    every: timedelta,
    stage: DatedStage | None,
    start: datetime,
    deadline: datetime | None,
    frame: Frame,
) -> list[_Placed] | str:
    last = stage.span.ends_at if stage else frame.anchors[Anchor.CLOSE]
    end = min(deadline, last) if stage and deadline else deadline or last
    first = stage.span.starts_at if stage else frame.stages[0].span.starts_at
    if not first <= start < end:
        return (
            f"{_clock(start)} is outside {_span(Interval(starts_at=first, ends_at=end)) if first < end else 'the day'}"
        )
    breaks = frame.session.breaks if frame.session else ()
    moments = occurrences(Interval(starts_at=start, ends_at=end), every, breaks)
    found = []
    for moment, following in zip(moments, [*moments[1:], end], strict=True):
        own = stage or stage_at(frame.stages, moment)
        if own is not None:
            name = occurrence_name(spec.name, moment)
            until = _before_restrictions(spec, moment, min(following, own.span.ends_at), frame)
            found.append(_Placed(spec=spec, name=name, stage=own, at=moment, deadline=until))
    return found or "the exchange pauses at every moment of it"


def _refusal(item: _Placed, frame: Frame) -> str | None:
    """Return why what has a moment is left out all the same."""
    if not item.spec.sends_orders:
        return None
    if frame.session is None:
        return "the exchange is closed"
    if not frame.prices and item.spec.effects is Effects.ORDERS:
        return NO_PRICES
    if not frame.session.is_open(item.at):
        return f"the exchange is closed at {_clock(item.at)}"
    if item.spec.opens_positions:
        for restriction in frame.restrictions:
            if restriction.holds(item.at):
                return f"{restriction.level} from {_span_of(restriction)}: {restriction.reason}"
    return None


class _Needs:
    """What depends on what among the placed tasks of one day."""

    def __init__(self, placed: Iterable[_Placed], left_out: Collection[str]) -> None:
        self._left_out = left_out
        self._by_task: dict[str, list[_Placed]] = {}
        for item in placed:
            self._by_task.setdefault(item.spec.name, []).append(item)

    @property
    def all(self) -> list[_Placed]:
        """Everything placed, in order."""
        return [item for items in self._by_task.values() for item in items]

    def settle(self) -> None:
        """Leave out the order tasks whose input was left out, and those that need them, until nothing changes.

        An order without the decision that it carries out would be a guess; an analysis only knows less.
        """
        changed = True
        while changed:
            changed = False
            for items in self._by_task.values():
                for index, item in enumerate(items):
                    if item.refused or not item.spec.sends_orders:
                        continue
                    missing = next((name for name in item.spec.dependencies if self._missing(name, item)), None)
                    if missing:
                        items[index] = replace(item, refused=f"it needs {missing}, which is left out")
                        changed = True

    def of(self, item: _Placed) -> tuple[str, ...]:
        """Return the names of what ``item`` waits for, once `settle` is through."""
        found = (self._meant(name, item) for name in item.spec.dependencies)
        return tuple(dict.fromkeys(needed.name for needed in found if needed and not needed.refused))

    def _missing(self, name: str, item: _Placed) -> bool:
        # What this kind of day does not have, and a recurring task that has not begun by then, is no loss.
        meant = self._meant(name, item)
        return name in self._left_out or (meant is not None and meant.refused is not None)

    def _meant(self, name: str, item: _Placed) -> _Placed | None:
        """Return the occurrence of ``name`` that ``item`` waits for.

        Between two of one period it is that of the same moment, left out or not: an older answer is not the answer.
        """
        items = self._by_task.get(name, [])
        if not items or items[0].spec.every is None:
            return items[0] if items else None
        if items[0].spec.every == item.spec.every:
            same = next((other for other in items if other.at == item.at), None)
            if same:
                return same
        kept = {other.at: other for other in items if not other.refused}
        latest = latest_not_after(sorted(kept), item.at)
        return kept[latest] if latest else None


def _check_backwards(kept: Sequence[_Placed], needs: _Needs, order: Sequence[StageName]) -> None:
    stages = {item.name: item.stage.name for item in kept}
    for item in kept:
        for name in needs.of(item):
            if order.index(stages[name]) > order.index(item.stage.name):
                raise DefinitionError(
                    f"{item.name} in {item.stage.name} needs {name}, which runs later, in {stages[name]}: "
                    "move one of them or take the dependency away"
                )


def _planned(item: _Placed, needs: _Needs, frame: Frame) -> PlannedTask:
    spec = item.spec
    names = frame.symbols.get(spec.reports, ()) if spec.reports else ()
    own_moment = spec.every is not None or spec.starts is not None or spec.not_after is not None
    return PlannedTask(
        name=item.name,
        agent=spec.agent,
        task_type=spec.task_type,
        priority=spec.priority,
        dependencies=needs.of(item),
        starts_at=item.at if own_moment else None,
        deadline=item.deadline,
        day_type=spec.day_type,
        task_data={**({"symbols": list(names)} if spec.reports else {}), **_dated_data(spec.task_data, frame)},
        effects=spec.effects,
        timeout_s=spec.timeout_s or _working_time(item),
        max_retries=spec.max_retries,
    )


def _working_time(item: _Placed) -> float | None:
    """Return the limit (seconds) of an attempt that works orders until its deadline; ``None``: the default's."""
    if item.spec.effects is not Effects.ORDERS:
        return None
    return (item.deadline - item.at + WRAPPING_UP).total_seconds()


def _dated_data(data: JsonObject, frame: Frame) -> dict[str, JsonValue]:
    """Return ``data`` with each ``@moment`` as an instant; null where the day has no such moment."""
    dated = dict(data)
    for key, value in data.items():
        if isinstance(value, str) and value.startswith("@"):
            at = parse_moment(value[1:]).on(frame.anchors)
            dated[key] = None if at is None else iso(at)
    return dated


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%SZ}" if moment.second else f"{moment:%H:%MZ}"


def _span(span: Interval) -> str:
    return f"{_clock(span.starts_at)} to {_clock(span.ends_at)}"


def _span_of(restriction: Restriction) -> str:
    return f"{_clock(restriction.starts_at)} to {_clock(restriction.ends_at)}"
