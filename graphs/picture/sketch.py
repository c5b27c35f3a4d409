"""Collect the parts of a graph's picture, with their words, shapes, scales and faults.

In a graph with faults, parts that could not be checked have no shape and a guessed scale; each fault is shown at the
part that it is about.
"""

import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from crossband.blocks.contracts.sizes import Shape, symbol
from crossband.graphs.checking.checker import BATCH, check_into, rewritten, wrappers_of
from crossband.graphs.checking.expand import expanded
from crossband.graphs.checking.explain import render_shape
from crossband.graphs.checking.scope import Scope
from crossband.graphs.checking.state import Findings, NodeOutputs, Walk
from crossband.graphs.checking.walk import run
from crossband.graphs.language.diagnostics import Diagnostic, InvalidFile, Problems, Reported
from crossband.graphs.language.document import YamlValue
from crossband.graphs.language.resolve import Resolver
from crossband.graphs.language.sites import VARIANT
from crossband.graphs.language.syntax import Graph, Node, Step
from crossband.graphs.picture.opened import opened
from crossband.graphs.picture.parts import Part, Sketch, folded, skips_of
from crossband.graphs.picture.scales import Guess, area, band_words, guessed_level, label, level_of
from crossband.graphs.picture.words import entry_of, words
from crossband.graphs.plans.cost import count_parameters
from crossband.graphs.plans.plan import MAP, Plan, Ref
from crossband.registry import near

LONGEST = 80  # characters of the size rule


def sketch(source: str | Path | Graph, params: Mapping[str, YamlValue] | None = None) -> Sketch:
    """Collect what to draw of a graph. Raises InvalidFile if it is too broken to have nodes."""
    problems = Problems()
    plan = check_into(source, problems, params)
    resolver = Resolver(Problems())  # faults are known by now
    graph = source if isinstance(source, Graph) else resolver.load(str(source))
    if graph is None or not (graph.inputs or graph.nodes):
        raise InvalidFile(problems)
    graph = graph.with_params({name: value for name, value in (params or {}).items() if name in graph.params})
    return _Sketcher(graph, resolver, plan, tuple(problems)).sketch()


@dataclass
class _Sketcher:
    """One graph, its expressions worked out as far as possible."""

    graph: Graph
    resolver: Resolver
    plan: Plan | None
    faults: tuple[Diagnostic, ...]

    def __post_init__(self) -> None:
        self.values = Scope({}, Problems())
        with suppress(Reported):
            self.values = self.values.params(self.graph.params, None)
        self.graph = expanded(self.graph, self.values, whole=True)
        self.graph = rewritten(self.graph, wrappers_of(Findings(self.resolver), self.graph, self.values))
        self.opened: dict[str, str] = {}
        self.walk = self._walked()
        while self.plan and (graph := opened(self.walk)) is not self.graph:
            used = [node for name, node in self.graph.nodes.items() if node and name not in graph.nodes]
            self.opened |= {node.name: node.steps[0].block for node in used}
            self.graph = graph
            self.walk = self._walked()
        self.shapes = {name: next(iter(flow.values()))[1] for name, flow in self.walk.flows.items() if flow}

    def sketch(self) -> Sketch:
        """Its parts: inputs, nodes that do something, outputs, and names that are read but missing."""
        graph, nodes = self.graph, [node for node in self.graph.nodes.values() if node]
        idle = {node.name: node.reads[0] for node in nodes if node.reads and self._times(node) == 0}
        parts = [Part(name, "input") for name in graph.inputs]
        parts += [self._node(node) for node in nodes if node.name not in idle]
        parts += [Part(name, "output", (str(output.reads),)) for name, output in graph.outputs.items() if output]
        parts = [replace(part, reads=_awake(part.reads, idle)) for part in parts]
        known = {part.name for part in parts if part.role != "output"}
        missing = dict.fromkeys(read for part in parts for read in part.reads if read not in known)
        parts = self._scaled([*parts, *(Part(name, "missing") for name in missing)])
        parts = folded(self._blamed([self._shaped(part) for part in parts]))
        maps = (shape for name in graph.inputs if len(shape := self.shapes[name]) > MAP)
        image = next(maps, (BATCH, 1, symbol("H"), symbol("W")))
        scales = {part.level: band_words(part.level, image) for part in parts}
        facts, skips = self._facts(), skips_of(parts)
        return Sketch(graph.name, tuple(parts), skips, facts, tuple(idle), self.opened, scales, self.faults)

    def _facts(self) -> tuple[str, ...]:
        """The line below the name: parameters, sizes, wrappers, citations; or the number of faults."""
        if self.plan is None:
            return (f"{len(self.faults)} error{'s' * (len(self.faults) != 1)}",)
        count = count_parameters(self.plan)
        wraps = [f"wrapped in {wrap.entry.name}" for wrap in self.plan.wrap]
        sizes = textwrap.shorten(str(self.plan.sizes), LONGEST, placeholder=" ...")
        return (f"{_amount(count)} parameters", sizes, *wraps, *self.graph.cite)

    # ------------------------------------------------------------------ nodes

    def _node(self, node: Node) -> Part:
        own = self._owner(node)
        lines = [
            words(step, count, entry_of(step, self.graph.blocks), self._inside(step))
            for step in self._steps(own)
            if (count := self._count(step.repeat) * (self._value(step.when) is not False))
        ]
        if own is not node and lines:
            lines[-1] = replace(lines[-1], details=(*lines[-1].details, f"weights of {own.name}"))
        taps = tuple(name for name, target in self.graph.taps.items() if str(target).partition(".")[0] == node.name)
        times = self._count(own.repeat) or 1
        return Part(node.name, "node", node.reads or (), tuple(lines), count=times, doc=node.doc, taps=taps)

    def _owner(self, node: Node) -> Node:
        """The node whose steps a node has: itself, or the one whose weights it shares."""
        seen = {node.name}
        while isinstance(node.share, str) and node.share not in seen and (owner := self.graph.nodes.get(node.share)):
            node = owner
            seen.add(node.name)
        return node

    def _steps(self, node: Node) -> list[Step]:
        return [replace(step, arguments={k: self._value(v) for k, v in step.arguments.items()}) for step in node.steps]

    def _inside(self, step: Step) -> list[str]:
        """The blocks inside a local block, in the order written."""
        block = self.graph.blocks.get(step.block)
        return [
            VARIANT.sub("", inner.block)
            for node in (block.nodes if block else {}).values()
            if node
            for inner in node.steps
        ]

    def _times(self, node: Node) -> int:
        """The number of blocks that run in a node."""
        node = self._owner(node)
        return self._count(node.repeat) * sum(self._count(step.repeat) for step in node.steps)

    def _count(self, repeat: YamlValue) -> int:
        count = self._value(repeat)
        return int(count) if isinstance(count, int) and count >= 0 else 1

    def _value(self, value: YamlValue) -> YamlValue:
        """The value of an expression, or its text if it has none."""
        try:
            return self.values.value(value, None)
        except Reported:
            return value

    # ------------------------------------------------------------------ shapes and scales

    def _walked(self) -> Walk:
        """The checker's walk through the graph, as far as it gets."""
        inputs: dict[str, Shape] = {}
        for name, axes in self.graph.inputs.items():
            sizes = [self._value(item) for item in axes or ()]
            inputs[name] = (BATCH, *(size if isinstance(size, int) else symbol(str(size)) for size in sizes))
        axes = {str(size): size for shape in inputs.values() for size in shape[1:] if not isinstance(size, int)}
        flows: dict[str, NodeOutputs | None] = {name: {name: (Ref(name), shape)} for name, shape in inputs.items()}
        scope, findings, blocks = self.values.with_names(axes), Findings(self.resolver), self.graph.blocks
        walk = Walk(findings=findings, graph=self.graph, scope=scope, axes=axes, flows=flows, local_blocks=blocks)
        run(walk)
        return walk

    def _shaped(self, part: Part) -> Part:
        if part.role == "output":
            return replace(part, exact=f"values: {self.plan.range(part.name)}") if self.plan else part
        shape = self.shapes.get(part.name)
        rule = self.plan.sizes if self.plan else None
        return replace(part, shape=label(shape, rule), exact=render_shape(shape)) if shape else part

    def _scaled(self, parts: Sequence[Part]) -> list[Part]:
        """The parts with their levels, guessed if the shape is unknown."""
        whole = max((area(self.shapes[name]) for name in self.graph.inputs), default=1.0)
        levels = {name: level_of(shape, whole) for name, shape in self.shapes.items()}
        for part in parts:
            if part.name not in levels and part.role == "node":
                for read in (read for read in part.reads if read not in levels):
                    if alike := near(read, list(levels)):  # a misspelt name
                        levels[read] = levels[alike[0]]
                known = [levels[read] for read in part.reads if read in levels]
                levels[part.name] = guessed_level(known, self._guesses(part.name))
        ends = {part.key: levels.get(part.reads[0], 0) for part in parts if part.role == "output"}
        return [
            replace(part, level=ends.get(part.key, levels.get(part.name, 0)), turn=self._turn(part, levels))
            for part in parts
        ]

    @staticmethod
    def _turn(part: Part, levels: Mapping[str, int]) -> int:
        """1 for a node at a coarser scale than one of its inputs, -1 at a finer one (as a join with a skip), else 0."""
        steps = [levels[part.name] - levels[read] for read in part.reads if read in levels and part.role == "node"]
        return -1 if min(steps, default=0) < 0 else int(max(steps, default=0) > 0)

    def _guesses(self, name: str) -> list[Guess]:
        node = self.graph.nodes[name]
        steps = self._steps(self._owner(node)) if node else []
        return [(entry_of(step, self.graph.blocks), step.arguments) for step in steps]

    # ------------------------------------------------------------------ faults

    def _blamed(self, parts: Sequence[Part]) -> list[Part]:
        """The parts, each with its faults."""
        homes = {part.home for part in parts}
        found = [(fault, _home(fault, homes)) for fault in self.faults]
        return [replace(part, faults=tuple(fault for fault, home in found if home == part.home)) for part in parts]


def _home(fault: Diagnostic, homes: Collection[tuple[str, str]]) -> tuple[str, str] | None:
    """The part at the place of a fault, or the part that uses the block or graph with the fault."""
    for place in (*(place for _, place in reversed(fault.notes)), fault.place):  # the outermost use is noted last
        section, name = (*map(str, place.path), "", "")[:2] if place else ("", "")
        if (home := (section.replace("insert", "nodes"), name)) in homes:
            return home
    return None


def _awake(reads: Iterable[str], idle: Mapping[str, str]) -> tuple[str, ...]:
    """The nodes that are read, looking through those that do nothing; `node.output` is the node."""
    found = []
    for read in reads:
        name = read.partition(".")[0]
        while name in idle:
            name = idle[name].partition(".")[0]
        found.append(name)
    return tuple(dict.fromkeys(found))


def _amount(count: int) -> str:
    """A number with three significant digits and its unit."""
    unit, factor = next(((u, f) for u, f in ((" G", 1e9), (" M", 1e6), (" k", 1e3)) if count >= f), ("", 1))
    return f"{count / factor:.3g}{unit}"
