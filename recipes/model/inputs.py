"""The images that a model is given, held to those that it was trained on: their kind, and the scale of their values."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from crossband.recipes.basics.colour import grey_pixels, with_channels
from crossband.recipes.data.images import ImageError, full_scale
from crossband.recipes.data.scale import LOST, MOST, outside
from crossband.recipes.kinds.source import Band
from crossband.recipes.model.task import Range, Task


@dataclass(frozen=True)
class Input:
    """What images of a band have to be: the `scale` of their values, and the `kind` that those of training were of.

    Where the kind is not known, as in old weights, images of every kind are taken.
    """

    band: str
    scale: Range | None = None
    kind: Band | None = None

    def on_full_scale(self) -> "Input":
        """The same without a scale, for numbers in [0, 1]."""
        return replace(self, scale=None)

    def check_type(self, dtype: np.dtype, hint: str) -> None:
        """Raise ImageError where pixels of a type cannot have the values that stand for 0 and 1."""
        if self.scale is not None and dtype.kind in "iu" and max(self.scale) > np.iinfo(dtype).max:
            end = int(self.scale[0] < self.scale[1])
            raise ImageError(f"{dtype} pixels do not reach {max(self.scale):g}, which is to be {end}", hint=hint)

    def to_unit(self, pixels: np.ndarray) -> Tensor:
        """Pixels `h w c` as float32 `1 c h w` in [0, 1].

        Raises ImageError where training would have refused them, where they lie beside the scale, and on values that
        are not finite.
        """
        if not np.isfinite(pixels).all():
            raise ImageError("has values that are not finite")
        pixels = self._to_channels(pixels)
        if self.scale and (found := outside(pixels, self.scale))[0] >= LOST:
            values = f"its values are from {pixels.min():.10g} to {pixels.max():.10g}"
            raise ImageError(found[1], hint=f"`--range LOW HIGH` says which values stand for 0 and 1; {values}")
        low, high = self.scale or (0.0, full_scale(pixels.dtype))
        unit = np.empty((pixels.shape[2], *pixels.shape[:2]), np.float32)
        for at, row in enumerate(pixels):  # one by one: a large image in float64 takes too much memory
            unit[:, at] = ((row.astype(np.float64) - low) / (high - low)).clip(0, 1).T
        return torch.from_numpy(unit)[None]

    def notes(self, pixels: np.ndarray) -> list[str]:
        """What is odd about pixels that `to_unit` takes: their type, or that most of them lie outside of the scale."""
        found = []
        if not self.scale and self.kind and self.kind.pixels not in ("", str(pixels.dtype)):
            found.append(f"{pixels.dtype} pixels, the {self.band} images of training have {self.kind.pixels}")
        if self.scale:
            share, words = outside(pixels, self.scale)
            found += [words] if share > MOST else []
        return found

    def refuse_colours(self) -> None:
        """Raise ImageError where training would have refused an image of three unequal channels."""
        if self.kind and self.kind.channels == 1 and not self.kind.luminance:
            message = f"a colour image, the {self.band} images of training have 1 channel"
            raise ImageError(message, hint="save it grey, as those are: without a palette or a colour map")

    def _to_channels(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels with the channels of the images of training."""
        if self.kind is None or self.kind.channels == 3 or pixels.shape[2] == 1:
            return pixels
        if (pixels == pixels[..., :1]).all():  # grey saved as colour
            return pixels[..., :1]
        self.refuse_colours()
        return grey_pixels(pixels)


def inputs_of(task: Task, range: Range | None = None) -> list[Input]:
    """What the images of each band that is translated have to be; `range` is the scale asked for in place of theirs."""
    return [Input(band, range or task.scale(band), task.images.get(band)) for band in task.sources]


def side_by_side(task: Task, bands: Sequence[Tensor]) -> Tensor:
    """The images `b c h w` of the bands that are translated as one; of one band as it is. Raises ImageError."""
    if len(bands) == 1:
        return bands[0]
    sizes = {
        "x".join(map(str, [len(image), *image.shape[2:]])): band
        for band, image in zip(task.sources, bands, strict=True)
    }
    if len(sizes) > 1:
        found = " and ".join(f"{size} ({band})" for size, band in sizes.items())
        raise ImageError(f"the images of all bands have one number, height and width, got {found}")
    each = zip(task.sources, bands, strict=True)
    return torch.cat([with_channels(image, task.channels[band]) for band, image in each], 1)


def apart(task: Task, images: Tensor) -> dict[str, Tensor]:
    """The images of each band, which `side_by_side` made one."""
    counts = [task.channels[band] for band in task.sources]
    return dict(zip(task.sources, images.split(counts, 1), strict=True))
