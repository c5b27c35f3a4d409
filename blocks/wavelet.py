"""The Haar wavelet transform (Mallat 1989) as a change of size: orthonormal, so that nothing is lost or amplified."""

from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.ranges import Range


def _mix(parts: Tensor) -> Tensor:
    """Half the sums and differences of four parts, `b 4 c h w`: an orthonormal mixing that is its own inverse.

    Of the pixels of a square, two of the upper row and two of the lower one, it makes the four bands, and back.
    """
    first, second, third, fourth = parts.unbind(1)
    mixed = [
        first + second + third + fourth,  # the mean, twice
        first - second + third - fourth,  # the difference of columns
        first + second - third - fourth,  # of rows
        first - second - third + fourth,  # of diagonals
    ]
    return torch.stack(mixed, dim=1) / 2


def _range(x: Range, **_: Any) -> Range:
    """Half the sums and differences of four values of the input."""
    return (x + x) | (x + x * -1)


@block(
    "WaveletDown",
    contract="b c h w -> b 4*c h//2 w//2",
    where=["h % 2 == 0  # an even number of rows", "w % 2 == 0  # an even number of columns"],
    reach=2,
    range=_range,
    cite="mallat1989wavelet",
)
class WaveletDown(nn.Module):
    """Split a map into four bands of half the size, by the Haar wavelet: `b c h w -> b 4*c h//2 w//2`.

    The first c channels are twice the means of squares of 2x2 pixels; then come the differences of their columns, of
    their rows and of their diagonals. The transform is orthonormal: the sum of squares stays, WaveletUp is the inverse.
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w -> b 4*c h//2 w//2`."""
        squares = rearrange(x, "b c (h i) (w j) -> b (i j) c h w", i=2, j=2)
        return rearrange(_mix(squares), "b band c h w -> b (band c) h w")


@block(
    "WaveletUp",
    contract="b c h w -> b c//4 2*h 2*w",
    where=["c % 4 == 0  # channels that divide into four bands"],
    reach=1,
    range=_range,
    cite="mallat1989wavelet",
)
class WaveletUp(nn.Module):
    """Join the four bands of WaveletDown into a map, as its exact inverse: `b c h w -> b c//4 2*h 2*w`."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w -> b c//4 2*h 2*w`."""
        squares = _mix(rearrange(x, "b (band c) h w -> b band c h w", band=4))
        return rearrange(squares, "b (i j) c h w -> b c (h i) (w j)", i=2, j=2)
