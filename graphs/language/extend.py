"""`extends`: a child graph merged into its resolved parent.

The child keeps the order and the wiring of its parent.

- A node with the name of a parent's node replaces it in place and reads the same inputs, unless it says `from`.
- A node that is null is removed; its readers and taps read its input instead.
- A new node is placed after the node written above it.
- `insert` with `after: node` makes every reader of the node read the new node instead, except taps, which name a
  feature, and readers of one output of several. With `before: node` the first input of the node passes through the
  new one. Several insertions at one place keep the order in which they are written.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from crossband.graphs.language.diagnostics import Place, Problems
from crossband.graphs.language.document import YamlValue
from crossband.graphs.language.syntax import Graph, Insertion, Node, Output
from crossband.registry import suggest

T = TypeVar("T")


def wired(graph: Graph) -> Graph:
    """Write out the inputs of every node: by default the node above, for the first node the inputs in order."""
    above: tuple[str, ...] = tuple(graph.inputs)
    nodes: dict[str, Node | None] = {}
    for name, node in ((name, node) for name, node in graph.nodes.items() if node):
        nodes[name] = node if node.reads else replace(node, reads=above)
        above = (name,)
    outputs = {name: _sourced(output, graph, above) for name, output in graph.outputs.items() if output}
    blocks = {name: wired(block) for name, block in graph.blocks.items() if block}
    return replace(graph, nodes=nodes, outputs=outputs, blocks=blocks)


def _sourced(output: Output, graph: Graph, last: tuple[str, ...]) -> Output:
    """Write out the source of an output: the node of its name, or for an only output the last node."""
    if output.reads:
        return output
    return replace(output, reads=last[0] if len(graph.outputs) == 1 and output.name not in graph.nodes else output.name)


def merged(parent: Graph, child: Graph, problems: Problems) -> Graph:
    """Merge `child`, which extends `parent`, into one flat graph."""
    merge = _Merge(parent, child, problems)
    merge.check_inputs()
    merge.replace_and_add()
    merge.remove()
    merge.insert()
    return merge.flat()


@dataclass
class _Merge:
    parent: Graph
    child: Graph
    problems: Problems
    nodes: dict[str, Node] = field(init=False)
    ends: dict[str, str] = field(init=False)
    taps: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.nodes = {name: node for name, node in self.parent.nodes.items() if node}
        self.ends = {name: str(output.reads) for name, output in self.parent.outputs.items() if output}
        self.taps = {name: target for name, target in self.parent.taps.items() if target}

    def check_inputs(self) -> None:
        """Report new inputs that have the name of a node."""
        for name in (name for name in self.child.inputs if name in self.nodes):
            place = self.child.at("inputs", name)
            self.problems.add("E016", f"`{name}` is a node already", place and place.on_key(), "take another name")

    def replace_and_add(self) -> None:
        """Replace nodes of the same name; place new nodes after the node written above them."""
        above: str | None = None
        for name, node in self.child.nodes.items():
            if node is not None and name in self.nodes:
                self.nodes[name] = replace(node, reads=node.reads or self.nodes[name].reads)
            elif node is not None and self._is_new(name, self.child.at("nodes", name)):
                before = above if above in self.nodes else next(reversed(self.nodes), None)
                reads = node.reads or ((before,) if before else tuple(self.parent.inputs))
                self._place_beside(replace(node, reads=reads), before, after=True)
            above = name

    def remove(self) -> None:
        """Remove the nodes that are null; their readers read their input instead."""
        for name in [name for name, node in self.child.nodes.items() if node is None]:
            place = self.child.at("nodes", name)
            if name not in self.nodes:
                self._absent("node", name, self.nodes, place)
            elif problem := self._obstacle(name):
                hint = "replace it, or give its readers a `from`"
                self.problems.add("E052", problem, place and place.on_key(), hint)
            else:
                read, *_ = self.nodes.pop(name).reads or ("",)
                self._redirect(name, read)
                self.taps = {tap: read if target == name else target for tap, target in self.taps.items()}

    def _obstacle(self, name: str) -> str | None:
        """Explain why a node cannot be removed; None if it can."""
        reads = self.nodes[name].reads or ()
        if len(reads) != 1:
            several = " and ".join(f"`{read}`" for read in reads)
            return f"`{name}` reads {several}, so it is not clear what its readers should read without it"
        others = [read for node in self.nodes.values() for read in node.reads or ()]
        parts = [read for read in (*others, *self.ends.values(), *self.taps.values()) if read.startswith(f"{name}.")]
        return f"`{parts[0]}` is read, which its input cannot stand for" if parts else None

    def insert(self) -> None:
        """Splice in the nodes under `insert`."""
        last: dict[str, str] = {}  # what was inserted last after each anchor
        for name, insertion in self.child.insert.items():
            place, anchor = self.child.at("insert", name), insertion.anchor
            known = [*self.nodes, *(self.parent.inputs if insertion.after else ())]
            if not self._is_new(name, place):
                continue
            if anchor not in known:
                where = self.child.at("insert", name, "after" if insertion.after else "before")
                hint = suggest(anchor, known)
                self.problems.add("E051", f"there is no node `{anchor}` to insert `{name}` at", where, hint)
            elif insertion.after:
                self._insert_after(insertion, last.get(anchor, anchor))
                last[anchor] = name
            else:
                self._insert_before(insertion)

    def _insert_after(self, insertion: Insertion, anchor: str) -> None:
        self._redirect(anchor, insertion.node.name)
        node = replace(insertion.node, reads=insertion.node.reads or (anchor,))
        self._place_beside(node, anchor if anchor in self.nodes else None, after=anchor in self.nodes)

    def _insert_before(self, insertion: Insertion) -> None:
        node, anchor = insertion.node, insertion.anchor
        reads = self.nodes[anchor].reads or ()
        self.nodes[anchor] = replace(self.nodes[anchor], reads=(node.name, *reads[1:]))
        self._place_beside(replace(node, reads=node.reads or reads[:1]), anchor, after=False)

    def flat(self) -> Graph:
        """Assemble the graph from the merged nodes and the other sections."""
        child, parent = self.child, self.parent
        outputs = self._patched("outputs", parent.outputs, child.outputs)
        if not outputs:
            place = child.at("outputs")
            self.problems.add("E007", "every output is removed, a graph needs one", place and place.on_key())
        flat = replace(
            parent,
            name=child.name,
            cite=tuple(dict.fromkeys((*child.cite, *parent.cite))),
            doc=child.doc or parent.doc,
            params={**parent.params, **child.params},
            choices={**parent.choices, **child.choices},
            inputs=self._inputs(),
            nodes=self.nodes,
            outputs=outputs,
            taps=self._patched("taps", self.taps, child.taps),
            blocks=self._patched("blocks", parent.blocks, {n: b and wired(b) for n, b in child.blocks.items()}),
            wrap=self._patched("wrap", parent.wrap, child.wrap),
            place=child.place,
            partial=parent.partial or child.partial,
            homes=self._homes(),
            lineage=self._lineage(),
        )
        last = tuple(self.nodes)[-1:] or tuple(parent.inputs)
        reading = {name: replace(each, reads=self._source(name)) for name, each in outputs.items()}
        return replace(flat, outputs={name: _sourced(output, flat, last) for name, output in reading.items()})

    def _inputs(self) -> dict[str, tuple[YamlValue, ...]]:
        """The inputs of the parent, then the new ones of the child; in the order of the child if it names them all."""
        inherited = {} if self.child.inputs.keys() >= self.parent.inputs.keys() else self.parent.inputs
        return {**inherited, **self.child.inputs}

    def _source(self, name: str) -> str | None:
        """The source of an output: as the child says, or else as in the parent after all redirections."""
        own = self.child.outputs.get(name)
        return own.reads if own and own.reads else self.ends.get(name)

    def _homes(self) -> dict[tuple[str, str], Place]:
        """The places of inherited parts that do not record their own place."""
        inherited = {
            (section, name): self.parent.at(section, name)
            for section in ("inputs", "params", "taps")
            for name in getattr(self.parent, section)
            if name not in getattr(self.child, section)
        }
        return {key: place for key, place in inherited.items() if place}

    def _lineage(self) -> dict[str, tuple[str, Place | None]]:
        note = (f"`{self.child.name}` extends `{self.parent.name}` here", self.child.at("extends"))
        return {**self.parent.lineage, **({self.parent.place.file: note} if self.parent.place else {})}

    def _patched(self, section: str, parent: Mapping[str, T | None], child: Mapping[str, T | None]) -> dict[str, T]:
        for name in [name for name, part in child.items() if part is None and name not in parent]:
            self._absent(section.rstrip("s"), name, parent, self.child.at(section, name))
        return {name: part for name, part in {**parent, **child}.items() if part is not None}

    def _absent(self, kind: str, name: str, known: Collection[str], place: Place | None) -> None:
        message = f"there is no {kind} `{name}` to remove in `{self.parent.name}`"
        self.problems.add("E052", message, place and place.on_key(), suggest(name, known))

    def _is_new(self, name: str, place: Place | None) -> bool:
        """Whether a name is free for a new node; report a fault if it is not."""
        inputs = {**self.parent.inputs, **self.child.inputs}
        if name not in inputs and name not in self.nodes:
            return True
        what = "an input" if name in inputs else "a node"
        self.problems.add("E016", f"`{name}` is {what} already", place and place.on_key(), "take another name")
        return False

    def _place_beside(self, node: Node, anchor: str | None, *, after: bool) -> None:
        """Insert a node before or after its anchor; without an anchor, at the beginning or the end."""
        order = list(self.nodes.values())
        index = (list(self.nodes).index(anchor) + after) if anchor else (len(order) if after else 0)
        order.insert(index, node)
        self.nodes = {each.name: each for each in order}

    def _redirect(self, old: str, new: str) -> None:
        """Make every node and output that reads `old` read `new`."""
        for node in list(self.nodes.values()):
            reads = tuple(new if name == old else name for name in node.reads or ())
            self.nodes[node.name] = replace(node, reads=reads)
        self.ends = {output: new if name == old else name for output, name in self.ends.items()}
