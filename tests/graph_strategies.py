"""Hypothesis strategies for whole graphs: valid ones of many forms, as the data of a graph file."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from crossband import registry
from crossband.blocks.contract import ContractError
from crossband.blocks.shapes import shapes_of
from crossband.blocks.sizes import Dim, Shape, symbol
from crossband.graphs.admissible import possible

Data = dict[str, Any]

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


@dataclass
class _Draft:
    """A graph in the making: its nodes, and the shape that each value has."""

    draw: st.DrawFn
    channels: int
    nodes: Data = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.shapes["image"] = (symbol("B"), self.channels, symbol("H"), symbol("W"))

    def add(self) -> None:
        """One more node: a chain on one value, a join of two, or a way down and up again beside a skip."""
        names = list(self.shapes)
        kind = self.draw(st.sampled_from(["chain", "join", "u"]))
        if kind == "u":
            source, factor = self.draw(st.sampled_from(names)), self.draw(st.integers(2, 4))
            self.node([source], self.draw(down_and_up(factor, self.shapes[source][1])))
            self.node([list(self.shapes)[-1], source], [{"Concat": {}}])
        elif kind == "join":
            name = self.draw(st.sampled_from(["Add", "Concat", "UpCat", "ResizeTo", "Mul"]))
            self.node([self.draw(st.sampled_from(names)) for _ in range(2)], [{name: {}}])
        else:
            source = names[-1] if self.draw(st.integers(0, 2)) else self.draw(st.sampled_from(names))
            self.node([source], self.draw(st.lists(values(), min_size=1, max_size=3)))

    def node(self, reads: list[str], steps: list[Data]) -> None:
        """A node with these steps, or one that changes nothing where no image would pass."""
        names, name = list(self.shapes), f"n{len(self.nodes)}"
        shape = self.through(steps, [self.shapes[read] for read in reads])
        if shape is None:
            reads, steps = [names[-1]], [{"Tanh": {}}]
            shape = self.shapes[names[-1]]
        written = self.written(steps, shape == self.shapes[reads[0]])
        if reads != [names[-1]] or self.draw(st.booleans()):
            written = self.reading(written, reads)
        self.nodes[name], self.shapes[name] = written, shape
        self.unread = (self.unread - set(reads)) | {name}

    def through(self, steps: list[Data], shapes: list[Shape]) -> Shape | None:
        """The shape behind a chain; None where no image, or only an odd one, passes."""
        for step in steps:
            [(name, arguments)] = step.items()
            if name == "stage":
                continue
            try:
                result = shapes_of(registry.blocks[name], shapes, arguments)
            except ContractError:
                return None
            if not all(condition.certain is None and possible(condition) for condition in result.conditions):
                return None
            shapes = [result.outputs[0]]
            if any(isinstance(size, Dim) and size.depth > 3 for size in shapes[0]):
                return None
        return shapes[0]

    def written(self, steps: list[Data], keeps: bool) -> Any:
        """A node in one of its forms."""
        [(name, arguments)] = steps[0].items()
        if len(steps) == 1 and not arguments and self.draw(st.booleans()):
            return name
        if len(steps) > 1 or self.draw(st.integers(0, 3)) == 0:
            chain: list[Any] = [*steps]
            if not arguments and self.draw(st.booleans()):
                chain[0] = name
            return chain
        node = dict(steps[0])
        if keeps and name not in ("Add", "Mul", "ResizeTo") and self.draw(st.booleans()):
            node["repeat"] = self.draw(st.sampled_from([0, 1, 2, 3, "=times", "=times*(1==1)"]))
            node["share"] = self.draw(st.booleans())
        return node

    def reading(self, written: Any, reads: list[str]) -> Data:
        source = reads[0] if len(reads) == 1 and self.draw(st.booleans()) else reads
        if isinstance(written, str):
            return {"from": source, written: {}}
        return {"from": source, **written} if isinstance(written, dict) else {"from": source, "do": written}

    def outputs(self) -> Data:
        """Everything that nothing reads, with names for the sizes that are not those of the image."""
        found: Data = {}
        for name in sorted(self.unread):
            shape = self.shapes[name]
            sizes = [
                str(size) if str(size) in ("H", "W") else f"{'hw'[axis]}{name}" for axis, size in enumerate(shape[2:])
            ]
            found[name] = [shape[1], *sizes]
        return found


@st.composite
def graphs(draw: st.DrawFn, most: int = 7, channels: int | None = None) -> Data:
    """A valid graph as the data of its file."""
    draft = _Draft(draw, channels or draw(st.integers(1, 3)))
    for _ in range(draw(st.integers(1, most))):
        draft.add()
    text = str(draft.nodes)
    return {
        "graph": "drawn",
        **({"params": {"times": draw(st.integers(0, 2))}} if "times" in text else {}),
        "inputs": {"image": [draft.channels, "H", "W"]},
        "nodes": draft.nodes,
        "outputs": draft.outputs(),
        **({"blocks": {"stage": STAGE}} if "stage" in text else {}),
    }
