"""Hypothesis strategies for whole graphs: valid ones of many forms, as the data of a graph file, and children of them."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from crossband import registry
from crossband.blocks.contracts.block import BlockEntry
from crossband.blocks.contracts.contract import ContractError
from crossband.blocks.contracts.shapes import shapes_of
from crossband.blocks.contracts.sizes import Condition, Dim, Shape, Size, evaluate, symbol, symbols_of
from crossband.blocks.laws.values import arguments
from crossband.graphs.language.serial import to_data
from crossband.graphs.plans.admissible import possible
from crossband.graphs.plans.plan import Plan

Data = dict[str, Any]
Values = dict[str, Shape]
LARGEST = 100  # rows, columns or channels of a value for an image of `SIDE` pixels a side: larger ones take time
SIDE = 24

STAGE = {
    "params": {"wide": 2},
    "inputs": {"x": ["c", "h", "w"]},
    "nodes": {
        "mix": {"Conv": {"out": "=wide*c", "kernel": 1}},
        "both": {"from": ["mix", "x"], "Concat": {}},
        "back": {"Conv": {"out": "=c", "activation": "relu"}},
    },
    "outputs": {"back": ["=c", "h", "w"]},
}


def values() -> st.SearchStrategy[Data]:
    """One step that changes a feature map: a block with its arguments."""
    small, kernel = st.integers(1, 3), st.integers(1, 4)
    convolution = st.fixed_dictionaries(
        {"out": small},
        optional={
            "kernel": kernel,
            "stride": small,
            "padding": st.sampled_from(["same", 0, 1, 2]),
            "dilation": st.integers(1, 2),
            "norm": st.sampled_from(["none", "instance", "batch"]),
            "pad_mode": st.sampled_from(["zeros", "reflect"]),
        },
    )
    pool = st.fixed_dictionaries({}, optional={"kernel": st.integers(2, 3), "stride": small, "ceil": st.booleans()})
    up = st.fixed_dictionaries(
        {"out": small},
        optional={"kernel": kernel, "stride": small, "padding": st.integers(0, 1), "norm": st.just("instance")},
    )
    plain = st.sampled_from(["Tanh", "ReLU", "Sigmoid", "InstanceNorm", "BatchNorm", "LayerNorm", "Identity", "stage"])
    return st.one_of(
        convolution.map(lambda arguments: {"Conv": arguments}),
        pool.map(lambda arguments: {"MaxPool": arguments}),
        pool.map(lambda arguments: {"AvgPool": arguments}),
        up.map(lambda arguments: {"ConvTranspose": arguments}),
        st.builds(lambda up, down: {"Resize": {"up": up, "down": down}}, st.integers(2, 3), st.integers(1, 3)),
        st.builds(lambda depth, out: {"RSU": {"depth": depth, "mid": 2, "out": out}}, st.integers(2, 3), small),
        plain.map(lambda name: {name: {}}),
    )


def down_and_up(factor: int, channels: Any) -> st.SearchStrategy[list[Data]]:
    """A chain that divides the size by `factor`, somehow rounded, and multiplies it again."""
    down = st.sampled_from(
        [
            {"MaxPool": {"kernel": factor}},
            {"MaxPool": {"kernel": factor, "ceil": True}},
            {"AvgPool": {"kernel": factor}},
            {"Conv": {"out": 2, "kernel": 3, "stride": factor}},
            {"Conv": {"out": 2, "kernel": factor, "stride": factor, "padding": 0}},
            {"Resize": {"down": factor}},
        ]
    )
    up = st.sampled_from(
        [
            {"Resize": {"up": factor}},
            {"ConvTranspose": {"out": channels, "kernel": factor, "stride": factor, "padding": 0}},
            {"ConvTranspose": {"out": channels, "kernel": factor + 1, "stride": factor, "padding": 0}},
        ]
    )
    return st.tuples(down, up).map(list)


@dataclass(frozen=True)
class _Made:
    """A node of a draft: what it reads, its steps, and whether it is repeated."""

    reads: tuple[str, ...]
    steps: list[Data]
    repeated: bool = False


@dataclass(frozen=True)
class _Part:
    """A local block that was drawn: its text, and the draft that it comes from."""

    data: Data
    draft: "_Draft"

    @property
    def count(self) -> int:
        """How many inputs it takes."""
        return len(self.data["inputs"])

    def outputs(self, shapes: Sequence[Shape]) -> Values | None:
        """The shapes of its outputs for other inputs than those it was drawn for; None where it does not take them."""
        values: Values = {}
        axes: dict[str, Size] = {}
        for (name, written), shape in zip(self.data["inputs"].items(), shapes, strict=True):
            if len(shape) != 4 or any(axes.setdefault(a, n) != n for a, n in zip(written, shape[1:], strict=True)):
                return None
            values[name] = shape
        for name, made in self.draft.made.items():
            reads = [values[read] for read in made.reads]
            found = self.draft.through(made.steps, reads)
            if found is None or (made.repeated and next(iter(found.values())) != reads[0]):
                return None
            values |= _named(name, found)
        return {name: values[output["from"]] for name, output in self.data["outputs"].items()}


def _named(node: str, outputs: Values) -> Values:
    """The outputs of a node as other nodes read them: `n1` is the first, `n1.low` one of several."""
    several = {f"{node}.{name}": shape for name, shape in outputs.items()} if len(outputs) > 1 else {}
    return {node: next(iter(outputs.values())), **several}


@dataclass
class _Draft:
    """A graph or local block in the making: its nodes, and the shape that each value has."""

    draw: st.DrawFn
    shapes: Values
    parts: dict[str, _Part] = field(default_factory=dict)
    counts: Sequence[int | str] = (0, 1, 2, 3)  # of a node that is repeated
    nodes: Data = field(default_factory=dict)
    made: dict[str, _Made] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)

    # ------------------------------------------------------------------ nodes

    def add(self) -> None:
        """One more node or a few: see the methods."""
        kinds = [self.chain, self.join, self.down_and_up, self.any_block, self.any_block]
        self.draw(st.sampled_from([*kinds, *[self.part] * bool(self.parts)]))()

    def chain(self) -> None:
        """A chain on one value."""
        names = list(self.shapes)
        source = names[-1] if self.draw(st.integers(0, 2)) else self.draw(st.sampled_from(names))
        self.node([source], self.draw(st.lists(values(), min_size=1, max_size=3)))

    def join(self) -> None:
        """A join of two values."""
        name = self.draw(st.sampled_from(["Add", "Concat", "UpCat", "ResizeTo", "Mul"]))
        self.node(self.reads(2), [{name: {}}])

    def down_and_up(self) -> None:
        """A way down and up again beside a skip."""
        [source], factor = self.reads(1), self.draw(st.integers(2, 4))
        self.node([source], self.draw(down_and_up(factor, self.shapes[source][1])))
        self.node([list(self.made)[-1], source], [{"Concat": {}}])

    def any_block(self) -> None:
        """Any registered block with any arguments, on values that it takes, made to its measure where it says which."""
        entry = registry.blocks[self.draw(st.sampled_from(sorted(registry.blocks)))]
        count, steps = self.draw(_inputs(entry)), [{entry.name: self.draw(arguments(entry))}]
        reads = self.reads(count) if self.draw(st.booleans()) else self.reads(1) * count
        contract = entry.contract
        for number, axes in enumerate(contract.inputs if contract else ()):
            made: list[Data] = []
            if len(axes) == 2 and len(self.shapes[reads[number]]) == 4:
                made = [{"GlobalPool": {}}, {"Flatten": {}}]
            elif len(axes) > 2 and (isinstance(axes[1], int) or axes[2:] == (1, 1)):
                made = [{"Conv": {"out": axes[1], "kernel": 1}} if isinstance(axes[1], int) else {"GlobalPool": {}}]
            if made:
                self.node([reads[number]], made)
                reads[number] = list(self.made)[-1]
        widened = [{"Conv": {"out": 32, "kernel": 1}}, *steps]  # for a block that divides its channels by some number
        shapes = [self.shapes[read] for read in reads]
        self.node(reads, widened if count == 1 and not self.through(steps, shapes) else steps)

    def part(self) -> None:
        """A use of a local block."""
        name = self.draw(st.sampled_from(sorted(self.parts)))
        self.node(self.reads(self.parts[name].count), [{name: {}}])

    def reads(self, count: int) -> list[str]:
        """So many values, which may be the same."""
        return [self.draw(st.sampled_from(list(self.shapes))) for _ in range(count)]

    def node(self, reads: list[str], steps: list[Data]) -> None:
        """A node with these steps, or one that changes nothing where no image would pass."""
        above, name = list(self.made or self.shapes)[-1], f"n{len(self.made)}"
        found = self.through(steps, [self.shapes[read] for read in reads])
        if found is None:
            last = next(value for value in reversed(self.shapes) if len(self.shapes[value]) == 4)
            reads, steps, found = [last], [{"Tanh": {}}], {"out": self.shapes[last]}
        keeps = next(iter(found.values())) == self.shapes[reads[0]]
        written = self.written(steps, keeps=keeps and len(found) == 1, single=len(reads) == 1)
        repeated = isinstance(written, dict) and "repeat" in written
        if reads != [above] or self.draw(st.booleans()):
            written = self.reading(written, reads)
        self.nodes[name], self.made[name] = written, _Made(tuple(reads), steps, repeated)
        values = _named(name, found)
        self.shapes |= values
        read = {each.partition(".")[0] for each in reads} | set(reads)
        self.unread = {each for each in self.unread if each not in read} | {name, *list(values)[2:]}

    def through(self, steps: list[Data], shapes: Sequence[Shape]) -> Values | None:
        """The outputs of a chain; None where no image, or only an odd one, passes, or where it is too large."""
        found: Values = {}
        for step in steps:
            [(name, given)] = step.items()
            outputs = self.outputs_of(name, given, shapes)
            if outputs is None or not all(_sensible(size) for shape in outputs.values() for size in shape[1:]):
                return None
            found, shapes = outputs, [next(iter(outputs.values()))]
        return found

    def outputs_of(self, name: str, given: Data, shapes: Sequence[Shape]) -> Values | None:
        """The outputs of one block, registered or local, by name; None where it does not take such inputs."""
        if name == "stage":
            return {"back": shapes[0]} if len(shapes[0]) == 4 else None
        if name in self.parts:
            return self.parts[name].outputs(shapes)
        entry = registry.blocks[name]
        try:
            result = shapes_of(entry, shapes, given)
        except ContractError:
            return None
        if not all(map(_likely, result.conditions)):
            return None
        return dict(zip(entry.outputs, result.outputs, strict=False))

    # ------------------------------------------------------------------ text

    def written(self, steps: list[Data], *, keeps: bool, single: bool) -> Any:
        """A node in one of its forms; only one that reads a `single` value may be repeated no times."""
        [(name, given)] = steps[0].items()
        if len(steps) == 1 and not given and self.draw(st.booleans()):
            return name
        if len(steps) > 1 or self.draw(st.integers(0, 3)) == 0:
            chain: list[Any] = [*steps]
            if not given and self.draw(st.booleans()):
                chain[0] = name
            return chain
        node = dict(steps[0])
        if keeps and self.draw(st.booleans()):
            node["repeat"] = self.draw(st.sampled_from(self.counts if single else (1, 2, 3)))
            node["share"] = self.draw(st.booleans())
        return node

    def reading(self, written: Any, reads: list[str]) -> Data:
        """The node with its `from`."""
        source = reads[0] if len(reads) == 1 and self.draw(st.booleans()) else reads
        if isinstance(written, str):
            return {"from": source, written: {}}
        return {"from": source, **written} if isinstance(written, dict) else {"from": source, "do": written}

    def outputs(self, known: Sequence[str] = ()) -> Data:
        """Everything that nothing reads, with names for the sizes that are not among those `known`."""
        found: Data = {}
        for value in sorted(self.unread):
            name = value.replace(".", "_")
            axes = [
                size if isinstance(size, int) and known else str(size) if str(size) in known else f"{axis}{name}"
                for axis, size in zip("chwd", self.shapes[value][1:], strict=False)
            ]
            plain = name == value and known
            found[name] = axes if plain and self.draw(st.booleans()) else {"from": value, "shape": axes}
        return found


def _inputs(entry: BlockEntry) -> st.SearchStrategy[int]:
    """How many inputs a block takes."""
    contract = entry.contract
    if contract is None:
        return st.just(max(1, len(entry.inferred)))
    return st.integers(1, 3) if contract.variadic else st.just(len(contract.inputs))


def _likely(condition: Condition) -> bool:
    """Whether images meet a condition, small ones among them."""
    if condition.certain is not None or not possible(condition):
        return False
    sides = dict.fromkeys(symbols_of(condition.size), np.arange(1, 3 * SIDE))
    return bool(np.any(condition.holds(sides)))


def _sensible(size: Size) -> bool:
    """Whether a size is neither too large nor too involved."""
    at_side = evaluate(size, dict.fromkeys(symbols_of(size), SIDE))
    return at_side <= LARGEST and not (isinstance(size, Dim) and size.depth > 3)


@st.composite
def parts(draw: st.DrawFn, known: dict[str, _Part]) -> _Part:
    """A local block of one or two inputs, alike in size or not, and of one or several outputs."""
    alike = draw(st.booleans())
    count = draw(st.integers(1, 2))
    inputs = {f"x{n}": [f"c{n}", *("hw" if alike else (f"h{n}", f"w{n}"))] for n in range(count)}
    shapes = {name: (symbol("B"), draw(st.integers(1, 3)), *map(symbol, axes[1:])) for name, axes in inputs.items()}
    draft = _Draft(draw, shapes, known)
    for name in inputs:
        draft.node([name], [draw(values())])
    for _ in range(draw(st.integers(0, 2))):
        draft.add()
    return _Part({"inputs": inputs, "nodes": draft.nodes, "outputs": draft.outputs()}, draft)


@st.composite
def graphs(draw: st.DrawFn, most: int = 7, channels: int | None = None) -> Data:
    """A valid graph as the data of its file."""
    known: dict[str, _Part] = {}
    for number in range(draw(st.integers(0, 2))):
        known[f"part{number}"] = draw(parts(dict(known)))
    count = channels or draw(st.integers(1, 3))
    image = (symbol("B"), count, symbol("H"), symbol("W"))
    draft = _Draft(draw, {"image": image}, known, (0, 1, 2, 3, "=times", "=times*(1==1)"))
    for _ in range(draw(st.integers(1, most))):
        draft.add()
    values = [name for name in draft.shapes if name != "image"]
    taps = draw(st.lists(st.sampled_from(values), unique=True, max_size=2))
    data = {
        "graph": "drawn",
        "inputs": {"image": [count, "H", "W"]},
        "nodes": draft.nodes,
        "outputs": draft.outputs(["H", "W"]),
        **({"taps": {f"t{number}": name for number, name in enumerate(taps)}} if taps else {}),
    }
    blocks, used = {"stage": STAGE, **{name: part.data for name, part in known.items()}}, {}
    for name in reversed(blocks):  # each may use those before it
        if f"'{name}'" in f"{data['nodes']} {used}":
            used[name] = blocks[name]
    if "times" in str(data["nodes"]):
        data["params"] = {"times": draw(st.integers(0, 2))}
    return {**data, **({"blocks": used} if used else {})}


# ---------------------------------------------------------------------- children


def explicit(plan: Plan) -> Data:
    """The data of a checked graph in which every node and output says what it reads, and so may stand anywhere."""
    data = to_data(plan.graph)
    forms = {}
    for name, written in data["nodes"].items():
        form = written if isinstance(written, dict) else {"do": written} if isinstance(written, list) else {written: {}}
        forms[name] = {**form, "from": list(plan.graph.nodes[name].reads)}  # type: ignore[union-attr, arg-type]
    ends = {
        name: {"from": output.reads, "shape": list(output.shape)}
        for name, output in plan.graph.outputs.items()
        if output
    }
    return {**data, "nodes": forms, "outputs": ends}


@dataclass(frozen=True)
class Child:
    """What a child says beyond `extends`, and the flat graph that it stands for."""

    patch: Data
    flat: Data


@st.composite
def children(draw: st.DrawFn, plan: Plan) -> Child:
    """Nodes replaced, removed, and spliced in after or before others."""
    flat = copy.deepcopy(explicit(plan))
    nodes, ends, taps = flat["nodes"], flat["outputs"], flat.get("taps", {})
    idle = _idle(plan)
    patched: Data = {}
    for name in sorted(idle):
        match draw(st.sampled_from(["keep", "replace", "remove"])):
            case "replace":
                patched[name] = {draw(st.sampled_from(["Sigmoid", "Identity"])): {}}
                nodes[name] = {**patched[name], "from": nodes[name]["from"]}
            case "remove" if (read := nodes[name]["from"][0]) in nodes:
                patched[name] = None
                del nodes[name]
                _redirect(nodes, ends, name, read)
                taps |= {tap: read for tap, target in taps.items() if target == name}
    maps = all(len(shape) == 4 for call in plan.calls for shape in call.shapes)  # which is what a ReLU takes
    anchors = [*(plan.graph.nodes if maps else ()), "image"]
    inserted: Data = {}
    last: dict[str, str] = {}
    for number in range(draw(st.integers(0, 3))):
        name, anchor = f"s{number}", draw(st.sampled_from(anchors))
        if anchor not in nodes and anchor != "image":
            continue
        if anchor == "image" or draw(st.booleans()):
            before = last.get(anchor, anchor)
            if all(before not in part["from"] for part in nodes.values()) and before not in _ends(ends):
                continue  # only its parts are read, and nothing would read the new node
            inserted[name] = {"after": anchor, "ReLU": {}}
            _redirect(nodes, ends, before, name)
            nodes[name], last[anchor] = {"ReLU": {}, "from": [before]}, name
        else:
            inserted[name] = {"before": anchor, "ReLU": {}}
            first, *others = nodes[anchor]["from"]
            nodes[name], nodes[anchor]["from"] = {"ReLU": {}, "from": [first]}, [name, *others]
    return Child({"nodes": patched, "insert": inserted}, flat)


def _idle(plan: Plan) -> set[str]:
    """The nodes that another can stand for, or none: they read one value and give one of the same shape."""
    found = set()
    for name, calls in plan.by_node():
        node = plan.graph.nodes[name]
        assert node
        registered = all(step.block in registry.blocks for step in node.steps)
        alike = calls[-1].shapes == (plan.shape(calls[0].reads[0]),)
        found |= {name} if registered and alike and len(node.reads or ()) == 1 else set()
    return found


def _ends(ends: Data) -> set[str]:
    """What outputs read."""
    return {end["from"] for end in ends.values()}


def _redirect(nodes: Data, ends: Data, old: str, new: str) -> None:
    """Let all that reads `old` read `new`."""
    for node in nodes.values():
        node["from"] = [new if read == old else read for read in node["from"]]
    for end in ends.values():
        end["from"] = new if end["from"] == old else end["from"]
