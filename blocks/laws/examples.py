"""Examples of a block for the tests of its laws: arguments, input shapes and tensors drawn by Hypothesis.

Needs the package hypothesis, which the library itself does not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import Tensor, nn

from crossband.blocks.contracts.block import BlockEntry
from crossband.blocks.contracts.contract import Contract, ContractError, Result
from crossband.blocks.contracts.shapes import shapes_of
from crossband.registry import Entry

Shapes = tuple[tuple[int, ...], ...]
BATCH = 2
SPREAD = 6  # numbers drawn above a lower bound
CHANNELS = (1, 2, 3, 4, 6, 8, 16)
SIDES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 16, 17)
ATTEMPTS = 30


@dataclass(frozen=True)
class Example:
    """A block with arguments that it takes, input shapes that it takes, and what it says comes out."""

    entry: BlockEntry
    arguments: Mapping[str, Any]
    shapes: Shapes
    result: Result

    def __str__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in {**self.result.inferred, **self.arguments}.items())
        return f"{self.entry.name}({options}) on {', '.join(map(str, self.shapes))}"

    def module(self, seed: int = 0) -> nn.Module:
        """The block, its weights drawn with this seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.entry.factory(**self.result.inferred, **self.arguments)

    def tensors(self, seed: int = 1, batch: int | None = None) -> list[Tensor]:
        """Normal random inputs, of another batch size where one is given."""
        generator = torch.Generator().manual_seed(seed)
        return [torch.randn(batch or shape[0], *shape[1:], generator=generator) for shape in self.shapes]


@st.composite
def examples(draw: st.DrawFn, entry: BlockEntry) -> Example:
    """Examples that satisfy the schemas and conditions of a block."""
    for _ in range(ATTEMPTS):
        given = draw(arguments(entry))
        shapes = draw(input_shapes(entry))
        try:
            result = shapes_of(entry, shapes, given)
        except ContractError:  # no such inputs for a block without a contract
            continue
        if not result.conditions:  # on plain numbers only those are left that do not hold
            return Example(entry, given, shapes, result)
    assume(False)
    raise AssertionError("unreachable")


def arguments(entry: Entry) -> st.SearchStrategy[dict[str, Any]]:
    """Values for the parameters of a registered thing, optional ones left out at times."""
    values = {name: values_of(parameter.schema) for name, parameter in entry.parameters.items()}
    required = {name: values[name] for name, parameter in entry.parameters.items() if parameter.required}
    optional = {name: strategy for name, strategy in values.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional)


def values_of(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that fit a schema of the registry, small ones where it sets no upper bound."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "if" in schema:
        return st.sampled_from(schema["if"]["enum"]) | values_of(schema["else"])
    kinds = schema["type"]
    if isinstance(kinds, list):
        return st.one_of([values_of({**schema, "type": kind}) for kind in kinds])
    return {
        "null": st.none,
        "boolean": st.booleans,
        "string": lambda: st.text("abc", min_size=schema.get("minLength", 0), max_size=4),
        "integer": lambda: _integers(schema),
        "number": lambda: _floats(schema),
        "array": lambda: _lists(schema),
        "object": lambda: st.dictionaries(
            st.text("abc", min_size=1), values_of(schema["additionalProperties"]), max_size=2
        ),
    }[kinds]()


def _integers(schema: Mapping[str, Any]) -> st.SearchStrategy[int]:
    least = schema.get("minimum", schema.get("exclusiveMinimum", -SPREAD - 1) + 1)
    most = min(schema.get("maximum", schema.get("exclusiveMaximum", least + SPREAD + 1) - 1), least + SPREAD)
    step = schema.get("multipleOf", 1)
    return st.integers(-(-least // step), most // step).map(lambda n: n * step)


def _floats(schema: Mapping[str, Any]) -> st.SearchStrategy[float]:
    least = schema.get("minimum", schema.get("exclusiveMinimum", -2.0))
    most = schema.get("maximum", schema.get("exclusiveMaximum", least + 2.0))
    return st.floats(
        least,
        most,
        exclude_min="exclusiveMinimum" in schema,
        exclude_max="exclusiveMaximum" in schema,
        width=16,
        allow_subnormal=False,
    )


def _lists(schema: Mapping[str, Any]) -> st.SearchStrategy[list[Any]]:
    if "prefixItems" in schema:
        return st.tuples(*map(values_of, schema["prefixItems"])).map(list)
    least = schema.get("minItems", 0)
    return st.lists(values_of(schema["items"]), min_size=least, max_size=schema.get("maxItems", least + 2))


@st.composite
def input_shapes(draw: st.DrawFn, entry: BlockEntry) -> Shapes:
    """Shapes of the form that the contract of a block asks for; images with channels where it has none."""
    contract: Contract | None = entry.contract
    if contract is None:
        height, width = draw(st.sampled_from(SIDES)), draw(st.sampled_from(SIDES))
        number = max(1, len(entry.inferred))
        return tuple((BATCH, draw(st.sampled_from(CHANNELS)), height, width) for _ in range(number))
    patterns = contract.inputs * (draw(st.integers(1, 3)) if contract.variadic else 1)
    axes: dict[str, int] = {}
    return tuple(tuple(_axis(draw, axis, place, axes, contract) for place, axis in enumerate(p)) for p in patterns)


def _axis(draw: st.DrawFn, axis: str | int, place: int, axes: dict[str, int], contract: Contract) -> int:
    if isinstance(axis, int):
        return axis
    if axis not in axes or axis in contract.free:
        choices: Sequence[int] = ((BATCH,), CHANNELS)[place] if place < 2 else SIDES
        axes[axis] = draw(st.sampled_from(choices))
    return axes[axis]
