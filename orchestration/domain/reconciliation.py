"""What an agent answers when it is asked what an attempt that was lost with its process brought about."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from orchestration.domain.errors import DefinitionError, nearest
from orchestration.domain.json_value import JsonObject, JsonValue, to_json_value


class Finding(StrEnum):
    """How a lost attempt is to be taken."""

    DONE = "done"
    """All of it happened: the task has its result, and does not run again."""
    NOT_DONE = "not_done"
    """Nothing happened, or another attempt finds what did and goes on from there: it is safe to run again."""
    UNKNOWN = "unknown"
    """Nobody can tell: a person has to look before anything is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """The answer: ``result`` is the task's where it was done, else ``None``; ``reason`` says how it was found out."""

    outcome: Finding
    result: JsonValue = None
    reason: str = ""

    def __post_init__(self) -> None:
        if self.outcome is not Finding.DONE and self.result is not None:
            raise DefinitionError(f"an attempt that is {self.outcome} has no result; leave it out, or answer 'done'")
        if self.outcome is Finding.UNKNOWN and not self.reason.strip():
            raise DefinitionError("an attempt whose outcome is unknown needs a reason: say what could not be found out")

    @classmethod
    def done(cls, result: JsonValue, reason: str = "") -> "Reconciled":
        """It happened, and this is what the task leaves."""
        return cls(outcome=Finding.DONE, result=result, reason=reason)

    @classmethod
    def not_done(cls, reason: str = "") -> "Reconciled":
        """The task may run again."""
        return cls(outcome=Finding.NOT_DONE, reason=reason)

    @classmethod
    def unknown(cls, reason: str) -> "Reconciled":
        """The task must not run again before somebody has looked."""
        return cls(outcome=Finding.UNKNOWN, reason=reason)

    @classmethod
    def of(cls, answer: object, where: str = "the answer of reconcile") -> "Reconciled":
        """Return an agent's ``answer``, which is one of these or the same as a mapping.

        Raises `DefinitionError` for anything else: an answer that cannot be understood is no "not done".
        """
        if isinstance(answer, cls):
            return answer
        if not isinstance(answer, Mapping):
            raise DefinitionError(f"{where} is a {type(answer).__name__}; give outcome, and result or reason")
        unknown = sorted(str(key) for key in answer.keys() - {"outcome", "result", "reason"})
        if unknown:
            raise DefinitionError(f"{where} has the field {unknown[0]!r}{nearest(unknown[0], cls.__slots__)}")
        outcome, reason = answer.get("outcome"), answer.get("reason", "")
        if not isinstance(outcome, str) or outcome not in set(Finding):
            raise DefinitionError(
                f"{where} has the outcome {outcome!r}{nearest(str(outcome), [one.value for one in Finding])}"
            )
        if not isinstance(reason, str):
            raise DefinitionError(f"{where} has the reason {reason!r}; give text")
        result = to_json_value(answer.get("result"), f"{where}.result")
        return cls(outcome=Finding(outcome), result=result, reason=reason)

    def to_json(self) -> JsonObject:
        """What `of` reads."""
        return {"outcome": self.outcome.value, "result": self.result, "reason": self.reason}
