"""Walk through the nodes of a graph, or of one use of a local block, each after the nodes that it reads."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from crossband import registry
from crossband.blocks.contracts.sizes import Size
from crossband.graphs.checking.apply import (
    bind_inputs,
    call_block,
    check_alone,
    params_given,
    refuse_shadows,
    refuse_unknown,
)
from crossband.graphs.checking.expand import expanded
from crossband.graphs.checking.explain import trail
from crossband.graphs.checking.indices import condition, expressions_of, reads_place, repetitions, with_values
from crossband.graphs.checking.promises import kept_output
from crossband.graphs.checking.scope import Scope
from crossband.graphs.checking.state import Found, Input, NodeOutputs, Use, Walk
from crossband.graphs.checking.usage import report_unused
from crossband.graphs.language.diagnostics import Place, Reported
from crossband.graphs.language.limits import MAX_BLOCKS_DEEP, MAX_STEPS
from crossband.graphs.language.resolve import GRAPHS
from crossband.graphs.language.sites import Site, sites_of, written_out
from crossband.graphs.language.syntax import Graph, Node, Notes, Output, Step
from crossband.registry import nearest


def run(walk: Walk) -> tuple[dict[str, Found | None], Graph]:
    """Walk through a graph; return its outputs, and the graph free of expressions."""
    nodes = {name: node for name, node in walk.graph.nodes.items() if node}
    resolved: dict[str, Node] = {}
    failed: set[Place | None] = set()  # one fault of a name with an index is enough
    for node in _ordered(walk, nodes):
        try:
            if node.notes and node.place in failed:
                walk.used.update(_read_by(node, walk.flows))
                raise Reported
            walk.flows[node.name], written = _node(walk, node)
        except Reported:
            walk.flows[node.name] = None
            failed.add(node.place)
            continue
        if written:
            resolved[node.name] = written
    outputs: dict[str, Found | None] = {}
    promised: dict[str, Output | None] = {}
    named: dict[str, Size] = {}
    for name, output in walk.graph.outputs.items():
        if output:
            outputs[name], promised[name] = kept_output(walk, output, named)
    ordered = {name: resolved[name] for name in nodes if name in resolved}
    graph = Graph(walk.graph.name, walk.graph.inputs, ordered, promised, cite=walk.graph.cite, doc=walk.graph.doc)
    return outputs, graph


def _ordered(walk: Walk, nodes: Mapping[str, Node]) -> list[Node]:
    """Sort nodes so that each comes after those it reads; report and leave out nodes that read each other."""
    ordered: list[Node] = []
    done: set[str] = set()
    bad: set[str] = set()
    for start in (name for name in nodes if name not in done):
        opened: dict[str, Iterator[str]] = {start: _read_by(nodes[start], nodes)}
        while opened and (name := next(reversed(opened))):
            read = next(opened[name], None)
            if read is None:
                del opened[name]
                done.add(name)
                if name not in bad:
                    ordered.append(nodes[name])
                elif opened:
                    bad.add(next(reversed(opened)))
            elif read in opened:
                circle = list(opened)[list(opened).index(read) :]
                if not bad & set(circle):  # else part of one that is reported
                    _circle(walk, circle, nodes)
                bad.update(circle)
            elif read not in done:
                opened[read] = _read_by(nodes[read], nodes)
            elif read in bad:
                bad.add(name)
    walk.miswired |= bool(bad)
    for name in bad:
        walk.flows[name] = None
        walk.used.update(_read_by(nodes[name], walk.graph.inputs), _read_by(nodes[name], nodes))
        _check_alone(walk, nodes[name], nodes[name].steps)
    return ordered


def _read_by(node: Node, known: Mapping[str, object]) -> Iterator[str]:
    """The names among `known` that a node reads, in order; none if its text has faults."""
    reads = node.reads or () if node.steps else ()
    return iter([name for read in reads if (name := read.partition(".")[0]) in known])


def _circle(walk: Walk, names: Sequence[str], nodes: Mapping[str, Node]) -> None:
    """Report a cycle of nodes, at a node that reads one written below it."""
    place_of = {name: number for number, name in enumerate(nodes)}
    pairs = zip(names, [*names[1:], names[0]], strict=True)
    first = next(number for number, (name, read) in enumerate(pairs) if place_of[name] <= place_of[read])
    names = [*names[first:], *names[:first]]
    node, read = nodes[names[0]], names[1 % len(names)]
    place = reads_place(node, [name.partition(".")[0] for name in node.reads or ()].index(read))
    if len(names) == 1:
        walk.report("E023", f"`{node.name}` reads itself", place, "a node reads inputs and other nodes")
    else:
        message = f"nodes read each other in a circle: {trail([*names, names[0]], ' <- ')}"
        walk.report("E022", message, place, f"let `{node.name}` read another node")


def _node(walk: Walk, node: Node) -> tuple[NodeOutputs, Node | None]:
    """The outputs of a node, and the node free of expressions; None if it only passes its inputs on."""
    reads = node.reads or ()
    if not node.steps and not isinstance(node.share, str):  # it could not be read, which is reported
        walk.used.update(name.partition(".")[0] for name in reads)
        raise Reported
    places = [reads_place(node, number) for number in range(len(reads))]
    values = [(name, walk.look_up(name, at, notes=node.notes)) for name, at in zip(reads, places, strict=True)]
    inputs = [(name, *value) for name, value in values if value]
    own = _owner(walk, node)
    counts = _counts(walk, own)
    if counts is None or len(inputs) < len(values):
        _check_alone(walk, own, own.steps)
        raise Reported
    repeat, *of_steps = counts
    _check_alone(walk, own, [step for step, count in zip(own.steps, of_steps, strict=True) if repeat * count == 0])
    sites = sites_of(own, repeat, of_steps)
    if not sites:
        return _passed_on(walk, node, own, inputs), None
    flow, steps = _through(walk, node, own, sites, inputs)
    plain = tuple(walk.read_name(name) for name in reads)
    if own is node:
        return flow, replace(written_out(node, steps, repeat, of_steps), reads=plain, index=())
    return flow, replace(node, steps=(), reads=plain, share=own.name)


def _owner(walk: Walk, node: Node) -> Node:
    """The node whose steps and weights a node has: itself, or the one that it shares them with."""
    own, seen = node, {node.name: node}
    while isinstance(name := own.share, str) and own.name not in walk.owners:
        if name in seen:
            _shared_in_a_circle(walk, list(seen)[list(seen).index(name) :])
            walk.owners.update(dict.fromkeys(seen))
        elif name not in walk.graph.nodes:
            place = own.place and own.place.child("share")
            otherwise = "a node under a condition is there only where its `if` is true"
            hint = nearest(name, walk.graph.nodes, otherwise=otherwise)
            walk.report("E028", f"there is no node `{name}` to share the weights of", place, hint)
            walk.owners.update(dict.fromkeys(seen))
        else:
            own = seen[name] = walk.graph.nodes[name] or node
    found = walk.owners.get(own.name, own)
    walk.owners.update(dict.fromkeys(seen, found))
    if found is None or not found.steps:
        raise Reported  # it could not be read, or is shared in a circle, which is reported
    return found


def _shared_in_a_circle(walk: Walk, circle: Sequence[str]) -> None:
    """Report nodes that share the weights of each other, at the first of them."""
    order = {name: number for number, name in enumerate(walk.graph.nodes)}
    start = min(range(len(circle)), key=lambda number: order[circle[number]])
    circle = [*circle[start:], *circle[: start + 1]]
    node = walk.graph.nodes[circle[0]]
    message = f"nodes share weights in a circle: {trail(circle, ' <- ')}"
    walk.report("E028", message, node and node.place and node.place.child("share"), "give one of them a block")


def _through(
    walk: Walk, node: Node, owner: Node, sites: Sequence[Site], inputs: Sequence[Input]
) -> tuple[NodeOutputs, list[Step]]:
    """The outputs of a node's chain, which is that of its `owner`, and the chain free of expressions.

    A step reads the first output of the step before it. In a repetition, of a step or of the node, all outputs replace
    as many inputs from the first on, and the other inputs stay.
    """
    several = len({site.label for site in sites}) > 1
    flow: NodeOutputs = {}
    made: dict[str | int, Step] = {}
    steps: list[Step] = []
    before, taken = 0, inputs
    for position, (step, label, number, repetition, step_repetition) in enumerate(sites):
        repeats = step_repetition > 0 or repetition > before
        if flow:
            taken = _carried(node, flow, inputs if repetition > before else taken if step_repetition else taken[:1])
        before = repetition
        inside = f".{label}" if several else ""
        call = f"{node.name}{inside}.{number}" if number > 1 else f"{node.name}{inside}"
        notes = _notes(walk, node, step)
        parts = walk.parts.get(node.name, frozenset()) if step is owner.steps[-1] else frozenset()
        try:
            indices = {**dict.fromkeys(owner.index, repetition + 1), **_index_of(step, step_repetition + 1)}
            known = with_values(step, walk.scope.with_names(indices).noted(notes), indices)
            module = f"{walk.modules}{owner.name}{inside}"
            shares = None if owner is node else node
            use = Use(known, taken, module, walk.calls + call, walk.top or node.name, notes, parts, shares)
            flow, resolved = _apply(walk, use)
        except Reported:
            rest = {id(site.step): site.step for site in sites[position + 1 :] if site.step is not step}
            _check_alone(walk, owner, list(rest.values()))
            raise
        if made.setdefault(label, resolved) != resolved:
            message = f"`{step.block}` is shared, but would not be the same in each of its uses"
            walk.refuse("E030", message, use.place, use.found, notes)
        if made.setdefault(id(step), resolved) != resolved and repeats and len(taken) > 1:
            message = f"`{step.block}` keeps an input in each repetition, but would not be the same in each"
            walk.refuse("E030", message, use.place, use.found, notes)
        steps.append(resolved)
    if walk.lent.setdefault(owner.name, steps) != steps:
        message = f"`{node.name}` shares the weights of `{owner.name}`, but its blocks would not be the same"
        walk.refuse("E030", message, node.place and node.place.child("share"), None, walk.notes)
    return flow, steps


def _index_of(step: Step, repetition: int) -> dict[str, int]:
    """The index of a step by its name, if it has one."""
    return {step.index: repetition} if step.index else {}


def _carried(node: Node, flow: NodeOutputs, inputs: Sequence[Input]) -> list[Input]:
    """The inputs of the next step: the outputs of the last one, then the inputs that they do not replace."""
    given = [(node.name, *found) for found in flow.values()]
    return [*given[: len(inputs)], *inputs[len(given) :]]


def _check_alone(walk: Walk, node: Node, steps: Sequence[Step]) -> None:
    """Report faults of steps whose inputs are unknown."""
    for step in steps:
        notes = _notes(walk, node, step)
        indices = {**dict.fromkeys(node.index, 1), **_index_of(step, 1)}
        with suppress(Reported):
            check_alone(walk, with_values(step, walk.scope.with_names(indices).noted(notes), indices), notes)


def _notes(walk: Walk, node: Node, step: Step) -> Notes:
    """Notes on a step: the node it is in, unless its line shows that, and the uses that lead here."""
    here = node.place and node.place.on_key()
    mark, own = here and here.mark, step.place and step.place.mark
    if here and mark and own and mark.line != own.line:
        return *(node.notes or ((f"in the node `{node.name}`", here),)), *walk.notes
    return *node.notes, *walk.notes


def _counts(walk: Walk, node: Node) -> list[int] | None:
    """The repetitions of a node and of each of its steps; None after reporting a fault."""
    place = node.place and node.place.child("repeat")
    try:
        scope = walk.scope.noted(walk.notes)
        counts = [repetitions(scope, node.repeat, place), *(_times(scope, step) for step in node.steps)]
    except Reported:
        return None
    blocks = counts[0] * sum(counts[1:])
    if blocks > MAX_STEPS:
        walk.report("E006", f"`{node.name}` would be {blocks} blocks, more than {MAX_STEPS}", place, "repeat it less")
        return None
    return counts


def _times(scope: Scope, step: Step) -> int:
    """How often a step of a chain is applied: not at all if its `if` is false."""
    place = step.place and step.place.document.place(*step.place.path[:-1], "if")
    return repetitions(scope, step.repeat, step.place) if condition(scope, step.when, place) else 0


def _passed_on(walk: Walk, node: Node, owner: Node, inputs: Sequence[Input]) -> NodeOutputs:
    """The outputs of a node that is repeated 0 times: its first inputs, as many as its chain would give."""
    names = _outputs_of(walk, owner)
    if len(names) > len(inputs):
        message = f"`{node.name}` is repeated 0 times and gives {len(names)} values, but reads {len(inputs)}"
        walk.refuse("E024", message, node.place and node.place.on_key(), "let it read as many as it gives", walk.notes)
    for output, (name, *_) in zip(names, inputs, strict=False):
        walk.passed_on[f"{node.name}.{output}"] = walk.read_name(name)
    walk.passed_on[node.name] = walk.read_name(inputs[0][0])
    return {output: (ref, shape) for output, (_, ref, shape) in zip(names, inputs, strict=False)}


def _outputs_of(walk: Walk, node: Node) -> list[str]:
    """The output names of a node's chain, without applying it; one name if they are unknown."""
    name, place = (node.steps[-1].block, node.steps[-1].place) if node.steps else ("", None)
    if block := walk.local_blocks.get(name):
        return list(block.outputs)
    if name in registry.blocks:
        return list(registry.blocks[name].outputs)
    known = name and GRAPHS.find(name, place and place.folder)
    graph = walk.findings.resolver.load(name, place) if known else None
    return list(graph.outputs) if graph else ["out"]


def _apply(walk: Walk, use: Use) -> tuple[NodeOutputs, Step]:
    """The outputs of a step, and the step free of expressions. Raises Reported after reporting a fault."""
    name = use.step.block
    walk.findings.steps += 1
    if walk.findings.steps > MAX_STEPS:
        if walk.findings.steps == MAX_STEPS + 1:
            walk.report("E006", f"the graph has more than {MAX_STEPS} blocks", use.place, "repeat them less")
        raise Reported
    if block := walk.local_blocks.get(name):
        return _walk_into(walk, use, block)
    if name in registry.blocks:
        return call_block(walk, use, registry.blocks[name])
    if not name.endswith((".yaml", ".yml")) and GRAPHS.find(name, use.place and use.place.folder):
        graph = walk.findings.resolver.load(name, use.place)
        if graph is None:
            raise Reported
        walk.findings.lineage.update(graph.lineage)
        walk.findings.cite.extend(graph.cite)
        refuse_shadows(walk, graph)
        return _walk_into(walk, use, graph)
    refuse_unknown(walk, use.step, use.notes)


def _walk_into(walk: Walk, use: Use, graph: Graph) -> tuple[NodeOutputs, Step]:
    """Walk into one use of a local block or of another graph."""
    name = use.step.block
    if any(graph is other for _, other in walk.active):
        message = f"a block contains itself: {trail([*(each for each, _ in walk.active), name], ' uses ')}"
        walk.refuse("E053", message, use.place, "let one of them use another block, or `repeat:` one", use.notes)
    if len(walk.active) >= MAX_BLOCKS_DEEP:
        walk.refuse("E053", f"blocks are nested more than {MAX_BLOCKS_DEEP} deep", use.place, None, use.notes)
    if graph.partial and not (graph.inputs and graph.outputs):
        raise Reported  # too little of it could be read, which is reported
    notes: Notes = ((f"in the block `{name}`, used here", use.place), *use.notes)
    axes, inputs, scope = bind_inputs(walk, use, graph, params_given(walk, use, graph, notes))
    body = expanded(replace(graph, inputs=inputs), scope)
    if not body.outputs:
        raise Reported
    inner = walk.into(use, body, scope, axes)
    inner.active = (*walk.active, (name, graph))
    outputs, resolved = run(inner)
    taps = _taps_read(walk, use, inner)
    report_unused(inner, graph, expressions_of(graph))
    flow = {output: value for output, value in outputs.items() if value}
    if len(flow) < len(outputs):
        raise Reported
    promised = {tap.name: tap for tap, _ in taps}
    resolved = replace(resolved, outputs={**resolved.outputs, **promised})
    flow |= {tap.name: found for tap, found in taps}
    return flow, Step(walk.findings.local_name(name, resolved))


def _taps_read(walk: Walk, use: Use, inner: Walk) -> list[tuple[Output, Found]]:
    """The taps of a graph used as a node that are read as its outputs, `unet.deep`, each with its value."""
    found = []
    node = use.call.removeprefix(walk.calls).partition(".")[0]
    walk.taps[node] = [name for name in inner.graph.taps if name not in inner.graph.outputs]
    for name, target in inner.graph.taps.items():
        if name in use.parts and name not in inner.graph.outputs:
            value = inner.look_up(str(target), inner.graph.at("taps", name), "E041")
            if value is None:
                raise Reported
            shape = tuple(f"{name}_{axis}" for axis in range(1, len(value[1])))
            found.append((Output(name, shape, inner.read_name(str(target))), value))
        elif target:
            inner.used.add(str(target).partition(".")[0])
    return found
