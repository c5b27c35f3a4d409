"""The block of ConvNeXt (Liu et al. 2022, section 2): a convolution that is built as a transformer is."""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count
from crossband.blocks.conv import Conv


@block("ConvNeXtBlock", contract="b c h w -> b c h w", reach="kernel", cite="liu2022convnext")
class ConvNeXtBlock(nn.Module):
    """A wide convolution of each channel by itself, then an MLP for each pixel: `b c h w` to the same.

        out = x + gamma * mlp(norm(conv(x)))

    The norm is over the channels of each pixel, the MLP widens them `expand` times, with GELU. `gamma` is learned for
    each channel and starts at `scale`, so that a new block is nearly the identity.
    """

    def __init__(self, c: int, *, kernel: Count = 7, expand: Count = 4, scale: Annotated[float, Ge(0)] = 1e-6) -> None:
        super().__init__()
        self.conv = Conv(c, out=c, kernel=kernel, groups=c, norm="layer")
        self.mlp = nn.Sequential(nn.Conv2d(c, expand * c, 1), nn.GELU(), nn.Conv2d(expand * c, c, 1))
        self.gamma = nn.Parameter(torch.full((c, 1, 1), float(scale)))

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w` to the same."""
        return x + self.gamma * self.mlp(self.conv(x))
