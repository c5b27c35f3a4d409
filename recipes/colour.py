"""Ranges and colour spaces of images `... c h w`: grey, three channels, [-1, 1] and CIE L*a*b*."""

from typing import Literal, TypeAlias

import torch
from torch import Tensor

from crossband.registry import CrossbandError

Range: TypeAlias = Literal["unit", "tanh"]
"""The range of images: `unit` is [0, 1], `tanh` is [-1, 1]."""

REC601 = (0.299, 0.587, 0.114)
XYZ = (  # of linear sRGB, IEC 61966-2-1
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
WHITE = tuple(sum(row) for row in XYZ)  # D65, as white is in these primaries
BEND = (6 / 29) ** 3  # of a white's luminance: below it the cube root goes on as a line
LIMIT = 128  # of a and b: those of sRGB lie within (-108, 99)


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


def rgb_to_lab(image: Tensor) -> Tensor:
    """sRGB `... 3 h w` in [0, 1] as `(L / 100, a / 128, b / 128)` of CIE 1976: in [0, 1], (-1, 1) and (-1, 1).

    White is D65. Values outside [0, 1] are first brought to the nearer end, where the gradient is zero.
    """
    image = image.clamp(0, 1)
    linear = torch.where(image > 0.04045, ((image.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4, image / 12.92)
    x, y, z = (_mixed(linear, XYZ) / _column(linear, WHITE)).unbind(-3)
    x, y, z = (_bent(part) for part in (x, y, z))
    return torch.stack(((1.16 * y - 0.16), 500 / LIMIT * (x - y), 200 / LIMIT * (y - z)), -3)


def lab_to_rgb(image: Tensor) -> Tensor:
    """The inverse of `rgb_to_lab`: sRGB `... 3 h w` in [0, 1]; colours beyond sRGB are cut off."""
    lightness, a, b = image.unbind(-3)
    y = (lightness + 0.16) / 1.16
    parts = (y + a * LIMIT / 500, y, y - b * LIMIT / 200)
    xyz = torch.stack([_straightened(part) for part in parts], -3) * _column(image, WHITE)
    linear = _mixed(xyz, torch.linalg.inv(torch.tensor(XYZ, dtype=torch.float64)).tolist()).clamp(0, 1)
    return torch.where(
        linear > 0.0031308, 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055, linear * 12.92
    ).clamp(0, 1)


def _bent(share: Tensor) -> Tensor:
    """The cube root of CIE 1976, a line near zero. The root is held off zero, where its slope has no bound."""
    return torch.where(share > BEND, share.clamp(min=BEND) ** (1 / 3), share / (3 * (6 / 29) ** 2) + 4 / 29)


def _straightened(root: Tensor) -> Tensor:
    return torch.where(root > 6 / 29, root**3, 3 * (6 / 29) ** 2 * (root - 4 / 29))


def _mixed(image: Tensor, matrix: tuple[tuple[float, ...], ...] | list[list[float]]) -> Tensor:
    """Each channel a sum of the channels `... 3 h w`; not a matrix product, which a GPU may round to 10 bits."""
    return torch.stack([(image * _column(image, row)).sum(-3) for row in matrix], -3)


def _column(image: Tensor, values: tuple[float, ...] | list[float]) -> Tensor:
    return image.new_tensor(values).view(3, 1, 1)
