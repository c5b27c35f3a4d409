"""Ranges and channels of images `... c h w`: [-1, 1] and [0, 1], grey and three channels."""

from typing import Literal, TypeAlias

from torch import Tensor

from crossband.registry import CrossbandError

Range: TypeAlias = Literal["unit", "tanh"]
"""The range of images: `unit` is [0, 1], `tanh` is [-1, 1]."""

REC601 = (0.299, 0.587, 0.114)


def to_unit(image: Tensor, range: Range) -> Tensor:
    """Images in [0, 1], from a declared range."""
    return (image + 1) / 2 if range == "tanh" else image


def luminance(image: Tensor) -> Tensor:
    """The brightness of an image, Rec. 601: `... 3 h w` or `... 1 h w` gives `... 1 h w`, in the same range.

    Raises CrossbandError on any other number of channels.
    """
    channels = image.shape[-3]
    if channels == 1:
        return image
    if channels != 3:
        raise CrossbandError(f"an image has 1 or 3 channels, got {channels}")
    return (image * image.new_tensor(REC601).view(3, 1, 1)).sum(-3, keepdim=True)


def three_channels(image: Tensor) -> Tensor:
    """`b 1 h w` repeated to `b 3 h w`; three channels as they are."""
    return image.expand(-1, 3, -1, -1)
