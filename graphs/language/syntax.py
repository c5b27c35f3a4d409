"""The parts of a graph as written: a `Graph` has `Node`s, which have `Step`s, each with its place in the file.

Places are ignored when graphs are compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from crossband.graphs.language.diagnostics import Place
from crossband.graphs.language.document import YamlValue

Note: TypeAlias = tuple[str, Place | None]
Notes: TypeAlias = tuple[Note, ...]
ANY_SHAPE = ("...",)


@dataclass(frozen=True)
class Step:
    """One application of a block, `{RSU: {depth: 7}}`. Its place is that of the block's name.

    `index` is the name under which its arguments know which repetition it is, `when` the condition after `if`.
    """

    block: str
    arguments: Mapping[str, YamlValue] = field(default_factory=dict)
    repeat: YamlValue = 1
    share: bool = False
    index: str | None = None
    when: YamlValue = True
    place: Place | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Node:
    """A named value: the nodes or inputs it reads, and the steps applied to them. `reads` is None until resolved.

    A name with an index, `enc(i)`, stands for as many nodes as its `repeat` says. `share` is whether all repetitions
    have the same weights, or the name of the node whose steps and weights this one uses. `when` is the condition after
    `if`. A child's node that `amends` keeps the steps of its parent's node, with these arguments by block.

    `implied` marks reads that follow from the order of the nodes; `origins` tells by number which item of `from` each
    read comes from, where that is not the item of the same number; `notes` are on every fault in the node.
    """

    name: str
    steps: tuple[Step, ...]
    reads: tuple[str, ...] | None = None
    repeat: YamlValue = 1
    share: bool | str = False
    index: tuple[str, ...] = ()
    when: YamlValue = True
    amends: Mapping[str, Mapping[str, YamlValue]] | None = None
    doc: str | None = None
    place: Place | None = field(default=None, compare=False, repr=False)
    notes: Notes = field(default=(), compare=False, repr=False)
    implied: bool = field(default=False, compare=False, repr=False)
    origins: tuple[int, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True)
class Output:
    """A named result with the shape it promises, batch aside; ANY_SHAPE promises nothing.

    `implied` marks a source that follows from the order of the nodes.
    """

    name: str
    shape: tuple[YamlValue, ...]
    reads: str | None = None
    place: Place | None = field(default=None, compare=False, repr=False)
    implied: bool = field(default=False, compare=False, repr=False)


@dataclass(frozen=True)
class Insertion:
    """A node spliced in after or before another one."""

    node: Node
    anchor: str
    after: bool


@dataclass(frozen=True, repr=False)
class Graph:
    """A graph or a local block. A value of None marks a part that a child removes from the graph it extends.

    Inherited parts are written in another file: `homes` has the places of those that do not record their own, by
    section and name, and `lineage` has, by file, the note that tells how that file came in. The text of a `partial`
    graph has faults: parts are missing, a node without steps and an input that is None could not be read.

    `keep` names the nodes that a child keeps of the graph it extends. `patches` are what children say of nodes whose
    names carry an index: those nodes are known, and the patches applied, once params have values.
    """

    name: str
    inputs: Mapping[str, tuple[YamlValue, ...] | None] = field(default_factory=dict)
    nodes: Mapping[str, Node | None] = field(default_factory=dict)
    outputs: Mapping[str, Output | None] = field(default_factory=dict)
    params: Mapping[str, YamlValue] = field(default_factory=dict)
    choices: Mapping[str, tuple[YamlValue, ...]] = field(default_factory=dict)  # of a param, or of each item of it
    taps: Mapping[str, str | None] = field(default_factory=dict)
    blocks: Mapping[str, "Graph | None"] = field(default_factory=dict)
    wrap: Mapping[str, Step | None] = field(default_factory=dict)
    insert: Mapping[str, Insertion] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    patches: tuple["Graph", ...] = ()
    extends: str | None = None
    cite: tuple[str, ...] = ()
    doc: str | None = None
    place: Place | None = field(default=None, compare=False, repr=False)
    partial: bool = field(default=False, compare=False, repr=False)
    homes: Mapping[tuple[str, str], Place] = field(default_factory=dict, compare=False, repr=False)
    lineage: Mapping[str, Note] = field(default_factory=dict, compare=False, repr=False)

    def __repr__(self) -> str:
        return f"<Graph {self.name}: {len(self.nodes)} nodes from {', '.join(self.inputs)}>"

    def at(self, section: str, *path: str | int) -> Place | None:
        """The place of a part of this graph, in the file where it is written."""
        if path and (home := self.homes.get((section, str(path[0])))):
            return home.child(*path[1:]) if path[1:] else home
        return self.place.child(section, *path) if self.place else None

    def owns(self, place: Place | None) -> bool:
        """Whether a part is written in the file of this graph, not in one that it extends."""
        return place is None or self.place is None or place.document is self.place.document

    def with_params(self, params: Mapping[str, YamlValue]) -> "Graph":
        """The same graph with other values for some of its params."""
        return replace(self, params={**self.params, **params})
