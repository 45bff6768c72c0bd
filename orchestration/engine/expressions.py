"""Conditions in words: ``price > 1.10 and rsi < 30``. Parsed once; no attributes, no calls but a listed few.

A name is looked up in a mapping; dots and brackets go into what was found (``check_result.stdout``, ``rows[0].id``).
Comparing, ``and``, ``or``, ``not``, ``+ - * /``, ``in``, numbers, quoted text, ``true``, ``false``, ``null``,
``abs(x)``, ``min(a, b)``, ``max(a, b)``, ``len(x)``.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import add, eq, ge, gt, le, lt, ne, sub, truediv
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import LarkError, UnexpectedInput

from orchestration.domain.errors import DefinitionError, FinalError, nearest
from orchestration.domain.json_value import JsonValue

Scope = Mapping[str, JsonValue]
_Term = Callable[[Scope], Any]

_GRAMMAR = r"""
?start: either
?either: both | either "or" both -> either
?both: negation | both "and" negation -> both
?negation: "not" negation -> negate | comparison
?comparison: sum | sum COMPARISON sum -> compare | sum "in" sum -> contained
?sum: product | sum ADDITION product -> calculate
?product: factor | product MULTIPLICATION factor -> calculate
?factor: "-" factor -> minus | atom
?atom: NUMBER -> number
     | TEXT -> text
     | "true" -> true
     | "false" -> false
     | "null" -> null
     | FUNCTION "(" either ("," either)* ")" -> call
     | reference
     | "${" reference "}"
     | "(" either ")"
reference: NAME (key | index)*
key: "." NAME
index: "[" INT "]"
COMPARISON: "==" | "!=" | "<=" | ">=" | "<" | ">"
ADDITION: "+" | "-"
MULTIPLICATION: "*" | "/"
FUNCTION.2: /(abs|min|max|len)(?=\s*\()/
NAME: /(?!(?:and|or|not|in|true|false|null)\b)[A-Za-z_][A-Za-z0-9_]*/
TEXT: /"[^"]*"|'[^']*'/
%import common.INT
%import common.NUMBER
%import common.WS
%ignore WS
"""


def _multiply(left: Any, right: Any) -> Any:
    if not (isinstance(left, int | float) and isinstance(right, int | float)):
        raise TypeError("only numbers can be multiplied")  # Python would repeat a text, a billion times if asked to
    return left * right


_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge, "+": add, "-": sub, "*": _multiply, "/": truediv,
}  # fmt: skip


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {"abs": abs, "min": min, "max": max, "len": len}


class _Compile(Transformer[Token, _Term]):
    """Turns the tree into closures, leaves first."""

    def number(self, items: list[Token]) -> _Term:
        value = float(items[0]) if any(c in items[0] for c in ".eE") else int(items[0])
        return lambda scope: value

    def text(self, items: list[Token]) -> _Term:
        value = str(items[0])[1:-1]
        return lambda scope: value

    def true(self, items: list[Token]) -> _Term:
        return lambda scope: True

    def false(self, items: list[Token]) -> _Term:
        return lambda scope: False

    def null(self, items: list[Token]) -> _Term:
        return lambda scope: None

    def key(self, items: list[Token]) -> str:
        return str(items[0])

    def index(self, items: list[Token]) -> int:
        return int(items[0])

    def reference(self, items: list[Any]) -> _Term:
        name, path = str(items[0]), items[1:]
        return lambda scope: look_up(scope, name, path)

    def either(self, items: list[_Term]) -> _Term:
        left, right = items
        return lambda scope: left(scope) or right(scope)

    def both(self, items: list[_Term]) -> _Term:
        left, right = items
        return lambda scope: left(scope) and right(scope)

    def negate(self, items: list[_Term]) -> _Term:
        return lambda scope: not items[0](scope)

    def minus(self, items: list[_Term]) -> _Term:
        return lambda scope: -items[0](scope)

    def compare(self, items: list[Any]) -> _Term:
        return self.calculate(items)

    def calculate(self, items: list[Any]) -> _Term:
        left, operator, right = items[0], _OPERATORS[items[1]], items[2]
        return lambda scope: operator(left(scope), right(scope))

    def contained(self, items: list[_Term]) -> _Term:
        left, right = items
        return lambda scope: left(scope) in right(scope)

    def call(self, items: list[Any]) -> _Term:
        function, arguments = _FUNCTIONS[items[0]], items[1:]
        return lambda scope: function(*(argument(scope) for argument in arguments))


class Expression:
    """A parsed condition."""

    def __init__(self, text: str, term: _Term) -> None:
        self.text = text
        self._term = term

    def evaluate(self, scope: Scope) -> Any:
        """Return its value. Raises `DefinitionError` for a name that ``scope`` lacks, `FinalError` for wrong types."""
        try:
            return self._term(scope)
        except (TypeError, ArithmeticError, ValueError, RecursionError) as error:
            raise FinalError(f"{self.text!r} can't be worked out: {error}") from error


@lru_cache(maxsize=1)
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr")


@lru_cache(maxsize=512)
def parse(text: str) -> Expression:
    """Return the condition that ``text`` says. Raises `DefinitionError` with the place of what can't be read."""
    try:
        return Expression(text, _Compile().transform(_parser().parse(text)))
    except UnexpectedInput as error:
        token = getattr(error, "token", None)
        place = "at its end" if token is not None and token.type == "$END" else f"at column {error.column}"
        raise DefinitionError(f"{text!r} can't be read {place}; write it like: price > 1.10 and rsi < 30") from None
    except LarkError as error:
        raise DefinitionError(f"{text!r} can't be read: {error}") from None
    except RecursionError:
        raise DefinitionError(f"{text[:60]!r}… can't be read: it is nested too deeply") from None


def look_up(scope: Scope, name: str, path: list[str | int]) -> JsonValue:
    """Return what ``name`` and then ``path`` (keys and indexes) lead to in ``scope``."""
    if name not in scope:
        raise DefinitionError(f"nothing is called {name!r} here{nearest(name, scope)}")
    value: Any = scope[name]
    walked = name
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            known = nearest(step, value) if isinstance(value, Mapping) and isinstance(step, str) else ""
            raise DefinitionError(f"{walked} has no {step!r}{known}") from None
        walked += f"[{step}]" if isinstance(step, int) else f".{step}"
    found: JsonValue = value
    return found
