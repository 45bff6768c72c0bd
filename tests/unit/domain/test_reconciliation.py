"""What an agent may answer when it is asked about a lost attempt."""

import pytest

from orchestration.domain.errors import DefinitionError
from orchestration.domain.json_value import JsonObject
from orchestration.domain.reconciliation import Finding, Reconciled


@pytest.mark.parametrize(
    "answer",
    [Reconciled.done({"filled": [1]}, "all there"), Reconciled.not_done(), Reconciled.unknown("nobody answers")],
)
def test_an_answer_is_the_same_as_its_json(answer: Reconciled) -> None:
    assert Reconciled.of(answer.to_json()) == answer
    assert Reconciled.of(answer) is answer


def test_only_the_outcome_has_to_be_said() -> None:
    assert Reconciled.of({"outcome": "not_done"}).outcome is Finding.NOT_DONE


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (None, "the answer of reconcile is a NoneType; give outcome"),
        ({"outcome": "dine"}, r"the outcome 'dine'; did you mean 'done'\?"),
        ({}, "the outcome None"),
        ({"outcome": "done", "resalt": 1}, r"the field 'resalt'; did you mean 'result'\?"),
        ({"outcome": "done", "reason": 1}, "the reason 1; give text"),
        ({"outcome": "done", "result": object()}, r"reconcile\.result is a object"),
        ({"outcome": "unknown", "reason": " "}, "needs a reason"),
        ({"outcome": "not_done", "result": 1}, "is not_done has no result"),
    ],
)
def test_what_cannot_be_understood_is_refused(answer: JsonObject | None, complaint: str) -> None:
    with pytest.raises(DefinitionError, match=complaint):
        Reconciled.of(answer)
