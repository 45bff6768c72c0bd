"""The rules of the engine's small parts: references, expressions."""

import operator
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestration.domain.errors import DefinitionError, FinalError
from orchestration.domain.json_value import JsonValue
from orchestration.engine.expressions import parse
from orchestration.engine.references import expand

_names = st.sampled_from(["a", "price", "rows_result", "x9"])
_values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("${}ab.env:[0]", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["k", "l"]), inner, max_size=2),
    max_leaves=5,
)


@given(_values)
def test_what_holds_no_reference_stays_as_it_is(value: JsonValue) -> None:
    if "${" not in repr(value):
        assert expand(value, {}, {}) == value


@given(_names, _values)
def test_a_text_that_is_one_reference_becomes_the_value_itself(name: str, value: JsonValue) -> None:
    assert expand(f"${{{name}}}", {name: value}, {}) == value


@given(_names, st.text("${}ab.env:[0]", max_size=12))
def test_what_was_put_in_is_not_looked_at_again(name: str, text: str) -> None:
    assert expand(f"<${{{name}}}>", {name: text}, {"a": "a secret", "b": "another"}) == f"<{text}>"


@given(st.text("${}ab.env:[0] k", max_size=20))
def test_a_text_is_expanded_or_refused_and_never_anything_else(text: str) -> None:
    with suppress(DefinitionError):
        expand(text, {"a": {"k": [1]}}, {"b": "B"})


_words = st.sampled_from(
    ["price", "rsi", "rows", "name", "nothing", "and", "or", "not", "in", "true", "false", "null", "abs", "min", "max",
     "len", "(", ")", "[", "]", ",", ".", "+", "-", "*", "/", "==", "!=", "<", ">=", "1", "0", "2.5", "1e308", "'up'",
     '"x"', "${", "}", "99999999999999999999", "import", "__class__"]
)  # fmt: skip
_scope: dict[str, JsonValue] = {"price": 1.2, "rsi": 25, "rows": [{"id": 7}], "name": "EUR", "null_one": None}


@given(st.one_of(st.text(max_size=40), st.lists(_words, max_size=12).map(" ".join)))
@example("(" * 5000)
@example("not " * 5000 + "price")
@example("-" * 5000 + "1")
@example("+".join(["1"] * 5000))
@example("9" * 5000)
@example("price[" + "9" * 5000 + "]")
@example("'ab' * 99999999999999")
@example(" * ".join(["99999999999999999999"] * 40) + " / 1")
@example(" * ".join(["99999999999999999999"] * 40) + " + 1.5")
@example("rows[99999999999999999999]")
@example("rows[0].id.real")
def test_any_text_is_worked_out_or_refused(text: str) -> None:
    with suppress(DefinitionError, FinalError):
        parse(text).evaluate(_scope)


@given(st.integers(-99, 99), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.integers(0, 99))
def test_comparisons_are_those_of_numbers(left: int, sign: str, right: int) -> None:
    signs = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq,
             "!=": operator.ne}  # fmt: skip
    assert parse(f"x {sign} {right}").evaluate({"x": left}) is signs[sign](left, right)


@given(a=st.booleans(), b=st.booleans(), c=st.booleans())
def test_and_binds_more_tightly_than_or_and_not_the_most(*, a: bool, b: bool, c: bool) -> None:
    scope: dict[str, JsonValue] = {"a": a, "b": b, "c": c}
    assert parse("a or not b and c").evaluate(scope) is (a or ((not b) and c))
    assert parse("(a or not b) and c").evaluate(scope) is ((a or (not b)) and c)


@given(st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 9))
def test_sums_and_products_are_worked_out_in_the_usual_order(a: int, b: int, c: int) -> None:
    scope: dict[str, JsonValue] = {"a": a, "b": b, "c": c}
    assert parse("a - b * c - -b / c").evaluate(scope) == a - b * c - -b / c


@pytest.mark.parametrize("text", ["f(1)", "x.__class__()", "lambda: 1", "[1, 2]", "x = 1", "1 if x else 2", "x; y", ""])
def test_what_is_no_condition_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(DefinitionError, match=r"write it like: price > 1\.10 and rsi < 30"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true and not false", True),
        ("nothing_here == null", True),
        ("name == 'EUR' and name in names", True),
        ("max(1, price, abs(-3)) + min(1, 2) + len(names)", 6),
        ("${rows[0].id} * 2.5", 17.5),
        ("1e3 - 0.5", 999.5),
        ("order + android", 3),
        ("'a' + \"b\"", "ab"),
    ],
)
def test_what_a_condition_can_say(text: str, value: object) -> None:
    scope: dict[str, JsonValue] = {"nothing_here": None, "name": "EUR", "names": ["EUR", "USD"], "price": 1.2}
    assert parse(text).evaluate({**scope, "rows": [{"id": 7}], "order": 1, "android": 2}) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("price >", r"'price >' can't be read at its end; write it like"),
        ("price = 1", r"can't be read at column 7"),
        ("not " * 5000 + "x", "is nested too deeply"),
        ("9" * 5000, "can't be read"),
    ],
)
def test_what_can_not_be_read_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        parse(text)


@pytest.mark.parametrize("text", ["'a' * 3", "names * 3", "1 / 0", "price < 'x'", "len(5)", "-name", "1 in 5"])
def test_what_can_not_be_worked_out_is_final(text: str) -> None:
    with pytest.raises(FinalError, match="can't be worked out"):
        parse(text).evaluate({"price": 1.2, "names": ["a"], "name": "a"})
