"""Report what a graph declares and never uses: most often a misspelt name."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crossband.graphs.checking.state import Walk
from crossband.graphs.language.diagnostics import Hint, Place
from crossband.graphs.language.document import YamlValue
from crossband.graphs.language.expressions import names_in
from crossband.graphs.language.syntax import Graph
from crossband.registry import near, nearest

FEW = 4  # names to list
MISSPELT = 16  # more params than this are not unused because each of their uses is misspelt


def report_unused(walk: Walk, graph: Graph, expressions: Sequence[YamlValue] = ()) -> None:
    """Report nodes and inputs of a walked graph that nothing reads, and params and local blocks that nothing uses.

    `expressions` are those that said which nodes there are, before the walk.
    Params and blocks are reported only if the graph's own file declares them: inherited ones may stay unused.
    """
    if graph.partial or walk.graph.partial:
        return  # a missing part may use them
    if not walk.miswired:
        _report_unread(walk, graph)
    for name in () if walk.miswired else graph.inputs:
        if name not in walk.used:
            _report(walk, "nothing reads the input", name, graph.at("inputs", name), "let a node read it, or remove it")
    texts = set(_texts(graph))
    named = names_in([*texts, *expressions])
    unused = [name for name in graph.params if name not in named and name not in texts]
    known = sorted({*named, *graph.params})
    misspelt = sorted(named - graph.params.keys())  # which is reported where it is written
    for name in unused:
        place = graph.at("params", name)
        if graph.owns(place) and not (len(unused) <= MISSPELT and near(name, misspelt)):
            others = (other for other in known if other != name)
            hint = nearest(name, others, otherwise=f"use it as `={name}`, or remove it", few=0)
            _report(walk, "nothing uses the param", name, place, hint)
    uses = set(_blocks_used(graph))
    for name, block in graph.blocks.items():
        if block and name not in uses and graph.owns(block.place):
            _report(walk, "nothing uses the block", name, block.place, "use it as a node, or remove it")


def _report_unread(walk: Walk, graph: Graph) -> None:
    """Report nodes that nothing reads: those of one name with an index once, and inherited ones once."""
    unread = [node for name, node in walk.graph.nodes.items() if node and name not in walk.used]
    inherited = [node.name for node in unread if graph.lineage and not graph.owns(node.place)]
    own: dict[Place | None, list[str]] = {}
    for node in unread:
        if node.name not in inherited:
            own.setdefault(node.place, []).append(node.name)
    for place, names in own.items():
        what = "nothing reads the node" + "s" * (len(names) > 1)
        hint = f"read {'it, make it' if len(names) == 1 else 'them, make them'} an output or a tap, or remove "
        walk.report("E021", f"{what} {_listed(names)}", place and place.on_key(), hint + ("it", "them")[len(names) > 1])
    if inherited:
        place = graph.at("extends")
        message = f"`{graph.name}` leaves unread what it inherits: {_listed(inherited)}"
        hint = "`keep: [NODE, ...]` keeps the nodes that it names, with all that they read, and drops the rest"
        walk.report("E021", message, place and place.on_key(), hint)


def _listed(names: Sequence[str]) -> str:
    """Names in a row, the middle of many left out."""
    quoted = [f"`{name}`" for name in names]
    quoted = quoted if len(quoted) <= FEW else [*quoted[: FEW - 1], f"{len(quoted) - FEW + 1} more"]
    return f"{', '.join(quoted[:-1])} and {quoted[-1]}" if len(quoted) > 1 else quoted[0]


def _report(walk: Walk, what: str, name: str, place: Place | None, hint: Hint) -> None:
    walk.report("E021", f"{what} `{name}`", place and place.on_key(), hint)


def _blocks_used(graph: Graph) -> Iterator[str]:
    for body in (graph, *filter(None, graph.blocks.values())):
        for node in filter(None, body.nodes.values()):
            yield from (step.block for step in node.steps)


def _texts(graph: Graph) -> Iterator[str]:
    """Every text in the values of a graph, except in its local blocks, which have params of their own."""
    nodes = list(filter(None, graph.nodes.values()))
    steps = [step for node in nodes for step in node.steps] + list(filter(None, graph.wrap.values()))
    shapes = [*filter(None, graph.inputs.values()), *(output.shape for output in graph.outputs.values() if output)]
    repeats = [each.repeat for each in (*nodes, *steps)]
    yield from _texts_in([*graph.params.values(), *shapes, *repeats, *(step.arguments for step in steps)])


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts_in(list(value.values()))
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts_in(item)
