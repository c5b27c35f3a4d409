"""Write out what depends on params: nodes whose names carry an index, and nodes under a condition.

    enc(i+1): {repeat: =depth, index: i, from: enc(i), do: [MaxPool, {Conv: {out: =width*2**i}}]}

is `enc2`, `enc3`, ..., each a node of its own, where `i` is 1, 2, ... A node whose `if` is false is not there: its
readers read what it reads, if that is one value, as where a child removes it; outputs and taps of it go with it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from crossband.graphs.checking.indices import condition, is_dynamic, reads_place, repetitions, with_values
from crossband.graphs.checking.scope import Scope
from crossband.graphs.language.diagnostics import Place, Problems, Reported
from crossband.graphs.language.document import YamlValue
from crossband.graphs.language.expressions import names_in
from crossband.graphs.language.extend import applied
from crossband.graphs.language.limits import MAX_NODES
from crossband.graphs.language.names import (
    Index,
    alternatives,
    has_index,
    nodes_of,
    parts,
)
from crossband.graphs.language.syntax import Graph, Insertion, Node, Output
from crossband.registry import show


def expanded(graph: Graph, scope: Scope, *, whole: bool = False) -> Graph:
    """The graph with plain names and without conditions; faults are reported, and make it `partial`.

    Inputs of a `whole` graph that only nodes read whose `if` is false go with them.
    """
    if not is_dynamic(graph):
        return graph
    expansion = _Expansion(graph, scope)
    found = expansion.graph_of()
    return expansion.without_idle_inputs(found) if whole else found


@dataclass
class _Expansion:
    """One graph. `made` are the nodes made so far from each name in the file, `off` those whose `if` is false."""

    graph: Graph
    scope: Scope
    made: dict[str, list[tuple[Mapping[str, int], str]]] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    off: dict[str, tuple[str, ...]] = field(default_factory=dict)
    failed: bool = False
    count: int = 0

    @property
    def problems(self) -> Problems:
        """Where faults are reported."""
        return self.scope.problems

    def graph_of(self) -> Graph:
        """The graph with plain names: first its own nodes, then what each child says of them."""
        graph = self.graph
        for key, node in graph.nodes.items():
            self._make(key, node)
        if self.count > MAX_NODES:
            return replace(graph, nodes={}, outputs={}, taps={}, patches=(), partial=True)
        nodes = {name: self._wired(node) for name, node in self.nodes.items()}
        graph = replace(graph, nodes=nodes, outputs=self._outputs(graph), taps=self._taps(graph), patches=())
        for patch in self.graph.patches:
            before = len(self.problems)
            graph = applied(graph, self._known(patch, graph), self.problems)
            self.failed |= len(self.problems) > before
        if not graph.outputs and not self.failed:
            place = graph.at("outputs")
            message = f"no output of `{graph.name}` is there, because of `if`"
            self.report("E026", message, place and place.on_key(), "give a graph one output without a condition")
        return replace(graph, partial=graph.partial or self.failed)

    def without_idle_inputs(self, graph: Graph) -> Graph:
        """The graph without the inputs that only nodes read whose `if` is false."""
        ends = [*(str(output.reads) for output in graph.outputs.values() if output), *map(str, graph.taps.values())]
        reads = [*(read for node in graph.nodes.values() if node for read in node.reads or ()), *ends]
        read, idle = ({name for each in some for name in nodes_of(each)} for some in (reads, self._read_by_off()))
        inputs = {name: shape for name, shape in graph.inputs.items() if name in read or name not in idle}
        return replace(graph, inputs=inputs)

    def _read_by_off(self) -> list[str]:
        return [read for reads in self.off.values() for read in reads]

    def report(self, code: str, message: str, place: Place | None, hint: str | None = None) -> None:
        """Report a fault and continue."""
        self.problems.add(code, message, place, hint, self.scope.notes)
        self.failed = True

    # ------------------------------------------------------------------ the nodes of one name in the file

    def _make(self, key: str, node: Node | None) -> None:
        """Make the nodes of one name in the file."""
        self.made[key] = []
        if node is None:
            return
        unknown = replace(node, steps=(), reads=(), share=False, when=True, repeat=1, index=())
        failed = False
        try:
            for indices in self._rounds(node):
                name = self._name(key, node, indices)
                try:
                    if not failed:
                        self._make_one(key, name, node, indices)
                except Reported:
                    failed = self.failed = True
                if failed:  # one fault of a name with an index is enough
                    self.nodes[name] = replace(unknown, name=name)
        except Reported:
            self.failed = True
            if not has_index(key):
                self.nodes[key] = unknown

    def _name(self, key: str, node: Node, indices: Mapping[str, int]) -> str:
        """The name of one node. Raises Reported after reporting a fault."""
        own = node.place and node.place.on_key()
        scope = self.scope.with_names(indices)
        name = scope.name(key, own)
        notes = _notes(name, indices, own) if has_index(key) else ()
        scope = scope.noted((*notes, *scope.notes))
        if "-" in name:
            self.problems.add("E016", f"`{key}` would be `{name}`: an index is at least 0", own, None, scope.notes)
            raise Reported
        if name in self.nodes or name in self.off or name in self.graph.inputs:
            what = "an input" if name in self.graph.inputs else "a node"
            self.problems.add("E016", f"`{key}` makes `{name}`, which is {what} already", own, None, scope.notes)
            raise Reported
        self.made[key].append((indices, name))
        return name

    def _make_one(self, key: str, name: str, node: Node, indices: Mapping[str, int]) -> None:
        """Make one node. Raises Reported after reporting a fault."""
        own = node.place and node.place.on_key()
        notes = _notes(name, indices, own) if has_index(key) else ()
        scope = self.scope.with_names(indices).noted((*notes, *self.scope.notes))
        reads, origins = self._reads(node, scope)
        if not condition(scope, node.when, node.place and node.place.child("if")):
            self.off[name] = reads
            return
        steps = tuple(with_values(step, scope, indices) for step in node.steps)
        share = scope.name(node.share, own) if isinstance(node.share, str) else node.share
        new = replace(node, name=name, steps=steps, reads=reads, share=share, when=True, origins=origins, notes=notes)
        if not has_index(key):
            self.nodes[name] = new
            return
        new = replace(new, repeat=1, index=())
        self.nodes[name] = self._sharing(key, new) if share is True else new

    def _sharing(self, key: str, node: Node) -> Node:
        """A node made from a name whose repetitions share their weights: those of the first."""
        first = next(name for _, name in self.made[key] if name in self.nodes or name == node.name)
        if first == node.name:
            return replace(node, share=False)
        if node.steps != self.nodes[first].steps:
            place = node.place and node.place.child("share")
            message = f"`{key}` shares its weights, but its arguments change from one repetition to the next"
            self.problems.add("E027", message, place, "remove `share`, or what depends on the index", node.notes)
            raise Reported
        return replace(node, steps=(), share=first)

    def _count(self, more: int, place: Place | None) -> None:
        self.count += more
        if self.count > MAX_NODES:
            if self.count - more <= MAX_NODES:
                self.report("E006", f"the graph names more than {MAX_NODES} nodes", place, "repeat them less")
            raise Reported

    def _rounds(self, node: Node) -> Iterator[Mapping[str, int]]:
        """The values of the indices in each repetition of a node whose name carries an index; else once none."""
        self._check_indices(node)
        if not has_index(node.name):
            self._count(1, node.place)
            yield {}
            return
        counts = node.repeat if isinstance(node.repeat, list) else [node.repeat]
        place = node.place and node.place.child("repeat")
        if not node.index and node.repeat != 1:
            message = f"`{node.name}` would make the same node in each repetition"
            self.report("E027", message, place and place.on_key(), "say `index: i` beside `repeat`, and use `i`")
            raise Reported
        if node.index and len(counts) != len(node.index):
            names = " and ".join(f"`{name}`" for name in node.index)
            message = f"`{node.name}` counts {names}, and `repeat` says how often for {len(counts)}"
            self.report("E027", message, place, "give a number for each index, `repeat: [4, 3]`")
            raise Reported
        places = [place and (place.child(n) if isinstance(node.repeat, list) else place) for n in range(len(counts))]
        yield from self._product([*zip(node.index, counts, places, strict=False)], {})

    def _product(
        self, rest: Sequence[tuple[str, YamlValue, Place | None]], known: Mapping[str, int]
    ) -> Iterator[Mapping[str, int]]:
        """Every combination of indices; the count of a later one may depend on those before it."""
        if not rest:
            yield known
            return
        (name, count, place), *others = rest
        for number in range(1, repetitions(self.scope.with_names(known), count, place) + 1):
            self._count(1, place)
            yield from self._product(others, {**known, name: number})

    def _check_indices(self, node: Node) -> None:
        """Report the indices of a node and of its steps that cannot be."""
        for name in node.index:
            self._check_index(node, name, [each for each in node.index if each != name], node.place, node.repeat)
        for step in (step for step in node.steps if step.index):
            place = step.place and step.place.document.place(*step.place.path[:-1])
            self._check_index(node, str(step.index), node.index, place, step.repeat)
        if len(node.index) > 1 and not has_index(node.name):
            place = node.place and node.place.child("index")
            message = f"`{node.name}` is one node, whose repetitions one index counts"
            self.report("E027", message, place, f"put the indices into its name: `{node.name}(i)_(j)`")
            raise Reported

    def _check_index(
        self, node: Node, name: str, others: Sequence[str], place: Place | None, repeat: YamlValue
    ) -> None:
        here = place and place.child("index")
        if name in {*self.scope.names, *self.scope.broken, *others}:
            self.report("E027", f"`{name}` has a value already, so it cannot be an index", here, "take another name")
        elif not name.isidentifier():
            self.report("E027", f"{show(name)} is not a name for an index", here, "write `index: i`")
        elif repeat == 1 and place and "repeat" not in place.written():  # a child may keep the `repeat` of its parent
            message = f"`{name}` counts repetitions, and `{node.name}` has no `repeat`"
            self.report("E027", message, here, "say `repeat: 4` beside it")
        else:
            return
        raise Reported

    # ------------------------------------------------------------------ what is read

    def _reads(self, node: Node, scope: Scope) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """What a node reads, without indices; and from which item of its `from`."""
        if node.implied:
            return self._above(node), ()
        found: list[str] = []
        origins: list[int] = []
        for number, read in enumerate(node.reads or ()):
            origin = node.origins[number] if node.origins else number
            for name in self._named(read, scope, reads_place(node, number)):
                found.append(name)
                origins.append(origin)
        return tuple(found), tuple(origins)

    def _named(self, read: str, scope: Scope, place: Place | None) -> list[str]:
        """The names that something read stands for: several for a range."""
        rows = [part for part in parts(read) if isinstance(part, Index) and part.ends]
        if not rows:
            starts = _starts(read)
            return [" or ".join(_shifted(scope, name, start, place) for name, start in starts)]
        first, last = (scope.index(end, place) for end in rows[0].ends or ())
        head, _, tail = read.partition(f"({rows[0].text})")
        if len(rows) > 1 or has_index(tail) or len(alternatives(read)) > 1:
            self.report("E027", f"`{read}` has more than a range in it", place, "write one range, `head(1..depth)`")
            raise Reported
        self._count(max(0, last - first), place)
        return [f"{scope.name(head, place)}{number}{tail}" for number in range(first, last + 1)]

    def _above(self, node: Node) -> tuple[str, ...]:
        """What a node without `from` reads: the node made before it, of its own name or of the one above."""
        own = self.made.get(node.name, [])
        if len(own) > 1:
            return (own[-2][1],)
        return tuple(last for read in node.reads or () for last in self._last(read))

    def _last(self, read: str) -> tuple[str, ...]:
        """The node made last from a name in the file; what it would read, if none was made."""
        reads: tuple[str, ...] = (read,)
        seen: set[str] = set()
        while len(reads) == 1 and reads[0] in self.made and not self.made[reads[0]] and reads[0] not in seen:
            seen.add(reads[0])
            node = self.graph.nodes[reads[0]]
            reads = (node and node.reads) or ()
        return tuple(made[-1][1] if has_index(each) and (made := self.made.get(each)) else each for each in reads)

    def _wired(self, node: Node) -> Node:
        """The node with plain names of what it reads."""
        found = [self._there(read) for read in node.reads or ()]
        for number, name in enumerate(found):
            if name is None:
                self._not_there(node, number)
                return replace(node, steps=(), reads=())
        return replace(node, reads=tuple(filter(None, found)))

    def _there(self, read: str) -> str | None:
        """The first of several names that is there, or what stands for the last of them; None if nothing does."""
        seen: set[str] = set()
        while True:
            *first, name = alternatives(read)
            for each in first:
                if nodes_of(each)[0] in {*self.nodes, *self.graph.inputs}:
                    return each
            base = name.partition(".")[0]
            if base not in self.off:
                return name
            if base != name or len(self.off[base]) != 1 or base in seen:
                return None
            seen.add(base)
            [read] = self.off[base]

    def _not_there(self, node: Node, number: int) -> None:
        read = alternatives((node.reads or ())[number])[-1]
        hint = f"write `{read} or NODE` for what to read without it, or give `{node.name}` the same `if`"
        message = f"`{node.name}` reads `{read}`, which is not there: its `if` is false"
        self.problems.add("E026", message, reads_place(node, number), hint, (*node.notes, *self.scope.notes))
        self.failed = True

    # ------------------------------------------------------------------ outputs and taps

    def _outputs(self, graph: Graph) -> dict[str, Output]:
        found: dict[str, Output] = {}
        for key, output in graph.outputs.items():
            if output is None:
                continue
            source = output.reads or key  # a child may leave open what its parent says
            reads = self._implied(key, source) if output.implied else self._ends(key, source, output.place)
            for indices, read in reads:
                try:
                    scope = self.scope.with_names(indices)
                    name = scope.name(key, output.place and output.place.on_key())
                    shape = tuple(_size(item, scope, indices) for item in output.shape)
                except Reported:
                    self.failed = True
                    break
                found[name] = replace(output, name=name, reads=output.reads and read, shape=shape)
        return found

    def _implied(self, key: str, source: str) -> list[tuple[Mapping[str, int], str]]:
        """What an only output reads that says nothing: the last node, or what stands for it."""
        last = self._last(source)[0]
        read = self._there(last)
        if read is None:
            place = self.graph.at("outputs", key)
            message = f"the output `{key}` is `{last}`, which is not there: its `if` is false"
            self.report("E026", message, place, f"say what it is else: `{{from: {last} or NODE, shape: ...}}`")
        return [({}, read)] if read else []

    def _taps(self, graph: Graph) -> dict[str, str]:
        found: dict[str, str] = {}
        for key, target in graph.taps.items():
            place = graph.at("taps", key)
            for indices, read in self._ends(key, str(target), place) if target else ():
                try:
                    found[self.scope.with_names(indices).name(key, place and place.on_key())] = read
                except Reported:
                    self.failed = True
                    break
        return found

    def _ends(self, key: str, source: str, place: Place | None) -> list[tuple[Mapping[str, int], str]]:
        """What an output or tap reads: the node there is, none if it is off, each for a name with an index."""
        node, dot, part = source.partition(".")
        if has_index(source) and source in self.graph.nodes:
            node, dot, part = source, "", ""
        if node in self.made and has_index(node):
            pairs = [(indices, f"{name}{dot}{part}") for indices, name in self.made[node]]
        else:
            here = place and (place.on_key() if source == key else place)
            try:
                names = self._named(source, self.scope, here)
            except Reported:
                self.failed = True
                return []
            if len(names) != 1:
                self.report("E027", f"`{key}` is one value, and `{source}` names {len(names)}", here, "join them first")
            pairs = [({}, name) for name in names[:1]]
        if len(alternatives(source)) > 1:
            return [(indices, read) for indices, name in pairs if (read := self._there(name))]
        return [(indices, name) for indices, name in pairs if name.partition(".")[0] not in self.off]

    # ------------------------------------------------------------------ what children say of these nodes

    def _known(self, patch: Graph, graph: Graph) -> Graph:
        """A patch of a child, its own names worked out; a node whose `if` is false is one that is removed."""
        inner = _Expansion(replace(graph, nodes=patch.nodes), self.scope, count=self.count)
        order: dict[str, Node | None] = {}
        for key, node in patch.nodes.items():
            before = len(inner.nodes)
            inner._make(key, node)
            if node is None:
                order[key] = None
                continue
            order |= {name: inner.nodes.get(name) for _, name in inner.made[key]}
            order |= dict(list(inner.nodes.items())[before:])
        inner.nodes = {**{name: node for name, node in graph.nodes.items() if node}, **inner.nodes}
        for name in (name for name, node in order.items() if node is None):
            inner.nodes.pop(name, None)
        nodes = {  # new ones whose `if` is false are nothing to remove
            name: inner._wired(node) if node and node.reads else node
            for name, node in order.items()
            if node or name in graph.nodes or patch.nodes.get(name, ...) is None
        }
        insert: dict[str, Insertion] = {}
        for key, each in patch.insert.items():
            inner.made[key] = []
            try:
                place = patch.at("insert", key)
                anchor = self.scope.name(each.anchor, place and place.child("after" if each.after else "before"))
            except Reported:
                self.failed = True
                continue
            inner._make(key, each.node)
            if made := inner.nodes.get(key):
                insert[key] = Insertion(inner._wired(made) if made.reads else made, anchor, each.after)
        inner.made |= self.made
        outputs = {**inner._outputs(patch), **{name: None for name, end in patch.outputs.items() if end is None}}
        taps = {**inner._taps(patch), **{name: None for name, end in patch.taps.items() if end is None}}
        keep: list[str] = []
        try:
            keep = [name for read in patch.keep for name in self._named(read, self.scope, patch.at("keep"))]
        except Reported:
            self.failed = True
        self.failed |= inner.failed
        self.made |= inner.made
        self.off |= inner.off
        self.count = inner.count
        return replace(patch, nodes=nodes, insert=insert, outputs=outputs, taps=taps, keep=tuple(keep))


def _notes(name: str, indices: Mapping[str, int], place: Place | None) -> tuple[tuple[str, Place | None], ...]:
    where = " and ".join(f"`{index}` is {number}" for index, number in indices.items())
    return ((f"in `{name}`, where {where}", place),) if where else ()


def _starts(read: str) -> list[tuple[str, int]]:
    """The alternatives of what is read, each with where it begins."""
    found, end = [], 0
    for name in alternatives(read):
        start = read.index(name, end)
        found.append((name, start))
        end = start + len(name)
    return found


def _shifted(scope: Scope, name: str, start: int, place: Place | None) -> str:
    """A name that begins at `start` of a text, with its indices worked out."""
    return "".join(
        part if isinstance(part, str) else str(scope.index(part._replace(start=part.start + start), place))
        for part in parts(name)
    )


def _size(item: YamlValue, scope: Scope, indices: Mapping[str, int]) -> YamlValue:
    """An item of the shape of an output; the name of a size may carry an index too."""
    if names_in(item) & indices.keys():
        return scope.value(item, None)
    return scope.name(item, None) if isinstance(item, str) and not item.startswith("=") and has_index(item) else item
