"""`extends`: a child graph merged into its resolved parent.

The child keeps the order and the wiring of its parent.

- A node with the name of a parent's node replaces it in place and reads the same inputs, unless it says `from`.
- A node without a block keeps that of the parent: `{from: stem}` changes what it reads, `{repeat: 3}` how often it is
  applied, `{with: {RSU: {depth: 5}}}` an argument.
- A node that is null is removed; its readers and taps read its input instead. A node that reads several can be removed
  only together with its readers.
- A new node is placed after the node written above it.
- `insert` with `after: node` makes every reader of the node read the new node instead, except taps, which name a
  feature, and readers of one output of several. With `before: node` the first input of the node passes through the
  new one. Several insertions at one place keep the order in which they are written.
- `keep` keeps the nodes that it names, those that the child writes, and all that they read; everything else goes. What
  it names becomes an output, unless the child says `outputs`.

Where names carry an index, `enc(i)`, the nodes are known only once params have values. What a child says of such a
graph is kept as a patch until then.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from crossband.graphs.language.diagnostics import Place, Problems
from crossband.graphs.language.document import YamlValue
from crossband.graphs.language.names import has_index, nodes_of, renamed
from crossband.graphs.language.syntax import ANY_SHAPE, Graph, Insertion, Node, Output, Step
from crossband.registry import nearest

T = TypeVar("T")


def wired(graph: Graph) -> Graph:
    """Write out the inputs of every node: by default the node above, for the first node the inputs in order."""
    above: tuple[str, ...] = tuple(graph.inputs)
    nodes: dict[str, Node | None] = {}
    for name, node in ((name, node) for name, node in graph.nodes.items() if node):
        nodes[name] = node if node.reads else replace(node, reads=above, implied=True)
        above = (name,)
    outputs = {name: _sourced(output, graph, above) for name, output in graph.outputs.items() if output}
    blocks = {name: wired(block) for name, block in graph.blocks.items() if block}
    return replace(graph, nodes=nodes, outputs=outputs, blocks=blocks)


def _sourced(output: Output, graph: Graph, last: tuple[str, ...]) -> Output:
    """Write out the source of an output: the node of its name, or for an only output the last node."""
    if output.reads:
        return output
    if len(graph.outputs) == 1 and output.name not in graph.nodes and not has_index(output.name):
        return replace(output, reads=last[0], implied=True)
    return replace(output, reads=output.name)


def merged(parent: Graph, child: Graph, problems: Problems) -> Graph:
    """Merge `child`, which extends `parent`, into one flat graph; what concerns nodes not known yet stays a patch."""
    if not (parent.patches or any(map(has_index, (*parent.nodes, *child.nodes)))):
        return applied(parent, child, problems)
    now = {name: node for name, node in child.nodes.items() if has_index(name) and name in parent.nodes}
    later = {name: node for name, node in child.nodes.items() if name not in now}
    flat = applied(parent, replace(child, nodes=now, insert={}, outputs={}, taps={}, keep=()), problems)
    patch = replace(child, nodes=later, params={}, choices={}, inputs={}, blocks={}, wrap={})
    return replace(flat, patches=(*parent.patches, patch))


def applied(parent: Graph, child: Graph, problems: Problems) -> Graph:
    """Merge a child whose nodes are all known."""
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
                self.nodes[name] = self._replaced(self.nodes[name], node)
            elif node is not None and node.amends is not None:
                self._nothing_to_amend(node)
            elif node is not None and self._is_new(name, self.child.at("nodes", name)):
                before = above if above in self.nodes else next(reversed(self.nodes), None)
                reads = node.reads or ((before,) if before else tuple(self.parent.inputs))
                self._place_beside(replace(node, reads=reads, implied=not node.reads), before, after=True)
            above = name

    def _replaced(self, old: Node, new: Node) -> Node:
        """The node of the child in the place of one of the parent, from which it takes what it does not say."""
        said = replace(new, reads=new.reads or old.reads, implied=old.implied and not new.reads)
        if new.amends is None:
            return said
        steps = [self._amended(step, new) for step in old.steps]
        for block in [block for block in new.amends if block not in {step.block for step in old.steps}]:
            place = new.place and new.place.child("with", block).on_key()
            hint = nearest(block, [step.block for step in old.steps])
            self.problems.add("E011", f"`{new.name}` has no block `{block}` to change", place, hint)
        written = new.place.written() if new.place else {}
        kept = {key: getattr(old, key) for key in ("repeat", "share", "index", "doc") if key not in written}
        return replace(said, steps=tuple(steps), amends=None, when=new.when if "if" in written else old.when, **kept)

    @staticmethod
    def _amended(step: Step, node: Node) -> Step:
        """A step of the parent with the arguments that the child gives it."""
        changes = (node.amends or {}).get(step.block)
        if not changes:
            return step
        arguments = {name: value for name, value in {**step.arguments, **changes}.items() if value is not None}
        return replace(step, arguments=arguments, place=node.place and node.place.child("with", step.block).on_key())

    def _nothing_to_amend(self, node: Node) -> None:
        """Report a node without a block whose name is none of the parent's."""
        message = f"`{self.parent.name}` has no node `{node.name}`, so this one needs a block"
        hint = nearest(node.name, self.nodes, otherwise="write `{Block: {...}}`", few=0)
        self.problems.add("E025", message, node.place and node.place.on_key(), hint)

    def remove(self) -> None:
        """Remove the nodes that are null; their readers read their input instead."""
        names = [name for name, node in self.child.nodes.items() if node is None]
        for name in (name for name in names if name not in self.nodes):
            self._absent("node", name, self.nodes, self.child.at("nodes", name))
        gone = {name: self.nodes.pop(name) for name in names if name in self.nodes}
        obstacles: dict[str, str] = {}
        for name in sorted(gone, key=lambda name: len(gone[name].reads or ()) != 1):  # first those that read one
            if problem := self._obstacle(gone[name]):
                obstacles[name] = problem
            elif len(reads := gone[name].reads or ()) == 1:
                self._redirect(name, reads[0])
                gone = {other: _reading(node, name, reads[0]) for other, node in gone.items()}
                self.taps = {tap: renamed(target, name, reads[0]) for tap, target in self.taps.items()}
        if obstacles:
            self._not_removed([(name, obstacles[name]) for name in names if name in obstacles])

    def _obstacle(self, removed: Node) -> str | None:
        """Explain why a node cannot be removed; None if it can."""
        name, reads = removed.name, removed.reads or ()
        left = [read for node in self.nodes.values() for read in node.reads or ()]
        for section, reads_of in (("outputs", self.ends), ("taps", self.taps)):
            changed = getattr(self.child, section)
            left += [read for end, read in reads_of.items() if changed.get(end, ...) is not None]
        if len(reads) != 1 and any(name in nodes_of(read) for read in left):
            several = " and ".join(f"`{read}`" for read in reads)
            return f"`{name}` reads {several}, so it is not clear what its readers should read without it"
        parts = [read for read in left if read.startswith(f"{name}.")]
        return f"`{parts[0]}` is read, which its input cannot stand for" if parts else None

    def _not_removed(self, obstacles: Sequence[tuple[str, str]]) -> None:
        """Report nodes that cannot be removed, all in one message: most often a whole part is meant to go."""
        name, problem = obstacles[0]
        place = self.child.at("nodes", name)
        hint = "replace it, or give its readers a `from`"
        others = ", ".join(f"`{other}`" for other, _ in obstacles[1:])
        notes = [(f"so it is with {others}", None)] if others else []
        if others:
            hint = "`keep: [NODE, ...]` in their place keeps the nodes that it names, with all that they read"
        self.problems.add("E052", problem, place and place.on_key(), hint, notes)

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
                hint = nearest(anchor, known)
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
        taps = self._patched("taps", self.taps, child.taps)
        inputs = self._inputs()
        if child.keep:
            kept = self._kept(outputs, taps)
            outputs = self._outputs_of(kept, outputs)
            taps = {name: target for name, target in taps.items() if _all_in(kept, [target]) and name not in outputs}
            inputs = {name: shape for name, shape in inputs.items() if name in kept}
            self.nodes = {name: node for name, node in self.nodes.items() if name in kept}
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
            inputs=inputs,
            nodes=self.nodes,
            outputs=outputs,
            taps=taps,
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

    def _kept(self, outputs: Mapping[str, Output], taps: Mapping[str, str]) -> set[str]:
        """The nodes and inputs that `keep` leaves: those named there or written in the child, and all they read."""
        child, known = self.child, {**self.nodes, **self._inputs()}
        for number, name in enumerate(child.keep):
            if name not in known:
                place = child.at("keep")
                place = place.child(number) if place and isinstance(place.written(), list) else place
                self.problems.add("E054", f"there is no node `{name}` to keep", place, nearest(name, known))
        own = [*(name for name, node in child.nodes.items() if node), *child.insert]
        ends = [self._source(name) or name for name, output in child.outputs.items() if output and name in outputs]
        marks = [target for name, target in child.taps.items() if target and name in taps]
        waiting = [name for read in (*child.keep, *own, *ends, *marks) for name in nodes_of(read)]
        kept: set[str] = set()
        for name in waiting:  # grows while it is read
            if name in known and name not in kept:
                kept.add(name)
                node = self.nodes.get(name)
                reads = (*(node.reads or ()), *([node.share] if isinstance(node.share, str) else [])) if node else ()
                waiting += [each for read in reads for each in nodes_of(read)]
        return kept

    def _outputs_of(self, kept: set[str], outputs: Mapping[str, Output]) -> dict[str, Output]:
        """The outputs that are kept; where the child says none, also the nodes that `keep` names."""
        found = {name: out for name, out in outputs.items() if _all_in(kept, [self._source(name) or name])}
        if any(self.child.outputs.values()):
            return found
        read = {self._source(name) for name in found}
        place = self.child.at("keep")
        named = [name for name in self.child.keep if name in self.nodes and name not in read and name not in found]
        return {**found, **{name: Output(name, ANY_SHAPE, name, place=place) for name in named}}

    def _inputs(self) -> dict[str, tuple[YamlValue, ...] | None]:
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
        self.problems.add("E052", message, place and place.on_key(), nearest(name, known))

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
        readers = [node for node in self.nodes.values() if any(old in read for read in node.reads or ())]
        for node in readers:
            self.nodes[node.name] = _reading(node, old, new)
        self.ends = {output: renamed(read, old, new) for output, read in self.ends.items()}


def _reading(node: Node, old: str, new: str) -> Node:
    """The node with one of the names that it reads replaced by another."""
    return replace(node, reads=tuple(renamed(read, old, new) for read in node.reads or ()))


def _all_in(names: Collection[str], reads: Iterable[str]) -> bool:
    """Whether all that is read is from these nodes and inputs."""
    return all(name in names for read in reads for name in nodes_of(read))
