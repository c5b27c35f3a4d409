"""The parts of a recipe as written: plain data with names. `layers` has their places."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from crossband.graphs.language.diagnostics import Place
from crossband.recipes.language.flow import Value
from crossband.recipes.language.layers import Layers
from crossband.recipes.language.ramps import Ramp


@dataclass(frozen=True)
class Network:
    """One network: a graph by name or path, its params, its initial weights, and whether it is frozen.

    `patch` is what the recipe says of the graph in the words of a graph file that extends it: `insert`, `nodes`, ...
    `weights` is a weights file, or `{file, keys, into}` for a file of another program: the file, the key map that
    renames its weights, and the node into which they go, by default the whole network. `gives` is the band that its
    images stand for, where the recipe says it. With `fit: pad` it takes images of any size, padded to what the graph
    admits and cropped back. With `test: training` it works on test images as it does in training: see
    `crossband.recipes.model.as_trained`.
    """

    graph: str
    params: Mapping[str, Any] = field(default_factory=dict)
    patch: Mapping[str, Any] = field(default_factory=dict)
    init: str | Mapping[str, float] = "default"
    weights: str | Mapping[str, str] | None = None
    frozen: bool = False
    fit: str | None = None
    test: str | None = None
    gives: str | None = None


@dataclass(frozen=True)
class Term:
    """One term of an objective, `weight * loss(*inputs)`.

    An input `fake.*` stands for every output of `fake`, and `fake.layer*` for every output and tap that begins so.
    """

    loss: str
    inputs: tuple[Value, ...]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    weight: float | Ramp = 1.0
    path: tuple[str, ...] = ()

    def weight_at(self, step: int, per_epoch: int) -> float:
        """Its weight in the step `step`, counted from 0, of a training with `per_epoch` steps in an epoch."""
        return self.weight.at(step, per_epoch) if isinstance(self.weight, Ramp) else self.weight


@dataclass(frozen=True)
class Phase:
    """One part of a training step: the networks that it trains, how often, and the terms whose sum it minimises.

    A `fresh` phase has images of its own in each repetition: those of the step in the first, and others thereafter.
    """

    name: str
    train: tuple[str, ...]
    terms: Mapping[str, Term]
    optimizer: tuple[str, Mapping[str, Any]]
    schedule: Mapping[str, Any]
    repeat: int = 1
    fresh: bool = False


@dataclass(frozen=True)
class Data:
    """The source of the images and their geometry; `cache` is a folder that keeps them decoded.

    `align` is a file with the transforms that bring the images of each scene over each other.

    `augment` are augmentations of training images by name, with their arguments, in the order in which they are done.
    """

    source: str
    arguments: Mapping[str, Any]
    geometry: Mapping[str, Any]
    batch: int = 1
    range: tuple[float, float] = (0.0, 1.0)
    channels: Mapping[str, int] = field(default_factory=dict)
    workers: int = 0
    cache: str | None = None
    augment: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    align: str | None = None

    @property
    def scale(self) -> dict[str, tuple[float, float]]:
        """The values of image files that stand for 0 and 1, by band, if the source has a `range`."""
        given = self.arguments.get("range", {})
        return {band: (float(low), float(high)) for band, (low, high) in given.items()} if given else {}


@dataclass(frozen=True)
class Every:
    """Steps between log lines, samples, checkpoints and evaluations; 0 is never, None lets the run decide."""

    log: int | None = None
    sample: int | None = None
    checkpoint: int | None = None
    evaluate: int | None = None


@dataclass(frozen=True)
class Measure:
    """How the result is measured: the value of the flow, the metrics and the images."""

    output: str | None = None
    metrics: tuple[str, ...] | None = None
    split: str = "test"
    load: int | tuple[int, int] | None = None
    size: int | tuple[int, int] | None = None
    images: int | None = None
    cost: tuple[str, ...] = ()
    inside: tuple[str, ...] | None = None
    by: str | None = None


@dataclass(frozen=True)
class Figure:
    """One figure as a paper prints it. If it is not `comparable` with ours, `note` says why."""

    value: float
    comparable: bool = True
    note: str = ""


@dataclass(frozen=True)
class Paper:
    """The figures that a paper prints for the system of a recipe, by our metric for each of them.

    `source` is the key of the paper, `table` the place in it, `data` the images that it was measured on. `differs` says
    why none of them can be compared with a run: see `crossband.recipes.language.papers`.
    """

    source: str
    table: str
    data: str
    values: Mapping[str, Figure]
    note: str = ""
    differs: str = ""


@dataclass(frozen=True, repr=False)
class Recipe:
    """A recipe with a valid structure. `crossband.recipes.language.checker` checks the names in it."""

    name: str
    sources: tuple[str, ...]  # the bands that are translated together, as a rule one
    target: str
    pairing: Literal["paired", "unpaired"]
    networks: Mapping[str, Network]
    flow: Mapping[str, Value]
    phases: tuple[Phase, ...]
    data: Data
    layers: Layers
    resolved: Mapping[str, Any]  # the recipe as plain data: parents merged in, settings made, expressions worked out
    variants: tuple[str, ...] = ()  # the names that `variant` may have
    epochs: int | None = None
    steps: int | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "32"
    accumulate: int = 1
    clip: float | None = None
    ema: float | None = None
    keep: tuple[str, ...] = ()
    every: Every = Every()
    evaluate: Measure = Measure()
    paper: tuple[Paper, ...] = ()

    def __repr__(self) -> str:
        length = f"{self.steps} steps" if self.steps else f"{self.epochs} epochs"
        task = f"{' and '.join(self.sources)} to {self.target}"
        return f"<Recipe {self.name}: {task}, networks {', '.join(self.networks)}, {length}>"

    @property
    def source(self) -> str:
        """The band that is translated; of several the first."""
        return self.sources[0]

    @property
    def draws(self) -> int:
        """How often a step draws images: once, and once more for each further repetition of a phase that is fresh."""
        return 1 + sum(phase.repeat - 1 for phase in self.phases if phase.fresh)

    @property
    def batches(self) -> int:
        """The batches of a step: `accumulate` at each draw."""
        return self.accumulate * self.draws

    @property
    def reads(self) -> tuple[str, ...]:
        """The bands that it reads: those of its task first, in their order."""
        values = [
            *self.flow.values(),
            *(value for phase in self.phases for term in phase.terms.values() for value in term.inputs),
        ]
        named = {part.name for value in values for part in value.walk() if part.kind == "name"} - self.flow.keys()
        own = (*self.sources, self.target)
        return (*own, *sorted(named - {*own}))

    def at(self, *path: str | int, key: bool = False) -> Place:
        """The place of a part of this recipe, in the file or setting that says it."""
        return self.layers.place(*path, key=key)
