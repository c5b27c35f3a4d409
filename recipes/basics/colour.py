"""Ranges and channels of images: [-1, 1] and [0, 1], grey and colour, as tensors `... c h w` and as arrays `h w c`.

Here alone grey and colour are turned into each other. torch is not imported: reading image files needs none.
"""

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from crossband.registry import CrossbandError

if TYPE_CHECKING:
    from torch import Tensor

Range: TypeAlias = Literal["unit", "tanh"]
"""The range of images: `unit` is [0, 1], `tanh` is [-1, 1]."""

REC601 = (0.299, 0.587, 0.114)  # red, green, blue, as in Pillow and OpenCV


def to_unit(image: "Tensor", range: Range) -> "Tensor":
    """Images in [0, 1], from a declared range."""
    return (image + 1) / 2 if range == "tanh" else image


def luminance(image: "Tensor") -> "Tensor":
    """The brightness of an image, Rec. 601: `... 3 h w` or `... 1 h w` gives `... 1 h w`, in the same range.

    Raises CrossbandError on any other number of channels.
    """
    channels = image.shape[-3]
    if channels == 1:
        return image
    if channels != 3:
        raise CrossbandError(f"an image has 1 or 3 channels, got {channels}")
    return (image * image.new_tensor(REC601).view(3, 1, 1)).sum(-3, keepdim=True)


def with_channels(image: "Tensor", channels: int) -> "Tensor":
    """`... c h w` with 1 or 3 channels: a grey image repeated, a colour image reduced to its luminance."""
    return luminance(image) if channels == 1 else image.expand(*image.shape[:-3], channels, -1, -1)


def grey_pixels(pixels: np.ndarray) -> np.ndarray:
    """The luminance of pixels `h w 3` as `h w 1` in the same type: whole numbers are rounded."""
    grey = pixels.astype(np.float64) @ np.array(REC601)
    return (np.rint(grey) if pixels.dtype.kind in "iu" else grey).astype(pixels.dtype)[..., None]
