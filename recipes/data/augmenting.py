"""What training does to images at random, as `data.augment` says: each a function of seed, epoch and scene alone."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crossband import registry
from crossband.recipes.kinds.augmentation import AugmentationEntry

COMMON = ("chance", "bands")  # parameters that are not the function's own


@dataclass(frozen=True)
class Augmenting:
    """Augmentations by name with their arguments, in the order in which they are done.

    `seed` holds numbers for everything that the draws depend on but the scene. The draws of one augmentation, and in
    one band, are independent of the others: adding some changes none.
    """

    steps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seed: tuple[int, ...] = (0,)

    def moved(self, image: Tensor, scene: tuple[int, ...]) -> Tensor:
        """An image `c h w` with its pixels moved, as in every band of the scene."""
        for name, arguments in self.steps.items():
            entry = registry.augmentations[name]
            if entry.moves:
                image = self._done(entry, arguments, image, scene)
        return image

    def changed(self, image: Tensor, scene: tuple[int, ...], band: str, channels: int) -> Tensor:
        """An image `c h w` of a band, whose images have so many channels, with other values."""
        for name, arguments in self.steps.items():
            entry = registry.augmentations[name]
            if not entry.moves and entry.bands(arguments, {band: channels}):
                image = self._done(entry, arguments, image, (*scene, _number(band)))
        return image

    def _done(
        self, entry: AugmentationEntry, arguments: Mapping[str, Any], image: Tensor, scene: tuple[int, ...]
    ) -> Tensor:
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence((*self.seed, _number(entry.name), *scene))))
        if rng.random() >= arguments.get("chance", entry.defaults["chance"]):
            return image
        return entry.factory(
            in_unit(image), rng, **{key: value for key, value in arguments.items() if key not in COMMON}
        )


def in_unit(image: Tensor) -> Tensor:
    """An image as float32 in [0, 1], which bytes become."""
    return image.float() / 255 if image.dtype == torch.uint8 else image


def _number(name: str) -> int:
    """A number for a name, the same in every process."""
    return zlib.crc32(name.encode())
