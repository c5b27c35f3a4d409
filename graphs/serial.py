"""A graph back to plain data and YAML text, and the digest that is its identity."""

import hashlib
import json
from typing import Any

from crossband.graphs.syntax import Graph, Node, Step
from crossband.graphs.writer import dump as dump_yaml


def to_data(graph: Graph) -> dict[str, Any]:
    """The graph as plain data in the form of a graph file; what need not be said is left out."""
    data: dict[str, Any] = {
        "graph": graph.name,
        "doc": graph.doc,
        "cite": graph.cite[0] if len(graph.cite) == 1 else list(graph.cite),
        "params": dict(graph.params),
        **_body(graph),
        "taps": dict(graph.taps),
        "blocks": {name: _block(block) for name, block in graph.blocks.items() if block},
        "wrap": {name: dict(step.arguments) for name, step in graph.wrap.items() if step},
    }
    return {key: value for key, value in data.items() if value not in (None, {}, [])}


def dump(graph: Graph) -> str:
    """The graph as YAML text: reading it again gives an equal graph."""
    return dump_yaml(to_data(graph))


def digest(graph: Graph) -> str:
    """The identity of a resolved graph: a SHA-256 over what it computes, whatever it is called.

    Names and order of nodes that do not depend on each other, documentation and citations play no part.
    """
    wrap = [[name, dict(step.arguments)] for name, step in graph.wrap.items() if step]
    identity = {
        "body": _identity(graph),
        "blocks": {name: _identity(block) for name, block in graph.blocks.items() if block},
        "wrap": wrap,  # a list, since wrappers are applied in order
    }
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _identity(graph: Graph) -> dict[str, Any]:
    return {
        "inputs": [[name, list(shape)] for name, shape in graph.inputs.items()],
        "nodes": {name: _node(node, None) for name, node in graph.nodes.items() if node},
        "outputs": [[name, output.reads] for name, output in graph.outputs.items() if output],
    }


def _block(graph: Graph) -> dict[str, Any]:
    data = {"doc": graph.doc, "params": dict(graph.params), **_body(graph)}
    return {key: value for key, value in data.items() if value not in (None, {}, [])}


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


def _node(node: Node, above: tuple[str, ...] | None) -> Any:
    """A node in its shortest form; with `above` None, complete."""
    reads = list(node.reads or ())
    data: dict[str, Any] = {}
    if above is None or tuple(reads) != above:
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
    if above is None:
        return data
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
