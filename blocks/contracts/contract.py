"""Contracts: what a block does to shapes, in einops-like notation with arithmetic.

    b c h w -> b {out} ceil(h/2) ceil(w/2)      channels from the parameter `out`, half the size
    b c1 h w, b c2 h w -> b c1+c2 h w           two inputs that agree in all but channels
    b c h w, ... -> b sum(c) h w                any number of inputs
    b c h w, ... -> b inputs h w                `inputs` is their number
    b c *size -> b c *size                      any further axes: a vector `b c`, an image `b c h w`
    b c h w -> b {out} size(h) size(w)          `size` is a function given with the contract

An axis on the left is a name or a number; `*name`, at the end of an input, is any number of axes, none included, and
to a function given it is the tuple of their sizes. The same name twice must be the same size. A name that is
also a parameter of the constructor is *inferred*: the contract supplies it and YAML never writes it.
The right side and the `where` conditions are whole-number expressions, without spaces inside an axis:
names, numbers, `{parameters}`, `+ - * // %`, `ceil(a/b)`, `min`, `max`, `sum` over variadic axes, and
the functions given. A condition is one comparison, `max(h, w) >= 2`; messages show the words after a `#`
instead of the formula: `max(h, w) >= 2  # more than one pixel`. A contract does four jobs: it infers
channels, checks graphs without a tensor, documents the block, and is the law that `forward` is tested by.
"""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, reduce
from typing import Any

from crossband.blocks.contracts.hints import hint
from crossband.blocks.contracts.sizes import Condition, Shape, Size, ceil_div, largest, lower_bound, smallest
from crossband.registry import CrossbandError

Arguments = Mapping[str, Any]
VARIADIC = "..."
NUMBER = "inputs"
_BUILT_IN = ("ceil", "max", "min", "sum")


class ContractError(CrossbandError):
    """A contract is malformed, or the shapes given do not have the form it asks for."""


@dataclass(frozen=True)
class Result:
    """The answer of a contract to input shapes: output shapes, inferred arguments and conditions that must hold."""

    outputs: tuple[Shape, ...]
    inferred: Mapping[str, int]
    conditions: tuple[Condition, ...]

    @classmethod
    def of(
        cls, outputs: Sequence[Shape], inferred: Mapping[str, int], conditions: Sequence[Condition] = ()
    ) -> "Result":
        """Drop conditions that always hold, and add one for each output axis that may be empty."""
        present = [
            Condition(size - 1, True, f"its output would have the size {size}", axis)
            for shape in outputs
            for axis, size in enumerate(shape)
            if lower_bound(size) < 1  # rarely so: a reason for every axis would take time
        ]
        kept = tuple(condition for condition in (*conditions, *present) if not condition.certain)
        return cls(tuple(map(tuple, outputs)), inferred, kept)


@dataclass(frozen=True)
class Contract:
    """A parsed contract. Make one with `Contract.parse`."""

    text: str
    inputs: tuple[tuple[str | int, ...], ...]
    outputs: tuple[tuple[ast.expr, ...], ...]
    where: tuple[tuple[str, ast.Compare], ...] = ()
    functions: Mapping[str, Callable[..., Size]] = field(default_factory=dict)
    variadic: bool = False

    @classmethod
    def parse(cls, text: str, where: Sequence[str] = (), **functions: Callable[..., Size]) -> "Contract":
        """Read the notation. Raises ContractError that quotes the part at fault."""
        left, arrow, right = text.partition("->")
        if not arrow:
            raise ContractError(f"the contract `{text}` has no `->`")
        inputs = [part.split() for part in left.split(",")]
        variadic = inputs[-1] == [VARIADIC]
        if variadic and len(inputs) != 2:
            raise ContractError(f"the contract `{text}` must have one input before `...`")
        contract = cls(
            text=text,
            inputs=tuple(tuple(_axis(axis, text) for axis in part) for part in inputs[: 1 if variadic else None]),
            outputs=tuple(tuple(_expression(axis, text) for axis in part.split()) for part in _split(right)),
            where=tuple((condition, _condition(condition)) for condition in where),
            functions=functions,
            variadic=variadic,
        )
        if any(_starred(axis) for part in contract.inputs for axis in part[:-1]):
            raise ContractError(f"the contract `{text}` has an axis behind `*`, which must be the last of an input")
        if variadic and any(NUMBER in part for part in contract.inputs):
            raise ContractError(f"the contract `{text}` has an axis named `{NUMBER}`: that is the number of inputs")
        for name in sorted(_called(contract.expressions) - {*_BUILT_IN, *functions}):
            raise ContractError(f"the contract `{text}` calls `{name}`: no such function is given")
        if not contract.variadic and "sum" in _called(contract.expressions):
            raise ContractError(f"the contract `{text}` is wrong: `sum` adds up one axis of the inputs before `...`")
        return contract

    @cached_property
    def axes(self) -> frozenset[str]:
        """The names on the left, and `inputs` if the contract takes any number of them."""
        named = frozenset(axis.lstrip("*") for part in self.inputs for axis in part if isinstance(axis, str))
        return named | {NUMBER} if self.variadic else named

    @cached_property
    def free(self) -> frozenset[str]:
        """The axes that may differ from input to input, where any number of inputs is taken."""
        return frozenset(axis for axis in self.axes if self.variadic and _under_sum(axis, self.outputs))

    @property
    def expressions(self) -> list[ast.expr]:
        """The expressions on the right and in the conditions."""
        return [axis for part in self.outputs for axis in part] + [condition for _, condition in self.where]

    def names(self) -> frozenset[str]:
        """The names in its expressions: axes, or parameters of the block."""
        return frozenset(name for expression in self.expressions for name in _names(expression))

    def counts(self, inputs: int) -> bool:
        """Whether it takes this number of inputs."""
        return inputs >= 1 if self.variadic else inputs == len(self.inputs)

    def apply(self, shapes: Sequence[Shape], arguments: Arguments, inferred: Sequence[str] = ()) -> Result:
        """Compute output shapes from input shapes. `inferred` names the constructor's arguments to take from axes.

        Raises ContractError if the number of inputs or of their axes is not the contract's.
        """
        if not self.counts(len(shapes)):
            wanted = (
                "at least one input" if self.variadic else f"{len(self.inputs)} input" + "s" * (len(self.inputs) != 1)
            )
            raise ContractError(f"takes {wanted}, got {len(shapes)}")
        axes, conditions = self._bind(shapes)
        missing = [name for name in inferred if not isinstance(axes[name], int)]
        if missing:
            raise ContractError(f"needs a known number for `{missing[0]}`, got {axes[missing[0]]}")
        scope = _Scope({**axes, **arguments}, arguments, self.functions)
        for text, condition in self.where:
            conditions += scope.condition(condition, text, arguments)
        outputs = [tuple(size for axis in part for size in scope.sizes(axis)) for part in self.outputs]
        return Result.of(outputs, {name: axes[name] for name in inferred}, conditions)

    def argument_problems(self, arguments: Arguments) -> list[str]:
        """Describe each `where` condition that depends on arguments alone and does not hold."""
        scope = _Scope(arguments, arguments, self.functions)
        return [
            condition.reason
            for text, comparison in self.where
            if _names(comparison) <= {*arguments, *self.functions}
            for condition in scope.condition(comparison, text, arguments)
        ]

    def _bind(self, shapes: Sequence[Shape]) -> tuple[dict[str, Any], list[Condition]]:
        """The sizes of the axes on the left, and the conditions under which the inputs have that form."""
        patterns = self.inputs * len(shapes) if self.variadic else self.inputs
        axes: dict[str, Any] = {axis: [] for axis in self.free} | ({NUMBER: len(shapes)} if self.variadic else {})
        conditions: list[Condition] = []
        for number, (pattern, shape) in enumerate(zip(patterns, shapes, strict=True), 1):
            for position, ((axis, name), size) in enumerate(zip(_named(pattern, shape, axes), shape, strict=True)):
                if axis in self.free:
                    axes[str(axis)].append(size)
                    continue
                wanted = axis if isinstance(axis, int) else axes.setdefault(axis, size)
                if size == wanted:
                    continue
                reason = f"`{name}` of input {number} must be {wanted}, got {size}"
                conditions.append(Condition(size - wanted, False, reason, position, number - 1, wanted))
        return axes, conditions


@dataclass(frozen=True)
class _Scope:
    """The names an expression of a contract can use."""

    names: Mapping[str, Any]
    arguments: Arguments
    functions: Mapping[str, Callable[..., Size]]

    def sizes(self, axis: ast.expr) -> tuple[Size, ...]:
        """The sizes that an axis of an output stands for: one, or those of a `*name`."""
        return self.value(axis.value) if isinstance(axis, ast.Starred) else (self.value(axis),)

    def value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value):
                return value
            case ast.Name(name):
                return self.names[name]
            case ast.BinOp(left, operator, right):
                return _OPERATORS[type(operator)](self.value(left), self.value(right))
            case ast.UnaryOp(ast.USub(), operand):
                return -self.value(operand)
            case ast.Call(ast.Name("ceil"), [ast.BinOp(left, ast.Div(), right)]):
                return ceil_div(self.value(left), self.value(right))
            case ast.Call(ast.Name("sum"), [item]):
                return reduce(lambda total, size: total + size, self.value(item), 0)
            case ast.Call(ast.Name("max" | "min" as name), items):
                return reduce(largest if name == "max" else smallest, map(self.value, items))
            case ast.Call(ast.Name(name), items):
                return self.functions[name](*map(self.value, items), **self.arguments)
        raise AssertionError(ast.dump(node))  # `_check` admits nothing else

    def condition(self, node: ast.Compare, text: str, arguments: Arguments) -> list[Condition]:
        """The condition, or an empty list if it always holds."""
        left, right = self.value(node.left), self.value(node.comparators[0])
        size, at_least = _COMPARISONS[type(node.ops[0])](left, right)
        if Condition(size, at_least, text).certain:  # most do: building the reason takes time
            return []
        used = [f"{name} is {self.names[name]}" for name in sorted(_names(node)) if name in self.names]
        formula, _, words = text.partition("#")
        reason = f"it needs {words.strip() or _readable(formula.strip())}" + (
            f", but {', '.join(used)}" if used else ""
        )
        return [Condition(size, at_least, reason, hint=hint(node, self.names, arguments))]


def number(text: str, arguments: Arguments) -> int:
    """The value of an expression over the parameters of a block, such as `dilation*(kernel-1)+1`."""
    return _Scope(arguments, arguments, {}).value(_expression(text, text))


_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], tuple[Size, bool]]] = {
    ast.Eq: lambda a, b: (a - b, False),
    ast.GtE: lambda a, b: (a - b, True),
    ast.LtE: lambda a, b: (b - a, True),
    ast.Gt: lambda a, b: (a - b - 1, True),
    ast.Lt: lambda a, b: (b - a - 1, True),
}


def _axis(text: str, contract: str) -> str | int:
    if not re.fullmatch(r"\*?[a-z]\w*|\d+", text):
        raise ContractError(f"the contract `{contract}` has the input axis `{text}`: use a name or a number")
    return int(text) if text.isdigit() else text


def _starred(axis: str | int) -> bool:
    return isinstance(axis, str) and axis.startswith("*")


def _named(pattern: Sequence[str | int], shape: Shape, axes: dict[str, Any]) -> list[tuple[str | int, str | int]]:
    """Each axis of an input of this shape, and what messages call it: those behind a `*` are `h` and `w` in an image.

    A `*name` that is new joins `axes`. Raises ContractError where the number of axes is not the contract's.
    """
    further = _starred(pattern[-1])
    known = pattern[:-1] if further else pattern
    if len(shape) < len(known) or (len(shape) > len(known) and not further):
        form = " ".join(map(str, pattern))
        raise ContractError(
            f"takes an input of the form `{form}`, got {len(shape)} ax{'es' if len(shape) != 1 else 'is'}"
        )
    named: list[tuple[str | int, str | int]] = [(axis, axis) for axis in known]
    if further:
        star, sizes = str(pattern[-1])[1:], shape[len(known) :]
        first = axes.setdefault(star, sizes)
        if len(first) != len(sizes):
            raise ContractError(f"takes inputs of as many axes each, got {len(known) + len(first)} and {len(shape)}")
        names = ("b", "c", "h", "w") if len(shape) == 4 else tuple(f"axis {at}" for at in range(1, len(shape) + 1))
        named += [(f"*{star}{at}", names[at]) for at in range(len(known), len(shape))]
    return named


def _expression(text: str, contract: str) -> ast.expr:
    if re.fullmatch(r"\*[a-z]\w*", text):
        return ast.Starred(ast.Name(text[1:], ast.Load()), ast.Load())
    try:
        node = ast.parse(text.replace("{", "").replace("}", ""), mode="eval").body
        _check(node)
    except (SyntaxError, ValueError) as error:
        raise ContractError(f"the contract `{contract}` has the output axis `{text}`: {error}") from None
    return node


def _condition(text: str) -> ast.Compare:
    try:
        node = ast.parse(text.replace("{", "").replace("}", ""), mode="eval").body
        if not isinstance(node, ast.Compare) or len(node.ops) != 1 or type(node.ops[0]) not in _COMPARISONS:
            raise ValueError("it is not one comparison with == >= <= > or <")
        _check(node.left)
        _check(node.comparators[0])
    except (SyntaxError, ValueError) as error:
        raise ContractError(f"the condition `{text}` cannot be read: {error}") from None
    return node


def _split(outputs: str) -> list[str]:
    """Split at commas outside brackets."""
    return re.split(r",(?![^(]*\))", outputs)


def _check(node: ast.expr) -> None:
    """Raise ValueError unless `_Scope.value` can evaluate the expression."""
    match node:
        case ast.Constant(int()) | ast.Name():
            return
        case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
            children = [left, right]
        case ast.Call(ast.Name("ceil"), [ast.BinOp(left, ast.Div(), right)], []):
            children = [left, right]
        case ast.UnaryOp(ast.USub(), operand):
            children = [operand]
        case ast.Call(ast.Name(), arguments, []):
            children = arguments
        case _:
            raise ValueError("only names, whole numbers, + - * // %, ceil(a/b), min, max, sum and given functions")
    for child in children:
        _check(child)


def _called(expressions: Sequence[ast.expr]) -> set[str]:
    """The names of the functions that expressions call."""
    calls = (call.func for node in expressions for call in ast.walk(node) if isinstance(call, ast.Call))
    return {function.id for function in calls if isinstance(function, ast.Name)}


@cache  # the same few expressions are asked for often
def _names(node: ast.AST) -> frozenset[str]:
    functions = {id(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}
    return frozenset(name.id for name in ast.walk(node) if isinstance(name, ast.Name) and id(name) not in functions)


def _under_sum(axis: str, outputs: Sequence[Sequence[ast.expr]]) -> bool:
    calls = [node for part in outputs for axis in part for node in ast.walk(axis) if isinstance(node, ast.Call)]
    return any(isinstance(call.func, ast.Name) and call.func.id == "sum" and axis in _names(call) for call in calls)


def _readable(condition: str) -> str:
    return f"`{condition.replace('{', '').replace('}', '')}`"
