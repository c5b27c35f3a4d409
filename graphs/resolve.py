"""From a name or path to one flat graph: files are found and read, `extends` is worked out.

A child keeps the order and the wiring of its parent. A node of the same name replaces it in place and
keeps what it reads unless it says `from`; null removes it, and its readers read its input; `insert`
splices; a new node stands after the node written above it. Every node then knows what it reads.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from crossband.graphs.diagnostics import Place, Problems
from crossband.graphs.parse import parse
from crossband.graphs.reader import Document, read, read_text
from crossband.graphs.syntax import Graph, Node, Notes, Output
from crossband.registry import near

SHIPPED = Path(__file__).parent
T = TypeVar("T")


def shipped() -> list[str]:
    """The names of the graphs that come with the library."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def find(name: str, beside: Path | None = None) -> Path | None:
    """The file of a graph: a path ending in `.yaml`, a file of that name `beside` another, or a shipped name."""
    if name.endswith((".yaml", ".yml")):
        return (beside / name) if beside else Path(name)
    places = [folder / f"{name}.yaml" for folder in (beside, SHIPPED) if folder]
    return next((path for path in places if path.is_file()), None)


def load(name: str | Path) -> Graph:
    """The resolved graph of a shipped name or a path. Raises InvalidFile with every fault found."""
    problems = Problems()
    graph = Library(problems).load(str(name))
    problems.raise_if_any()
    assert graph is not None
    return graph


@dataclass
class Library:
    """Graphs by file, each read once per check."""

    problems: Problems
    _graphs: dict[Path, Graph | None] = field(default_factory=dict)
    _open: list[Path] = field(default_factory=list)

    def load(self, name: str, place: Place | None = None, beside: Path | None = None) -> Graph | None:
        """The resolved graph called `name`; None where it is not there or is wrong, with the reason in `problems`."""
        path = find(name, beside)
        if path is None:
            matches = near(name, shipped())
            hint = f"did you mean `{matches[0]}`?" if matches else "`crossband ls graphs` lists those that are shipped"
            self.problems.add("E050" if place else "E010", f"no graph named `{name}`", place, hint)
            return None
        return self.load_file(path, place)

    def load_file(self, path: Path, place: Place | None = None) -> Graph | None:
        """The resolved graph in the file at `path`."""
        key = path.resolve()
        if key in self._open:
            self.problems.add("E053", f"`{path.stem}` contains itself", place, "a graph cannot extend or use itself")
            return None
        if key not in self._graphs:
            self._open.append(key)
            document = read(path, self.problems)
            self._graphs[key] = self.resolve(document, path.parent) if document else None
            self._open.pop()
        return self._graphs[key]

    def load_text(self, text: str, file: str = "<text>") -> Graph | None:
        """The resolved graph written in `text`."""
        document = read_text(text, self.problems, file)
        return self.resolve(document, None) if document else None

    def resolve(self, document: Document, folder: Path | None) -> Graph | None:
        """The flat graph of one document."""
        graph = parse(document, self.problems)
        if graph is None:
            return None
        if graph.extends is None:
            return self._alone(graph)
        parent = self.load(graph.extends, graph.at("extends"), folder)
        return _Merge(parent, graph, self.problems).merged() if parent else None

    def _alone(self, graph: Graph) -> Graph:
        for section in ("nodes", "outputs", "taps", "blocks", "wrap"):
            for name in [name for name, part in getattr(graph, section).items() if part is None]:
                self.problems.add(
                    "E052", f"there is no `{name}` to remove", graph.at(section, name), "only with `extends`"
                )
        if graph.insert:
            self.problems.add("E051", "`insert` splices into another graph", graph.at("insert"), "only with `extends`")
        return wired(graph)


def wired(graph: Graph) -> Graph:
    """The graph with what each node reads written out: the node above, or for the first the inputs in order."""
    above: tuple[str, ...] = tuple(graph.inputs)
    nodes: dict[str, Node | None] = {}
    for name, node in graph.nodes.items():
        if node is None:
            continue
        nodes[name] = node if node.reads else replace(node, reads=above)
        above = (name,)
    outputs = {name: _sourced(output, graph, above) for name, output in graph.outputs.items() if output}
    blocks = {name: wired(block) for name, block in graph.blocks.items() if block}
    return replace(graph, nodes=nodes, outputs=outputs, blocks=blocks)


def _sourced(output: Output, graph: Graph, last: tuple[str, ...]) -> Output:
    """An output reads the node of its name; the only output of a graph may instead read the last node."""
    if output.reads:
        return output
    return replace(output, reads=last[0] if len(graph.outputs) == 1 and output.name not in graph.nodes else output.name)


@dataclass
class _Merge:
    """One child graph over its resolved parent."""

    parent: Graph
    child: Graph
    problems: Problems

    def merged(self) -> Graph:
        child, parent = self.child, self.parent
        nodes = {name: node for name, node in parent.nodes.items() if node}
        ends = {name: str(output.reads) for name, output in parent.outputs.items() if output}
        self._replace_and_add(nodes)
        self._remove(nodes, ends)
        self._insert(nodes, ends)
        outputs = self._patched("outputs", parent.outputs, child.outputs)
        flat = replace(
            parent,
            name=child.name,
            cite=tuple(dict.fromkeys((*child.cite, *parent.cite))),
            doc=child.doc or parent.doc,
            params={**parent.params, **child.params},
            inputs={**parent.inputs, **child.inputs},
            nodes=nodes,
            outputs=outputs,
            taps=self._patched("taps", parent.taps, child.taps),
            blocks=self._patched("blocks", parent.blocks, {n: b and wired(b) for n, b in child.blocks.items()}),
            wrap=self._patched("wrap", parent.wrap, child.wrap),
            place=child.place,
        )
        last = tuple(nodes)[-1:] or tuple(parent.inputs)
        reads = {
            name: output if child.outputs.get(name) else replace(output, reads=ends[name])
            for name, output in outputs.items()
        }
        return replace(flat, outputs={name: _sourced(output, flat, last) for name, output in reads.items()})

    def _replace_and_add(self, nodes: dict[str, Node]) -> None:
        above: str | None = None
        for name, node in self.child.nodes.items():
            if node is not None and name in nodes:
                nodes[name] = replace(node, reads=node.reads or nodes[name].reads)
            elif node is not None:
                before = above if above in nodes else next(reversed(nodes), None)
                reads = node.reads or ((before,) if before else tuple(self.parent.inputs))
                _place_beside(nodes, replace(node, reads=reads, notes=self._origin()), before, after=True)
            above = name

    def _remove(self, nodes: dict[str, Node], ends: dict[str, str]) -> None:
        for name in [name for name, node in self.child.nodes.items() if node is None]:
            if name not in nodes:
                self._absent("node", name, nodes, self.child.at("nodes", name))
            elif len(reads := nodes[name].reads or ()) != 1:
                hint = f"replace it, or give its readers a `from`; it reads {', '.join(reads)}"
                place = self.child.at("nodes", name)
                self.problems.add(
                    "E052", f"`{name}` reads several nodes, so its readers cannot read its input", place, hint
                )
            else:
                del nodes[name]
                _redirect(nodes, ends, name, reads[0])

    def _insert(self, nodes: dict[str, Node], ends: dict[str, str]) -> None:
        for name, insertion in self.child.insert.items():
            anchor, node = insertion.anchor, replace(insertion.node, notes=self._origin())
            place = self.child.at("insert", name)
            if name in nodes or name in self.parent.inputs:
                self.problems.add("E016", f"`{name}` is there already", place, "take another name")
            elif anchor not in nodes and not (insertion.after and anchor in self.parent.inputs):
                hint = _did_you_mean(anchor, [*nodes, *self.parent.inputs])
                place = self.child.at("insert", name, "after" if insertion.after else "before")
                self.problems.add("E051", f"there is no node `{anchor}` to insert at", place, hint)
            elif insertion.after:
                _redirect(nodes, ends, anchor, name)
                node = replace(node, reads=node.reads or (anchor,))
                _place_beside(nodes, node, anchor if anchor in nodes else None, after=anchor in nodes)
            else:
                reads = nodes[anchor].reads or ()
                nodes[anchor] = replace(nodes[anchor], reads=(name, *reads[1:]))
                _place_beside(nodes, replace(node, reads=node.reads or reads[:1]), anchor, after=False)

    def _patched(self, section: str, parent: Mapping[str, T | None], child: Mapping[str, T | None]) -> dict[str, T]:
        for name in [name for name, part in child.items() if part is None and name not in parent]:
            self._absent(section.rstrip("s"), name, parent, self.child.at(section, name))
        return {name: part for name, part in {**parent, **child}.items() if part is not None}

    def _absent(self, kind: str, name: str, known: Iterable[str], place: Place | None) -> None:
        self.problems.add(
            "E052",
            f"there is no {kind} `{name}` to remove in `{self.parent.name}`",
            place and place.on_key(),
            _did_you_mean(name, known),
        )

    def _origin(self) -> Notes:
        return ((f"added to `{self.parent.name}`, which `{self.child.name}` extends", self.child.at("extends")),)


def _place_beside(nodes: dict[str, Node], node: Node, anchor: str | None, *, after: bool) -> None:
    """Put a node into the order of `nodes`: at the end or the beginning where there is no anchor."""
    order = list(nodes.values())
    index = (list(nodes).index(anchor) + after) if anchor else (len(order) if after else 0)
    order.insert(index, node)
    nodes.clear()
    nodes.update({each.name: each for each in order})


def _redirect(nodes: dict[str, Node], ends: dict[str, str], old: str, new: str) -> None:
    """Let every node and output that reads `old`, or one of its outputs, read `new`."""

    def turned(name: str) -> str:
        node, dot, output = name.partition(".")
        return f"{new}{dot}{output}" if node == old else name

    for node in list(nodes.values()):
        nodes[node.name] = replace(node, reads=tuple(turned(name) for name in node.reads or ()))
    ends.update({output: turned(name) for output, name in ends.items()})


def _did_you_mean(name: str, known: Iterable[str]) -> str | None:
    matches = near(name, list(known))
    return f"did you mean `{matches[0]}`?" if matches else None
