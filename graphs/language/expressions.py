"""The arithmetic after `=` in YAML: `=width/2`, `=2*min(a, b)`, `=recurrence * ('en5' in cca_at)`.

Numbers, names, quoted text, lists, `+ - * / // % **`, unary minus, parentheses, `min`, `max`, the comparisons
`== != < <= > >=`, `in`, `not in`, and between what is true or false `and`, `or` and `not`.
Python's parser reads the text and a closed set of its nodes is walked: nothing is ever handed to Python to evaluate.
"""

import ast
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from math import inf
from typing import Any, NoReturn

from crossband.graphs.language.document import YamlValue
from crossband.graphs.language.limits import MAX_EXPONENT, MAX_LENGTH, MAX_NUMBER, MAX_PARTS
from crossband.registry import CrossbandError, show, suggest

_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_DIVISIONS = (ast.Div, ast.FloorDiv, ast.Mod)
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda item, items: item in items,
    ast.NotIn: lambda item, items: item not in items,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_MEMBERSHIPS = (ast.In, ast.NotIn)
_EQUALITIES = (ast.Eq, ast.NotEq)
_WORDS = {"and", "or", "not", "in"}
_SIGN = re.compile(r"not\s+in\b|[a-z]+|//|\*\*|<<|>>|[=!<>]=|[^\w\s()]")  # of any operator of Python
_FUNCTIONS: Mapping[str, Callable[[list[Any]], Any]] = {"min": min, "max": max}
_KNOWN = (
    "it has numbers, names, text, lists, `+ - * / // % **`, `min`, `max`, `== != < <= > >= in`, `and`, `or` and `not`"
)
_HINTS = {  # for what other languages write
    "=": "write `==` to compare",
    ".": "an expression takes the names of parameters as they are",
    "is": "write `==` to compare",
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`",
    "^": "write `**` for a power",
}


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


def is_expression(value: object) -> bool:
    """Whether a value from YAML is an expression: text that begins with `=`."""
    return isinstance(value, str) and value.startswith("=")


def names_in(value: object) -> set[str]:
    """The names in all expressions inside plain data, malformed ones included."""
    if isinstance(value, str):
        return set(re.findall(r"[A-Za-z_]\w*", value)) - _WORDS if is_expression(value) else set()
    if isinstance(value, Mapping):
        value = list(value.values())
    return set[str]().union(*map(names_in, value)) if isinstance(value, list | tuple) and value else set()


def has_expression(value: object) -> bool:
    """Whether there is an expression in plain data."""
    if isinstance(value, Mapping):
        value = list(value.values())
    return any(map(has_expression, value)) if isinstance(value, list) else is_expression(value)


@lru_cache(4096)  # a graph that is written out has each of its expressions many times
def parse(text: str) -> "Expression":
    """The expression in `text`, with or without the `=` before it. Raises ExpressionError.

    Offsets in errors count from the beginning of `text`, the `=` included.
    """
    source = _source(text)
    if not source:
        raise ExpressionError("an expression is missing after `=`", len(text.rstrip()), 0)
    hint = "divide it over `params`"
    too_long = ExpressionError(f"an expression has at most {MAX_PARTS} parts", 0, len(text), hint=hint)
    if len(source) > MAX_LENGTH:
        raise too_long
    try:
        with warnings.catch_warnings(action="ignore"):  # of Python, such as those of `1if`
            root = ast.parse(source, mode="eval").body
    except SyntaxError as error:
        raise _misread(text, error) from None
    except (ValueError, MemoryError, RecursionError) as error:  # a NUL, half of a pair of surrogates, deep nesting
        raise ExpressionError(f"the expression cannot be read: {error}", 0, len(text)) from None
    if sum(isinstance(node, ast.expr) for node in ast.walk(root)) > MAX_PARTS:
        raise too_long
    return Expression(text, root)


@dataclass(frozen=True)
class Expression:
    """A parsed expression, equal to any other of the same text."""

    text: str
    _root: ast.expr = field(compare=False, repr=False)

    def names(self) -> frozenset[str]:
        """The names that need values."""
        return self._names

    @cached_property
    def _names(self) -> frozenset[str]:
        names = (node.id for node in ast.walk(self._root) if isinstance(node, ast.Name))
        return frozenset(name for name in names if name not in _FUNCTIONS)

    def evaluate(self, values: Mapping[str, YamlValue]) -> YamlValue:
        """Its value, given those of its names.

        `/` between whole numbers must come out whole; `//` rounds down, `%` has the sign of the divisor.
        True and false count as 1 and 0. Raises ExpressionError.
        """
        return self._value(self._root, values)

    def _value(self, node: ast.expr, values: Mapping[str, YamlValue]) -> YamlValue:
        match node:
            case ast.Constant(str() as text):
                return text
            case ast.Constant(int() | float() as number) if not isinstance(number, bool):
                return self._bounded(node, number)
            case ast.Name(name):
                return self._named(node, name, values)
            case ast.List(items):
                return [self._value(item, values) for item in items]
            case ast.UnaryOp(ast.USub(), operand):
                return self._bounded(node, -self._number(node, operand, values))
            case ast.UnaryOp(ast.Not()) | ast.BoolOp():
                return self._decided(node, values)
            case ast.BinOp(left, sign, right) if type(sign) in _ARITHMETIC:
                numbers = (self._number(node, left, values), self._number(node, right, values))
                return self._bounded(node, self._combined(node, sign, *numbers))
            case ast.Compare(left, [sign], [right]) if type(sign) in _COMPARISONS:
                return self._compared(node, sign, self._value(left, values), self._value(right, values))
            case ast.Compare(_, [_, _, *_]):
                self._fail(node, "comparisons cannot be chained", "write `and` between two of them")
            case ast.Call(ast.Name(name), items, []) if name in _FUNCTIONS:
                if not items:
                    self._fail(node, f"`{name}` needs at least one number")
                return self._bounded(node, _FUNCTIONS[name]([self._number(node, item, values) for item in items]))
            case ast.Call(ast.Name(name)) if name not in _FUNCTIONS:
                self._fail(node, f"no function named `{name}`", "the functions are `min` and `max`")
        odd = self._meant(node)
        self._fail(node, f"`{odd}` means nothing in an expression", _HINTS.get(odd, _KNOWN))

    def _named(self, node: ast.expr, name: str, values: Mapping[str, YamlValue]) -> YamlValue:
        if name in values:
            return values[name]
        if name in _FUNCTIONS:
            self._fail(node, f"`{name}` is a function", f"write `{name}(a, b)`")
        self._fail(node, f"`{name}` has no value here", suggest(name, values), unknown=name)

    def _compared(self, node: ast.expr, sign: ast.cmpop, left: YamlValue, right: YamlValue) -> bool:
        if isinstance(sign, _MEMBERSHIPS):
            if not isinstance(right, list | tuple):
                self._fail(node, f"`{self._meant(node)}` needs a list on its right, got {show(right)}")
        elif not isinstance(sign, _EQUALITIES):
            for value in (left, right):
                if not isinstance(value, int | float):
                    self._fail(node, f"`{self._meant(node)}` needs numbers, got {show(value)}")
        return _COMPARISONS[type(sign)](left, right)

    def _decided(self, node: ast.UnaryOp | ast.BoolOp, values: Mapping[str, YamlValue]) -> bool:
        """The value of `not`, `and` or `or`; as in Python, what follows is not looked at once it is settled."""
        if isinstance(node, ast.UnaryOp):
            return not self._truth(node, node.operand, values)
        operands = (self._truth(node, operand, values) for operand in node.values)
        return all(operands) if isinstance(node.op, ast.And) else any(operands)

    def _truth(self, node: ast.expr, operand: ast.expr, values: Mapping[str, YamlValue]) -> bool:
        """The value of an operand of `node`, which must be true or false."""
        value = self._value(operand, values)
        if not isinstance(value, bool):
            hint = "compare it, as in `depth > 3`"
            self._fail(node, f"`{self._meant(node)}` needs what is true or false, got {show(value)}", hint)
        return value

    def _number(self, node: ast.expr, operand: ast.expr, values: Mapping[str, YamlValue]) -> Any:
        """The value of an operand of `node`."""
        value = self._value(operand, values)
        if not isinstance(value, int | float):
            self._fail(node, f"`{self._meant(node)}` needs numbers, got {show(value)}")
        return value

    def _combined(self, node: ast.expr, sign: ast.operator, left: Any, right: Any) -> Any:
        if isinstance(sign, _DIVISIONS) and right == 0:
            self._fail(node, f"{show(left)} {self._meant(node)} 0 divides by zero")
        if isinstance(sign, ast.Div) and isinstance(left, int) and isinstance(right, int):
            if left % right:
                self._fail(node, f"{left}/{right} is not a whole number", "use `//` to round down")
            return left // right
        if isinstance(sign, ast.Pow):
            return self._power(node, left, right)
        return _ARITHMETIC[type(sign)](left, right)

    def _power(self, node: ast.expr, base: Any, exponent: Any) -> Any:
        if abs(exponent) > MAX_EXPONENT:  # the result would be huge, and take long
            self._fail(node, f"an exponent is at most {MAX_EXPONENT}, got {show(exponent)}")
        try:
            result = base**exponent
        except ZeroDivisionError:
            self._fail(node, f"{show(base)} ** {show(exponent)} divides by zero")
        except OverflowError:
            result = inf
        if isinstance(result, complex):
            self._fail(node, f"{show(base)} ** {show(exponent)} is no real number")
        return result

    def _bounded(self, node: ast.expr, value: float) -> float:
        """`value`, which must be finite and not too large."""
        if not -MAX_NUMBER <= value <= MAX_NUMBER:  # which nan is not either
            self._fail(node, f"the result is beyond {MAX_NUMBER:.0e}")
        return value

    def _fail(self, node: ast.expr, message: str, hint: str | None = None, unknown: str | None = None) -> NoReturn:
        start, stop = self._place(node)
        raise ExpressionError(message, start, stop - start, hint=hint, unknown=unknown)

    def _meant(self, node: ast.expr) -> str:
        """The text at the place of a node."""
        start, stop = self._place(node)
        return self.text[start:stop]

    def _place(self, node: ast.expr) -> tuple[int, int]:
        """Start and end of the text to blame for a node: its operator, the name of its function, or all of it."""
        start, stop = self._stretch(node)
        match node:
            case (
                ast.BinOp(left)
                | ast.BoolOp(_, [left, *_])
                | ast.Compare(left, [_])
                | ast.Compare(_, _, [*_, left, _])
                | ast.Attribute(left)
            ):
                start = self._stretch(left)[1]
            case ast.Call(function, _, []):
                return self._stretch(function)
            case ast.UnaryOp():
                pass
            case _:
                return start, stop
        sign = _SIGN.search(self.text, start)
        return sign.span() if sign else (start, stop)

    def _stretch(self, node: ast.expr) -> tuple[int, int]:
        """Start and end of a whole node in the text. The parser counts bytes of UTF-8."""
        source = _source(self.text).encode()
        before = len(self.text.rstrip()) - len(source.decode())
        start, stop = (len(source[:end].decode()) for end in (node.col_offset, node.end_col_offset))
        return before + start, before + stop


def _source(text: str) -> str:
    """The text for Python's parser, which takes one line without leading blanks."""
    return re.sub(r"\s", " ", text[is_expression(text) :]).strip()


def _misread(text: str, error: SyntaxError) -> ExpressionError:
    """The error for a text that Python cannot parse."""
    source, end = _source(text), len(text.rstrip())
    start = error.offset - 1 if error.offset else len(source)
    place = end - len(source) + start
    if start >= len(source):
        return ExpressionError("the expression ends where a number or name is expected", end, 0)
    if "comma" in error.msg and error.end_offset:  # two values side by side inside brackets
        found = source[start : error.end_offset - 1]
        hint = "write an operator such as `*`, or a comma, between them"
        return ExpressionError(f"did not expect `{found}` here", place, len(found), hint=hint)
    found = re.findall(r"\w+|.", source[start:])[0]
    if found in "'\"":
        return ExpressionError("the quote is never closed", place, end - place)
    if "never closed" in error.msg:
        return ExpressionError(f"`{found}` is never closed", place, 1)
    message, hint = f"did not expect `{found}` here", None
    if re.match(r"\w", found):
        hint = "write an operator such as `*` before it"
    elif found in "+-*/%,":
        message = f"`{found}` stands where a number or name is expected"
    elif found not in ")]":
        message, hint = f"`{found}` means nothing in an expression", _HINTS.get(found, _KNOWN)
    return ExpressionError(message, place, len(found), hint=hint)
