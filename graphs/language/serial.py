"""Write a graph as plain data and as YAML text, and compute the digest that identifies it."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from crossband import registry
from crossband.graphs.language.sites import label_of
from crossband.graphs.language.syntax import Graph, Node, Step
from crossband.graphs.language.writer import dump as dump_yaml


def to_data(graph: Graph) -> dict[str, Any]:
    """The graph as plain data in the form of a graph file, without keys that may be left out."""
    data: dict[str, Any] = {
        "graph": graph.name,
        "doc": graph.doc,
        "cite": graph.cite[0] if len(graph.cite) == 1 else list(graph.cite),
        "params": dict(graph.params),
        "choices": {name: list(values) for name, values in graph.choices.items()},
        **_body(graph),
        "taps": dict(graph.taps),
        "blocks": {name: _block(block) for name, block in graph.blocks.items() if block},
        "wrap": {name: dict(step.arguments) for name, step in graph.wrap.items() if step},
    }
    return _without_empty(data)


def dump(graph: Graph) -> str:
    """The graph as YAML text: reading it again gives an equal graph."""
    return dump_yaml(to_data(graph))


def digest(graph: Graph) -> str:
    """Identify a resolved graph by a SHA-256 of what it computes and of the names of its weights.

    It ignores the order of independent nodes, the order of keys, documentation, citations, taps, and the names of the
    variants of a local block.
    """
    known: dict[str, str] = {}
    wrap = [[name, dict(step.arguments)] for name, step in graph.wrap.items() if step]  # applied in this order
    return _hash({"body": _identity(graph, graph.blocks, known), "wrap": wrap})


def _identity(graph: Graph, blocks: Mapping[str, Graph | None], known: dict[str, str]) -> dict[str, Any]:
    nodes = {name: _node_identity(node, blocks, known) for name, node in graph.nodes.items() if node}
    return {
        "params": dict(graph.params),
        "inputs": [[name, list(shape)] for name, shape in graph.inputs.items()],
        "nodes": nodes,
        "outputs": [[name, output.reads] for name, output in graph.outputs.items() if output],
    }


def _node_identity(node: Node, blocks: Mapping[str, Graph | None], known: dict[str, str]) -> list[Any]:
    steps = []
    for step in node.steps:
        block = blocks.get(step.block)
        if block and step.block not in known:
            known[step.block] = _hash(_identity(block, blocks, known))
        what = known[step.block] if block else _arguments(step)
        steps.append([label_of(step.block), what, step.repeat, step.share])
    return [node.reads, steps, node.repeat, node.share]


def _arguments(step: Step) -> dict[str, Any]:
    """The arguments of a registered block, without those of its later parameters that have their default."""
    entry = registry.blocks.get(step.block)
    later = {name: entry.parameters[name].default for name in entry.later} if entry else {}
    return {name: value for name, value in step.arguments.items() if name not in later or value != later[name]}


def _hash(identity: Any) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _block(graph: Graph) -> dict[str, Any]:
    return _without_empty({"doc": graph.doc, "params": dict(graph.params), **_body(graph)})


def _without_empty(data: Mapping[str, Any]) -> dict[str, Any]:
    """Drop empty values, which a file may leave out."""
    return {key: value for key, value in data.items() if key == "nodes" or value not in (None, {}, [])}


def _body(graph: Graph) -> dict[str, Any]:
    nodes: dict[str, Any] = {}
    above: tuple[str, ...] = tuple(graph.inputs)
    for name, node in graph.nodes.items():
        if node:
            nodes[name] = _node(node, above)
            above = (name,)
    outputs: dict[str, Any] = {}
    for name, output in graph.outputs.items():
        if output:
            plain = output.reads == name or (len(graph.outputs) == 1 and name not in nodes and (output.reads,) == above)
            outputs[name] = list(output.shape) if plain else {"from": output.reads, "shape": list(output.shape)}
    return {"inputs": {name: list(shape) for name, shape in graph.inputs.items()}, "nodes": nodes, "outputs": outputs}


def _node(node: Node, above: tuple[str, ...]) -> Any:
    """A node in its shortest form, given the node or inputs `above` it, which it reads by default."""
    reads = list(node.reads or ())
    data: dict[str, Any] = {}
    if tuple(reads) != above:
        data["from"] = reads[0] if len(reads) == 1 else reads
    single = len(node.steps) == 1 and node.steps[0].repeat == 1 and not node.steps[0].share
    if single:
        data[node.steps[0].block] = dict(node.steps[0].arguments)
    else:
        data["do"] = [_step(step) for step in node.steps]
    if node.repeat != 1:
        data["repeat"] = node.repeat
    if node.share:
        data["share"] = True
    if node.doc:
        data["doc"] = node.doc
    if list(data) == ["do"]:
        return data["do"]
    return node.steps[0].block if single and data == {node.steps[0].block: {}} else data


def _step(step: Step) -> Any:
    if not step.arguments and step.repeat == 1 and not step.share:
        return step.block
    data: dict[str, Any] = {step.block: dict(step.arguments)}
    return {**data, **({"repeat": step.repeat} if step.repeat != 1 else {}), **({"share": True} if step.share else {})}
