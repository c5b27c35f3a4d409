"""The parts of a picture: inputs, nodes and outputs, skips past other parts, runs of equal parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from crossband.graphs.language.diagnostics import Diagnostic
from crossband.graphs.picture.words import KINDS, Line

INSIDE = "/"  # between a node and a node inside it; no name in a file has this character
FOLD = 3  # so many equal nodes in a row are drawn as one


@dataclass(frozen=True)
class Part:
    """An input, node or output, or a `missing` one that is read but does not exist."""

    name: str
    role: str  # input, node, output or missing
    reads: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    title: str | None = None  # of a part that stands for several nodes: the first to the last
    count: int = 1
    shape: str | None = None  # short, as on the wires
    exact: str | None = None  # the shape in full; of an output the range of its values
    level: int = 0  # how often the image is halved
    turn: int = 0  # 1 if an input has a finer scale, -1 if one has a coarser scale
    doc: str | None = None
    taps: tuple[str, ...] = ()
    faults: tuple[Diagnostic, ...] = ()

    @property
    def key(self) -> str:
        """Its unique name in the picture: an output may have the name of a node."""
        return f"{self.name}." if self.role == "output" else self.name

    @property
    def heading(self) -> str:
        """The text on top."""
        return (self.title or self.name).replace(INSIDE, ".")

    @property
    def home(self) -> tuple[str, str]:
        """Its section of the file, and its name there."""
        return {"input": "inputs", "output": "outputs"}.get(self.role, "nodes"), self.name

    @property
    def kind(self) -> str:
        """The kind of its most telling step."""
        return min((line.kind for line in self.lines), key=KINDS.index, default="pointwise")


@dataclass(frozen=True)
class Sketch:
    """What to draw of a graph.

    `skips` are the wires past other nodes, `idle` the nodes that do nothing, `opened` the nodes that are drawn as the
    inside of the graph that each of them uses.
    """

    name: str
    parts: tuple[Part, ...]
    skips: frozenset[tuple[str, str]]
    facts: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()
    opened: Mapping[str, str] = field(default_factory=dict)
    scales: Mapping[int, str] = field(default_factory=dict)
    faults: tuple[Diagnostic, ...] = ()


def skips_of(parts: Sequence[Part]) -> frozenset[tuple[str, str]]:
    """The wires past other nodes: a longer path has the same start and the same end."""
    reads = {part.key: part.reads for part in parts}
    above: dict[str, set[str]] = {}

    def ancestors(start: str) -> set[str]:
        stack = [start]
        while stack:
            name = stack[-1]
            waiting = [read for read in reads.get(name, ()) if read not in above and read not in stack]
            if waiting:
                stack += waiting[:1]
                continue
            known = (above.get(read, set()) | {read} for read in reads.get(name, ()))
            above[stack.pop()] = set().union(*known)
        return above[start]

    return frozenset(
        (read, part.key)
        for part in parts
        for read in part.reads
        if any(read in ancestors(other) for other in part.reads if other != read)
    )


def folded(parts: Sequence[Part]) -> list[Part]:
    """Replace equal nodes in a row by one part with their count."""
    readers: dict[str, list[str]] = {}
    for part in parts:
        for read in part.reads:
            readers.setdefault(read, []).append(part.key)
    runs: list[list[Part]] = []
    for part in parts:
        last = runs[-1][-1] if runs else None
        plain = last and not (part.taps or part.faults or last.taps or last.faults) and part.role == last.role == "node"
        alike = last and (last.lines, last.count, last.shape) == (part.lines, part.count, part.shape)
        if last and plain and alike and part.reads == (last.name,) and readers[last.name] == [part.name]:
            runs[-1].append(part)
        else:
            runs.append([part])
    names = {part.name: run[-1].name for run in runs if len(run) >= FOLD for part in run}
    folded = []
    for run in runs:
        first, last = run[0], run[-1]
        if len(run) >= FOLD:
            title = f"{first.name} … {last.name}"
            folded.append(replace(last, reads=first.reads, title=title, count=first.count * len(run)))
        else:
            folded += run
    return [replace(part, reads=tuple(names.get(read, read) for read in part.reads)) for part in folded]
