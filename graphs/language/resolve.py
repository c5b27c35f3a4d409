"""Resolve a name or path to one flat graph: find and read the files, merge what they extend."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from crossband.graphs.language.catalog import GRAPHS
from crossband.graphs.language.diagnostics import Diagnostic, Place, Problems
from crossband.graphs.language.document import YamlValue
from crossband.graphs.language.extend import merged, wired
from crossband.graphs.language.files import real
from crossband.graphs.language.limits import MAX_PARENTS
from crossband.graphs.language.parse import parse, parse_at
from crossband.graphs.language.reader import Document, read, read_text
from crossband.graphs.language.syntax import Graph, Node, Notes


def shipped() -> list[str]:
    """The names of the graphs that come with the library."""
    return list(GRAPHS.files())


def load_graph(name: str | Path) -> Graph:
    """The resolved graph of a shipped name or a path. Raises InvalidFile with every fault found."""
    problems = Problems()
    return problems.value(Resolver(problems).load(str(name)))


def pass_on(found: Problems, problems: Problems, notes_of: Callable[[Diagnostic], Notes]) -> None:
    """Add each fault of `found` to `problems`, with further notes."""
    for each in found:
        problems.take(each, notes_of(each))


@dataclass
class Resolver:
    """Loads graphs, each file once per check."""

    problems: Problems
    _graphs: dict[Path, Graph | None] = field(default_factory=dict)
    _open: list[Path] = field(default_factory=list)

    def load(self, name: str, place: Place | None = None, code: str = "E010") -> Graph | None:
        """The resolved graph that `name` means at `place`; None after reporting a fault.

        An unknown name is reported with `code`.
        """
        path = GRAPHS.look_up(name, place, self.problems, code)
        return self.load_file(path, place) if path else None

    def load_file(self, path: Path, place: Place | None = None) -> Graph | None:
        """The resolved graph in a file. Its faults get a note with `place`, where the file is named."""
        key = real(path)
        if key in self._open:
            trail = " extends ".join(f"`{each.stem}`" for each in (*self._open[self._open.index(key) :], key))
            self.problems.add("E053", f"a graph extends itself: {trail}", place, "let one of them extend another graph")
            return None
        if len(self._open) >= MAX_PARENTS:
            message = f"graphs extend each other more than {MAX_PARENTS} deep"
            self.problems.add("E053", message, place, "extend a graph nearer to the first")
            return None
        if key not in self._graphs:
            self._open.append(key)
            found = Resolver(Problems(), self._graphs, self._open)
            document = read(path, found.problems)
            self._graphs[key] = found.resolve(document) if document else None
            self._open.pop()
            pass_on(found.problems, self.problems, lambda _: ((f"`{path.stem}` is used here", place),) if place else ())
        return self._graphs[key]

    def load_text(self, text: str, file: str = "<text>") -> Graph | None:
        """The resolved graph written in `text`."""
        document = read_text(text, self.problems, file)
        return self.resolve(document) if document else None

    def resolve(self, document: Document) -> Graph | None:
        """The flat graph of one document; None if too much of it is wrong to check the rest."""
        graph = parse(document, self.problems)
        if graph is None:
            return None
        if graph.extends is None:
            return self._alone(graph)
        parent = self.load(graph.extends, graph.at("extends"), "E050")
        return self._extended(parent, graph) if parent else None

    def patched(
        self, parent: Graph, name: str, patch: Mapping[str, Any], params: Mapping[str, YamlValue], place: Place
    ) -> Graph | None:
        """A graph with what a `patch` at `place` says of it, as a graph file that extends it would.

        The patch may use further `params`. The result is called `name`; it is None after reporting a fault.
        """
        child = parse_at({"graph": name, "extends": parent.name, "params": {**params}, **patch}, place, self.problems)
        return self._extended(parent, child) if child else None

    def _extended(self, parent: Graph, child: Graph) -> Graph | None:
        before = len(self.problems)
        whole = merged(parent, child, self.problems)
        return whole if len(self.problems) == before else None

    def _alone(self, graph: Graph) -> Graph:
        """The flat graph of a document without `extends`; report removals and insertions, which need a parent."""
        for section in ("nodes", "outputs", "taps", "blocks", "wrap"):
            for name in [name for name, part in getattr(graph, section).items() if part is None]:
                place = graph.at(section, name)
                hint = f"write `{{{name}: {{}}}}`, or remove the line" if section == "wrap" else "give it a value"
                message = f"`{name}` is null, which removes it, but there is nothing to remove it from"
                self.problems.add("E052", message, place and place.on_key(), f"{hint}; only `extends` knows removal")
        if graph.insert:
            place = graph.at("insert")
            message = "`insert` splices into the graph that this one extends, and it extends none"
            self.problems.add(
                "E051", message, place and place.on_key(), "put the nodes under `nodes:`, or say `extends:`"
            )
        if graph.keep:
            place = graph.at("keep")
            message = "`keep` keeps a part of the graph that this one extends, and it extends none"
            self.problems.add("E054", message, place and place.on_key(), "say `extends:`, or remove `keep`")
        nodes = {name: node or Node(name, (), place=graph.at("nodes", name)) for name, node in graph.nodes.items()}
        nulls = any(node is None for node in graph.nodes.values())
        return wired(replace(graph, nodes=nodes, insert={}, keep=(), partial=graph.partial or nulls))
