"""Which part of a scene the network sees: resizing, windows and mirror images, the same for all its bands."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from crossband.recipes.data.images import full_scale
from crossband.recipes.kinds.source import Box, DataError, Source

Sides = int | tuple[int, int]  # one number for both, or height and width


@dataclass(frozen=True)
class Geometry:
    """Which part of a scene the network sees.

    `load` resizes first (antialiased): one number for both sides or `(height, width)`; the aspect ratio is not kept.
    `size` then cuts a window, at random where `crop` says so, else in the middle; without `size` the image stays whole.
    `flip` mirrors left and right half of the time, `flip_vertical` top and bottom: only in a random crop.
    """

    load: Sides | None = None
    size: Sides | None = None
    crop: Literal["random", "centre"] = "random"
    flip: bool = False
    flip_vertical: bool = False

    @property
    def window(self) -> tuple[int, int] | None:
        """Height and width of what the network sees, or None for the whole image."""
        return _two(self.size)

    def loaded(self, height: int, width: int) -> tuple[int, int]:
        """Height and width after `load`."""
        return loaded(self.load, (height, width))

    def apply(
        self,
        image: np.ndarray,
        rng: np.random.Generator | None = None,
        moved: Callable[[Tensor], Tensor] = lambda image: image,
    ) -> Tensor:
        """`c h w` of any Source type to a tensor `c h w`: uint8 stays uint8, others become float32 in [0, 1].

        Generators in equal states give equal geometry; without a generator nothing is random. What is loaded is `moved`
        before the window is cut.
        """
        tensor = moved(_tensor(resize(image, self.loaded(*image.shape[1:]))))
        top, left, axes = self._cut((tensor.shape[1], tensor.shape[2]), rng)
        high, wide = self.window or tensor.shape[1:]
        tensor = tensor[:, top : top + high, left : left + wide]
        return tensor.flip(axes) if axes else tensor

    def boxes(self, found: Sequence[Box], size: tuple[int, int], rng: np.random.Generator | None = None) -> list[Box]:
        """Boxes of an image of this height and width, where they are in what `apply` makes of it.

        They may reach beyond it, or lie outside. What augmentations move is not known here.
        """
        after = self.loaded(*size)
        top, left, axes = self._cut(after, rng)
        high, wide = self.window or after
        moved = []
        for box in (box.resized(size, after) for box in found):
            x, y = box.x - left, box.y - top
            x = wide - x - box.width if 2 in axes else x
            y = high - y - box.height if 1 in axes else y
            moved.append(replace(box, x=x, y=y))
        return moved

    def _cut(self, size: tuple[int, int], rng: np.random.Generator | None) -> tuple[int, int, list[int]]:
        """Top and left of the window in an image of a size, and the axes that are mirrored in it."""
        (height, width), (high, wide) = size, self.window or size
        chance = rng if self.crop == "random" else None
        down, right, mirror, overturn = chance.random(4) if chance else (0.5, 0.5, 1, 1)
        top, left = int(down * (height - high + 1)), int(right * (width - wide + 1))
        axes = [2] if self.flip and mirror < 0.5 else []
        axes += [1] if self.flip_vertical and overturn < 0.5 else []
        return top, left, axes


def check_window(geometry: Geometry, source: Source, names: Sequence[str]) -> None:
    """Raise DataError, naming the scenes, if some are smaller than the window."""
    if geometry.window is None:
        return
    high, wide = geometry.window
    sizes = {name: geometry.loaded(*((0, 0) if geometry.load else source.size(name))) for name in names}
    small = [
        DataError(f"{name}: {height}x{width}")
        for name, (height, width) in sizes.items()
        if height < high or width < wide
    ]
    if not small:
        return
    if geometry.load:
        raise DataError(f"`load` {geometry.load} is smaller than `size` {geometry.size}", hint="raise `load`")
    message = f"{len(small)} scenes are smaller than the window {high}x{wide}:"
    raise DataError.gathered(message, small, hint="make `size` smaller, or set `load` to resize first")


def loaded(load: Sides | None, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width after `load`: those of the image where it is None."""
    return _two(load) or size


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize `c h w` of any Source type: uint8 stays uint8, others become float32 in [0, 1]."""
    if image.shape[1:] == size:
        return image
    batch = _tensor(image)[None].contiguous(memory_format=torch.channels_last)  # twice as fast with three channels
    return np.ascontiguousarray(F.interpolate(batch, size, mode="bilinear", antialias=True)[0].numpy())


def _tensor(image: np.ndarray) -> Tensor:
    if image.dtype == np.uint16:
        image = image.astype(np.float32) / np.float32(full_scale(image.dtype))
    return torch.from_numpy(image)


def _two(size: Sides | None) -> tuple[int, int] | None:
    if size is None or isinstance(size, int):
        return None if size is None else (size, size)
    return (size[0], size[1])
