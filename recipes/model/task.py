"""What trained networks are for: which band becomes which, by what value of a flow, on which images."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from crossband.graphs.plans.plan import Plan
from crossband.recipes.kinds.source import Band
from crossband.recipes.language.experiment import Experiment, depends
from crossband.recipes.language.flow import Value
from crossband.recipes.language.papers import beside
from crossband.recipes.language.syntax import Data, Measure, Paper
from crossband.recipes.model.tiles import Tiling

Range = tuple[float, float]


class Origin(NamedTuple):
    """What `load` was given, so that a model can be loaded again."""

    path: Path
    network: str | None = None
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """The part of an experiment that matters once its networks are trained.

    `result` is the value that makes images of the band `target` from those of `sources`, by networks with these
    `plans`. `channels` are those of the bands, `data` says what the numbers in images stand for, and `evaluate` and
    `papers` how the result is measured and what it is compared with. `images` are the kinds of images of training by
    band, where they are known.
    """

    name: str
    sources: tuple[str, ...]
    target: str
    result: Value
    plans: Mapping[str, Plan]
    channels: Mapping[str, int]
    data: Data
    evaluate: Measure = field(default_factory=Measure)
    papers: tuple[Paper, ...] = ()
    images: Mapping[str, Band] = field(default_factory=dict)

    @classmethod
    def of(cls, experiment: Experiment) -> "Task":
        """That of a recipe: its result, from the band that it translates to the other."""
        recipe = experiment.recipe
        return cls(
            name=recipe.name,
            sources=recipe.sources,
            target=recipe.target,
            result=experiment.result,
            plans={name: experiment.plans[name] for name in sorted(depends(experiment.result, experiment.plans))},
            channels=experiment.bands,
            data=recipe.data,
            evaluate=recipe.evaluate,
            papers=beside(recipe),
        )

    @property
    def source(self) -> str:
        """The band that is translated, which pictures show and baselines copy; of several the first."""
        return self.sources[0]

    @property
    def bands(self) -> tuple[str, ...]:
        """The bands that measuring takes: those that are translated, the target, and others that the result reads."""
        own = (*self.sources, self.target)
        return (*own, *sorted(self.reads - {*own}))

    @property
    def reads(self) -> frozenset[str]:
        """The bands that the result is computed from."""
        return frozenset(part.name for part in self.result.walk() if part.kind == "name")

    @property
    def load(self) -> int | tuple[int, int] | None:
        """The size to which test images are resized: where `evaluate` says none and training resizes, `data.size`."""
        return self.evaluate.load or (self.data.geometry.get("size") if "load" in self.data.geometry else None)

    def scale(self, band: str) -> Range | None:
        """The values of image files that stand for 0 and 1, where the data declared them."""
        return self.data.scale.get(band)


class Trained(Protocol):
    """What measuring a model and translating files with it need of it: see `crossband.recipes.model.model.Model`."""

    task: Task
    networks: Mapping[str, nn.Module]

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        ...

    def predict(self, bands: Mapping[str, Tensor], /) -> Tensor:
        """The result `b c h w` for images of bands, in the range of training."""
        ...

    def compute(self, images: Tensor, tiling: Tiling | None = None, batch: int = 1, /) -> Tensor:
        """Translate `b c h w` in [0, 1] to `b k h w` in [0, 1]."""
        ...

    def check_size(self, height: int, width: int, tiling: Tiling | None = None, batch: int = 1, /) -> None:
        """Raise SizeError where images of this size cannot be translated, TooLarge where there is no memory for it."""
        ...
