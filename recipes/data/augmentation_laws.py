"""The laws of augmentations, as one public function: hold one to everything that training relies on.

    from crossband.recipes.data.augmentation_laws import check_laws

    def test_my_augmentation():
        check_laws("my_augmentation", {"strength": 0.2})

What is given are its parameters without a default, as a recipe would write them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crossband import registry
from crossband.blocks.laws.holding import Law, chosen, hold, require
from crossband.recipes.kinds.augmentation import AugmentationEntry

SHAPES = ((3, 12, 16), (1, 17, 9), (3, 8, 8), (1, 1, 5))
SEEDS = 5
CLOSE = 1e-6


def check_laws(
    augmentation: str, arguments: Mapping[str, Any] | None = None, *, laws: Sequence[str] | None = None
) -> dict[str, int]:
    """Hold an augmentation to its laws, all or those named. Give how often each was tried.

    `aligned` counts 0 for one that moves no pixels. Raises LawBroken that names the law and the image; CrossbandError
    for an unknown law or augmentation, and ArgumentError for wrong arguments.
    """
    entry: AugmentationEntry = registry.augmentations[augmentation]
    entry.check(arguments or {})
    tried: dict[str, int] = {}
    for name, law in chosen(LAWS, laws).items():
        examples = [] if name == "aligned" and not entry.moves else list(_examples(entry, arguments or {}))
        for example in examples:
            hold(name, law, example)
        tried[name] = len(examples)
    return tried


@dataclass(frozen=True)
class Example:
    """An augmentation with its arguments, and an image by its shape and seed."""

    entry: AugmentationEntry
    arguments: Mapping[str, Any]
    shape: tuple[int, ...]
    seed: int

    def __str__(self) -> str:
        return f"{self.entry.name} on {'x'.join(map(str, self.shape))}, seed {self.seed}"

    @property
    def image(self) -> Tensor:
        """Random values in [0, 1], both ends among them."""
        image = torch.rand(self.shape, generator=torch.Generator().manual_seed(self.seed))
        image.view(-1)[:2] = torch.tensor([0.0, 1.0])
        return image

    def done(self, image: Tensor, seed: int | None = None) -> Tensor:
        """The image augmented, with its own generator or that of another seed."""
        return self.entry.factory(image, np.random.default_rng(self.seed if seed is None else seed), **self.arguments)


def _examples(entry: AugmentationEntry, arguments: Mapping[str, Any]) -> Iterator[Example]:
    for shape in SHAPES:
        for seed in range(SEEDS):
            if entry.moves or entry.channels in (None, shape[0]):
                yield Example(entry, arguments, shape, seed)


def kind(example: Example) -> None:
    """An image stays of its shape, float32, and within [0, 1]."""
    found = example.done(example.image)
    require(tuple(found.shape) == example.shape, f"it has the shape {tuple(found.shape)}")
    require(found.dtype == torch.float32, f"it is of {found.dtype}")
    within = bool(found.isfinite().all() and found.min() >= 0 and found.max() <= 1)
    require(within, f"it has values from {found.min():.4g} to {found.max():.4g}, not within [0, 1]")


def again(example: Example) -> None:
    """One generator gives one image, and neither the image that is given nor torch's random state is changed."""
    image, state = example.image, torch.get_rng_state()
    first = example.done(image)
    require(torch.equal(image, example.image), "the image that it is given is changed")
    require(torch.equal(first, example.done(image)), "a generator in the same state gives another image")
    require(torch.equal(state, torch.get_rng_state()), "torch's random state is changed")


def draws(example: Example) -> None:
    """Other seeds give other images."""
    if min(example.shape[1:]) > 1:
        first = example.done(example.image)
        others = (example.done(example.image, seed) for seed in range(100, 120))
        require(any(not torch.equal(first, other) for other in others), "twenty seeds give one image")


def aligned(example: Example) -> None:
    """Bands stay aligned: pixels are moved alike, whatever an image shows and however many channels it has."""
    one, other = example.image, torch.rand(1, *example.shape[1:], generator=torch.Generator().manual_seed(99))
    both = example.done(torch.cat([one, other]))
    apart = torch.cat([example.done(one), example.done(other)])
    require(torch.allclose(both, apart, atol=CLOSE), "bands that go through one after the other are moved differently")


LAWS: Mapping[str, Law] = {law.__name__: law for law in (kind, again, draws, aligned)}
"""Every law by name; each raises where it is broken."""
