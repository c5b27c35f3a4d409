"""The arithmetic after `=` in YAML: `=width/2`, `=2*min(a, b)`, `=recurrence * ('en5' in cca_at)`.

Numbers, names, quoted text, lists, `+ - * / // %`, unary minus, parentheses, `min`, `max`, `==`, `!=` and `in`.
Text is parsed into a small tree and the tree is walked: nothing is ever handed to Python to evaluate.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, NoReturn

from crossband.graphs.language.document import YamlValue
from crossband.registry import CrossbandError, show, suggest

MAX_TOKENS = 100  # bounds the depth of the tree as well
MAX_NUMBER = 10**15  # exact as int and as float

_TOKEN = re.compile(
    r"""(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<text>'[^']*'|"[^"]*")
    |(?P<sign>//|==|!=|[-+*/%()\[\],])
    |\s+""",
    re.VERBOSE,
)
_CURES = {  # for what other languages write
    "<": "`==`, `!=` and `in` are the comparisons",
    ">": "`==`, `!=` and `in` are the comparisons",
    "=": "write `==` to compare",
    ".": "an expression takes the names of parameters as they are",
}
_POWER = {"==": 1, "!=": 1, "in": 1, "+": 2, "-": 2, "*": 3, "/": 3, "//": 3, "%": 3}  # Python's order of operators
_UNARY = 4
_COMPARE = {"==": operator.eq, "!=": operator.ne, "in": lambda item, items: item in items}
_COMBINE = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_DIVIDE = {"/": operator.truediv, "//": operator.floordiv, "%": operator.mod}
_FUNCTIONS: Mapping[str, Callable[[list[Any]], Any]] = {"min": min, "max": max}


class ExpressionError(CrossbandError):
    """An expression cannot be read or has no value.

    `offset` and `length` are the part of the text that is meant; `unknown` is the name that has no value, if that
    is what is wrong.
    """

    def __init__(
        self, message: str, offset: int, length: int, *, hint: str | None = None, unknown: str | None = None
    ) -> None:
        super().__init__(message)
        self.message, self.offset, self.length, self.hint, self.unknown = message, offset, length, hint, unknown


@dataclass(frozen=True)
class _Term:
    """A number, text, name, list, function call or operator, with the operands and its stretch of the text."""

    kind: str
    offset: int
    length: int
    value: Any = None
    operands: tuple["_Term", ...] = ()

    def fail(self, message: str, hint: str | None = None, unknown: str | None = None) -> NoReturn:
        raise ExpressionError(message, self.offset, self.length, hint=hint, unknown=unknown)


@dataclass(frozen=True)
class Expression:
    """A parsed expression, equal to any other of the same text."""

    text: str
    _root: _Term = field(compare=False, repr=False)

    def names(self) -> frozenset[str]:
        """The names that it needs values for."""
        return frozenset(_names(self._root))

    def evaluate(self, values: Mapping[str, YamlValue]) -> YamlValue:
        """Its value, given those of its names.

        `/` between whole numbers must come out whole; `//` rounds down, `%` has the sign of the divisor.
        True and false count as 1 and 0. Raises ExpressionError.
        """
        return _value(self._root, values)


def is_expression(value: object) -> bool:
    """Whether a value from YAML is an expression: text that begins with `=`."""
    return isinstance(value, str) and value.startswith("=")


def names_in(value: object) -> set[str]:
    """The names in all expressions of plain data, also in those that cannot be read."""
    if isinstance(value, str):
        return set(re.findall(r"[A-Za-z_]\w*", value)) if is_expression(value) else set()
    if isinstance(value, Mapping):
        value = list(value.values())
    return set[str]().union(*map(names_in, value)) if isinstance(value, list | tuple) else set()


def parse(text: str) -> Expression:
    """The expression in `text`, with or without the `=` before it. Raises ExpressionError.

    Offsets in errors count from the beginning of `text`, the `=` included.
    """
    return Expression(text, _Parser(text).whole())


class _Parser:
    """Precedence climbing over the tokens; the last one has the kind `end`."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._next = 0

    def whole(self) -> _Term:
        if self._token.kind == "end":
            self._token.fail("an expression is missing after `=`")
        root = self._expression(0)
        if self._token.kind != "end":
            cure = None if self._token.kind == "sign" else "write an operator such as `*` before it"
            self._token.fail(f"did not expect `{self._token.value}` here", cure)
        return root

    @property
    def _token(self) -> _Term:
        return self._tokens[self._next]

    def _take(self, *signs: str) -> _Term | None:
        """The next token if it is one of `signs`, which is then behind us."""
        token = self._token
        if token.kind not in ("sign", "name") or token.value not in signs:
            return None
        self._next += 1
        return token

    def _expression(self, floor: int) -> _Term:
        left = self._operand()
        while (power := self._power()) > floor:
            sign = self._tokens[self._next]
            self._next += 1
            right = self._expression(power)
            left = _Term("operator", sign.offset, sign.length, sign.value, (left, right))
            if power == 1 and self._power() == 1:
                self._token.fail("comparisons cannot be chained", "use parentheses")
        return left

    def _power(self) -> int:
        return _POWER.get(self._token.value, 0) if self._token.kind in ("sign", "name") else 0

    def _operand(self) -> _Term:
        if sign := self._take("-"):
            return _Term("minus", sign.offset, sign.length, "-", (self._expression(_UNARY),))
        if opening := self._take("("):
            inner = self._expression(0)
            self._close(opening, ")")
            return inner
        if opening := self._take("["):
            return _Term("list", opening.offset, opening.length, None, self._items(opening, "]"))
        token = self._token
        if token.kind in ("sign", "end") or (token.kind == "name" and token.value == "in"):
            found = "the expression ends" if token.kind == "end" else f"`{token.value}` stands"
            cure = "write a power as a product" if token.value == "*" else None
            token.fail(f"{found} where a number or name is expected", cure)
        self._next += 1
        if token.kind == "name" and token.value in _FUNCTIONS:
            return self._call(token)
        if token.kind == "name" and (opening := self._take("(")):
            token.fail(f"no function named `{token.value}`", "the functions are `min` and `max`")
        return token

    def _call(self, name: _Term) -> _Term:
        opening = self._take("(")
        if not opening:
            name.fail(f"`{name.value}` is a function", f"write `{name.value}(a, b)`")
        operands = self._items(opening, ")")
        if not operands:
            name.fail(f"`{name.value}` needs at least one number")
        return _Term("call", name.offset, name.length, name.value, operands)

    def _items(self, opening: _Term, closing: str) -> tuple[_Term, ...]:
        items: list[_Term] = []
        if not self._take(closing):
            items.append(self._expression(0))
            while self._take(","):
                items.append(self._expression(0))
            self._close(opening, closing)
        return tuple(items)

    def _close(self, opening: _Term, closing: str) -> None:
        if self._take(closing):
            return
        if self._token.kind == "end":
            opening.fail(f"`{opening.value}` is never closed")
        self._token.fail(f"expected `{closing}`, got `{self._token.value}`")


def _tokens(text: str) -> list[_Term]:
    """The words of `text`, blanks between them aside, and an `end`."""
    found: list[_Term] = []
    position, end = int(is_expression(text)), len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            if text[position] in "'\"":
                _Term("", position, end - position).fail("the quote is never closed")
            _Term("", position, 1).fail(
                f"`{text[position]}` means nothing in an expression", _CURES.get(text[position])
            )
        if match.lastgroup:
            if len(found) == MAX_TOKENS:
                _Term("", position, 1).fail(f"an expression has at most {MAX_TOKENS} parts", "divide it over `params`")
            found.append(_literal(_Term(match.lastgroup, position, len(match[0]), match[0])))
        position = match.end()
    return [*found, _Term("end", end, 0)]


def _literal(token: _Term) -> _Term:
    """Numbers and quoted text with their values."""
    if token.kind == "text":
        return _Term("text", token.offset, token.length, token.value[1:-1])
    if token.kind != "number":
        return token
    value = float(token.value) if len(token.value) > 20 or not token.value.isdigit() else int(token.value)
    return _Term("number", token.offset, token.length, _bounded(token, value))


def _names(term: _Term) -> set[str]:
    inner = {name for operand in term.operands for name in _names(operand)}
    return inner | {term.value} if term.kind == "name" else inner


def _value(term: _Term, values: Mapping[str, YamlValue]) -> YamlValue:
    if term.kind in ("number", "text"):
        return term.value
    if term.kind == "name":
        if term.value not in values:
            term.fail(f"`{term.value}` has no value here", suggest(term.value, values), unknown=term.value)
        return values[term.value]
    operands = [_value(operand, values) for operand in term.operands]
    if term.kind == "list":
        return operands
    if term.value in _COMPARE:
        return _compare(term, *operands)
    for operand in operands:
        if not isinstance(operand, int | float):
            term.fail(f"`{term.value}` needs numbers, got {show(operand)}")
    return _bounded(term, _arithmetic(term, operands))


def _compare(term: _Term, left: YamlValue, right: YamlValue) -> bool:
    if term.value == "in" and not isinstance(right, list | tuple):
        term.fail(f"`in` needs a list on its right, got {show(right)}")
    return _COMPARE[term.value](left, right)


def _arithmetic(term: _Term, operands: list[Any]) -> Any:
    if term.kind == "call":
        return _FUNCTIONS[term.value](operands)
    if term.kind == "minus":
        return -operands[0]
    left, right = operands
    if term.value in _DIVIDE and right == 0:
        term.fail(f"{show(left)} {term.value} 0 divides by zero")
    if term.value == "/" and isinstance(left, int) and isinstance(right, int):
        if left % right:
            term.fail(f"{left}/{right} is not a whole number", "use `//` to round down")
        return left // right
    return (_COMBINE | _DIVIDE)[term.value](left, right)


def _bounded(term: _Term, value: float) -> float:
    """`value` if it is a number of a sensible size."""
    if not isfinite(value) or abs(value) > MAX_NUMBER:
        term.fail(f"the result is beyond {MAX_NUMBER:.0e}")
    return value
