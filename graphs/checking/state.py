"""The state of a check: the findings so far, the current pass, and the step in use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NoReturn, TypeAlias

from crossband.blocks.contracts.block import BlockEntry
from crossband.blocks.contracts.contract import Result
from crossband.blocks.contracts.shapes import shapes_of
from crossband.blocks.contracts.sizes import Condition, Shape, Size
from crossband.graphs.checking.explain import shapes_in_words
from crossband.graphs.checking.scope import Scope
from crossband.graphs.language.diagnostics import Diagnostic, Hint, Place, Problems, Reported
from crossband.graphs.language.resolve import Resolver
from crossband.graphs.language.sites import label_of
from crossband.graphs.language.syntax import Graph, Node, Note, Notes, Step
from crossband.graphs.plans.admissible import possible
from crossband.graphs.plans.plan import Call, Ref, Requirement
from crossband.registry import nearest

Found: TypeAlias = tuple[Ref, Shape]
Input: TypeAlias = tuple[str, Ref, Shape]  # what a step reads: the node it is from, and the value
NodeOutputs: TypeAlias = Mapping[str, Found]  # what a node gives, by output; its bare name means the first


@dataclass
class Findings:
    """Everything found while walking through a graph and the blocks inside it."""

    resolver: Resolver
    calls: list[Call] = field(default_factory=list)
    requirements: list[Requirement] = field(default_factory=list)
    modules: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    blocks: dict[str, Graph] = field(default_factory=dict)
    lineage: dict[str, Note] = field(default_factory=dict)
    cite: list[str] = field(default_factory=list)  # of other graphs that are used
    steps: int = 0
    possible: dict[tuple[Size, bool, Size | None], bool] = field(default_factory=dict)
    _results: dict[tuple[str, tuple[Shape, ...], str], Result] = field(default_factory=dict)
    _variants: dict[str, dict[str, str]] = field(default_factory=dict)  # of a local block, their names by what they are

    @property
    def problems(self) -> Problems:
        """The faults reported so far."""
        return self.resolver.problems

    def local_name(self, wanted: str, block: Graph) -> str:
        """The name of one variant of a local block in the resolved graph: `stage`, `stage.2`, ..."""
        known = self._variants.setdefault(label := label_of(wanted), {})
        what = f"{block.inputs} {block.nodes} {block.outputs} {block.doc!r}"
        if what not in known:
            known[what] = label if not known else f"{label}.{len(known) + 1}"
            self.blocks[known[what]] = replace(block, name=known[what], cite=())
        return known[what]

    def shapes_of(self, entry: BlockEntry, shapes: Sequence[Shape], arguments: Mapping[str, Any]) -> Result:
        """What a block makes of these shapes, worked out once for all alike. Raises ContractError."""
        key = entry.name, tuple(shapes), repr(arguments)
        if key not in self._results:
            self._results[key] = shapes_of(entry, shapes, arguments)
        return self._results[key]

    def origin(self, fault: Diagnostic) -> Notes:
        """Notes that tell how the file of a fault came in through `extends`, unless the fault has them already."""
        notes: list[Note] = []
        place = fault.place
        while place and (note := self.lineage.get(place.file)) and note not in notes:
            notes.append(note)
            place = note[1]
        said = [place for _, place in fault.notes]
        return tuple(note for note in notes if note[1] not in said)


@dataclass(frozen=True)
class Use:
    """A step with its inputs (name, value and shape each), and the names of its module and its call."""

    step: Step
    inputs: Sequence[Input]
    module: str
    call: str
    node: str  # of the whole graph, that contains this use
    notes: Notes = ()
    parts: frozenset[str] = frozenset()  # what is read of its node by the name of an output or tap
    shares: Node | None = None  # the node that applies the step of another node, with its weights

    @property
    def place(self) -> Place | None:
        """The place of the block's name."""
        return self.step.place

    @property
    def arguments_place(self) -> Place | None:
        """The place of its arguments."""
        return self.step.place and self.step.place.child()

    @property
    def shapes(self) -> list[Shape]:
        """The shapes of the inputs."""
        return [shape for _, _, shape in self.inputs]

    @property
    def found(self) -> str:
        """The inputs in words, for messages."""
        return shapes_in_words([(name, shape) for name, _, shape in self.inputs])


@dataclass
class Walk:
    """One pass through a graph, or through one use of a local block.

    `axes` are the sizes that the inputs name. `modules` and `calls` are the prefixes of the names of modules and calls,
    `active` are the blocks that this pass is inside of.
    """

    findings: Findings
    graph: Graph
    scope: Scope
    flows: dict[str, NodeOutputs | None]  # None where a fault made the value unknown
    local_blocks: Mapping[str, Graph | None]
    axes: Mapping[str, Size] = field(default_factory=dict)
    modules: str = ""
    calls: str = ""
    top: str | None = None  # the node of the whole graph that contains this pass
    notes: Notes = ()
    active: tuple[tuple[str, Graph], ...] = ()
    used: set[str] = field(default_factory=set)
    miswired: bool = False  # a node reads an unknown name or itself, which may be why another seems unused
    passed_on: dict[str, str] = field(default_factory=dict)  # nodes repeated 0 times, and what they read
    taps: dict[str, list[str]] = field(default_factory=dict)  # of the graphs that nodes use
    owners: dict[str, Node | None] = field(default_factory=dict)  # whose weights a node has; None after a fault
    lent: dict[str, list[Step]] = field(default_factory=dict)  # the steps of nodes whose weights others share

    def look_up(self, name: str, place: Place | None, code: str = "E020", notes: Notes = ()) -> Found | None:
        """The value called `name` or `node.output`; None if a fault, now or before, makes it unknown."""
        node, _, output = name.partition(".")
        self.used.add(node)
        if node not in self.flows:
            self.miswired = True
            parts = node.split()
            hint: Hint = nearest(node, self.graph.inputs, self.graph.nodes)
            if len(parts) > 1 and all(part in self.graph.inputs or part in self.graph.nodes for part in parts):
                hint = f"a comma is missing: `{', '.join(parts)}`"
            if notes and any(_index_aside(node) == _index_aside(each) for each in self.graph.nodes):
                hint = f"where there is no `{node}`, say what to read: `{_index_aside(node)}(...) or NODE`"
            self.findings.problems.add(code, f"no node or input named `{node}`", place, hint, (*notes, *self.notes))
            return None
        flow = self.flows[node]
        if flow is None:
            return None
        if not output:
            return next(iter(flow.values()))
        if output not in flow:
            known = [*flow, *self.taps.get(node, ())]
            hint = nearest(output, known) if len(known) > 1 else f"it gives one value: read `{node}`"
            self.report(code, f"`{node}` has no output `{output}`", place, hint)
            return None
        return flow[output]

    @cached_property
    def parts(self) -> Mapping[str, frozenset[str]]:
        """What is read of each node by the name of an output, `unet.deep`."""
        ends = [str(output.reads) for output in self.graph.outputs.values() if output]
        reads = [read for node in self.graph.nodes.values() if node for read in node.reads or ()]
        found: dict[str, set[str]] = {}
        for read in (*reads, *ends, *map(str, self.graph.taps.values())):
            node, _, part = read.partition(".")
            found.setdefault(node, set()).add(part)
        return {node: frozenset(parts) for node, parts in found.items()}

    def can_hold(self, condition: Condition) -> bool:
        """Whether some image size meets a condition."""
        if condition.certain is not None:
            return condition.certain
        known, key = self.findings.possible, (condition.size, condition.at_least, condition.wanted)
        if key not in known:
            known[key] = possible(condition)
        return known[key]

    def read_name(self, name: str) -> str:
        """`name` as the resolved graph writes it, which leaves out nodes that only pass a value on."""
        return self.passed_on.get(name) or self.passed_on.get(name.partition(".")[0], name)

    def into(self, use: Use, graph: Graph, scope: Scope, axes: Mapping[str, Size]) -> "Walk":
        """A new pass through a local block or another graph, for one use of it."""
        flows: dict[str, NodeOutputs | None] = {
            name: {name: (ref, shape)} for name, (_, ref, shape) in zip(graph.inputs, use.inputs, strict=True)
        }
        return Walk(
            self.findings,
            graph,
            scope,
            flows,
            self.local_blocks if use.step.block in self.local_blocks else graph.blocks,
            axes,
            modules=f"{use.module}.",
            calls=f"{use.call}.",
            top=use.node,
            notes=scope.notes,
            active=self.active,
        )

    def report(self, code: str, message: str, place: Place | None, hint: Hint = None) -> None:
        """Report a fault and continue."""
        self.findings.problems.add(code, message, place, hint, self.notes)

    def refuse(self, code: str, message: str, place: Place | None, hint: Hint = None, notes: Notes = ()) -> NoReturn:
        """Report a fault and raise Reported, so that nothing that depends on it is checked."""
        self.findings.problems.add(code, message, place, hint, notes)
        raise Reported


def _index_aside(name: str) -> str:
    """The name without the number that it ends in."""
    return name.rstrip("0123456789")
