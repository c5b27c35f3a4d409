"""Replace graphs that are used as nodes by their own nodes, so that a picture shows what is inside them."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import count

from crossband import registry
from crossband.graphs.checking.apply import bind_inputs, params_given
from crossband.graphs.checking.expand import expanded
from crossband.graphs.checking.scope import Scope
from crossband.graphs.checking.state import Use, Walk
from crossband.graphs.language.diagnostics import Reported
from crossband.graphs.language.document import YamlValue
from crossband.graphs.language.syntax import Graph, Node
from crossband.graphs.picture.parts import INSIDE

MOST = 60  # parts of a picture that fits a screen


def opened(walk: Walk) -> Graph:
    """The graph of a finished walk, with each node that only uses another graph replaced by the nodes of that graph.

    A node `dec1` inside `handle` is then called `handle/dec1`; local blocks are numbered, as in a resolved graph. The
    graph is unchanged if nothing can be opened, or if its picture would have more than `MOST` parts. It must have no
    faults.
    """
    graph = walk.graph
    for name, node in walk.graph.nodes.items():
        with suppress(Reported):  # a chain repeated 0 times is not fully checked
            if node and (inner := _used(walk, node)):
                scope = _scope(walk, node, inner)
                graph = _spliced(graph, graph.nodes[name] or node, expanded(inner, scope), scope)
    return graph if len(graph.inputs) + len(graph.nodes) + len(graph.outputs) <= MOST else walk.graph


def _used(walk: Walk, node: Node) -> Graph | None:
    """The graph that a node uses once, as its only step; None for any other node."""
    if not node.steps:  # it shares those of another node
        return None
    times = [walk.scope.value(repeat, None) for repeat in (node.repeat, *(step.repeat for step in node.steps))]
    name, place = node.steps[0].block, node.steps[0].place
    if times != [1, 1] or name in walk.local_blocks or name in registry.blocks:
        return None
    inner = walk.findings.resolver.load(name, place)
    assert inner is not None
    nodes = [each for part in (inner, *inner.blocks.values()) if part for each in part.nodes.values() if each]
    foreign = {step.block for each in nodes for step in each.steps} - inner.blocks.keys()
    return None if foreign & walk.local_blocks.keys() else inner  # outside, these names would mean local blocks


def _scope(walk: Walk, node: Node, inner: Graph) -> Scope:
    """The scope inside a graph that a node uses."""
    inputs = [(name, *found) for name in node.reads or () if (found := walk.look_up(name, None))]
    use = Use(node.steps[0], inputs, node.name, node.name, node.name)
    return bind_inputs(walk, use, inner, params_given(walk, use, inner, ()))[2]


def _spliced(outer: Graph, node: Node, inner: Graph, scope: Scope) -> Graph:
    """The outer graph with the inner nodes, free of expressions, in place of the node that uses them."""
    sources = dict(zip(inner.inputs, node.reads or (), strict=True))
    number = next(n for n in count(1) if not any(f"{key}.{n}" in outer.blocks for key in inner.blocks))

    def below(inside: str) -> str:
        return f"{node.name}{INSIDE}{inside}"

    def block(used: str) -> str:
        return f"{used}.{number}" if used in inner.blocks else used

    blocks = {block(key): _rewritten(part, block=block) for key, part in inner.blocks.items() if part}
    inner = _rewritten(
        inner,
        read=lambda read: sources.get(read.partition(".")[0], below(read)),
        block=block,
        value=lambda value: scope.value(value, None),
    )
    ends = {f"{node.name}.{key}": str(end.reads) for key, end in inner.outputs.items() if end}
    ends |= {f"{node.name}.{key}": target for key, target in inner.taps.items() if target and key not in inner.outputs}
    ends[node.name] = next(iter(ends.values()))  # the bare name of a node means its first output
    outer = _rewritten(outer, read=lambda read: ends.get(read, read))
    parts = {below(key): part and replace(part, name=below(key)) for key, part in inner.nodes.items()}
    pairs = (parts.items() if key == node.name else [(key, part)] for key, part in outer.nodes.items())
    nodes = {key: part for each in pairs for key, part in each}
    return replace(outer, nodes=nodes, blocks={**outer.blocks, **blocks})


def _rewritten(
    graph: Graph,
    read: Callable[[str], str] = str,
    block: Callable[[str], str] = str,
    value: Callable[[YamlValue], YamlValue] = lambda value: value,
) -> Graph:
    """The graph with the names it reads, the names of blocks and the values of arguments replaced."""
    nodes: dict[str, Node | None] = {}
    for node in filter(None, graph.nodes.values()):
        steps = (
            replace(s, block=block(s.block), arguments=value(dict(s.arguments)), repeat=value(s.repeat))
            for s in node.steps
        )
        reads = tuple(map(read, node.reads or ()))
        nodes[node.name] = replace(node, steps=tuple(steps), reads=reads, repeat=value(node.repeat))
    outputs = {name: end and replace(end, reads=read(str(end.reads))) for name, end in graph.outputs.items()}
    taps = {name: target and read(target) for name, target in graph.taps.items()}
    return replace(graph, nodes=nodes, outputs=outputs, taps=taps)
