"""Write a graph as plain data and as YAML text, and compute the digest that identifies it."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from crossband import registry
from crossband.graphs.language.names import has_index
from crossband.graphs.language.sites import label_of
from crossband.graphs.language.syntax import Graph, Node, Step
from crossband.graphs.language.writer import dump as dump_yaml
from crossband.registry import CrossbandError


def to_data(graph: Graph) -> dict[str, Any]:
    """The graph as plain data in the form of a graph file, without keys that may be left out."""
    if graph.patches:
        hint = "check it first, `crossband.check(graph).graph`: then its params have values"
        raise CrossbandError(
            f"`{graph.name}` extends names with an index, and is flat only once it is checked", hint=hint
        )
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
        "inputs": [[name, list(shape or ())] for name, shape in graph.inputs.items()],
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
    return [node.reads, steps, node.repeat, node.share]  # a resolved node has no index and no condition


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
            only = len(graph.outputs) == 1 and name not in nodes and not has_index(name)
            plain = output.reads == name or (only and (output.reads,) == above)
            outputs[name] = list(output.shape) if plain else {"from": output.reads, "shape": list(output.shape)}
    return {
        "inputs": {name: list(shape or ()) for name, shape in graph.inputs.items()},
        "nodes": nodes,
        "outputs": outputs,
    }


def _node(node: Node, above: tuple[str, ...]) -> Any:
    """A node in its shortest form, given the node or inputs `above` it, which it reads by default."""
    reads = list(node.reads or ())
    data: dict[str, Any] = {}
    if tuple(reads) != above or (not node.implied and any(map(has_index, reads))):
        data["from"] = reads[0] if len(reads) == 1 else reads
    single = len(node.steps) == 1 and _step(node.steps[0]) in (node.steps[0].block, _bare(node.steps[0]))
    if single:
        data |= _bare(node.steps[0])
    elif node.steps:
        data["do"] = [_step(step) for step in node.steps]
    data |= _repetition(node)
    if node.doc:
        data["doc"] = node.doc
    if list(data) == ["do"]:
        return data["do"]
    return node.steps[0].block if single and data == {node.steps[0].block: {}} else data


def _step(step: Step) -> Any:
    return {**_bare(step), **_repetition(step)} if step.arguments or _repetition(step) else step.block


def _bare(step: Step) -> dict[str, Any]:
    return {step.block: dict(step.arguments)}


def _repetition(part: Node | Step) -> dict[str, Any]:
    """The keys of a node or step that say whether, how often and with which weights it is applied."""
    data: dict[str, Any] = {}
    if part.repeat != 1 or part.index:
        data["repeat"] = part.repeat
    if part.index:
        names = [part.index] if isinstance(part.index, str) else list(part.index)
        data["index"] = names[0] if len(names) == 1 else names
    if part.when is not True:
        data["if"] = part.when
    if part.share:
        data["share"] = part.share
    return data
