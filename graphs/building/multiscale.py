"""Wrappers of a graph, not of its module: they rewrite the graph before it is checked."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Annotated

from annotated_types import Ge, Le

from crossband import registry
from crossband.blocks.contracts.block import WrapperEntry
from crossband.graphs.language.document import YamlValue
from crossband.graphs.language.syntax import Graph, Node, Output, Step
from crossband.graphs.plans.plan import MAP
from crossband.registry import description, parameters_of

Rewrite = Callable[..., Graph]
HALVED = {"kernel": 3, "stride": 2, "padding": 1, "count_include_pad": False}  # an odd side keeps its middle


def graph_wrapper(name: str, *, cite: str | None = None) -> Callable[[Rewrite], Rewrite]:
    """Register a function from a graph to a graph as the wrapper `name`."""

    def register(function: Rewrite) -> Rewrite:
        parameters = parameters_of(function, skip=("graph",))
        said = description(function)
        entry = WrapperEntry(name=name, factory=function, parameters=parameters, cite=cite, rewrites=True, **said)
        registry.wrappers.add(entry)
        return function

    return register


@graph_wrapper("MultiScale", cite="wang2018pix2pixhd")
def multi_scale(graph: Graph, *, scales: Annotated[int, Ge(1), Le(8)] = 3) -> Graph:
    """The same network on each scale of an image pyramid, with weights of its own for each.

    There are `scales` of them: scale 1 sees the inputs as they are, each further one sees them halved once more by
    3x3 averages, `b c h w` to `b c ceil(h/2) ceil(w/2)`, which leave out what lies beyond the edge; vectors
    and numbers stay as they are. Every output and tap is there once for each scale: `score` becomes `score_1`,
    `score_2`, `score_3`. Other wrappers go around the whole.
    """
    name = next(name for name in (graph.name, f"{graph.name}_one") if name not in graph.blocks)
    whole = replace(graph, outputs={**graph.outputs, **taps_as_outputs(graph)}, taps={}, blocks={})
    given = {param: f"={param}" for param in graph.params}
    nodes: dict[str, Node] = {}
    ends: dict[str, Output] = {}
    seen = tuple(graph.inputs)
    flat = {name for name, shape in graph.inputs.items() if shape is not None and len(shape) < MAP}
    for scale in range(1, scales + 1):
        if scale > 1:
            names = [name if name in flat else f"{name}_{scale}" for name in graph.inputs]
            step = Step("AvgPool", HALVED, place=graph.place)
            nodes |= {new: Node(new, (step,), (read,)) for new, read in zip(names, seen, strict=True) if new != read}
            seen = tuple(names)
        nodes[f"scale_{scale}"] = Node(f"scale_{scale}", (Step(name, given, place=graph.place),), seen)
        ends |= {each.name: each for each in _outputs_at(graph, scale)}
    taps = {f"{tap}_{scale}": f"scale_{scale}.{tap}" for tap in graph.taps for scale in range(1, scales + 1)}
    return replace(graph, nodes=nodes, outputs=ends, taps=taps, blocks={**graph.blocks, name: whole})


def taps_as_outputs(graph: Graph) -> dict[str, Output]:
    """The taps as outputs that promise nothing about their sizes."""
    return {
        tap: Output(tap, tuple(f"{axis}_{tap}" for axis in "chw"), target, graph.at("taps", tap))
        for tap, target in graph.taps.items()
        if target
    }


def _outputs_at(graph: Graph, scale: int) -> Iterator[Output]:
    """The outputs at one scale: with their own promise at the first, with new names of sizes at the others."""
    for output in filter(None, graph.outputs.values()):
        sizes = [_size_at(size, scale) for size in output.shape[1:]] if scale > 1 else output.shape[1:]
        shape = (*output.shape[:1], *sizes)
        yield Output(f"{output.name}_{scale}", shape, f"scale_{scale}.{output.name}", output.place)


def _size_at(size: YamlValue, scale: int) -> YamlValue:
    """A name for a size at one scale: `h` becomes `h_2`. A number stays, and fails the check at the other scales."""
    return f"{size}_{scale}" if isinstance(size, str) and not size.startswith("=") else size
