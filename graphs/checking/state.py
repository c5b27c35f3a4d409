"""What a check knows while it walks: the findings so far, where it is, and the step it is at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, TypeAlias

from crossband.blocks.contracts.sizes import Condition, Shape, Size
from crossband.graphs.checking.explain import shapes_in_words
from crossband.graphs.checking.scope import Scope
from crossband.graphs.language.diagnostics import Diagnostic, Place, Problems, Reported
from crossband.graphs.language.resolve import Resolver
from crossband.graphs.language.sites import label_of
from crossband.graphs.language.syntax import Graph, Note, Notes, Step
from crossband.graphs.plans.admissible import possible
from crossband.graphs.plans.plan import Call, Ref, Requirement
from crossband.registry import suggest

Found: TypeAlias = tuple[Ref, Shape]
Input: TypeAlias = tuple[str, Ref, Shape]  # what a step reads: the node it is from, and the value
NodeOutputs: TypeAlias = Mapping[str, Found]  # what a node gives, by output; its bare name means the first
MAX_STEPS = 10_000
MAX_DEPTH = 32


@dataclass
class Findings:
    """What is found on the way through a graph and all that it contains."""

    resolver: Resolver
    calls: list[Call] = field(default_factory=list)
    requirements: list[Requirement] = field(default_factory=list)
    modules: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    blocks: dict[str, Graph] = field(default_factory=dict)
    lineage: dict[str, Note] = field(default_factory=dict)
    cite: list[str] = field(default_factory=list)  # of other graphs that are used
    steps: int = 0
    possible: dict[tuple[Size, bool, Size | None], bool] = field(default_factory=dict)

    @property
    def problems(self) -> Problems:
        """Where faults are reported."""
        return self.resolver.problems

    def local_name(self, wanted: str, block: Graph) -> str:
        """The name under which one form of a local block stands in the resolved graph."""
        number = 1
        while True:
            name = label_of(wanted) if number == 1 else f"{label_of(wanted)}.{number}"
            named = replace(block, name=name, cite=())
            if self.blocks.setdefault(name, named) == named:
                return name
            number += 1

    def origin(self, fault: Diagnostic) -> Notes:
        """How the file of a fault came in, where it is one that another graph extends and does not say so yet."""
        notes: list[Note] = []
        place = fault.place
        while place and (note := self.lineage.get(place.file)) and note not in notes:
            notes.append(note)
            place = note[1]
        said = [place for _, place in fault.notes]
        return tuple(note for note in notes if note[1] not in said)


@dataclass(frozen=True)
class Use:
    """A step on its inputs (by name, value and shape), and the names of the module and of the call it makes."""

    step: Step
    inputs: Sequence[Input]
    module: str
    call: str
    node: str  # of the whole graph, in which this stands
    notes: Notes = ()

    @property
    def place(self) -> Place | None:
        """Where the block is named."""
        return self.step.place

    @property
    def arguments_place(self) -> Place | None:
        """Where its arguments are."""
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

    `axes` are the sizes that the inputs give names to. `modules` and `calls` lead the names of the modules and
    calls made on it, `active` are the blocks it is in.
    """

    findings: Findings
    graph: Graph
    scope: Scope
    flows: dict[str, NodeOutputs | None]  # None where a fault made the value unknown
    local_blocks: Mapping[str, Graph | None]
    axes: Mapping[str, Size] = field(default_factory=dict)
    modules: str = ""
    calls: str = ""
    top: str | None = None  # the node of the whole graph in which this pass is
    notes: Notes = ()
    active: tuple[tuple[str, Graph], ...] = ()
    used: set[str] = field(default_factory=set)
    miswired: bool = False  # a node reads what is not there, or itself: what seems unused may be what was meant
    passed_on: dict[str, str] = field(default_factory=dict)  # nodes repeated 0 times, and what they read

    def look_up(self, name: str, place: Place | None, code: str = "E020") -> Found | None:
        """The value called `name` or `node.output`; None where it is unknown, the fault being reported."""
        node, _, output = name.partition(".")
        self.used.add(node)
        if node not in self.flows:
            known = [*self.graph.inputs, *self.graph.nodes]
            self.miswired = True
            self.report(code, f"no node or input named `{node}`", place, suggest(node, known))
            return None
        flow = self.flows[node]
        if flow is None:
            return None
        if not output:
            return next(iter(flow.values()))
        if output not in flow:
            hint = suggest(output, flow) if len(flow) > 1 else f"it gives one value: read `{node}`"
            self.report(code, f"`{node}` has no output `{output}`", place, hint)
            return None
        return flow[output]

    def can_hold(self, condition: Condition) -> bool:
        """Whether some image size meets a condition."""
        if condition.certain is not None:
            return condition.certain
        known, key = self.findings.possible, (condition.size, condition.at_least, condition.wanted)
        if key not in known:
            known[key] = possible(condition)
        return known[key]

    def read_name(self, name: str) -> str:
        """`name` as the resolved graph writes it, where nodes that only pass a value on are left out."""
        return self.passed_on.get(name) or self.passed_on.get(name.partition(".")[0], name)

    def into(self, use: Use, graph: Graph, scope: Scope, axes: Mapping[str, Size]) -> "Walk":
        """The pass through a local block or another graph, for one use of it."""
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

    def report(self, code: str, message: str, place: Place | None, hint: str | None = None) -> None:
        """Report a fault and go on."""
        self.findings.problems.add(code, message, place, hint, self.notes)

    def refuse(
        self, code: str, message: str, place: Place | None, hint: str | None = None, notes: Notes = ()
    ) -> NoReturn:
        """Report a fault and give up what depends on it."""
        self.findings.problems.add(code, message, place, hint, notes)
        raise Reported
