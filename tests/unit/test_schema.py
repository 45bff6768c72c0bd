"""What comes from outside is read, or refused with one line that says what, where and how to mend it."""

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from orchestration.domain.errors import DefinitionError
from orchestration.schema import validate


class Leg(BaseModel):
    model_config = ConfigDict(extra="forbid")

    quantity: int = 1


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    symbol: str
    kind: str = Field("market", alias="type")
    legs: list[Leg] | None = None

    @field_validator("symbol")
    @classmethod
    def _capitals(cls, value: str) -> str:
        if not value.isupper():
            raise ValueError("Write it in capitals")
        return value


def test_what_is_right_becomes_the_model() -> None:
    order = validate(Order, {"symbol": "AAPL", "type": "limit", "legs": [{"quantity": 3}]})
    assert (order.symbol, order.kind, order.legs) == ("AAPL", "limit", [Leg(quantity=3)])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"symbl": "AAPL", "symbol": "AAPL"}, "the definition: there is no field 'symbl'; did you mean 'symbol'?"),
        ({"symbol": "AAPL", "typ": "limit"}, "the definition: there is no field 'typ'; did you mean 'type'?"),
        (
            {"symbol": "AAPL", "legs": [{}, {"quantty": 2}]},
            "legs[1]: there is no field 'quantty'; did you mean 'quantity'?",
        ),
        ({}, "symbol: field required"),
        ({"symbol": "aapl"}, "symbol: write it in capitals (given: 'aapl')"),
        ({"symbol": 3}, "symbol: input should be a valid string (given: 3)"),
        ([], "the definition: input should be a valid dictionary: names and values, such as `name: value`"),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_the_nearest_right_name(given: object, said: str) -> None:
    with pytest.raises(DefinitionError) as error:
        validate(Order, given)
    assert str(error.value) == said


def test_a_file_is_named_before_the_place_in_it() -> None:
    with pytest.raises(DefinitionError, match=r"^orders\.yaml: legs\[0\]\.quantity: "):
        validate(Order, {"symbol": "AAPL", "legs": [{"quantity": "many"}]}, "orders.yaml")


def test_only_the_first_fault_is_told_and_a_long_value_is_cut() -> None:
    with pytest.raises(DefinitionError) as error:
        validate(Order, {"symbol": "a" * 100, "legs": 4})
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("...)")
    assert len(str(error.value)) < 130
