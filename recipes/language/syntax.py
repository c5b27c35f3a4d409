"""The parts of a recipe as written: plain data with names. Places are asked of its `layers`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from crossband.graphs.language.diagnostics import Place
from crossband.recipes.language.flow import Value
from crossband.recipes.language.layers import Layers


@dataclass(frozen=True)
class Network:
    """One network: a graph by name or path, its params, how its weights begin, and whether they stay.

    `weights` is a weights file, or for one that something else wrote `{file, keys, into}`: the file, the key map
    that renames what is in it, and the node into which it goes, by default the whole network.
    With `fit: pad` it takes images of any size, padded to what the graph admits and cropped back. With `test:
    training` it works on test images as it does in training: see `crossband.recipes.model.as_trained`.
    """

    graph: str
    params: Mapping[str, Any] = field(default_factory=dict)
    init: str | Mapping[str, float] = "default"
    weights: str | Mapping[str, str] | None = None
    frozen: bool = False
    fit: str | None = None
    test: str | None = None


@dataclass(frozen=True)
class Term:
    """One term of an objective, `weight * loss(*inputs)`.

    An input `fake.*` stands for every output of `fake`, and `fake.layer*` for every output and tap so begun.
    """

    loss: str
    inputs: tuple[Value, ...]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1.0
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Phase:
    """One part of a step: the networks it trains, how often, and the terms whose sum it makes smaller."""

    name: str
    train: tuple[str, ...]
    terms: Mapping[str, Term]
    optimizer: tuple[str, Mapping[str, Any]]
    schedule: Mapping[str, Any]
    repeat: int = 1


@dataclass(frozen=True)
class Data:
    """Where the images come from and which part of them a network sees; `cache` is a folder that keeps them decoded."""

    source: str
    arguments: Mapping[str, Any]
    geometry: Mapping[str, Any]
    batch: int = 1
    range: tuple[float, float] = (0.0, 1.0)
    channels: Mapping[str, int] = field(default_factory=dict)
    workers: int = 0
    cache: str | None = None

    @property
    def scale(self) -> dict[str, tuple[float, float]]:
        """The values of image files that stand for 0 and 1, by band, where the source is told of them."""
        given = self.arguments.get("range", {})
        return {band: (float(low), float(high)) for band, (low, high) in given.items()} if given else {}


@dataclass(frozen=True)
class Every:
    """Steps from one log line, sample, checkpoint and evaluation to the next; 0 is never, None as the run decides."""

    log: int | None = None
    sample: int | None = None
    checkpoint: int | None = None
    evaluate: int | None = None


@dataclass(frozen=True)
class Measure:
    """How the result is measured: which value of the flow, on which images, by which metrics."""

    output: str | None = None
    metrics: tuple[str, ...] | None = None
    split: str = "test"
    load: int | tuple[int, int] | None = None
    images: int | None = None


@dataclass(frozen=True)
class Figure:
    """One figure as a paper prints it. Where it is not `comparable` with ours, `note` says why."""

    value: float
    comparable: bool = True
    note: str = ""


@dataclass(frozen=True)
class Paper:
    """What a paper prints for the system of a recipe: figures by the metrics of ours that they stand for.

    `source` is the key of the paper, `table` says where in it, `data` which images it was measured on.
    """

    source: str
    table: str
    data: str
    values: Mapping[str, Figure]
    note: str = ""


@dataclass(frozen=True, repr=False)
class Recipe:
    """A recipe whose structure is right. `crossband.recipes.language.checker` checks what it names."""

    name: str
    source: str
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
        return f"<Recipe {self.name}: {self.source} to {self.target}, networks {', '.join(self.networks)}, {length}>"

    def at(self, *path: str | int, key: bool = False) -> Place:
        """The place of a part of this recipe, in whichever file or setting says it."""
        return self.layers.place(*path, key=key)
