"""The calls of a recipe: `to_ir(visible)`, `is_ir(pool(fake_ir))`, `fake.side1`, `fake.*`, `is_ir(fake).layer*`.

Names and calls, nothing else. Text is parsed into a small tree; Python evaluates nothing.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from crossband.graphs.language.limits import MAX_TOKENS
from crossband.registry import CrossbandError

_TOKEN = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*|[(),.*])")
_QUOTES = "inside a list, put a call that has commas in quotes"
Kind: TypeAlias = Literal["name", "call", "part"]


class CallError(CrossbandError):
    """A call cannot be read. `offset` and `length` are the part of the text that is meant."""

    def __init__(self, message: str, offset: int, length: int, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.offset, self.length, self.hint = message, offset, length, hint


@dataclass(frozen=True, repr=False)
class Value:
    """A value of a flow: a `name`, a `call` of `name` on `operands`, or the `part` called `name` of its operand.

    Places are ignored when values are compared. The part `*` means every output, and `layer*` every output and tap
    whose name begins with `layer`.
    """

    kind: Kind
    name: str
    operands: tuple["Value", ...] = ()
    offset: int = field(default=0, compare=False)
    length: int = field(default=0, compare=False)

    def __repr__(self) -> str:
        return f"<Value {self}>"

    def __str__(self) -> str:
        match self.kind:
            case "name":
                return self.name
            case "call":
                return f"{self.name}({', '.join(map(str, self.operands))})"
            case "part":
                return f"{self.operands[0]}.{self.name}"

    def walk(self) -> Iterator["Value"]:
        """This value and every value in it, the innermost first."""
        for operand in self.operands:
            yield from operand.walk()
        yield self

    def rebuilt(self, change: Callable[["Value"], "Value"]) -> "Value":
        """The same tree with every value in it replaced by `change(value)`, the innermost first."""
        return change(replace(self, operands=tuple(operand.rebuilt(change) for operand in self.operands)))


def parse(text: str) -> Value:
    """The value that `text` describes. Raises CallError."""
    return _Parser(text).whole()


@dataclass(frozen=True)
class _Token:
    text: str
    offset: int


class _Parser:
    """Recursive descent over the tokens; the last one is empty."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0

    def whole(self) -> Value:
        value = self._value()
        if self._token.text:
            self._fail(f"did not expect `{self._token.text}` here", _QUOTES if self._token.text in ",)" else None)
        return value

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, *texts: str) -> bool:
        """Whether the next token is one of `texts`; if so, move past it."""
        found = self._token.text in texts
        self._next += found
        return found

    def _value(self) -> Value:
        start = self._token.offset
        name = self._name("a name")
        value = Value("name", name, (), start, len(name))
        if self._take("("):
            value = Value("call", name, self._arguments(), start, self._end() - start)
        while self._take("."):
            part = "*" if self._take("*") else self._name("the name of an output, or `*` for all of them,")
            part += "*" if part != "*" and self._take("*") else ""
            value = Value("part", part, (value,), start, self._end() - start)
        return value

    def _arguments(self) -> tuple[Value, ...]:
        found = [self._value()]
        while self._take(","):
            found.append(self._value())
        if not self._take(")"):
            self._fail("expected `,` or `)` here", f"close the bracket; {_QUOTES}")
        return tuple(found)

    def _name(self, wanted: str) -> str:
        token = self._token
        if not token.text.isidentifier():
            found = f"found `{token.text}`" if token.text else "the text ends"
            self._fail(f"expected {wanted} here, {found}", "a value is a name or a call, such as `to_ir(visible)`")
        self._next += 1
        return token.text

    def _end(self) -> int:
        last = self._tokens[self._next - 1]
        return last.offset + len(last.text)

    def _fail(self, message: str, hint: str | None = None) -> None:
        raise CallError(message, self._token.offset, max(1, len(self._token.text)), hint)


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    while rest := text[at:].strip():
        match = _TOKEN.match(text, at)
        if not match:
            offset = text.index(rest[0], at)
            raise CallError(f"did not expect `{rest[0]}` here", offset, 1, "a call has names, brackets and commas only")
        found.append(_Token(match[1], match.start(1)))
        at = match.end()
        if len(found) > MAX_TOKENS:
            raise CallError("the call is too long", 0, len(text), "give its parts names of their own under `flow`")
    return [*found, _Token("", len(text))]
