"""A checked graph: the blocks to call in order, with every argument, shape and condition known."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from crossband.blocks.contracts.block import BlockEntry, WrapperEntry
from crossband.blocks.contracts.ranges import ANY, Range
from crossband.blocks.contracts.sizes import Condition, Shape
from crossband.graphs.language.diagnostics import Place
from crossband.graphs.language.syntax import Graph, Notes
from crossband.graphs.plans.admissible import SizeRule
from crossband.registry import CrossbandError, suggest

FEW = 3  # values to list on one line
MAP = 3  # axes that tokens have, `b n c`, and a map has more of


@dataclass(frozen=True)
class Ref:
    """A reference to a value of a plan: an input or a call by name, and the index of one of its outputs."""

    source: str
    index: int = 0


@dataclass(frozen=True, repr=False)
class Call:
    """One application of a block. `module` names its module; two calls with one module share weights."""

    name: str
    module: str
    node: str
    entry: BlockEntry
    arguments: Mapping[str, Any]
    reads: tuple[Ref, ...]
    shapes: tuple[Shape, ...]
    place: Place | None
    notes: Notes = ()

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"<Call {self.name}: {self.entry.name}({options}) of {', '.join(ref.source for ref in self.reads)}>"


@dataclass(frozen=True)
class Wrap:
    """A wrapper around the whole network, either of its module or of its graph."""

    entry: WrapperEntry
    arguments: Mapping[str, Any]
    place: Place | None

    @property
    def rewrites(self) -> bool:
        """Whether it rewrites the graph, so that nothing is left to do when the module is built."""
        return self.entry.rewrites


@dataclass(frozen=True)
class Requirement:
    """A condition on the image size, with the part of the graph that causes it."""

    condition: Condition
    code: str
    message: str
    place: Place | None
    hint: str | None = None
    notes: Notes = ()


@dataclass(frozen=True, repr=False)
class Plan:
    """A graph that passed every check.

    `graph` is its resolved form, free of expressions: what the digest is taken of and what a checkpoint
    keeps. Shapes are symbolic, batch first; `sizes` says which heights and widths are admissible.
    """

    graph: Graph
    inputs: Mapping[str, Shape]
    calls: tuple[Call, ...]
    outputs: Mapping[str, Ref]
    taps: Mapping[str, Ref]
    wrap: tuple[Wrap, ...]
    sizes: SizeRule

    def __repr__(self) -> str:
        given = {name: self.shape(ref) for name, ref in self.outputs.items()}
        return f"<Plan {self.graph.name}: {_words(self.inputs)} -> {_words(given)}; {self.sizes}>"

    @cached_property
    def shapes(self) -> Mapping[str, tuple[Shape, ...]]:
        """The symbolic shapes that each input and call gives, batch first."""
        return {name: (shape,) for name, shape in self.inputs.items()} | {c.name: c.shapes for c in self.calls}

    def shape(self, ref: Ref) -> Shape:
        """The symbolic shape of one value."""
        return self.shapes[ref.source][ref.index]

    def range(self, name: str, inputs: Mapping[str, Range] | None = None) -> Range:
        """Between which numbers an output or a tap lies: see `ranges`.

        Raises CrossbandError if there is no output, tap or input of a name.
        """
        found = self.ranges(inputs)
        if name not in found:
            raise CrossbandError(f"`{self.graph.name}` has no output or tap `{name}`", hint=suggest(name, found))
        return found[name]

    def ranges(self, inputs: Mapping[str, Range] | None = None) -> dict[str, Range]:
        """The range of each output and tap, in eval, for inputs in these ranges.

        Inputs that are not given may be anything. Raises CrossbandError for a name that is not an input.
        """
        if unknown := (inputs or {}).keys() - self.inputs.keys():
            raise CrossbandError(
                f"`{self.graph.name}` has no input `{min(unknown)}`", hint=suggest(min(unknown), self.inputs)
            )
        found: dict[str, tuple[Range, ...]] = {name: ((inputs or {}).get(name, ANY),) for name in self.inputs}
        for call in self.calls:
            read = [found[ref.source][ref.index] for ref in call.reads]
            found[call.name] = call.entry.ranges(read, call.arguments)
        outputs = {name: found[ref.source][ref.index] for name, ref in self.outputs.items()}
        for wrap in self.wrap:
            outputs = {name: wrap.entry.wrapped(each, wrap.arguments) for name, each in outputs.items()}
        return outputs | {name: found[ref.source][ref.index] for name, ref in self.taps.items()}

    @property
    def image(self) -> Shape | None:
        """The symbolic shape of the first input that is a map, not a vector or a number; None if there is none."""
        return next((shape for shape in self.inputs.values() if len(shape) > MAP), None)

    def by_node(self) -> Iterator[tuple[str, list[Call]]]:
        """The calls of each node of the graph, in the order in which they run."""
        groups: dict[str, list[Call]] = {}
        for call in self.calls:
            groups.setdefault(call.node, []).append(call)
        yield from groups.items()


def _words(shapes: Mapping[str, Shape]) -> str:
    """A few values with their shapes without the batch."""
    return few(f"{name} {'x'.join(map(str, shape[1:])) or 'one number'}" for name, shape in shapes.items())


def few(texts: Iterable[str]) -> str:
    """The first few of some texts on a line, and how many more there are."""
    texts = list(texts)
    return ", ".join(texts if len(texts) <= FEW else [*texts[:FEW], f"and {len(texts) - FEW} more"])
