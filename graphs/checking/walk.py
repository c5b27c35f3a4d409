"""Walk through the nodes of a graph, or of one use of a local block, each after the nodes that it reads."""

from collections.abc import Iterator, Mapping, Sequence
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
from crossband.graphs.checking.explain import trail
from crossband.graphs.checking.promises import kept_output
from crossband.graphs.checking.state import MAX_DEPTH, MAX_STEPS, Found, Input, NodeOutputs, Use, Walk
from crossband.graphs.checking.usage import report_unused
from crossband.graphs.language.diagnostics import Place, Reported
from crossband.graphs.language.document import YamlValue
from crossband.graphs.language.resolve import GRAPHS
from crossband.graphs.language.schema import MAX_REPEAT
from crossband.graphs.language.sites import Site, sites_of, written_out
from crossband.graphs.language.syntax import Graph, Node, Notes, Output, Step
from crossband.registry import show


def run(walk: Walk) -> tuple[dict[str, Found | None], Graph]:
    """Walk through a graph; return its outputs, and the graph free of expressions."""
    nodes = {name: node for name, node in walk.graph.nodes.items() if node}
    resolved: dict[str, Node] = {}
    for node in _ordered(walk, nodes):
        try:
            walk.flows[node.name], written = _node(walk, node)
        except Reported:
            walk.flows[node.name] = None
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
    place = _reads_place(node, [name.partition(".")[0] for name in node.reads or ()].index(read))
    if len(names) == 1:
        walk.report("E023", f"`{node.name}` reads itself", place, "a node reads inputs and other nodes")
    else:
        message = f"nodes read each other in a circle: {trail([*names, names[0]], ' <- ')}"
        walk.report("E022", message, place, f"let `{node.name}` read another node")


def _node(walk: Walk, node: Node) -> tuple[NodeOutputs, Node | None]:
    """The outputs of a node, and the node free of expressions; None if it only passes its inputs on."""
    reads = node.reads or ()
    if not node.steps:  # it could not be read, which is reported: what it reads or gives is unknown
        walk.used.update(name.partition(".")[0] for name in reads)
        raise Reported
    values = [(name, walk.look_up(name, _reads_place(node, number))) for number, name in enumerate(reads)]
    inputs = [(name, *value) for name, value in values if value]
    counts = _counts(walk, node)
    if counts is None or len(inputs) < len(values):
        _check_alone(walk, node, node.steps)
        raise Reported
    repeat, *of_steps = counts
    _check_alone(walk, node, [step for step, count in zip(node.steps, of_steps, strict=True) if repeat * count == 0])
    sites = sites_of(node, repeat, of_steps)
    if not sites:
        return _passed_on(walk, node, inputs), None
    flow, steps = _through(walk, node, sites, inputs)
    written = written_out(node, steps, repeat, of_steps)
    return flow, replace(written, reads=tuple(walk.read_name(name) for name in reads))


def _through(walk: Walk, node: Node, sites: Sequence[Site], inputs: Sequence[Input]) -> tuple[NodeOutputs, list[Step]]:
    """The outputs of a node's chain, and the chain free of expressions.

    A step reads the first output of the step before it. In a repetition, of a step or of the node, all outputs replace
    as many inputs from the first on, and the other inputs stay.
    """
    several = len({site.label for site in sites}) > 1
    flow: NodeOutputs = {}
    made: dict[str | int, Step] = {}
    steps: list[Step] = []
    before, taken = 0, inputs
    for index, (step, label, number, repetition, step_repetition) in enumerate(sites):
        repeats = step_repetition > 0 or repetition > before
        if flow:
            taken = _carried(node, flow, inputs if repetition > before else taken if step_repetition else taken[:1])
        before = repetition
        own = f"{node.name}.{label}" if several else node.name
        call = f"{own}.{number}" if number > 1 else own
        notes = _notes(walk, node, step)
        use = Use(step, taken, walk.modules + own, walk.calls + call, walk.top or node.name, notes)
        try:
            flow, resolved = _apply(walk, use)
        except Reported:
            rest = {id(site.step): site.step for site in sites[index + 1 :] if site.step is not step}
            _check_alone(walk, node, list(rest.values()))
            raise
        if made.setdefault(label, resolved) != resolved:
            message = f"`{step.block}` is shared, but would not be the same in each of its uses"
            walk.refuse("E030", message, use.place, use.found, notes)
        if made.setdefault(id(step), resolved) != resolved and repeats and len(taken) > 1:
            message = f"`{step.block}` keeps an input in each repetition, but would not be the same in each"
            walk.refuse("E030", message, use.place, use.found, notes)
        steps.append(resolved)
    return flow, steps


def _carried(node: Node, flow: NodeOutputs, inputs: Sequence[Input]) -> list[Input]:
    """The inputs of the next step: the outputs of the last one, then the inputs that they do not replace."""
    given = [(node.name, *found) for found in flow.values()]
    return [*given[: len(inputs)], *inputs[len(given) :]]


def _check_alone(walk: Walk, node: Node, steps: Sequence[Step]) -> None:
    """Report faults of steps whose inputs are unknown."""
    for step in steps:
        check_alone(walk, step, _notes(walk, node, step))


def _notes(walk: Walk, node: Node, step: Step) -> Notes:
    """Notes on a step: the node it is in, unless its line shows that, and the uses that lead here."""
    here = node.place and node.place.on_key()
    mark, own = here and here.mark, step.place and step.place.mark
    if here and mark and own and mark.line != own.line:
        return (f"in the node `{node.name}`", here), *walk.notes
    return walk.notes


def _counts(walk: Walk, node: Node) -> list[int] | None:
    """The repetitions of a node and of each of its steps; None after reporting a fault."""
    place = node.place and node.place.child("repeat")
    try:
        counts = [_repeat(walk, node.repeat, place), *(_repeat(walk, step.repeat, step.place) for step in node.steps)]
    except Reported:
        return None
    blocks = counts[0] * sum(counts[1:])
    if blocks > MAX_STEPS:
        walk.report("E006", f"`{node.name}` would be {blocks} blocks, more than {MAX_STEPS}", place, "repeat it less")
        return None
    return counts


def _repeat(walk: Walk, value: YamlValue, place: Place | None) -> int:
    count = walk.scope.value(value, place)
    if not isinstance(count, int) or not 0 <= count <= MAX_REPEAT:
        message = f"`repeat` must be a whole number from 0 to {MAX_REPEAT}, got {show(count)}"
        walk.refuse("E006", message, place, None, walk.notes)
    return int(count)  # a comparison such as `'en5' in places` counts as 0 or 1


def _passed_on(walk: Walk, node: Node, inputs: Sequence[Input]) -> NodeOutputs:
    """The outputs of a node that is repeated 0 times: its first inputs, as many as its chain would give."""
    names = _outputs_of(walk, node)
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
    if len(walk.active) >= MAX_DEPTH:
        walk.refuse("E053", f"blocks are nested more than {MAX_DEPTH} deep", use.place, None, use.notes)
    if graph.partial and not (graph.inputs and graph.outputs):
        raise Reported  # too little of it could be read, which is reported
    notes: Notes = ((f"in the block `{name}`, used here", use.place), *use.notes)
    axes, inputs, scope = bind_inputs(walk, use, graph, params_given(walk, use, graph, notes))
    inner = walk.into(use, replace(graph, inputs=inputs), scope, axes)
    inner.active = (*walk.active, (name, graph))
    outputs, resolved = run(inner)
    report_unused(inner, graph)
    flow = {output: value for output, value in outputs.items() if value}
    if len(flow) < len(outputs):
        raise Reported
    return flow, Step(walk.findings.local_name(name, resolved))


def _reads_place(node: Node, number: int) -> Place | None:
    """The place where a node says what it reads: its `from`, or its own name if it has none."""
    if node.place is None:
        return None
    raw = node.place.written()
    written = raw.get("from") if isinstance(raw, dict) else None
    if written is None:
        return node.place.on_key()
    return node.place.child("from", number) if isinstance(written, list) else node.place.child("from")
