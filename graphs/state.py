"""What a check knows while it walks: the findings so far, where it is, and the step it is at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from crossband.blocks.sizes import Shape
from crossband.graphs.diagnostics import Place, Problems
from crossband.graphs.explain import render_shape
from crossband.graphs.plan import Call, Ref, Requirement
from crossband.graphs.resolve import Library
from crossband.graphs.syntax import Graph, Notes, Step
from crossband.graphs.values import Invalid, Scope
from crossband.registry import near

Found: TypeAlias = tuple[Ref, Shape]
Flow: TypeAlias = Mapping[str, Found]  # what a node gives, by output; its bare name means the first


@dataclass
class Findings:
    """What is found on the way through a graph and all that it contains."""

    library: Library
    calls: list[Call] = field(default_factory=list)
    requirements: list[Requirement] = field(default_factory=list)
    modules: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    blocks: dict[str, Graph] = field(default_factory=dict)

    @property
    def problems(self) -> Problems:
        """Where faults are reported."""
        return self.library.problems

    def local_name(self, wanted: str, block: Graph) -> str:
        """The name under which one specialised local block stands in the resolved graph."""
        number = 1
        while True:
            name = wanted if number == 1 else f"{wanted}_{number}"
            named = replace(block, name=name)
            if self.blocks.setdefault(name, named) == named:
                return name
            number += 1


@dataclass(frozen=True)
class Use:
    """A step on its inputs (by name, value and shape), and the names of the module and of the call it makes."""

    step: Step
    inputs: Sequence[tuple[str, Ref, Shape]]
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
        return ", ".join(f"`{name}` is {render_shape(shape)}" for name, _, shape in self.inputs)


@dataclass
class Walk:
    """One pass through a graph, or through one use of a local block.

    `modules` and `calls` lead the names of the modules and calls made on it, `active` are the blocks it is in.
    """

    findings: Findings
    graph: Graph
    scope: Scope
    flows: dict[str, Flow | None]  # None where a fault made the value unknown
    local_blocks: Mapping[str, Graph | None]
    modules: str = ""
    calls: str = ""
    top: str | None = None  # the node of the whole graph in which this pass is
    notes: Notes = ()
    active: tuple[str, ...] = ()
    used: set[str] = field(default_factory=set)

    @property
    def folder(self) -> Path | None:
        """Where other graphs are looked for first: beside this one."""
        return Path(self.graph.place.file).parent if self.graph.place else None

    def look_up(self, name: str, place: Place | None, code: str = "E020") -> Found | None:
        """The value called `name` or `node.output`; None where it is unknown, the fault being reported."""
        node, _, output = name.partition(".")
        self.used.add(node)
        if node not in self.flows:
            matches = near(node, [*self.graph.inputs, *(name for name, other in self.graph.nodes.items() if other)])
            hint = f"did you mean `{matches[0]}`?" if matches else None
            self.report(code, f"no node or input named `{node}`", place, hint)
            return None
        flow = self.flows[node]
        if flow is None:
            return None
        if not output:
            return next(iter(flow.values()))
        if output not in flow:
            self.report(code, f"`{node}` has no output `{output}`", place, f"it gives {', '.join(flow)}")
            return None
        return flow[output]

    def report_unused(self) -> None:
        """Nodes and inputs that nothing reads are mistakes."""
        for name, node in self.graph.nodes.items():
            if node and name not in self.used:
                hint = "read it, make it an output or a tap, or remove it"
                self.report("E021", f"nothing reads the node `{name}`", node.place and node.place.on_key(), hint)
        for name in self.graph.inputs:
            if name not in self.used:
                place = self.graph.at("inputs", name)
                self.report("E021", f"nothing reads the input `{name}`", place and place.on_key())

    def into(self, use: Use, graph: Graph, scope: Scope, blocks: Mapping[str, Graph | None], notes: Notes) -> "Walk":
        """The pass through a local block or another graph, for one use of it."""
        flows: dict[str, Flow | None] = {
            name: {name: (ref, shape)} for name, (_, ref, shape) in zip(graph.inputs, use.inputs, strict=True)
        }
        active = (*self.active, use.step.block)
        return Walk(
            self.findings, graph, scope, flows, blocks, f"{use.module}.", f"{use.call}.", use.node, notes, active
        )

    def report(self, code: str, message: str, place: Place | None, hint: str | None = None) -> None:
        """Report a fault and go on."""
        self.findings.problems.add(code, message, place, hint, self.notes)

    def refuse(
        self, code: str, message: str, place: Place | None, hint: str | None = None, notes: Notes = ()
    ) -> NoReturn:
        """Report a fault and give up what depends on it."""
        self.findings.problems.add(code, message, place, hint, notes)
        raise Invalid
