"""One pass through the nodes of a graph, or of one use of a local block, in the order of what they read."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from crossband import registry
from crossband.blocks.sizes import Shape
from crossband.graphs.apply import bind_inputs, call_block, check_alone, params_given, refuse_unknown
from crossband.graphs.diagnostics import Place
from crossband.graphs.plan import Ref
from crossband.graphs.promises import kept_output
from crossband.graphs.resolve import find
from crossband.graphs.sites import sites_of, written_out
from crossband.graphs.state import Flow, Found, Use, Walk
from crossband.graphs.syntax import Graph, Node, Notes, Output, Step, Value
from crossband.graphs.values import Invalid

MAX_REPEAT = 1000
MAX_CALLS = 10_000


def run(walk: Walk) -> tuple[dict[str, Found | None], Graph]:
    """The outputs, and the graph free of expressions."""
    nodes = {name: node for name, node in walk.graph.nodes.items() if node}
    inputs = {name: _input(walk, name) for name in walk.graph.inputs}
    resolved: dict[str, Node] = {}
    for node in _ordered(walk, nodes):
        try:
            walk.flows[node.name], resolved[node.name] = _node(walk, node)
        except Invalid:
            walk.flows[node.name] = None
    outputs: dict[str, Found | None] = {}
    promised: dict[str, Output | None] = {}
    for name, output in walk.graph.outputs.items():
        if output:
            outputs[name], promised[name] = kept_output(walk, output)
    ordered = {name: resolved[name] for name in nodes if name in resolved}
    graph = Graph(walk.graph.name, inputs, ordered, promised, cite=walk.graph.cite, doc=walk.graph.doc)
    return outputs, graph


def report_unused(walk: Walk) -> None:
    """Nodes and inputs that nothing reads are mistakes."""
    for name, node in walk.graph.nodes.items():
        if node and name not in walk.used:
            hint = "read it, make it an output or a tap, or remove it"
            walk.report("E021", f"nothing reads the node `{name}`", node.place and node.place.on_key(), hint)
    for name in walk.graph.inputs:
        if name not in walk.used:
            place = walk.graph.at("inputs", name)
            walk.report("E021", f"nothing reads the input `{name}`", place and place.on_key())


def _ordered(walk: Walk, nodes: Mapping[str, Node]) -> list[Node]:
    """The nodes so that each comes after what it reads; circles are reported and left out."""
    ordered: list[Node] = []
    state: dict[str, str] = {}

    def visit(name: str, trail: tuple[str, ...]) -> bool:
        node = nodes[name]
        if state.get(name) == "open":
            _circle(walk, (*trail[trail.index(name) :], name), nodes)
            return False
        if name not in state:
            state[name] = "open"
            before = [read.partition(".")[0] for read in node.reads or ()]
            good = [visit(read, (*trail, name)) for read in before if read in nodes]
            state[name] = "done" if all(good) else "circle"
            ordered.extend([node] if all(good) else [])
        return state[name] == "done"

    for name, node in nodes.items():
        if not visit(name, ()):
            walk.flows[name] = None
            walk.used.update(read.partition(".")[0] for read in node.reads or ())
    return ordered


def _circle(walk: Walk, names: Sequence[str], nodes: Mapping[str, Node]) -> None:
    node, read = nodes[names[-2]], names[-1]
    place = _reads_place(node, [r.partition(".")[0] for r in node.reads or ()].index(read))
    if len(names) == 2:
        walk.report("E023", f"`{node.name}` reads itself", place, "a node reads inputs and other nodes")
    else:
        walk.report("E022", f"nodes read each other in a circle: {' <- '.join(names)}", place)


def _node(walk: Walk, node: Node) -> tuple[Flow, Node]:
    """What a node gives, and the node free of expressions."""
    reads = node.reads or ()
    values = [(name, walk.look_up(name, _reads_place(node, number))) for number, name in enumerate(reads)]
    repeat = _repeat(walk, node.repeat, node.place and node.place.child("repeat"))
    counts = [_repeat(walk, step.repeat, step.place) for step in node.steps]
    inputs = [(name, *value) for name, value in values if value]
    if len(inputs) < len(values):
        for step in node.steps:
            check_alone(walk, step, (*node.notes, *walk.notes))
        raise Invalid
    sites = sites_of(node, repeat, counts)
    if not sites:
        return _passed_on(walk, node, inputs)
    several = len({site.label for site in sites}) > 1
    steps: list[Step] = []
    flow: Flow = {}
    for step, label, number in sites:
        own = f"{node.name}.{label}" if several else node.name
        call = f"{own}.{number}" if number > 1 else own
        notes = (*node.notes, *walk.notes)
        use = Use(step, inputs, walk.modules + own, walk.calls + call, walk.top or node.name, notes)
        flow, resolved = _apply(walk, use)
        inputs = [(node.name, *next(iter(flow.values())))]
        steps.append(resolved)
    return flow, written_out(node, steps, repeat, counts)


def _passed_on(walk: Walk, node: Node, inputs: Sequence[tuple[str, Ref, Shape]]) -> tuple[Flow, Node]:
    """A node repeated no times gives what it reads."""
    if len(inputs) != 1:
        message = f"`{node.name}` is repeated 0 times and reads {len(inputs)} nodes, so it has no value"
        walk.refuse("E024", message, node.place, "let it read one node", walk.notes)
    _, ref, shape = inputs[0]
    return {"out": (ref, shape)}, replace(node, steps=(Step("Identity"),), repeat=1, share=False)


def _repeat(walk: Walk, value: Value, place: Place | None) -> int:
    count = walk.scope.value(value, place)
    if not isinstance(count, int) or not 0 <= count <= MAX_REPEAT:
        message = f"`repeat` must be a whole number from 0 to {MAX_REPEAT}, got {count}"
        walk.refuse("E006", message, place, None, walk.notes)
    return int(count)  # a comparison such as `'en5' in places` counts as 0 or 1


def _apply(walk: Walk, use: Use) -> tuple[Flow, Step]:
    """What a step gives, and the step free of expressions. Raises Invalid, the fault being reported."""
    name = use.step.block
    if len(walk.findings.calls) >= MAX_CALLS:
        walk.refuse("E053", f"the graph has more than {MAX_CALLS} blocks", use.place)
    if block := walk.local_blocks.get(name):
        return _walk_into(walk, use, block, walk.local_blocks)
    if name in registry.blocks:
        return call_block(walk, use, registry.blocks[name])
    if not name.endswith((".yaml", ".yml")) and find(name, walk.folder):
        graph = walk.findings.library.load(name, use.place, walk.folder)
        if graph is None:
            raise Invalid
        return _walk_into(walk, use, graph, graph.blocks)
    refuse_unknown(walk, use.step, use.notes)


def _walk_into(walk: Walk, use: Use, graph: Graph, blocks: Mapping[str, Graph | None]) -> tuple[Flow, Step]:
    """One use of a local block or of another graph."""
    name = use.step.block
    if name in walk.active:
        trail = " <- ".join((*walk.active, name))
        walk.refuse("E053", f"`{name}` contains itself: {trail}", use.place, None, use.notes)
    notes: Notes = ((f"in block `{name}`, used here", use.place), *use.notes)
    scope = bind_inputs(walk, use, graph, params_given(walk, use, graph, notes))
    inner = walk.into(use, graph, scope, blocks, notes)
    outputs, resolved = run(inner)
    report_unused(inner)
    flow = {output: value for output, value in outputs.items() if value}
    if len(flow) < len(outputs):
        raise Invalid
    return flow, Step(walk.findings.local_name(name, resolved))


def _input(walk: Walk, name: str) -> tuple[Value, ...]:
    """An input as the resolved graph writes it: numbers for known sizes, names for the others."""
    flow, written = walk.flows[name], walk.graph.inputs[name]
    shape = next(iter(flow.values()))[1][1:] if flow else written
    return tuple(size if isinstance(size, int) else item for size, item in zip(shape, written, strict=True))


def _reads_place(node: Node, number: int) -> Place | None:
    """Where a node says what it reads: in its `from`, or by standing where it stands."""
    if node.place is None:
        return None
    raw = node.place.written()
    written = raw.get("from") if isinstance(raw, dict) else None
    if written is None:
        return node.place.on_key()
    return node.place.child("from", number) if isinstance(written, list) else node.place.child("from")
